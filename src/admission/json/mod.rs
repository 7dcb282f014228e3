//! A JSON reader (RFC 8259) that works straight on the bytes and is fast at skipping values.
//!
//! A review contains some hundred values of which the webhook needs a dozen, so the speed of [`Reader::skip`] matters
//! most. Skipped values are validated too: [`Reader`] accepts exactly the texts that are valid JSON. Deliberately
//! absent: a tree, recursion over skipped values (a body cannot exhaust the stack), and the values of numbers, of which
//! only the syntax is checked.

mod escape;
mod lenient;
mod skip;

use std::borrow::Cow;

pub(super) use self::lenient::{Fields, List, Object, Text, WithSource, fields};

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

    /// Returns the byte within the line, from 1; 0 if the text ends before it.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }
}

/// A syntax error before its line and column are known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct SyntaxError {
    problem: &'static str,
    /// Number of bytes from the error to the end of the text.
    remaining: usize,
}

pub(super) type Result<T> = std::result::Result<T, SyntaxError>;

/// Creates an error at the beginning of `rest`.
#[cold]
fn syntax_error(problem: &'static str, rest: &[u8]) -> SyntaxError {
    SyntaxError { problem, remaining: rest.len() }
}

/// A type that is read from a JSON value.
pub(super) trait Read<'a>: Default {
    /// Reads the next value, whatever its type, and replaces the value that was read before.
    ///
    /// # Errors
    /// If the next value is not valid JSON.
    fn read(&mut self, reader: &mut Reader<'a>) -> Result<()>;
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
    let mut reader = Reader::new(text);
    let mut value = T::default();
    let read = value.read(&mut reader).and_then(|()| match skip::space(reader.rest) {
        [] => Ok(()),
        rest => Err(syntax_error("trailing characters", rest)),
    });
    match read {
        Ok(()) => Ok(value),
        Err(SyntaxError { problem, remaining }) => {
            Err(error_at(bytes, bytes.len() - remaining, problem))
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

const UNEXPECTED_END: &str = "unexpected end of the JSON";

/// Maximum number of array elements that are kept for one text: containers and volumes.
///
/// An element has at least two bytes in the text, and takes a hundred bytes or more in memory until the answer is
/// written: a body of 8 MiB could take 350 MB. No node runs a pod of a thousand containers.
const MAX_ELEMENTS: usize = 32_768;

const TOO_MANY_ELEMENTS: &str = "more than 32768 containers and volumes";

/// A position in a JSON text.
pub(super) struct Reader<'a> {
    text: &'a str,
    /// The part of the text that is not read yet.
    rest: &'a [u8],
    /// Number of array elements that are kept.
    elements: usize,
}

impl<'a> Reader<'a> {
    /// Creates a reader at the beginning of a text.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, rest: text.as_bytes(), elements: 0 }
    }

    /// Returns true if the next value begins with `first`.
    pub(super) fn is_at(&mut self, first: u8) -> bool {
        self.peek().first() == Some(&first)
    }

    /// Calls `read`, which reads the next value, and returns the text of the value.
    pub(super) fn source_of(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<&'a str> {
        let start = self.peek();
        read(self)?;
        Ok(self.between(start, self.rest))
    }

    /// Reads a string; skips any other value and returns `None`.
    pub(super) fn string(&mut self) -> Result<Option<Cow<'a, str>>> {
        match self.peek() {
            [b'"', string @ ..] => self.quoted(string).map(Some),
            _ => self.skip().map(|()| None),
        }
    }

    /// Reads an object: calls `field` for each key, in UTF-8, which has to read or skip the value of the key. Skips any
    /// other value and returns false.
    pub(super) fn object(
        &mut self,
        mut field: impl FnMut(&[u8], &mut Self) -> Result<()>,
    ) -> Result<bool> {
        let [b'{', inner @ ..] = self.peek() else { return self.skip().map(|()| false) };
        self.rest = inner;
        if let [b'}', after @ ..] = self.peek() {
            self.rest = after;
            return Ok(true);
        }
        loop {
            let [b'"', start @ ..] = self.peek() else { return Err(skip::missing_key(self.rest)) };
            let special = skip::find_special(start);
            let decoded;
            let key = if let [b'"', after @ ..] = special {
                self.rest = after;
                // As bytes: to cut text would need a check of the character boundary.
                start.get(..start.len() - special.len()).unwrap_or_default()
            } else {
                decoded = self.quoted_with_escapes(start, special)?;
                decoded.as_bytes()
            };
            self.rest = skip::skip_colon(self.rest)?;
            field(key, self)?;
            if self.ends(b'}')? {
                return Ok(true);
            }
        }
    }

    /// Reads an array: calls `element` for each element, which has to read or skip it. Skips any other value.
    pub(super) fn array(&mut self, mut element: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        let [b'[', inner @ ..] = self.peek() else { return self.skip() };
        self.rest = inner;
        if let [b']', after @ ..] = self.peek() {
            self.rest = after;
            return Ok(());
        }
        loop {
            element(self)?;
            if self.ends(b']')? {
                return Ok(());
            }
        }
    }

    /// Reads a value and returns true if it is the literal `true`.
    pub(super) fn is_true(&mut self) -> Result<bool> {
        let value = self.peek();
        self.skip()?;
        Ok(value.starts_with(b"true"))
    }

    /// Counts an array element that is kept.
    pub(super) fn count_element(&mut self) -> Result<()> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(syntax_error(TOO_MANY_ELEMENTS, self.rest));
        }
        Ok(())
    }

    /// Returns the number of bytes that are not read yet.
    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Skips a value and validates it.
    pub(super) fn skip(&mut self) -> Result<()> {
        self.rest = skip::value(self.rest)?;
        Ok(())
    }

    /// Skips white space and returns the rest of the text.
    #[inline]
    fn peek(&mut self) -> &'a [u8] {
        self.rest = skip::space(self.rest);
        self.rest
    }

    /// Returns true if the container ends here, and false if a comma and another element follow.
    #[inline]
    fn ends(&mut self, bracket: u8) -> Result<bool> {
        match self.peek() {
            [found, after @ ..] if *found == b',' || *found == bracket => {
                self.rest = after;
                Ok(*found == bracket)
            }
            rest => Err(skip::missing_separator(bracket, rest)),
        }
    }

    /// Reads the rest of a string; borrows it unless it has an escape.
    #[inline]
    fn quoted(&mut self, string: &'a [u8]) -> Result<Cow<'a, str>> {
        let special = skip::find_special(string);
        let [b'"', after @ ..] = special else { return self.quoted_with_escapes(string, special) };
        self.rest = after;
        Ok(Cow::Borrowed(self.between(string, special)))
    }

    #[cold]
    fn quoted_with_escapes(
        &mut self,
        mut plain: &'a [u8],
        mut special: &'a [u8],
    ) -> Result<Cow<'a, str>> {
        let mut decoded = String::new();
        loop {
            decoded.push_str(self.between(plain, special));
            if let [b'"', after @ ..] = special {
                self.rest = after;
                return Ok(Cow::Owned(decoded));
            }
            let character;
            (plain, character) = escape::read(special)?;
            decoded.push(character);
            special = skip::find_special(plain);
        }
    }

    /// Returns the text between two positions.
    #[inline]
    fn between(&self, start: &[u8], end: &[u8]) -> &'a str {
        let length = self.text.len();
        &self.text[length - start.len()..length - end.len()]
    }
}

#[cfg(test)]
mod tests;
