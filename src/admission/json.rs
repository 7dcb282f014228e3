//! Reading JSON (RFC 8259) straight from the bytes, at the speed of skipping what nobody asks for.
//!
//! A review holds some hundred values of which the webhook needs a dozen, so [`Reader::skip`] is what
//! counts. It still checks all that it passes: what [`Reader`] accepts is JSON as a whole, as another
//! parser would have it. Deliberately absent: a tree, recursion over what is skipped (a body cannot
//! exhaust the stack), and the values of numbers, which are checked for their form only.

use std::borrow::Cow;

use smallvec::SmallVec;
use wide::u8x16;

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

/// A problem, at the place where the reader stands.
type Result<T> = std::result::Result<T, &'static str>;

/// A type that is read from a JSON value.
pub(super) trait Read<'a>: Sized {
    /// Reads the next value, whatever its type.
    ///
    /// # Errors
    /// When there is no JSON value.
    fn read(reader: &mut Reader<'a>) -> Result<Self>;
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
    let mut reader = Reader { text, at: 0, elements: 0 };
    let read = T::read(&mut reader).and_then(|value| {
        reader.skip_space();
        if reader.at == bytes.len() { Ok(value) } else { Err("trailing characters") }
    });
    read.map_err(|problem| error_at(bytes, reader.at, problem))
}

#[cold]
fn error_at(bytes: &[u8], at: usize, problem: &'static str) -> JsonError {
    let before = &bytes[..at.min(bytes.len())];
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    let line = 1 + memchr::memchr_iter(b'\n', before).count();
    let is_end = at >= bytes.len();
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
    /// The index of the next byte.
    at: usize,
    /// How many elements have been kept of arrays.
    elements: usize,
}

impl<'a> Reader<'a> {
    /// Reads a string, and skips any other value.
    pub(super) fn string(&mut self) -> Result<Option<Cow<'a, str>>> {
        if self.peek() == Some(b'"') { self.quoted().map(Some) } else { self.skip().map(|()| None) }
    }

    /// Reads an object by calling `field` for each key, which has to read or skip the value, and
    /// skips any other value. Tells whether there was an object.
    pub(super) fn object(
        &mut self,
        mut field: impl FnMut(&str, &mut Self) -> Result<()>,
    ) -> Result<bool> {
        if !self.opens(b'{') {
            return self.skip().map(|()| false);
        }
        if self.closes(b'}') {
            return Ok(true);
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(EXPECTED_KEY);
            }
            let key = self.quoted()?;
            self.colon()?;
            field(&key, self)?;
            if self.ends(b'}')? {
                return Ok(true);
            }
        }
    }

    /// Reads an array by calling `element` for each element, which has to read or skip it, and skips
    /// any other value.
    pub(super) fn array(&mut self, mut element: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        if !self.opens(b'[') {
            return self.skip();
        }
        if self.closes(b']') {
            return Ok(());
        }
        loop {
            element(self)?;
            if self.ends(b']')? {
                return Ok(());
            }
        }
    }

    /// Counts an element of an array that is kept.
    pub(super) fn count_element(&mut self) -> Result<()> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS { Err(TOO_MANY_ELEMENTS) } else { Ok(()) }
    }

    /// Skips a value, and checks it.
    pub(super) fn skip(&mut self) -> Result<()> {
        let mut open = Open::default();
        loop {
            match self.peek() {
                Some(b'"') => self.skip_string()?,
                Some(b'{') => {
                    self.at += 1;
                    if !self.closes(b'}') {
                        open.push(Container::Object);
                        self.skip_key()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.at += 1;
                    if !self.closes(b']') {
                        open.push(Container::Array);
                        continue;
                    }
                }
                Some(b'-' | b'0'..=b'9') => self.skip_number()?,
                Some(b't') => self.skip_literal("true")?,
                Some(b'f') => self.skip_literal("false")?,
                Some(b'n') => self.skip_literal("null")?,
                _ => return Err("expected a value"),
            }
            // After a value, end as many containers as end here.
            loop {
                match open.last() {
                    None => return Ok(()),
                    Some(Container::Object) => {
                        if !self.ends(b'}')? {
                            self.skip_key()?;
                            break;
                        }
                    }
                    Some(Container::Array) => {
                        if !self.ends(b']')? {
                            break;
                        }
                    }
                }
                open.pop();
            }
        }
    }

    /// The next byte that is no white space.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        let byte = self.byte()?;
        if byte > b' ' {
            return Some(byte);
        }
        self.skip_space();
        self.byte()
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn opens(&mut self, bracket: u8) -> bool {
        let found = self.peek() == Some(bracket);
        self.at += usize::from(found);
        found
    }

    /// Whether a container ends before its first element.
    #[inline]
    fn closes(&mut self, bracket: u8) -> bool {
        self.opens(bracket)
    }

    /// Whether a container ends here; otherwise another element follows the comma.
    #[inline]
    fn ends(&mut self, bracket: u8) -> Result<bool> {
        let found = self.peek();
        if found != Some(b',') && found != Some(bracket) {
            return Err(if bracket == b'}' {
                "expected `,` or `}`"
            } else {
                "expected `,` or `]`"
            });
        }
        self.at += 1;
        if found == Some(bracket) {
            return Ok(true);
        }
        if self.peek() == Some(bracket) {
            return Err("trailing comma");
        }
        Ok(false)
    }

    fn colon(&mut self) -> Result<()> {
        if self.opens(b':') { Ok(()) } else { Err("expected `:`") }
    }

    #[inline]
    fn skip_key(&mut self) -> Result<()> {
        if self.peek() != Some(b'"') {
            return Err(EXPECTED_KEY);
        }
        self.skip_string()?;
        self.colon()
    }

    /// Reads the string that begins here; borrowed unless it has an escape.
    fn quoted(&mut self) -> Result<Cow<'a, str>> {
        let start = self.at + 1;
        self.at = start;
        if self.find_special()? == b'"' {
            let text = &self.text[start..self.at];
            self.at += 1;
            return Ok(Cow::Borrowed(text));
        }
        let mut decoded = String::new();
        let mut plain = start;
        loop {
            let special = self.find_special()?;
            decoded.push_str(&self.text[plain..self.at]);
            if special == b'"' {
                self.at += 1;
                return Ok(Cow::Owned(decoded));
            }
            decoded.push(self.escape()?);
            plain = self.at;
        }
    }

    #[inline]
    fn skip_string(&mut self) -> Result<()> {
        self.at += 1;
        while self.find_special()? == b'\\' {
            self.escape()?;
        }
        self.at += 1;
        Ok(())
    }

    /// Goes to the next quotation mark or backslash, and tells which.
    #[inline]
    fn find_special(&mut self) -> Result<u8> {
        let bytes = self.text.as_bytes();
        while let Some(block) = bytes.get(self.at..).and_then(|rest| rest.first_chunk()) {
            let special = special_bytes(*block);
            if special != 0 {
                self.at += special.trailing_zeros() as usize;
                return self.special();
            }
            self.at += BLOCK_BYTES;
        }
        while self.byte().is_some_and(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
            self.at += 1;
        }
        self.special()
    }

    #[inline]
    fn special(&self) -> Result<u8> {
        match self.byte() {
            Some(byte @ (b'"' | b'\\')) => Ok(byte),
            _ => Err("control character in a string; it has to be escaped"),
        }
    }

    /// Reads the escape that begins here.
    fn escape(&mut self) -> Result<char> {
        self.at += 1;
        let character = match self.byte() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.code_point(),
            _ => return Err("invalid escape"),
        };
        self.at += 1;
        Ok(character)
    }

    /// Reads `uXXXX`, and the second half of a surrogate pair after it.
    fn code_point(&mut self) -> Result<char> {
        let first = self.code_unit()?;
        if let Some(character) = char::from_u32(first) {
            return Ok(character);
        }
        if (HIGH_SURROGATE..LOW_SURROGATE).contains(&first) && self.byte() == Some(b'\\') {
            self.at += 1;
            if self.byte() == Some(b'u') {
                let second = self.code_unit()?;
                if (LOW_SURROGATE..SURROGATE_END).contains(&second) {
                    let point =
                        ((first - HIGH_SURROGATE) << 10 | (second - LOW_SURROGATE)) + 0x1_0000;
                    return char::from_u32(point).ok_or(LONE_SURROGATE);
                }
            }
        }
        Err(LONE_SURROGATE)
    }

    fn code_unit(&mut self) -> Result<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            self.at += 1;
            let digit = self.byte().and_then(|byte| char::from(byte).to_digit(16));
            unit =
                unit << 4 | digit.ok_or("invalid escape; `\\u` takes four hexadecimal digits")?;
        }
        self.at += 1;
        Ok(unit)
    }

    fn skip_number(&mut self) -> Result<()> {
        self.at += usize::from(self.byte() == Some(b'-'));
        if self.byte() == Some(b'0') {
            self.at += 1;
            if self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
                return Err("invalid number; it begins with a zero");
            }
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<()> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err("invalid number; expected a digit") } else { Ok(()) }
    }

    fn skip_literal(&mut self, literal: &str) -> Result<()> {
        for expected in literal.bytes() {
            if self.byte() != Some(expected) {
                return Err("expected a value");
            }
            self.at += 1;
        }
        Ok(())
    }
}

