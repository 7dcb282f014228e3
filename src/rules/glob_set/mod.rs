//! A set of globs that finds the first glob, in file order, that matches an image.
//!
//! Each glob is indexed by one literal that every match must contain. One Aho-Corasick pass over the image finds the
//! literals that occur, and only the globs of these literals are verified. The index uses the literal that the fewest
//! globs share. So it distinguishes ten thousand globs of the form `registry-N/*/app:*` by their registry, and does not
//! try them all for every `/app:`.
//!
//! Many globs that share their rarest literal are told apart by their characters near it, and near the start and the
//! end of the image: see [`columns`]. So are globs without a literal (`[a-z]?`).
//!
//! It deliberately does not optimize globs that differ only in other positions, as in `*[ab]*/app:*` and
//! `*[bc]*/app:*`, and images that are not ASCII, which no registry accepts. Their globs are verified one after the
//! other.

mod columns;

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use aho_corasick::{AhoCorasick, Match, MatchKind};
use foldhash::fast::RandomState;
use smallvec::SmallVec;

use self::columns::Columns;
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
    /// The globs of each literal.
    by_literal: Vec<Bucket>,
    /// The globs without a literal.
    without_literal: Bucket,
}

/// Globs that share a literal, or that have none.
#[derive(Clone, Debug, Default)]
struct Bucket {
    /// Their indices, in ascending order.
    globs: Vec<u32>,
    /// Tells them apart, if they are many.
    columns: Option<Columns>,
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
        // A glob that is given again never decides.
        let mut known: HashSet<&Glob, RandomState> = HashSet::default();
        let firsts: Vec<_> =
            (0..).zip(&globs).filter(|(_, entry)| known.insert(&entry.glob)).collect();
        let mut shared_by: HashMap<&[u8], u32, RandomState> = HashMap::default();
        for literal in firsts.iter().flat_map(|(_, entry)| entry.glob.literals()) {
            *shared_by.entry(indexed(literal)).or_default() += 1;
        }
        let mut set = Self::default();
        let mut patterns: Vec<&[u8]> = Vec::new();
        let mut pattern_of: HashMap<&[u8], usize, RandomState> = HashMap::default();
        for (index, entry) in firsts {
            let rarest = entry
                .glob
                .literals()
                .map(indexed)
                .min_by_key(|literal| (shared_by[literal], usize::MAX - literal.len()));
            let Some(literal) = rarest else {
                set.without_literal.globs.push(index);
                continue;
            };
            let pattern = *pattern_of.entry(literal).or_insert_with(|| {
                patterns.push(literal);
                set.by_literal.push(Bucket::default());
                patterns.len() - 1
            });
            set.by_literal[pattern].globs.push(index);
        }
        set.without_literal.add_columns(&globs, None);
        for (bucket, literal) in set.by_literal.iter_mut().zip(&patterns) {
            bucket.add_columns(&globs, Some(literal));
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
        if self.globs.is_empty() {
            return None;
        }
        let mut best = self.first_of(&self.without_literal, image, &[], u32::MAX);
        if let Some(literals) = &self.literals {
            let mut found: SmallVec<[Match; 16]> = literals.find_overlapping_iter(image).collect();
            found.sort_unstable_by_key(Match::pattern);
            for of_one in found.chunk_by(|one, next| one.pattern() == next.pattern()) {
                let bucket = &self.by_literal[of_one[0].pattern().as_usize()];
                best = self.first_of(bucket, image, of_one, best);
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

    /// Returns the first glob of a bucket, before `best`, that matches, or `best` if there is none. `literals` are the
    /// occurrences of its literal in the image.
    fn first_of(&self, bucket: &Bucket, image: &str, literals: &[Match], best: u32) -> u32 {
        let first = |candidates: &mut dyn Iterator<Item = u32>| {
            let mut earlier = candidates.take_while(|&index| index < best);
            earlier.find(|&index| self.globs[index as usize].glob.matches(image)).unwrap_or(best)
        };
        match &bucket.columns {
            Some(columns) if image.is_ascii() => {
                let literals: SmallVec<[Range<usize>; 4]> =
                    literals.iter().map(Match::range).collect();
                let candidates = columns.candidates(image.as_bytes(), &literals);
                first(&mut candidates.map(|candidate| bucket.globs[candidate]))
            }
            _ => first(&mut bucket.globs.iter().copied()),
        }
    }
}

impl Bucket {
    fn add_columns(&mut self, globs: &[Entry], literal: Option<&[u8]>) {
        let globs: Vec<_> = self.globs.iter().map(|&index| &globs[index as usize].glob).collect();
        self.columns = Columns::build(&globs, literal);
    }
}

fn indexed(literal: &str) -> &[u8] {
    &literal.as_bytes()[..literal.len().min(MAX_INDEXED_LITERAL_BYTES)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    #[test]
    fn globs_that_share_their_literal_are_told_apart_by_the_classes_around_it() {
        let digits = |number: usize| -> Vec<_> {
            format!("{number:03}").chars().map(|digit| format!("[{digit}x]")).collect()
        };
        for form in ["*N/app:*", "*/app:N", "N/app:*", "*/app:?N*", "*/app:*N"] {
            let globs: Vec<_> =
                (0..1000).map(|number| form.replace('N', &digits(number).concat())).collect();
            let globs: Vec<_> = globs.iter().map(String::as_str).collect();
            let image = |number: &str| form.replace('N', number).replace(['*', '?'], "y");
            for (number, first) in [
                ("123", Some(123)),
                ("999", Some(999)),
                ("1x3", Some(103)),
                ("xxx", Some(0)),
                ("12y", None),
            ] {
                assert_eq!(first_match(&globs, &image(number)), first, "{form}: {number}");
            }
            let first = form.ends_with('*').then_some(123);
            // The literal occurs more than once in the second.
            for more in ["é", &"/app:".repeat(100)] {
                assert_eq!(first_match(&globs, &(image("123") + more)), first, "{form}: {more}");
            }
        }
    }

    /// A part of a glob: few characters, so that many globs share their literals.
    fn part() -> impl Strategy<Value = &'static str> {
        let parts =
            ["*", "*", "?", "a", "b", "[ab]", "[bc]", "[!a]", "[z-a]", "[a-c]", "é", "[é-ü]"];
        prop::sample::select(parts.to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_first_match_is_that_of_trying_all_globs_in_file_order(
            literals in prop::collection::vec(prop::sample::select(vec!["", "*/x", "/x*/x"]), 1..3),
            globs in prop::collection::vec(
                (any::<usize>(), prop::collection::vec(part(), 0..5), prop::collection::vec(part(), 0..5)),
                1..100,
            ),
            images in prop::collection::vec("([abcé]{0,4}(/x)?){1,4}|(a?/x){60,70}b?", 20),
        ) {
            let glob = |(literal, before, after): &(usize, Vec<&str>, Vec<&str>)| {
                before.concat() + literals[literal % literals.len()] + &after.concat()
            };
            let globs: Vec<_> = globs.iter().map(glob).collect();
            let parsed: Vec<_> = globs.iter().map(|glob| Glob::parse(glob)).collect();
            let set = GlobSet::build((0..).zip(parsed.iter().cloned())).unwrap();
            for image in images {
                let first = (0..).zip(&parsed).find(|(_, glob)| glob.matches(&image));
                let first = first.map(|(number, _)| number);
                prop_assert_eq!(set.first_match(&image), first, "{}", image);
            }
        }
    }
}
