//! Reading JSON (RFC 8259) straight from the bytes, at the speed of skipping what nobody asks for.
//!
//! A review holds some hundred values of which the webhook needs a dozen, so [`Reader::skip`] is what
//! counts. It still checks all that it passes: what [`Reader`] accepts is JSON as a whole, as another
//! parser would have it. Deliberately absent: a tree, recursion over what is skipped (a body cannot
//! exhaust the stack), and the values of numbers, which are checked for their form only.

mod escape;
mod skip;

use std::borrow::Cow;

/// Why a text is no JSON, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{problem} at line {line} column {column}")]
pub struct JsonError {
    problem: &'static str,
    line: usize,
    column: usize,
}

impl JsonError {
    /// The line, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The byte within the line, from 1; 0 when the text ends before it.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }
}

/// A problem, and where it was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Fault {
    problem: &'static str,
    /// How many bytes there are from there to the end of the text.
    left: usize,
}

pub(super) type Result<T> = std::result::Result<T, Fault>;

/// A problem with what comes next.
#[cold]
fn fault(problem: &'static str, rest: &[u8]) -> Fault {
    Fault { problem, left: rest.len() }
}

/// A type that is read from a JSON value.
pub(super) trait Read<'a>: Default {
    /// Reads the next value, whatever its type, in the place of what was read before.
    ///
    /// # Errors
    /// When there is no JSON value.
    fn read(&mut self, reader: &mut Reader<'a>) -> Result<()>;
}

/// Reads a text that is one value, and white space around it.
///
/// # Errors
/// When the text is no UTF-8 or no JSON.
pub(super) fn from_slice<'a, T: Read<'a>>(bytes: &'a [u8]) -> std::result::Result<T, JsonError> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Err(error_at(bytes, error.valid_up_to(), "invalid UTF-8")),
    };
    let mut reader = Reader { text, rest: bytes, elements: 0 };
    let mut value = T::default();
    let read = value.read(&mut reader).and_then(|()| match skip::space(reader.rest) {
        [] => Ok(()),
        rest => Err(fault("trailing characters", rest)),
    });
    match read {
        Ok(()) => Ok(value),
        Err(Fault { problem, left }) => Err(error_at(bytes, bytes.len() - left, problem)),
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

/// The most elements of arrays that are kept of one text: containers and volumes.
///
/// An element is two bytes at least, and takes some hundred and more until the answer is written, so
/// that a body of 8 MiB could make 350 MB of itself. No node runs a pod of a thousand containers.
const MAX_ELEMENTS: usize = 32_768;

const TOO_MANY_ELEMENTS: &str = "more than 32768 containers and volumes";

/// A place in a JSON text.
pub(super) struct Reader<'a> {
    text: &'a str,
    /// What is not read yet.
    rest: &'a [u8],
    /// How many elements have been kept of arrays.
    elements: usize,
}

impl<'a> Reader<'a> {
    /// Reads a string, and skips any other value.
    pub(super) fn string(&mut self) -> Result<Option<Cow<'a, str>>> {
        match self.peek() {
            [b'"', string @ ..] => self.quoted(string).map(Some),
            _ => self.skip().map(|()| None),
        }
    }

    /// Reads an object by calling `field` for each key, in UTF-8, which has to read or skip the
    /// value, and skips any other value. Tells whether there was an object.
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
            let [b'"', start @ ..] = self.peek() else { return Err(skip::no_key(self.rest)) };
            let special = skip::find_special(start);
            let decoded;
            let key = if let [b'"', after @ ..] = special {
                self.rest = after;
                // Not as text, which would have to be cut between characters.
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

    /// Reads an array by calling `element` for each element, which has to read or skip it, and skips
    /// any other value.
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

    /// Counts an element of an array that is kept.
    pub(super) fn count_element(&mut self) -> Result<()> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(fault(TOO_MANY_ELEMENTS, self.rest));
        }
        Ok(())
    }

    /// Skips a value, and checks it.
    pub(super) fn skip(&mut self) -> Result<()> {
        self.rest = skip::value(self.rest)?;
        Ok(())
    }

    /// Skips white space, and gives what comes next.
    #[inline]
    fn peek(&mut self) -> &'a [u8] {
        self.rest = skip::space(self.rest);
        self.rest
    }

    /// Whether a container ends here; otherwise another element follows the comma.
    #[inline]
    fn ends(&mut self, bracket: u8) -> Result<bool> {
        match self.peek() {
            [found, after @ ..] if *found == b',' || *found == bracket => {
                self.rest = after;
                Ok(*found == bracket)
            }
            rest => Err(skip::no_end(bracket, rest)),
        }
    }

    /// Reads the rest of a string; borrowed unless it has an escape.
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

    /// The text between two places.
    #[inline]
    fn between(&self, start: &[u8], end: &[u8]) -> &'a str {
        let length = self.text.len();
        &self.text[length - start.len()..length - end.len()]
    }
}

#[cfg(test)]
mod tests;
