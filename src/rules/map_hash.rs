//! The hash of a map, by which replicas are compared.

/// Initial value of FNV-1a with 64 bits: <https://www.rfc-editor.org/rfc/rfc9923>.
const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// Multiplier of FNV-1a with 64 bits.
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Returns the hash of a map's text: FNV-1a, without the bits that the value of a metric cannot hold exactly.
///
/// It is the same in each process and in each version of the program, so that replicas can be compared during a rollout.
/// Two different maps have the same hash by chance with a probability of 2^-53. Whoever can write the map gains nothing
/// by provoking that, so the hash need not resist it.
#[must_use]
pub(super) fn map_hash(text: &str) -> u64 {
    let hash =
        text.bytes().fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    hash >> (u64::BITS - f64::MANTISSA_DIGITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_the_specification_and_fits_into_the_value_of_a_metric() {
        // The test vectors of FNV-1a: http://www.isthe.com/chongo/src/fnv/test_fnv.c.
        for (text, expected) in [
            ("", 0xcbf2_9ce4_8422_2325_u64),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            let hash = map_hash(text);
            assert_eq!(hash, expected >> 11, "{text}");
            #[expect(clippy::cast_precision_loss, reason = "this is what is tested")]
            let value = hash as f64;
            assert_eq!(value.to_string(), hash.to_string(), "{text}");
        }
    }

    #[test]
    fn maps_that_differ_in_one_character_have_different_hashes() {
        let map = "default::registry.example.com\nquay.io::registry.example.com/quay\n";
        for (index, _) in map.char_indices() {
            let other = format!("{}~{}", &map[..index], &map[index + 1..]);
            assert_ne!(map_hash(map), map_hash(&other), "{other}");
        }
    }
}
