//! A set of globs that finds the first glob, in file order, that matches an image.
//!
//! Each glob is indexed by one literal that every match must contain. One Aho-Corasick pass over the image finds the
//! literals that occur, and only the globs of these literals are verified. The index uses the literal that the fewest
//! globs share. So it distinguishes ten thousand globs of the form `registry-N/*/app:*` by their registry, and does not
//! try them all for every `/app:`.
//!
//! It deliberately does not optimize globs without a literal (`*`, `[a-z]?`), and globs that have only literals in
//! common. They are verified one after the other.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, MatchKind, PatternID};
use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::glob::Glob;

/// Maximum length of a literal in the automaton, in bytes. Longer literals are cut; verification compares the rest.
///
/// With this limit, the size of the automaton depends on the number of globs, not on their length.
const MAX_INDEXED_LITERAL_BYTES: usize = 64;

/// The globs of a map.
#[derive(Clone, Debug, Default)]
pub(super) struct GlobSet {
    globs: Vec<Entry>,
    /// Finds the literals; `None` if no glob has one.
    literals: Option<AhoCorasick>,
    /// The indices of the globs of each literal, in ascending order.
    by_literal: Vec<Vec<u32>>,
    /// The indices of the globs without a literal, in ascending order.
    without_literal: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Entry {
    glob: Glob,
    rule: u32,
}

impl GlobSet {
    /// Indexes globs, which are given with the index of their rule, in file order.
    ///
    /// # Errors
    /// If the literals are too many for one automaton (over 2^31 bytes).
    pub(super) fn build(
        globs: impl Iterator<Item = (u32, Glob)>,
    ) -> Result<Self, aho_corasick::BuildError> {
        let globs: Vec<_> = globs.map(|(rule, glob)| Entry { glob, rule }).collect();
        let mut shared_by: HashMap<&[u8], u32, RandomState> = HashMap::default();
        for literal in globs.iter().flat_map(|entry| entry.glob.literals()) {
            *shared_by.entry(indexed(literal)).or_default() += 1;
        }
        let mut set = Self::default();
        let mut patterns: Vec<&[u8]> = Vec::new();
        let mut pattern_of: HashMap<&[u8], usize, RandomState> = HashMap::default();
        for (index, entry) in (0..).zip(&globs) {
            let rarest = entry
                .glob
                .literals()
                .map(indexed)
                .min_by_key(|literal| (shared_by[literal], usize::MAX - literal.len()));
            let Some(literal) = rarest else {
                set.without_literal.push(index);
                continue;
            };
            let pattern = *pattern_of.entry(literal).or_insert_with(|| {
                patterns.push(literal);
                set.by_literal.push(Vec::new());
                patterns.len() - 1
            });
            set.by_literal[pattern].push(index);
        }
        if !patterns.is_empty() {
            let automaton =
                AhoCorasick::builder().match_kind(MatchKind::Standard).build(&patterns)?;
            set.literals = Some(automaton);
        }
        set.globs = globs;
        Ok(set)
    }

    /// Returns the rule of the first glob that matches the whole of `image`, if any.
    pub(super) fn first_match(&self, image: &str) -> Option<u32> {
        let mut best = self.first_of(&self.without_literal, image, u32::MAX);
        if let Some(literals) = &self.literals {
            // A literal may occur many times, but its globs are verified only once.
            let mut found: SmallVec<[PatternID; 16]> =
                literals.find_overlapping_iter(image).map(|found| found.pattern()).collect();
            found.sort_unstable();
            found.dedup();
            for literal in found {
                best = self.first_of(&self.by_literal[literal.as_usize()], image, best);
            }
        }
        self.globs.get(best as usize).map(|entry| entry.rule)
    }

    /// Returns the globs with the indices of their rules, in file order.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (u32, &Glob)> {
        self.globs.iter().map(|entry| (entry.rule, &entry.glob))
    }

    /// Returns the number of globs.
    pub(super) fn len(&self) -> usize {
        self.globs.len()
    }

    /// Returns the first of `candidates` before `best` that matches, or `best` if there is none.
    fn first_of(&self, candidates: &[u32], image: &str, best: u32) -> u32 {
        let mut earlier = candidates.iter().copied().take_while(|&index| index < best);
        earlier.find(|&index| self.globs[index as usize].glob.matches(image)).unwrap_or(best)
    }
}

fn indexed(literal: &str) -> &[u8] {
    &literal.as_bytes()[..literal.len().min(MAX_INDEXED_LITERAL_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_match(globs: &[&str], image: &str) -> Option<u32> {
        GlobSet::build((0..).zip(globs.iter().map(|glob| Glob::parse(glob))))
            .unwrap()
            .first_match(image)
    }

    #[test]
    fn the_first_match_in_file_order_wins_regardless_of_its_literal() {
        assert_eq!(first_match(&["*b*", "*a*"], "ab"), Some(0));
        assert_eq!(first_match(&["?z", "*a*", "*"], "ab"), Some(1));
        assert_eq!(first_match(&["*", "ab"], "ab"), Some(0));
        assert_eq!(first_match(&["*x*", "?y"], "ab"), None);
        assert_eq!(first_match(&[], "ab"), None);
    }

    #[test]
    fn a_literal_longer_than_the_limit_is_verified_completely() {
        let long = "x".repeat(MAX_INDEXED_LITERAL_BYTES);
        let globs = [format!("*{long}1*"), format!("*{long}2*")];
        let globs: Vec<_> = globs.iter().map(String::as_str).collect();
        assert_eq!(first_match(&globs, &format!("{long}2")), Some(1));
    }
}
