//! The hash of a map, by which replicas are compared.

use crate::fnv::fnv1a;

/// Returns the hash of a map's text: FNV-1a, without the bits that the value of a metric cannot hold exactly.
///
/// It is the same in each process and in each version of the program, so that replicas can be compared during a rollout.
/// Two different maps have the same hash by chance with a probability of 2^-53. Whoever can write the map gains nothing
/// by provoking that, so the hash need not resist it.
#[must_use]
pub(super) fn map_hash(text: &str) -> u64 {
    fnv1a(text) >> (u64::BITS - f64::MANTISSA_DIGITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_fits_into_the_value_of_a_metric() {
        for text in ["", "a", "foobar", "default::registry.example.com\n"] {
            let hash = map_hash(text);
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
