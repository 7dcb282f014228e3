//! A table that tells globs with the same literal apart, by the characters that they accept at fixed positions.
//!
//! It has a column for each position, for example the second character after the literal. The column has a row of bits
//! for each character: a bit for each glob, set if the glob accepts the character there. The globs whose bit is set in
//! the rows of all columns are the candidates. Each row also tells which of its blocks have a bit, so blocks without a
//! candidate are mostly not looked at. Ten thousand globs cost at most two thousand operations on words for each
//! occurrence of the literal, instead of ten thousand verifications.

use std::{collections::HashSet, ops::Range, slice, sync::Arc};

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use crate::rules::glob::{Anchor, AsciiSet, FixedParts, Glob};

/// Minimum number of globs for a table. Fewer globs are verified as fast, and a table for few has much overhead. Tests
/// have tables for all sizes.
const MIN_GLOBS: usize = if cfg!(test) { 1 } else { 64 };

/// Maximum number of columns. More leave hardly fewer candidates.
///
/// It bounds the memory: a column has at most 129 bits for each glob, so ten thousand globs have at most 2 MB.
const MAX_COLUMNS: usize = 12;

/// Number of positions from each anchor that can become a column. Numbers in names and tags rarely have more digits.
const POSITIONS: usize = 8;

/// A column is left out if this percentage of the globs or more is expected to accept the character of an image,
/// because it leaves out too few to be worth its memory.
const USELESS_PERCENT: u64 = 90;

/// Number of the row for texts that end before the position, after those of the ASCII characters.
const OUTSIDE: u8 = 128;

const ANCHORS: [Anchor; 4] =
    [Anchor::Start, Anchor::End, Anchor::BeforeLiteral, Anchor::AfterLiteral];

/// Number of globs in a block.
const BLOCK_GLOBS: usize = 256;

/// Bits of the globs of a block, which are combined at once.
type Block = [u64; BLOCK_GLOBS / 64];

/// A bit for each block. Up to 32,768 globs need no allocation.
type Blocks = SmallVec<[u64; 2]>;

/// The table of the globs of a literal.
#[derive(Clone, Debug)]
pub(super) struct Columns(Vec<Column>);

#[derive(Clone, Debug)]
struct Column {
    anchor: Anchor,
    /// Distance from the anchor, in characters.
    distance: usize,
    /// The row of each ASCII character, and of [`OUTSIDE`]. Equal rows are stored once.
    rows: Vec<Arc<Row>>,
}

/// The globs that accept a character at the position of a column.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Row {
    globs: Vec<Block>,
    /// The blocks that are not empty.
    occupied: Blocks,
}

/// An occurrence of the literal in a text, or the text itself if the globs share no literal.
struct Occurrence<'a> {
    /// The row of each column.
    rows: SmallVec<[&'a Row; MAX_COLUMNS]>,
    /// The blocks that are not empty in any row.
    occupied: Blocks,
}

impl Columns {
    /// Builds the table of globs that share `literal`. `None` if it would not help.
    pub(super) fn build(globs: &[&Glob], literal: Option<&[u8]>) -> Option<Self> {
        if globs.len() < MIN_GLOBS {
            return None;
        }
        let columns: Vec<_> = positions(globs, literal)
            .into_iter()
            .map(|(anchor, distance)| {
                let accepted = |parts: FixedParts<'_>| parts.accepted(anchor, distance);
                let accepted = globs.iter().map(|glob| accepted(glob.fixed_parts(literal)));
                Column { anchor, distance, rows: rows(accepted) }
            })
            .collect();
        (!columns.is_empty()).then_some(Self(columns))
    }

