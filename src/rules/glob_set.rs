//! Many globs at once: which is the first, in file order, that matches an image.
//!
//! Each glob is filed under one literal that every match must contain. One Aho-Corasick pass over
//! the image finds the literals that occur, and only their globs are verified. Of a glob's
//! literals the one that the fewest globs share is taken, so that ten thousand globs of the form
//! `registry-N/*/app:*` are told apart by their registry and not all tried for every `/app:`.
//!
//! What stays slow, deliberately: globs without any literal (`*`, `[a-z]?`) and globs that have
//! the same literals only are verified one after the other.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, MatchKind, PatternID};
use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::glob::Glob;

/// The most bytes of a literal that go into the automaton.
///
/// It bounds the automaton's size by the number of globs, not by their length; verification looks
/// at the rest.
const MAX_INDEXED_LITERAL_BYTES: usize = 64;

/// The globs of a map.
#[derive(Clone, Debug, Default)]
pub(super) struct GlobSet {
    globs: Vec<Entry>,
    /// Finds the literals; absent when no glob has one.
    literals: Option<AhoCorasick>,
    /// For each literal the globs filed under it, ascending.
    by_literal: Vec<Vec<u32>>,
    /// The globs without a literal, ascending.
    without_literal: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Entry {
    glob: Glob,
    rule: u32,
}

impl GlobSet {
    /// Indexes globs, given with their rule in file order.
    ///
    /// # Errors
    /// When the literals are too many for one automaton (over 2^31 bytes of them).
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

    /// The rule of the first glob that matches the whole of `image`.
    pub(super) fn first_match(&self, image: &str) -> Option<u32> {
        let mut best = self.first_of(&self.without_literal, image, u32::MAX);
        if let Some(literals) = &self.literals {
            // A literal may occur many times; its globs are verified once.
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

    /// The globs with their rules, in file order.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (u32, &Glob)> {
        self.globs.iter().map(|entry| (entry.rule, &entry.glob))
    }

    /// How many globs there are.
    pub(super) fn len(&self) -> usize {
        self.globs.len()
    }

    /// The first of `candidates` before `best` that matches, or `best`.
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
    fn the_first_in_file_order_wins_whatever_literal_it_is_filed_under() {
        assert_eq!(first_match(&["*b*", "*a*"], "ab"), Some(0));
        assert_eq!(first_match(&["?z", "*a*", "*"], "ab"), Some(1));
        assert_eq!(first_match(&["*", "ab"], "ab"), Some(0));
        assert_eq!(first_match(&["*x*", "?y"], "ab"), None);
        assert_eq!(first_match(&[], "ab"), None);
    }

    #[test]
    fn a_literal_longer_than_the_index_is_verified_whole() {
        let long = "x".repeat(MAX_INDEXED_LITERAL_BYTES);
        let globs = [format!("*{long}1*"), format!("*{long}2*")];
        let globs: Vec<_> = globs.iter().map(String::as_str).collect();
        assert_eq!(first_match(&globs, &format!("{long}2")), Some(1));
    }
}
