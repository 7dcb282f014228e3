//! The characters that a glob accepts at places of a text, to tell globs with the same literals apart.

use super::{Glob, Segment, Token};

/// A set of ASCII characters: a bit for each.
pub(in crate::rules) type AsciiSet = u128;

/// A point of a text that a glob knows, and the direction in which its characters are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::rules) enum Anchor {
    /// From the start of the text on.
    Start,
    /// From the end of the text back.
    End,
    /// From the start of a literal back.
    BeforeLiteral,
    /// From the end of a literal on.
    AfterLiteral,
}

impl Glob {
    /// Returns the ASCII characters that the glob accepts from an anchor on, for each character up to the next star.
    ///
    /// `literal` is the start of one of the glob's literals. If the glob has several that start like this, it is the
    /// first. Without a literal, nothing is known before and after it.
    pub(in crate::rules) fn accepted_from(
        &self,
        anchor: Anchor,
        literal: Option<&[u8]>,
    ) -> Vec<AsciiSet> {
        match anchor {
            Anchor::Start => self.head.accepted(),
            Anchor::End => reversed(self.rest.last().unwrap_or(&self.head).accepted()),
            Anchor::BeforeLiteral | Anchor::AfterLiteral => {
                let around = literal.and_then(|literal| self.around(literal));
                let (before, after) = around.unwrap_or_default();
                if anchor == Anchor::AfterLiteral { after } else { reversed(before) }
            }
        }
    }

    /// Returns what the segment of a literal accepts before and after it.
    fn around(&self, literal: &[u8]) -> Option<(Vec<AsciiSet>, Vec<AsciiSet>)> {
        // Bytes count as characters below.
        if !literal.is_ascii() {
            return None;
        }
        let is_literal = |token: &Token| match token {
            Token::Literal(text) => text.as_bytes().starts_with(literal),
            Token::AnyCharacter | Token::Class(_) => false,
        };
        std::iter::once(&self.head).chain(&self.rest).find_map(|segment| {
            let token = segment.tokens.iter().position(is_literal)?;
            let start = segment.tokens[..token].iter().map(Token::characters).sum();
            let mut before = segment.accepted();
            let mut after = before.split_off(start);
            after.drain(..literal.len());
            Some((before, after))
        })
    }
}

impl Segment {
    fn accepted(&self) -> Vec<AsciiSet> {
        let mut accepted = Vec::with_capacity(self.characters);
        for token in &self.tokens {
            match token {
                Token::AnyCharacter => accepted.push(AsciiSet::MAX),
                Token::Class(class) => {
                    let members = (0..128_u8).filter(|&byte| class.contains(byte.into()));
                    accepted.push(members.fold(0, |set, byte| set | 1 << byte));
                }
                Token::Literal(text) => {
                    let sets =
                        text.chars().map(|it| if it.is_ascii() { 1 << u32::from(it) } else { 0 });
                    accepted.extend(sets);
                }
            }
        }
        accepted
    }
}

fn reversed(mut sets: Vec<AsciiSet>) -> Vec<AsciiSet> {
    sets.reverse();
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_knows_its_characters_from_each_anchor() {
        let set = |text: &str| text.bytes().fold(0, |set, byte| set | 1 << byte);
        let glob = Glob::parse("a?*[xy]/app:[0-2]é*b[z]");
        let any = AsciiSet::MAX;
        for (anchor, accepted) in [
            (Anchor::Start, vec![set("a"), any]),
            (Anchor::End, vec![set("z"), set("b")]),
            (Anchor::BeforeLiteral, vec![set("xy")]),
            (Anchor::AfterLiteral, vec![set(":"), set("012"), 0]),
        ] {
            assert_eq!(glob.accepted_from(anchor, Some(b"/app")), accepted, "{anchor:?}");
        }
        assert!(glob.accepted_from(Anchor::AfterLiteral, None).is_empty());
        assert!(
            Glob::parse("é?").accepted_from(Anchor::AfterLiteral, Some("é".as_bytes())).is_empty()
        );
    }

    #[test]
    fn a_glob_without_star_is_known_from_both_ends() {
        let glob = Glob::parse("ab");
        assert_eq!(glob.accepted_from(Anchor::Start, None), [1 << b'a', 1 << b'b']);
        assert_eq!(glob.accepted_from(Anchor::End, None), [1 << b'b', 1 << b'a']);
    }
}