    /// Returns the globs that can match an ASCII text, in ascending order.
    ///
    /// `literals` are the occurrences of the literal in the text: none if the globs share no literal.
    pub(super) fn candidates(
        &self,
        text: &[u8],
        literals: &[Range<usize>],
    ) -> impl Iterator<Item = usize> {
        // Without a literal, all columns are at the ends of the text.
        let literals = if literals.is_empty() { slice::from_ref(&(0..0)) } else { literals };
        let occurrences: SmallVec<[Occurrence<'_>; 1]> =
            literals.iter().map(|literal| self.occurrence(text, literal)).collect();
        let mut occupied = occurrences[0].occupied.clone();
        for occurrence in &occurrences[1..] {
            occupied.iter_mut().zip(&occurrence.occupied).for_each(|(all, one)| *all |= one);
        }
        let occupied = occupied.into_iter().enumerate();
        let blocks =
            occupied.flat_map(|(word, set)| bits(set.into()).map(move |bit| word * 64 + bit));
        blocks.flat_map(move |block| {
            let mut union: Block = Block::default();
            for occurrence in &occurrences {
                occurrence.add_to(&mut union, block);
            }
            let words = union.into_iter().enumerate();
            words.flat_map(move |(word, set)| {
                bits(set.into()).map(move |bit| block * BLOCK_GLOBS + word * 64 + bit)
            })
        })
    }

    fn occurrence(&self, text: &[u8], literal: &Range<usize>) -> Occurrence<'_> {
        let rows: SmallVec<[&Row; MAX_COLUMNS]> =
            self.0.iter().map(|column| column.row(text, literal)).collect();
        let mut occupied = rows[0].occupied.clone();
        for row in &rows[1..] {
            occupied.iter_mut().zip(&row.occupied).for_each(|(all, one)| *all &= one);
        }
        Occurrence { rows, occupied }
    }
}

impl Occurrence<'_> {
    /// Adds the candidates of a block.
    fn add_to(&self, union: &mut Block, block: usize) {
        if self.occupied[block / 64] & 1 << (block % 64) == 0 {
            return;
        }
        let mut common = [u64::MAX; BLOCK_GLOBS / 64];
        for row in &self.rows {
            common.iter_mut().zip(row.globs[block]).for_each(|(common, bits)| *common &= bits);
            // The columns that leave out most come first, so most blocks end after a few.
            if common == Block::default() {
                return;
            }
        }
        union.iter_mut().zip(common).for_each(|(union, bits)| *union |= bits);
    }
}

impl Column {
    /// Returns the row of the character that an ASCII text has at the position.
    fn row(&self, text: &[u8], literal: &Range<usize>) -> &Row {
        let back_from = |end: usize| end.checked_sub(self.distance + 1);
        let position = match self.anchor {
            Anchor::Start => Some(self.distance),
            Anchor::End => back_from(text.len()),
            Anchor::BeforeLiteral => back_from(literal.start),
            Anchor::AfterLiteral => Some(literal.end + self.distance),
        };
        let byte = position.and_then(|position| text.get(position)).map_or(OUTSIDE, |&byte| byte);
        &self.rows[usize::from(byte)]
    }
}

/// Returns the positions that tell the globs apart best: anchor and distance.
fn positions(globs: &[&Glob], literal: Option<&[u8]>) -> Vec<(Anchor, usize)> {
    let all = ANCHORS.into_iter().flat_map(|anchor| (0..POSITIONS).map(move |at| (anchor, at)));
    let mut tallies: Vec<_> = all.map(|position| (position, Tally::new())).collect();
    for glob in globs {
        let parts = glob.fixed_parts(literal);
        for ((anchor, distance), tally) in &mut tallies {
            tally.add(parts.accepted(*anchor, *distance));
        }
    }
    let expected = tallies.iter().map(|(position, tally)| (tally.expected_candidates(), *position));
    let is_useful = |expected: u64| expected * 100 < globs.len() as u64 * USELESS_PERCENT;
    let mut useful: Vec<_> = expected.filter(|&(expected, _)| is_useful(expected)).collect();
    useful.sort_by_key(|&(expected, _)| expected);
    useful.into_iter().take(MAX_COLUMNS).map(|(_, position)| position).collect()
}

