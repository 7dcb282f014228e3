//! Finds the end of an object or an array that is skipped.
//!
//! Of a skipped value only its extent matters, so its grammar is not checked. 64 bytes at a time become bitmaps, with a
//! bit for each byte:
//!
//! ```text
//! text       {"a":"}\"","b":[1]},"c"
//! quotes      ^ ^ ^   ^ ^ ^      ^ ^   without the escaped one
//! strings     ^^  ^^^^  ^^       ^^    from a quotation mark to before the next one
//! opening    ^              ^          outside of strings
//! closing                     ^^
//! ```
//!
//! The container ends at the bracket that closes as many as are open. A block with fewer closing brackets than are open
//! before it cannot contain the end, and most blocks are such. What is checked is what the bitmaps give for nothing:
//! strings contain no control characters, there is no backslash outside of them, there are as many closing brackets as
//! opening ones, and the last is of the kind of the first.

#![expect(
    clippy::inline_always,
    reason = "each function has to be compiled with the instructions of the processor that runs it"
)]

use fearless_simd::{Level, Simd, dispatch, prelude::*, u8x64};

use super::{
    CONTROL_CHARACTER, LAST_CONTROL, Result, SyntaxError, syntax_error, token::missing_separator,
};

/// Number of bytes that become one bitmap.
const BLOCK_BYTES: usize = 64;

/// Difference of `[` and `{`, and of `]` and `}`.
const CURLY: u8 = b'{' - b'[';

/// Skips the container at the beginning of `rest`, with the instructions of `level`.
///
/// # Errors
/// If its end is not found, or for the mistakes that the module names.
pub(super) fn skip(level: Level, rest: &[u8]) -> Result<&[u8]> {
    let length = dispatch!(level, simd => length(simd, rest))?;
    let (container, after) = rest.split_at_checked(length).unwrap_or_default();
    if let ([opening, ..], [.., closing]) = (container, container)
        && *closing != opening + (b'}' - b'{')
    {
        let last = rest.get(length - 1..).unwrap_or_default();
        return Err(missing_separator(opening + (b'}' - b'{'), last));
    }
    Ok(after)
}

/// Returns the length of the container at the beginning of a text.
#[inline(always)]
fn length<S: Simd>(simd: S, text: &[u8]) -> Result<usize> {
    let mut scan = Scan::default();
    let mut rest = text;
    while !rest.is_empty() {
        let padded;
        let (block, after) = match rest.split_first_chunk() {
            Some((block, after)) => (block, after),
            None => {
                padded = padded_with_spaces(rest);
                (&padded, &[][..])
            }
        };
        let (mistakes, end) = scan.next(&Bitmaps::of(simd, block));
        if mistakes != 0 {
            let at = mistakes.trailing_zeros() as usize;
            return Err(mistake(rest.get(at..).unwrap_or_default()));
        }
        if let Some(end) = end {
            return Ok(text.len() - rest.len() + end);
        }
        rest = after;
    }
    Err(syntax_error("unclosed bracket", rest))
}

#[cold]
fn padded_with_spaces(rest: &[u8]) -> [u8; BLOCK_BYTES] {
    let mut block = [b' '; BLOCK_BYTES];
    block.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    block
}

#[cold]
fn mistake(rest: &[u8]) -> SyntaxError {
    match rest {
        [b'\\', ..] => syntax_error("backslash outside of a string", rest),
        _ => syntax_error(CONTROL_CHARACTER, rest),
    }
}

/// The bitmaps of a block, from the lowest bit on.
struct Bitmaps {
    quotes: u64,
    backslashes: u64,
    controls: u64,
    opening: u64,
    closing: u64,
}

impl Bitmaps {
    #[inline(always)]
    fn of<S: Simd>(simd: S, block: &[u8; BLOCK_BYTES]) -> Self {
        let block = u8x64::from_slice(simd, block);
        // This maps `[` to `{` and `]` to `}`, and no other byte to one of them.
        let curly = block | CURLY;
        Self {
            quotes: block.simd_eq(b'"').to_bitmask(),
            backslashes: block.simd_eq(b'\\').to_bitmask(),
            controls: block.simd_le(LAST_CONTROL).to_bitmask(),
            opening: curly.simd_eq(b'{').to_bitmask(),
            closing: curly.simd_eq(b'}').to_bitmask(),
        }
    }
}

/// The state between two blocks.
#[derive(Default)]
struct Scan {
    /// Number of open brackets.
    depth: usize,
    /// All bits are set if the block begins in a string.
    in_string: u64,
    /// 1 if the first byte of the block is escaped.
    is_escaped: u64,
}

impl Scan {
    /// Reads a block. Returns the mistakes that it has in the container, and if the container ends in it, the number of
    /// its bytes up to there.
    #[inline(always)]
    fn next(&mut self, block: &Bitmaps) -> (u64, Option<usize>) {
        let quotes = block.quotes & !self.escaped(block.backslashes);
        let strings = parity(quotes) ^ self.in_string;
        self.in_string = 0_u64.wrapping_sub(strings >> (BLOCK_BYTES - 1));
        let mistakes = block.controls & strings | block.backslashes & !strings;
        let (opening, closing) = (block.opening & !strings, block.closing & !strings);
        if closing.count_ones() as usize >= self.depth
            && let Some(inside) = self.inside(opening, closing)
        {
            return (mistakes & inside, Some(inside.count_ones() as usize));
        }
        self.depth = self.depth + opening.count_ones() as usize - closing.count_ones() as usize;
        (mistakes, None)
    }

    /// Returns the bits of the container in its last block; `None` if it goes on.
    #[inline(always)]
    fn inside(&self, opening: u64, closing: u64) -> Option<u64> {
        let (mut left, mut closed) = (closing, 0);
        while left != 0 {
            let up_to_next = left ^ (left - 1);
            left &= left - 1;
            closed += 1;
            if self.depth + (opening & up_to_next).count_ones() as usize == closed {
                return Some(up_to_next);
            }
        }
        None
    }

    /// Returns the bytes that follow an odd number of backslashes.
    ///
    /// A sum with the first backslash of a series carries to the bit after the series. The parity of the two positions
    /// is that of the length of the series.
    #[inline(always)]
    fn escaped(&mut self, backslashes: u64) -> u64 {
        const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
        if backslashes == 0 {
            return std::mem::take(&mut self.is_escaped);
        }
        let escaping = backslashes & !self.is_escaped;
        let starts = escaping & !(escaping << 1);
        let (sum, carries_over) = escaping.overflowing_add(starts & ODD);
        let escaped = (escaping << 1) & (ODD ^ sum ^ escaping) | self.is_escaped;
        self.is_escaped = u64::from(carries_over);
        escaped
    }
}

/// Returns for each bit if the number of bits up to it is odd.
#[inline(always)]
fn parity(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}
