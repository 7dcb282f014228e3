//! A table that tells globs with the same literal apart, by the characters that they accept at fixed positions.
//!
//! It has a column for each position, for example the second character after the literal. The column has a row of bits
//! for each character: a bit for each glob, set if the glob accepts the character there. The globs whose bit is set in
//! the rows of all columns are the candidates. So ten thousand globs cost about a thousand operations on words, instead
//! of ten thousand verifications.

use std::{collections::HashSet, ops::Range, slice, sync::Arc};

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use crate::rules::glob::{Anchor, AsciiSet, FixedParts, Glob};

/// The fewest globs for a table. Fewer globs are verified as fast, and a table for few has much overhead. Tests have
/// tables for all sizes.
const MIN_GLOBS: usize = if cfg!(test) { 1 } else { 64 };

/// Maximum number of columns. More leave hardly fewer candidates.
///
/// It bounds the memory: a column has at most 129 bits for each glob, so ten thousand globs have at most 2 MB.
const MAX_COLUMNS: usize = 12;

/// Number of positions from each anchor that can become a column: as far as people number their images and tags.
const POSITIONS: usize = 8;

/// A column is left out if this percentage of the globs or more is expected to accept the character of an image,
/// because it leaves out too few to be worth its memory.
const USELESS_PERCENT: u64 = 90;

/// Maximum number of occurrences of the literal whose surroundings are looked at. With more, all globs are candidates
/// whose columns at the ends of the text accept it.
const MAX_OCCURRENCES: usize = 64;

/// Number of the row for texts that end before the position, after those of the ASCII characters.
const OUTSIDE: u8 = 128;

const ANCHORS: [Anchor; 4] =
    [Anchor::Start, Anchor::End, Anchor::BeforeLiteral, Anchor::AfterLiteral];

/// Bits of 256 globs, which are combined at once.
type Block = [u64; 4];

/// A row of each column.
type Rows<'a> = SmallVec<[&'a [Block]; MAX_COLUMNS]>;

/// The table of the globs of a literal.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    /// A row with all globs.
    all: Arc<[Block]>,
    columns: Vec<Column>,
}

#[derive(Clone, Debug)]
struct Column {
    anchor: Anchor,
    /// Distance from the anchor, in characters.
    distance: usize,
    /// The row of each ASCII character, and of [`OUTSIDE`]. Equal rows are stored once.
    rows: Vec<Arc<[Block]>>,
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
        let all = rows(globs.iter().map(|_| None)).swap_remove(0);
        (!columns.is_empty()).then_some(Self { all, columns })
    }

    /// Returns the globs that can match an ASCII text, in ascending order.
    ///
    /// `literals` are the occurrences of the literal in the text: none if the globs share no literal.
    pub(super) fn candidates(
        &self,
        text: &[u8],
        literals: &[Range<usize>],
    ) -> impl Iterator<Item = usize> {
        let looks_at_literals = (1..=MAX_OCCURRENCES).contains(&literals.len());
        let occurrences = if looks_at_literals { literals } else { slice::from_ref(&(0..0)) };
        let rows_of = |literal| -> Rows<'_> {
            let columns = self.columns.iter();
            let columns = columns.filter(|column| looks_at_literals || !column.is_at_literal());
            columns.map(|column| column.row(text, literal)).collect()
        };
        let rows: SmallVec<[Rows<'_>; 1]> = occurrences.iter().map(rows_of).collect();
        let blocks = self.all.iter().enumerate().map(move |(block, all)| {
            let mut union: Block = [0; 4];
            for rows in &rows {
                let mut common = *all;
                for row in rows {
                    common.iter_mut().zip(row[block]).for_each(|(common, bits)| *common &= bits);
                    // The columns that leave out most come first, so most blocks end after a few.
                    if common == [0; 4] {
                        break;
                    }
                }
                union.iter_mut().zip(common).for_each(|(union, bits)| *union |= bits);
            }
            (block, union)
        });
        blocks.filter(|(_, union)| *union != [0; 4]).flat_map(|(block, union)| {
            let words = union.into_iter().enumerate();
            words.flat_map(move |(word, set)| {
                bits(set.into()).map(move |bit| block * 256 + word * 64 + bit)
            })
        })
    }
}

impl Column {
    fn is_at_literal(&self) -> bool {
        matches!(self.anchor, Anchor::BeforeLiteral | Anchor::AfterLiteral)
    }

    /// Returns the row of the character that an ASCII text has at the position.
    fn row(&self, text: &[u8], literal: &Range<usize>) -> &[Block] {
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
fn rows(accepted: impl ExactSizeIterator<Item = Option<AsciiSet>>) -> Vec<Arc<[Block]>> {
    let empty: Vec<Block> = vec![[0; 4]; accepted.len().div_ceil(256)];
    let mut rows = vec![empty; usize::from(OUTSIDE) + 1];
    for (glob, set) in accepted.enumerate() {
        let mut set_bit = |row: usize| rows[row][glob / 256][glob % 256 / 64] |= 1 << (glob % 64);
        bits(set.unwrap_or(AsciiSet::MAX)).for_each(&mut set_bit);
        if set.is_none() {
            set_bit(OUTSIDE.into());
        }
    }
    let mut known: HashSet<Arc<[Block]>, RandomState> = HashSet::default();
    let shared = rows.into_iter().map(|row| {
        let row = known.get(&*row).cloned().unwrap_or_else(|| row.into());
        known.insert(row.clone());
        row
    });
    shared.collect()
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
