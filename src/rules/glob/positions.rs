//! The characters that a glob accepts at fixed positions, to tell globs with the same literals apart.

use super::{Class, Glob, Token, units::Unit, units::units};

/// A set of ASCII characters: a bit for each.
pub(in crate::rules) type AsciiSet = u128;

/// An end of a text, or of a literal in it. Positions are counted from there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::rules) enum Anchor {
    /// Start of the text, read forwards.
    Start,
    /// End of the text, read backwards.
    End,
    /// Start of the literal, read backwards.
    BeforeLiteral,
    /// End of the literal, read forwards.
    AfterLiteral,
}

/// The parts of a glob whose positions are fixed by an anchor.
#[derive(Debug)]
pub(in crate::rules) struct FixedParts<'a> {
    head: &'a [Token],
    tail: &'a [Token],
    before: &'a [Token],
    /// It begins with the token of the literal.
    after: &'a [Token],
    literal_bytes: usize,
}

impl Glob {
    /// Finds the parts of the glob at its ends and around a literal.
    ///
    /// `literal` is the start of one of the glob's literals. If several start like this, it is the first. Nothing is
    /// known about the characters around a literal that is not ASCII, because bytes count as characters here.
    pub(in crate::rules) fn fixed_parts(&self, literal: Option<&[u8]>) -> FixedParts<'_> {
        let literal = literal.filter(|literal| literal.is_ascii());
        let around = literal.and_then(|literal| {
            let is_literal = |token: &Token| match token {
                Token::Literal(text) => text.as_bytes().starts_with(literal),
                Token::AnyCharacter | Token::Class(_) => false,
            };
            std::iter::once(&self.head).chain(&self.rest).find_map(|segment| {
                let token = segment.tokens.iter().position(is_literal)?;
                Some(segment.tokens.split_at(token))
            })
        });
        let (before, after) = around.unwrap_or_default();
        FixedParts {
            head: &self.head.tokens,
            tail: &self.rest.last().unwrap_or(&self.head).tokens,
            before,
            after,
            literal_bytes: literal.map_or(0, <[u8]>::len),
        }
    }
}

impl FixedParts<'_> {
    /// Returns the ASCII characters that the glob accepts at a position. `None` if any text, or none, may be there.
    pub(in crate::rules) fn accepted(&self, anchor: Anchor, distance: usize) -> Option<AsciiSet> {
        let unit = match anchor {
            Anchor::Start => units(self.head).nth(distance),
            Anchor::End => units(self.tail).nth_back(distance),
            Anchor::BeforeLiteral => units(self.before).nth_back(distance),
            Anchor::AfterLiteral => units(self.after).nth(self.literal_bytes + distance),
        };
        unit.map(|unit| match unit {
            Unit::AnyCharacter | Unit::Star => AsciiSet::MAX,
            Unit::Class(class) => class.ascii(),
            Unit::Literal(character) => ascii_range(character, character),
        })
    }
}

impl Class {
    fn ascii(&self) -> AsciiSet {
        let ranges = self.ranges.iter().map(|&(low, high)| ascii_range(low, high));
        let set = ranges.fold(0, |set, range| set | range);
        if self.negated { !set } else { set }
    }
}

/// Returns the ASCII characters from `low` to `high`.
fn ascii_range(low: char, high: char) -> AsciiSet {
    let (low, high) = (u32::from(low), u32::from(high).min(127));
    if low > high { 0 } else { (AsciiSet::MAX << low) & (AsciiSet::MAX >> (127 - high)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_characters_at_each_anchor_are_known() {
        let set = |text: &str| text.bytes().fold(0, |set, byte| set | 1 << byte);
        let glob = Glob::parse("a?*[xy]/app:[0-2]é*b[!z][é-ü]");
        let parts = glob.fixed_parts(Some(b"/app"));
        for (anchor, accepted) in [
            (Anchor::Start, vec![set("a"), AsciiSet::MAX]),
            (Anchor::End, vec![0, !set("z"), set("b")]),
            (Anchor::BeforeLiteral, vec![set("xy")]),
            (Anchor::AfterLiteral, vec![set(":"), set("012"), 0]),
        ] {
            let found: Vec<_> = (0..).map_while(|at| parts.accepted(anchor, at)).collect();
            assert_eq!(found, accepted, "{anchor:?}");
        }
        for literal in [None, Some("é".as_bytes())] {
            let parts = glob.fixed_parts(literal);
            assert_eq!(parts.accepted(Anchor::BeforeLiteral, 0), None);
            assert_eq!(parts.accepted(Anchor::AfterLiteral, 0), None);
        }
    }

    #[test]
    fn a_glob_without_star_is_known_from_both_ends() {
        let glob = Glob::parse("ab");
        let parts = glob.fixed_parts(None);
        assert_eq!(parts.accepted(Anchor::Start, 0), Some(1 << b'a'));
        assert_eq!(parts.accepted(Anchor::End, 0), Some(1 << b'b'));
    }

    #[test]
    fn a_range_is_cut_to_ascii() {
        for (low, high) in
            [('\0', '\0'), ('a', 'c'), ('c', 'a'), ('\u{7f}', 'é'), ('\0', 'é'), ('é', 'ü')]
        {
            let expected = (0..128_u8).filter(|&byte| (low..=high).contains(&char::from(byte)));
            let expected = expected.fold(0, |set, byte| set | 1 << byte);
            assert_eq!(ascii_range(low, high), expected, "{low:?} to {high:?}");
        }
    }
}
