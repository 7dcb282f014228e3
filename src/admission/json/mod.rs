//! A JSON reader (RFC 8259) that works straight on the bytes and is fast at skipping values.
//!
//! A review contains some hundred values of which the webhook needs a dozen, so the speed of [`Reader::skip`] matters
//! most. The whole text is valid UTF-8, and all that is visited is valid JSON: the objects and arrays that are read,
//! their keys, and each string, number and literal in them. Of an object or array that is skipped, only the extent is
//! found ([`container`]): it is right for each valid text, and nothing else of the value is used. So a text is accepted
//! that is not valid JSON only within such a value. The API server encodes each review itself, so it sends no such
//! text, and to answer it harms nobody.
//!
//! Deliberately absent: a tree, recursion over skipped values (a body cannot exhaust the stack), and the values of
//! numbers, of which only the syntax is checked.

mod container;
mod escape;
mod lenient;
mod token;

use std::borrow::Cow;

use fearless_simd::Level;

pub(super) use self::{
    lenient::{Fields, List, Object, Text, WithSource, fields},
    token::is_at,
};

/// A syntax error in a JSON text, with its position.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{problem} at line {line} column {column}")]
pub struct JsonError {
    problem: &'static str,
    line: usize,
    column: usize,
}

impl JsonError {
    /// Returns the line, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// Returns the byte within the line, from 1. At the end of the text, it is the number of bytes of the last line.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }
}

/// A syntax error before its line and column are known.
#[derive(Debug)]
pub(super) struct SyntaxError(Box<Details>);

#[derive(Debug)]
struct Details {
    problem: &'static str,
    /// Number of bytes from the error to the end of the text.
    remaining: usize,
}

pub(super) type Result<T> = std::result::Result<T, SyntaxError>;

/// Creates an error at the beginning of `rest`.
#[cold]
fn syntax_error(problem: &'static str, rest: &[u8]) -> SyntaxError {
    SyntaxError(Box::new(Details { problem, remaining: rest.len() }))
}

/// A type that is read from a JSON value.
pub(super) trait Read<'a>: Default {
    /// Reads the next value of `rest`, whatever its type, and replaces the value that was read before. Returns the text
    /// after the value.
    ///
    /// # Errors
    /// If the next value is not valid JSON.
    fn read(&mut self, reader: &mut Reader<'a>, rest: &'a [u8]) -> Result<&'a [u8]>;
}

/// Returns true if the next value is the literal `true`.
pub(super) fn is_true(rest: &[u8]) -> bool {
    token::space(rest).starts_with(b"true")
}

/// Reads a text that consists of one value, with optional white space around it.
///
/// # Errors
/// If the text is not valid UTF-8 or not valid JSON.
pub(super) fn from_slice<'a, T: Read<'a>>(bytes: &'a [u8]) -> std::result::Result<T, JsonError> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Err(error_at(bytes, error.valid_up_to(), "invalid UTF-8")),
    };
    let mut value = T::default();
    let end = value.read(&mut Reader::new(text), bytes).and_then(|rest| match token::space(rest) {
        [] => Ok(()),
        rest => Err(syntax_error("trailing characters", rest)),
    });
    match end {
        Ok(()) => Ok(value),
        Err(SyntaxError(error)) => {
            Err(error_at(bytes, bytes.len() - error.remaining, error.problem))
        }
    }
}

#[cold]
fn error_at(bytes: &[u8], at: usize, problem: &'static str) -> JsonError {
    let before = &bytes[..at];
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    let line = 1 + memchr::memchr_iter(b'\n', before).count();
    let is_end = at == bytes.len();
    let problem = if is_end { UNEXPECTED_END } else { problem };
    JsonError { problem, line, column: before.len() - line_start + usize::from(!is_end) }
}

/// The last of the control characters, which a string contains only as escapes (RFC 8259, section 7).
const LAST_CONTROL: u8 = 0x1f;

const CONTROL_CHARACTER: &str = "control character in a string";

const UNEXPECTED_END: &str = "unexpected end of the JSON";

/// Maximum number of array elements that are kept for one text: containers, volumes and pull secrets.
///
/// An element has three bytes or more in the text, with its comma, and takes a hundred bytes or more in memory until
/// the answer is written: a body of 8 MiB could take 300 MB. No node runs a pod of a thousand containers.
const MAX_ELEMENTS: usize = 32_768;

const TOO_MANY_ELEMENTS: &str = "more than 32768 containers, volumes and pull secrets";

/// A reader of one JSON text.
///
/// Its functions take the rest of the text and return what remains after a value, so that the position stays in
/// registers.
pub(super) struct Reader<'a> {
    text: &'a str,
    /// The instructions of the processor.
    level: Level,
    /// Number of array elements that are kept.
    elements: usize,
}