const EXPECTED_KEY: &str = "expected a key in quotation marks";
const LONE_SURROGATE: &str = "half a surrogate pair in a string";

/// Where the code units begin that are one half of a character (Unicode, section 3.8).
const HIGH_SURROGATE: u32 = 0xd800;
const LOW_SURROGATE: u32 = 0xdc00;
const SURROGATE_END: u32 = 0xe000;

/// How many bytes of a string are looked at together: what every 64-bit processor compares at once.
const BLOCK_BYTES: usize = 16;

/// Has a bit set, from the lowest on, for each byte that is a quotation mark, a backslash or a control
/// character.
#[inline]
fn special_bytes(block: [u8; BLOCK_BYTES]) -> u32 {
    let block = u8x16::new(block);
    let quotes = block.simd_eq(u8x16::splat(b'"'));
    let backslashes = block.simd_eq(u8x16::splat(b'\\'));
    let controls = block.simd_eq(block.min(u8x16::splat(LAST_CONTROL)));
    (quotes | backslashes | controls).to_bitmask()
}

/// The last of the characters that a string holds escaped only (RFC 8259, section 7).
const LAST_CONTROL: u8 = 0x1f;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Container {
    Array,
    Object,
}

/// The containers around the value that is skipped, the innermost last; one bit for each.
#[derive(Default)]
struct Open {
    /// The innermost up to 64: a bit that is set is an object, and the lowest is the innermost.
    bits: u64,
    depth: usize,
    /// Those further out, 64 to a word.
    outer: SmallVec<[u64; 0]>,
}

impl Open {
    #[inline]
    fn push(&mut self, container: Container) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(container == Container::Object);
        self.depth += 1;
    }

    #[inline]
    fn pop(&mut self) {
        self.depth -= 1;
        self.bits >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or_default();
        }
    }

    #[inline]
    fn last(&self) -> Option<Container> {
        if self.depth == 0 {
            None
        } else if self.bits & 1 == 1 {
            Some(Container::Object)
        } else {
            Some(Container::Array)
        }
    }
}

#[cfg(test)]
mod tests;
