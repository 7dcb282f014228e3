//! A glob as a sequence of single characters.

use super::{Class, Token};

/// One character of a glob, or a star.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit<'a> {
    AnyCharacter,
    Class(&'a Class),
    Literal(char),
    Star,
}

/// Returns the characters of tokens. None of them is a star.
pub(super) fn units(tokens: &[Token]) -> impl DoubleEndedIterator<Item = Unit<'_>> {
    tokens.iter().flat_map(|token| {
        let (unit, literal) = match token {
            Token::AnyCharacter => (Some(Unit::AnyCharacter), ""),
            Token::Class(class) => (Some(Unit::Class(class)), ""),
            Token::Literal(literal) => (None, &**literal),
        };
        unit.into_iter().chain(literal.chars().map(Unit::Literal))
    })
}