#[expect(
    clippy::inline_always,
    reason = "a call for each of the 400 values that are visited or skipped costs as much as the value"
)]
impl<'a> Reader<'a> {
    /// Creates a reader of a text.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, level: Level::new(), elements: 0 }
    }

    /// Reads a string; skips any other value and returns `None`.
    #[inline(always)]
    pub(super) fn string(&self, rest: &'a [u8]) -> Result<(Option<Cow<'a, str>>, &'a [u8])> {
        let [b'"', string @ ..] = rest else { return self.string_after_space(rest) };
        match token::find_special(string) {
            special @ [b'"', after @ ..] => {
                Ok((Some(Cow::Borrowed(self.between(string, special))), after))
            }
            special => {
                let (text, after) = self.string_with_escapes(string, special)?;
                Ok((Some(Cow::Owned(text)), after))
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn string_after_space(&self, rest: &'a [u8]) -> Result<(Option<Cow<'a, str>>, &'a [u8])> {
        match token::space(rest) {
            rest @ [b'"', ..] => self.string(rest),
            rest => Ok((None, self.skip(rest)?)),
        }
    }

    /// Reads an object: calls `field` for each key, in UTF-8, which has to read or skip the value of the key. Skips any
    /// other value.
    #[inline(always)]
    pub(super) fn object(
        &mut self,
        rest: &'a [u8],
        mut field: impl FnMut(&[u8], &mut Self, &'a [u8]) -> Result<&'a [u8]>,
    ) -> Result<&'a [u8]> {
        let mut start = match rest {
            [b'{', b'"', start @ ..] => start,
            _ => match self.first_key(rest)? {
                Next::More(start) => start,
                Next::End(after) => return Ok(after),
            },
        };
        loop {
            let special = token::find_special(start);
            let decoded;
            // As bytes: to cut text would need a check of the character boundary.
            let (key, rest) = match special {
                [b'"', b':', rest @ ..] => {
                    (start.get(..start.len() - special.len()).unwrap_or_default(), rest)
                }
                _ => {
                    let rest;
                    (decoded, rest) = self.unusual_key(start, special)?;
                    (decoded.as_bytes(), rest)
                }
            };
            start = match field(key, self, rest)? {
                [b',', b'"', start @ ..] => start,
                [b'}', after @ ..] => return Ok(after),
                rest => match next_key(rest)? {
                    Next::More(start) => start,
                    Next::End(after) => return Ok(after),
                },
            };
        }
    }

    /// Returns the first key of an object, or the end of a value that has no key.
    #[cold]
    #[inline(never)]
    fn first_key(&self, rest: &'a [u8]) -> Result<Next<'a>> {
        let rest = token::space(rest);
        let [b'{', inner @ ..] = rest else { return self.skip(rest).map(Next::End) };
        match token::space(inner) {
            [b'}', after @ ..] => Ok(Next::End(after)),
            [b'"', start @ ..] => Ok(Next::More(start)),
            rest => Err(token::missing_key(rest)),
        }
    }

    /// Reads a key with an escape, or with white space after it.
    #[cold]
    #[inline(never)]
    fn unusual_key(&self, start: &'a [u8], special: &'a [u8]) -> Result<(String, &'a [u8])> {
        let (key, rest) = self.string_with_escapes(start, special)?;
        Ok((key, token::skip_colon(rest)?))
    }

    /// Reads an array: calls `element` for each element, which has to read or skip it. Skips any other value.
    #[inline(always)]
    pub(super) fn array(
        &mut self,
        rest: &'a [u8],
        mut element: impl FnMut(&mut Self, &'a [u8]) -> Result<&'a [u8]>,
    ) -> Result<&'a [u8]> {
        let rest = token::space(rest);
        let [b'[', inner @ ..] = rest else { return self.skip(rest) };
        let mut rest = inner;
        if let [b']', after @ ..] = token::space(rest) {
            return Ok(after);
        }
        loop {
            rest = match token::space(element(self, rest)?) {
                [b',', after @ ..] => after,
                [b']', after @ ..] => return Ok(after),
                rest => return Err(token::missing_separator(b']', rest)),
            };
        }
    }

    /// Skips a value.
    #[inline(always)]
    pub(super) fn skip(&self, rest: &'a [u8]) -> Result<&'a [u8]> {
        match rest {
            [b'"', string @ ..] => token::skip_string(string),
            [b'{', b'}', after @ ..] | [b'[', b']', after @ ..] => Ok(after),
            _ => self.skip_other(rest),
        }
    }

    /// Skips a value that is no string, or has white space before it.
    #[inline(never)]
    fn skip_other(&self, rest: &'a [u8]) -> Result<&'a [u8]> {
        match token::space(rest) {
            rest @ [b'{' | b'[', ..] => container::skip(self.level, rest),
            [b'"', string @ ..] => token::skip_string(string),
            rest => token::skip_scalar(rest),
        }
    }

    /// Counts an array element that is kept.
    pub(super) fn count_element(&mut self, rest: &[u8]) -> Result<()> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(syntax_error(TOO_MANY_ELEMENTS, rest));
        }
        Ok(())
    }

    /// Returns the text between two positions.
    #[inline(always)]
    pub(super) fn between(&self, start: &[u8], end: &[u8]) -> &'a str {
        let length = self.text.len();
        self.text.get(length - start.len()..length - end.len()).unwrap_or_default()
    }

    #[cold]
    #[inline(never)]
    fn string_with_escapes(
        &self,
        mut plain: &'a [u8],
        mut special: &'a [u8],
    ) -> Result<(String, &'a [u8])> {
        let mut decoded = String::new();
        loop {
            decoded.push_str(self.between(plain, special));
            if let [b'"', after @ ..] = special {
                return Ok((decoded, after));
            }
            let character;
            (plain, character) = escape::read(special)?;
            decoded.push(character);
            special = token::find_special(plain);
        }
    }
}

/// The next part of an object.
enum Next<'a> {
    /// Another key, after its first quotation mark.
    More(&'a [u8]),
    /// The end of the object.
    End(&'a [u8]),
}

/// Returns the part of an object that comes after a value.
#[cold]
#[inline(never)]
fn next_key(rest: &[u8]) -> Result<Next<'_>> {
    match token::space(rest) {
        [b',', after @ ..] => match token::space(after) {
            [b'"', start @ ..] => Ok(Next::More(start)),
            rest => Err(token::missing_key(rest)),
        },
        [b'}', after @ ..] => Ok(Next::End(after)),
        rest => Err(token::missing_separator(b'}', rest)),
    }
}

#[cfg(test)]
mod tests;
