//! Random inputs for the driver: changed seed inputs, and new inputs.

use crate::{
    Target,
    inputs::{OF_PIECES, OF_RUNS},
    review::OF_EDITS,
};

/// Maximum size of an input in bytes. Longer inputs would be slow, and are not more likely to find an error.
const MAX_BYTES: usize = 16 * 1024;

/// Maximum number of changes of an input.
const MAX_CHANGES: usize = 8;

/// Maximum size of a new input in bytes.
const MAX_NEW_BYTES: usize = 160;

/// A generator of random numbers (`SplitMix64`), the same for the same seed.
pub(crate) struct Random(u64);

impl Random {
    /// Returns the generator for an execution of a run.
    pub(crate) fn of(seed: u64, execution: u64) -> Self {
        let mut random = Self(seed);
        Self(random.next() ^ execution.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`, which counts as at least 1.
    fn below(&mut self, end: usize) -> usize {
        let end = end.max(1) as u64;
        usize::try_from(self.next() % end).unwrap_or_default()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }

    /// Returns a range of a text of `length` bytes, more often short than long.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let longest = [4, 16, 64, length][self.below(4)];
        start..length.min(start + self.below(longest + 1))
    }
}

/// Returns the input of an execution.
pub(crate) fn input(target: &Target, seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    if seeds.is_empty() || random.below(4) == 0 {
        let first = [OF_PIECES, OF_RUNS, OF_EDITS, random.byte()][random.below(4)];
        let length = random.below(MAX_NEW_BYTES);
        return [&[first], &*random.bytes(length)].concat();
    }
    let mut input = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(MAX_CHANGES) {
        change(&mut input, target, seeds, random);
        input.truncate(MAX_BYTES);
    }
    input
}

fn change(input: &mut Vec<u8>, target: &Target, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len() + 1);
    match random.below(8) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 if at < input.len() => input[at] = random.byte(),
        2 => input.insert(at, random.byte()),
        3 => {
            input.drain(random.range(input.len()));
        }
        4 => {
            let copied = input[random.range(input.len())].to_vec();
            input.splice(at..at, copied);
        }
        5 => {
            let other = &seeds[random.below(seeds.len())];
            let taken = other[random.range(other.len())].to_vec();
            input.splice(random.range(input.len()), taken);
        }
        choice => {
            // A word replaces a range, or is inserted.
            let replaced = if choice == 6 { random.range(input.len()) } else { at..at };
            let word = target.dictionary[random.below(target.dictionary.len())];
            input.splice(replaced, word.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_reproducible_and_differ_between_executions() {
        for target in crate::TARGETS {
            let seeds = (target.seeds)();
            let inputs = |seed: u64| -> Vec<_> {
                (0..200).map(|n| input(&target, &seeds, &mut Random::of(seed, n))).collect()
            };
            assert_eq!(inputs(1), inputs(1));
            assert_ne!(inputs(1), inputs(2));
            let mut different = inputs(1);
            different.sort_unstable();
            different.dedup();
            assert!(different.len() > 150, "{} of {}", different.len(), target.name);
        }
    }
}
