//! Random numbers from a seed.

use std::time::Duration;

/// A generator of random numbers (`SplitMix64`), the same for the same seed.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Returns an index of a list that is not empty.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    /// Returns true with a probability in thousandths.
    pub(crate) fn happens(&mut self, thousandths: u64) -> bool {
        self.below(1000) < thousandths
    }

    /// Returns a time from `minimum` to `maximum`.
    pub(crate) fn time(&mut self, minimum: Duration, maximum: Duration) -> Duration {
        let range = u64::try_from(maximum.saturating_sub(minimum).as_millis()).unwrap();
        minimum + Duration::from_millis(self.below(range + 1))
    }
}
