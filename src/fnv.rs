//! The hash function FNV-1a with 64 bits (<https://www.rfc-editor.org/rfc/rfc9923>).
//!
//! It is the same in each process and in each version of the program. It does not resist somebody who looks for texts
//! with the same hash.

/// Initial value of the hash.
const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// Multiplier of the hash.
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Returns the hash of a text.
#[must_use]
pub(crate) fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_the_specification() {
        // The test vectors of FNV-1a: http://www.isthe.com/chongo/src/fnv/test_fnv.c.
        for (text, expected) in [
            ("", 0xcbf2_9ce4_8422_2325_u64),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(fnv1a(text), expected, "{text}");
        }
    }
}
