//! A table that tells globs with the same literal apart, by the characters that they accept at places of a text.
//!
//! It has a column for each place, for example the second character after the literal. The column has a row of bits for
//! each character: a bit for each glob, set if the glob accepts the character there. The globs whose bit is set in the
//! rows of all columns are the candidates. So ten thousand globs cost some thousand operations on words, not ten
//! thousand verifications.

use std::{collections::HashSet, ops::Range, sync::Arc};

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use crate::rules::glob::{Anchor, AsciiSet, Glob};

/// The fewest globs for a table. Fewer globs are verified as fast.
const MIN_GLOBS: usize = 64;

/// Maximum number of columns.
///
/// It bounds the memory: a column has at most 129 bits for each glob, so the table at most 200 bytes for each.
const MAX_COLUMNS: usize = 12;

/// Number of places from each anchor that can become a column.
const PLACES: usize = 8;

/// A column is left out if this percentage of the globs or more is expected to accept the character of an image.
const USELESS_PERCENT: u64 = 90;

/// Number of the row for texts that end before the place, after those of the ASCII characters.
const OUTSIDE: u8 = 128;

const ANCHORS: [Anchor; 4] =
    [Anchor::Start, Anchor::End, Anchor::BeforeLiteral, Anchor::AfterLiteral];

/// Bits of 256 globs, which are combined at once.
type Block = [u64; 4];

/// The table of the globs of a literal.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns(Vec<Column>);

#[derive(Clone, Debug)]
struct Column {
    anchor: Anchor,
    /// Distance from the anchor, in characters.
    distance: usize,
    /// The row of each ASCII character, and of [`OUTSIDE`]. Equal rows are stored once.
    rows: Vec<Arc<[Block]>>,
}

impl Columns {
    /// Builds the table of globs that share `literal`. It has no columns if it would be no help.
    pub(super) fn build(globs: &[&Glob], literal: Option<&[u8]>) -> Self {
        if globs.len() < MIN_GLOBS {
            return Self::default();
        }
        let mut places = Vec::new();
        for anchor in ANCHORS {
            let mut tallies = [const { Tally::new() }; PLACES];
            for glob in globs {
                let accepted = glob.accepted_from(anchor, literal);
                for (distance, tally) in tallies.iter_mut().enumerate() {
                    tally.add(accepted.get(distance).copied());
                }
            }
            for (distance, tally) in tallies.iter().enumerate() {
                let expected = tally.expected_candidates();
                if expected * 100 < globs.len() as u64 * USELESS_PERCENT {
                    places.push((expected, anchor, distance));
                }
            }
        }
        places.sort_by_key(|&(expected, ..)| expected);
        places.truncate(MAX_COLUMNS);
        let columns = places.into_iter().map(|(_, anchor, distance)| {
            let accepted =
                |glob: &&Glob| glob.accepted_from(anchor, literal).get(distance).copied();
            Column { anchor, distance, rows: rows(globs.iter().map(accepted)) }
        });
        Self(columns.collect())
    }

    /// Returns true if the table has no columns, so that every glob is a candidate.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the globs that can match an ASCII text, in ascending order. `literal` is where the text has the literal.
    pub(super) fn candidates(
        &self,
        text: &[u8],
        literal: &Range<usize>,
    ) -> impl Iterator<Item = usize> {
        let rows: SmallVec<[&[Block]; MAX_COLUMNS]> =
            self.0.iter().map(|column| column.row(text, literal)).collect();
        let blocks = rows.first().map_or(0, |row| row.len());
        let common = (0..blocks).map(move |block| {
            let mut common: Block = [u64::MAX; 4];
            for row in &rows {
                common.iter_mut().zip(row[block]).for_each(|(common, bits)| *common &= bits);
            }
            common
        });
        common.enumerate().filter(|(_, common)| *common != [0; 4]).flat_map(|(block, common)| {
            let words = common.into_iter().enumerate();
            words.flat_map(move |(word, common)| {
                bits(common.into()).map(move |bit| block * 256 + word * 64 + bit)
            })
        })
    }
}

impl Column {
    /// Returns the row of the character that an ASCII text has at the place.
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

/// Returns the row of each ASCII character, and of [`OUTSIDE`], from what each glob accepts at a place.
///
/// `None` is a place behind a star or behind the end of the glob.
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

/// Counts of the globs that accept a character at a place.
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
