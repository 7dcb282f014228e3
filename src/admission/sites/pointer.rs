//! JSON Pointers (RFC 6901) with `*` for every element.

use std::fmt;

use crate::excerpt::{MAX_VALUE_BYTES, excerpt};

/// Maximum number of tokens of a pointer. It bounds the recursion over an object.
const MAX_TOKENS: usize = 32;

/// Fields of an object that contain no images for an operator to read, or that a webhook may not change.
const OTHER_FIELDS: [&str; 4] = ["apiVersion", "kind", "metadata", "status"];

/// A JSON Pointer to images in an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pointer(Vec<Token>);

/// A part of a pointer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Token {
    /// `*`: every element of an array, or every field of an object.
    Any,
    /// The name of a field, or the index of an element.
    Name(Box<str>),
}

/// A mistake in a pointer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum PointerError {
    #[error("a JSON Pointer to images does not begin with `*`")]
    AnyField,
    #[error("`~` is followed by neither `0` nor `1`")]
    Escape,
    #[error("images cannot be in `{0}`")]
    OtherField(&'static str),
    #[error("a JSON Pointer begins with `/`")]
    Start,
    #[error("`{0}` is not the name of a field")]
    Name(String),
    #[error("the JSON Pointer has more than {MAX_TOKENS} parts")]
    TooLong,
}

impl PointerError {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::AnyField | Self::OtherField(_) => "begin with another field, such as /spec/image",
            Self::Escape => "write `~0` for `~` and `~1` for `/` in the name of a field",
            Self::Name(_) => {
                "separate pointers by spaces, write `*` alone for every element of a list, and end a pointer with a name"
            }
            Self::Start => "write the path of a field, such as /spec/image",
            Self::TooLong => "shorten it; no known resource has an image that deep",
        }
    }
}

impl Pointer {
    /// Parses a pointer.
    ///
    /// # Errors
    /// If it is not a JSON Pointer, is too long, or begins with a field that has no images.
    pub(super) fn parse(text: &str) -> Result<Self, PointerError> {
        let tokens = text.strip_prefix('/').ok_or(PointerError::Start)?.split('/');
        let tokens = tokens.map(Token::parse).collect::<Result<Vec<_>, _>>()?;
        if tokens.len() > MAX_TOKENS {
            return Err(PointerError::TooLong);
        }
        match tokens.first() {
            Some(Token::Any) => return Err(PointerError::AnyField),
            Some(Token::Name(name)) => {
                if let Some(field) = OTHER_FIELDS.into_iter().find(|field| *field == &**name) {
                    return Err(PointerError::OtherField(field));
                }
            }
            None => {}
        }
        Ok(Self(tokens))
    }

    pub(super) fn tokens(&self) -> &[Token] {
        &self.0
    }
}

impl Token {
    fn parse(text: &str) -> Result<Self, PointerError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let mut name = String::with_capacity(text.len());
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            name.push(match character {
                '~' => match characters.next() {
                    Some('0') => '~',
                    Some('1') => '/',
                    _ => return Err(PointerError::Escape),
                },
                other => other,
            });
        }
        // A JSON Pointer may contain them, but here they are mistakes: `/spec/a,/spec/b`, `/spec/parts[*]/image`, `/spec/`.
        let is_suspect = |c: char| c.is_control() || matches!(c, '*' | ',' | '[' | ']');
        if name.is_empty() || name.contains(is_suspect) {
            return Err(PointerError::Name(excerpt(&name, MAX_VALUE_BYTES).into_owned()));
        }
        Ok(Self::Name(name.into()))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|token| match token {
            Token::Any => formatter.write_str("/*"),
            Token::Name(name) => {
                let mut text = String::new();
                push_token(&mut text, name);
                formatter.write_str(&text)
            }
        })
    }
}

/// Appends a name to a pointer, with escapes.
pub(super) fn push_token(pointer: &mut String, name: &str) {
    pointer.push('/');
    for character in name.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_displayed_as_it_was_written() {
        for text in ["/spec/image", "/spec/*/a~1b~0c", "/spec/a.b-c_d", "/spec/0/*"] {
            assert_eq!(Pointer::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Pointer::parse(""), Err(PointerError::Start));
        assert_eq!(Pointer::parse("/metadata/x"), Err(PointerError::OtherField("metadata")));
    }

    #[test]
    fn text_that_is_no_field_is_a_mistake() {
        for (text, name) in [
            ("/", ""),
            ("/spec/", ""),
            ("/spec//image", ""),
            ("/spec/image,/spec/b", "image,"),
            ("/spec/parts[*]/image", "parts[*]"),
            ("/spec/parts/*.image", "*.image"),
        ] {
            assert_eq!(Pointer::parse(text), Err(PointerError::Name(name.into())), "{text}");
        }
    }

    #[test]
    fn a_pointer_has_a_maximum_length() {
        assert!(Pointer::parse(&"/a".repeat(MAX_TOKENS)).is_ok());
        assert_eq!(Pointer::parse(&"/a".repeat(MAX_TOKENS + 1)), Err(PointerError::TooLong));
    }
}