/// Returns the row of each ASCII character, and of [`OUTSIDE`], from what each glob accepts at a position. `None` is
/// anything, or the end of the text.
fn rows(accepted: impl ExactSizeIterator<Item = Option<AsciiSet>>) -> Vec<Arc<Row>> {
    let empty = vec![Block::default(); accepted.len().div_ceil(BLOCK_GLOBS)];
    let mut rows = vec![empty; usize::from(OUTSIDE) + 1];
    for (glob, set) in accepted.enumerate() {
        let mut set_bit = |row: usize| {
            rows[row][glob / BLOCK_GLOBS][glob % BLOCK_GLOBS / 64] |= 1 << (glob % 64);
        };
        bits(set.unwrap_or(AsciiSet::MAX)).for_each(&mut set_bit);
        if set.is_none() {
            set_bit(OUTSIDE.into());
        }
    }
    let mut known: HashSet<Arc<Row>, RandomState> = HashSet::default();
    let shared = rows.into_iter().map(|globs| {
        let row = Row::new(globs);
        let row = known.get(&row).cloned().unwrap_or_else(|| row.into());
        known.insert(row.clone());
        row
    });
    shared.collect()
}

impl Row {
    fn new(globs: Vec<Block>) -> Self {
        let has_glob = |block: &Block| u64::from(*block != Block::default());
        let word = |blocks: &[Block]| {
            (0..).zip(blocks).fold(0, |word, (at, block)| word | has_glob(block) << at)
        };
        let occupied = globs.chunks(64).map(word).collect();
        Self { globs, occupied }
    }
}

/// Counts of the globs that accept a character at a position.
struct Tally {
    /// The number of globs that accept each character.
    accepting: [u64; OUTSIDE as usize],
    /// The number of globs that accept all characters. They are not counted in `accepting`.
    accepting_all: u64,
}

impl Tally {
    const fn new() -> Self {
        Self { accepting: [0; OUTSIDE as usize], accepting_all: 0 }
    }

    fn add(&mut self, accepted: Option<AsciiSet>) {
        match accepted {
            None | Some(AsciiSet::MAX) => self.accepting_all += 1,
            Some(set) => bits(set).for_each(|character| self.accepting[character] += 1),
        }
    }

    /// Returns the number of globs that accept a character, on average over the characters that the globs accept.
    fn expected_candidates(&self) -> u64 {
        let counts = self.accepting.map(|count| count + self.accepting_all);
        counts.iter().map(|count| count * count).sum::<u64>() / counts.iter().sum::<u64>().max(1)
    }
}

/// Returns the positions of the bits that are set.
fn bits(mut set: u128) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (set != 0).then(|| {
            let bit = set.trailing_zeros();
            set &= set - 1;
            bit as usize
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a glob that only the digits of a number before its literal, `/a/`, tell from others.
    fn glob(number: usize) -> Glob {
        let digits = format!("{number:05}");
        let classes: Vec<_> = digits.chars().map(|digit| format!("[{digit}x]")).collect();
        Glob::parse(&format!("*{}/a/*", classes.concat()))
    }

    #[test]
    fn globs_are_told_apart_however_often_their_literal_occurs() {
        let globs: Vec<_> = (0..1000).map(glob).collect();
        let literal = b"/a/";
        let columns = Columns::build(&globs.iter().collect::<Vec<_>>(), Some(literal)).unwrap();
        for occurrences in [1, 64, 65, 2000] {
            let image = format!("q{}00345/a/app", "/a".repeat(2 * (occurrences - 1)));
            let at: Vec<_> = (0..image.len())
                .filter(|&at| image.as_bytes()[at..].starts_with(literal))
                .map(|at| at..at + literal.len())
                .collect();
            assert!(at.len() >= occurrences, "{}", at.len());
            let candidates: Vec<_> = columns.candidates(image.as_bytes(), &at).collect();
            assert_eq!(candidates, [345], "{occurrences}");
        }
    }

    #[test]
    fn globs_are_found_beyond_the_first_word_of_blocks() {
        let number = 64 * BLOCK_GLOBS + 1000;
        let globs: Vec<_> = (0..=number).map(glob).collect();
        let columns = Columns::build(&globs.iter().collect::<Vec<_>>(), Some(b"/a/")).unwrap();
        for number in [0, 1, 63 * BLOCK_GLOBS, 64 * BLOCK_GLOBS - 1, 64 * BLOCK_GLOBS, number] {
            let image = format!("q{number:05}/a/app");
            let at = 6..9;
            let candidates = columns.candidates(image.as_bytes(), slice::from_ref(&at));
            let candidates: Vec<_> = candidates.collect();
            assert_eq!(candidates, [number]);
        }
    }
}
