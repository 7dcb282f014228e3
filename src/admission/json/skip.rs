//! Skipping JSON values, and checking them on the way.
//!
//! The functions take the rest of a text, and give what is left of it, which stays in registers. There
//! is no recursion: the containers around a value are a bit each.

#![expect(
    clippy::inline_always,
    reason = "a call for each of a review's 1,500 tokens would cost as much as what it does"
)]

use wide::u8x16;

use super::{Fault, Result, escape, fault};

const EXPECTED_VALUE: &str = "expected a value";

/// Skips the value that comes next, after white space or at once.
pub(super) fn value(mut rest: &[u8]) -> Result<&[u8]> {
    let mut open = Open::default();
    loop {
        rest = space(rest);
        rest = match rest {
            [b'"', string @ ..] => skip_string(string)?,
            [b'{', inner @ ..] => match space(inner) {
                [b'}', after @ ..] => after,
                first => {
                    open.push(1);
                    rest = skip_key(first)?;
                    continue;
                }
            },
            [b'[', inner @ ..] => match space(inner) {
                [b']', after @ ..] => after,
                first => {
                    open.push(0);
                    rest = first;
                    continue;
                }
            },
            [b'-' | b'0'..=b'9', ..] => skip_number(rest)?,
            [b't', ..] => skip_literal(rest, b"true")?,
            [b'f', ..] => skip_literal(rest, b"false")?,
            [b'n', ..] => skip_literal(rest, b"null")?,
            _ => return Err(fault(EXPECTED_VALUE, rest)),
        };
        // After a value, end as many containers as end here.
        loop {
            if open.is_empty() {
                return Ok(rest);
            }
            let bracket = open.closing_bracket();
            rest = space(rest);
            rest = match rest {
                [b',', after @ ..] if bracket == b'}' => {
                    rest = skip_key(space(after))?;
                    break;
                }
                [b',', after @ ..] => {
                    rest = after;
                    break;
                }
                [found, after @ ..] if *found == bracket => after,
                _ => return Err(no_end(bracket, rest)),
            };
            open.pop();
        }
    }
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

/// Skips a key and the colon after it.
#[inline(always)]
fn skip_key(rest: &[u8]) -> Result<&[u8]> {
    match rest {
        [b'"', key @ ..] => skip_colon(skip_string(key)?),
        _ => Err(no_key(rest)),
    }
}

/// Skips a colon.
#[inline(always)]
pub(super) fn skip_colon(rest: &[u8]) -> Result<&[u8]> {
    match space(rest) {
        [b':', after @ ..] => Ok(after),
        rest => Err(fault("expected `:`", rest)),
    }
}

/// Skips the rest of a string, with its closing quotation mark.
#[inline(always)]
fn skip_string(mut rest: &[u8]) -> Result<&[u8]> {
    loop {
        rest = find_special(rest);
        rest = match rest {
            [b'"', after @ ..] => return Ok(after),
            // By far the most escapes: of the object that `kubectl apply` keeps in an annotation.
            [b'\\', b'"', after @ ..] => after,
            _ => escape::read(rest)?.0,
        };
    }
}

/// Goes to the next quotation mark, backslash or control character of a string, or to the end.
#[inline(always)]
pub(super) fn find_special(mut rest: &[u8]) -> &[u8] {
    while let Some((block, after)) = rest.split_first_chunk() {
        let special = special_bytes(*block);
        if special != 0 {
            return rest.get(special.trailing_zeros() as usize..).unwrap_or_default();
        }
        rest = after;
    }
    find_special_near_the_end(rest)
}

#[cold]
#[inline(never)]
fn find_special_near_the_end(rest: &[u8]) -> &[u8] {
    let is_special = |&byte: &u8| byte <= LAST_CONTROL || byte == b'"' || byte == b'\\';
    let special = rest.iter().position(is_special).unwrap_or(rest.len());
    rest.get(special..).unwrap_or_default()
}

/// How many bytes of a string are looked at together: what every 64-bit processor compares at once.
const BLOCK_BYTES: usize = 16;

/// Has a bit set, from the lowest on, for each byte that is a quotation mark, a backslash or a control
/// character.
#[inline(always)]
fn special_bytes(block: [u8; BLOCK_BYTES]) -> u32 {
    let block = u8x16::new(block);
    let quotes = block.simd_eq(u8x16::splat(b'"'));
    let backslashes = block.simd_eq(u8x16::splat(b'\\'));
    let controls = block.simd_eq(block.min(u8x16::splat(LAST_CONTROL)));
    (quotes | backslashes | controls).to_bitmask()
}

/// The last of the characters that a string holds escaped only (RFC 8259, section 7).
const LAST_CONTROL: u8 = 0x1f;

/// Skips a number. Its form is checked, its size is not.
fn skip_number(rest: &[u8]) -> Result<&[u8]> {
    let digits = rest.strip_prefix(b"-").unwrap_or(rest);
    let mut rest = match digits {
        [b'0', after @ ..] => match after {
            [b'0'..=b'9', ..] => return Err(fault("invalid number; it begins with a zero", after)),
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
        _ => Err(fault("invalid number; expected a digit", rest)),
    }
}

fn skip_literal<'a>(rest: &'a [u8], literal: &[u8]) -> Result<&'a [u8]> {
    rest.strip_prefix(literal).ok_or_else(|| {
        let same = rest.iter().zip(literal).take_while(|(byte, expected)| byte == expected);
        fault(EXPECTED_VALUE, &rest[same.count()..])
    })
}

/// What stands where a key should; right after the brace, an object may end.
#[cold]
pub(super) fn no_key(rest: &[u8]) -> Fault {
    match rest {
        [b'}', ..] => fault("trailing comma", rest),
        _ => fault("expected a key in quotation marks", rest),
    }
}

/// What stands where a container should end or go on.
#[cold]
pub(super) fn no_end(bracket: u8, rest: &[u8]) -> Fault {
    let problem = if bracket == b'}' { "expected `,` or `}`" } else { "expected `,` or `]`" };
    fault(problem, rest)
}

/// The containers around the value that is skipped; a bit for each, which is set for an object.
struct Open {
    /// The innermost ones, below a bit that is always set. The lowest bit is the innermost.
    bits: u64,
    /// Those further out, in words that are full.
    outer: Vec<u64>,
}

impl Default for Open {
    fn default() -> Self {
        Self { bits: 1, outer: Vec::new() }
    }
}

impl Open {
    #[inline(always)]
    fn push(&mut self, is_object: u64) {
        if self.bits >> 63 == 1 {
            self.outer.push(self.bits);
            self.bits = 1;
        }
        self.bits = self.bits << 1 | is_object;
    }

    #[inline(always)]
    fn pop(&mut self) {
        self.bits >>= 1;
        if self.bits == 1
            && let Some(bits) = self.outer.pop()
        {
            self.bits = bits;
        }
    }

    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.bits == 1
    }

    /// What ends the innermost container.
    #[inline(always)]
    fn closing_bracket(&self) -> u8 {
        if self.bits & 1 == 1 { b'}' } else { b']' }
    }
}
