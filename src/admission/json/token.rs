//! The parts of JSON without brackets: strings, numbers, literals, and what stands between them. All are validated.

#![expect(
    clippy::inline_always,
    reason = "a call for each of the 1,500 tokens of a review would double its cost"
)]

use fearless_simd::{Level, dispatch, prelude::*, u8x16};

use super::{LAST_CONTROL, Result, SyntaxError, escape, syntax_error};

const EXPECTED_VALUE: &str = "expected a value";

/// Skips a number or a literal.
pub(super) fn skip_scalar(rest: &[u8]) -> Result<&[u8]> {
    match rest {
        [b'-' | b'0'..=b'9', ..] => skip_number(rest),
        [b't', ..] => skip_literal(rest, b"true"),
        [b'f', ..] => skip_literal(rest, b"false"),
        [b'n', ..] => skip_literal(rest, b"null"),
        _ => Err(syntax_error(EXPECTED_VALUE, rest)),
    }
}

/// Returns true if the next value begins with `first`.
#[inline(always)]
pub(in crate::admission) fn is_at(rest: &[u8], first: u8) -> bool {
    space(rest).first() == Some(&first)
}

/// Skips white space.
#[inline(always)]
pub(super) fn space(rest: &[u8]) -> &[u8] {
    match rest {
        [b'!'..=u8::MAX, ..] => rest,
        _ => after_space(rest),
    }
}

#[cold]
#[inline(never)]
fn after_space(mut rest: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\n' | b'\r', after @ ..] = rest {
        rest = after;
    }
    rest
}

/// Skips a colon.
#[inline(always)]
pub(super) fn skip_colon(rest: &[u8]) -> Result<&[u8]> {
    match space(rest) {
        [b':', after @ ..] => Ok(after),
        rest => Err(syntax_error("expected `:`", rest)),
    }
}

/// Skips the rest of a string, with its closing quotation mark.
#[inline(always)]
pub(super) fn skip_string(mut rest: &[u8]) -> Result<&[u8]> {
    loop {
        rest = find_special(rest);
        rest = match rest {
            [b'"', after @ ..] => return Ok(after),
            // By far the most frequent escape: `kubectl apply` keeps the object as JSON in an annotation.
            [b'\\', b'"', after @ ..] => after,
            _ => escape::read(rest)?.0,
        };
    }
}

/// Returns the text from the next quotation mark, backslash or control character on; empty if there is none.
#[inline(always)]
pub(super) fn find_special(mut rest: &[u8]) -> &[u8] {
    while let Some((block, after)) = rest.split_first_chunk() {
        let special = special_bytes(*block);
        if special != 0 {
            return rest.get(special.trailing_zeros() as usize..).unwrap_or_default();
        }
        rest = after;
    }
    find_special_in_tail(rest)
}

#[cold]
#[inline(never)]
fn find_special_in_tail(rest: &[u8]) -> &[u8] {
    let is_special = |&byte: &u8| byte <= LAST_CONTROL || byte == b'"' || byte == b'\\';
    let special = rest.iter().position(is_special).unwrap_or(rest.len());
    rest.get(special..).unwrap_or_default()
}

/// Number of bytes of a string that are compared at once: a vector of every 64-bit processor.
const BLOCK_BYTES: usize = 16;

/// Returns a bit for each byte, from the lowest on: set if the byte is a quotation mark, a backslash or a control
/// character.
#[inline(always)]
fn special_bytes(block: [u8; BLOCK_BYTES]) -> u64 {
    dispatch!(Level::baseline(), simd => {
        let block = u8x16::from_slice(simd, &block);
        let quotes = block.simd_eq(b'"');
        let backslashes = block.simd_eq(b'\\');
        let controls = block.simd_le(LAST_CONTROL);
        (quotes | backslashes | controls).to_bitmask()
    })
}

/// Skips a number. Checks its syntax, not its size.
fn skip_number(rest: &[u8]) -> Result<&[u8]> {
    let digits = rest.strip_prefix(b"-").unwrap_or(rest);
    let mut rest = match digits {
        [b'0', after @ ..] => match after {
            [b'0'..=b'9', ..] => return Err(syntax_error("invalid number; leading zero", after)),
            _ => after,
        },
        _ => skip_digits(digits)?,
    };
    if let [b'.', fraction @ ..] = rest {
        rest = skip_digits(fraction)?;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        rest = match exponent {
            [b'+' | b'-', digits @ ..] => skip_digits(digits)?,
            _ => skip_digits(exponent)?,
        };
    }
    Ok(rest)
}

fn skip_digits(rest: &[u8]) -> Result<&[u8]> {
    match rest {
        [b'0'..=b'9', after @ ..] => {
            let mut rest = after;
            while let [b'0'..=b'9', after @ ..] = rest {
                rest = after;
            }
            Ok(rest)
        }
        _ => Err(syntax_error("invalid number; expected a digit", rest)),
    }
}

fn skip_literal<'a>(rest: &'a [u8], literal: &[u8]) -> Result<&'a [u8]> {
    rest.strip_prefix(literal).ok_or_else(|| {
        let same = rest.iter().zip(literal).take_while(|(byte, expected)| byte == expected);
        syntax_error(EXPECTED_VALUE, &rest[same.count()..])
    })
}

/// Creates the error for a missing key.
#[cold]
pub(super) fn missing_key(rest: &[u8]) -> SyntaxError {
    match rest {
        [b'}', ..] => syntax_error("trailing comma", rest),
        _ => syntax_error("expected a key in quotation marks", rest),
    }
}

/// Creates the error for a missing comma or closing bracket.
#[cold]
pub(super) fn missing_separator(bracket: u8, rest: &[u8]) -> SyntaxError {
    let problem = if bracket == b'}' { "expected `,` or `}`" } else { "expected `,` or `]`" };
    syntax_error(problem, rest)
}
