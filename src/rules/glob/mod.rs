//! A shell glob: `*` matches any sequence of characters, including `/`; `?` matches one character; `[abc]`, `[a-z]` and
//! `[!x]` match one character of a class.
//!
//! The semantics are those of Python's `fnmatch` on a case-sensitive system, because maps of the Python ImageSwap rely
//! on them: an unclosed `[` is a literal, `]` directly after the opening bracket is a member, and a reversed range is
//! empty.
//!
//! A glob is deliberately not compiled to an automaton. Thousands of globs do not fit into one, and matching a glob
//! takes only a few searches for literals.

mod compare;
mod positions;
mod regex;
mod units;

use memchr::memmem;

pub(super) use self::positions::{Anchor, AsciiSet, FixedParts};

/// A parsed glob.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glob {
    /// The segment before the first `*`.
    head: Segment,
    /// The segments after each `*`.
    rest: Vec<Segment>,
}

/// A sequence of tokens without `*`. It matches a fixed number of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Segment {
    tokens: Vec<Token>,
    characters: usize,
}

/// A part of a glob other than `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Token {
    AnyCharacter,
    Class(Class),
    Literal(Box<str>),
}

/// A set of characters in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Class {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Glob {
    /// Parses a glob. Every string is a valid glob.
    #[must_use]
    pub fn parse(pattern: &str) -> Self {
        let mut builder = Builder::default();
        let mut rest = pattern;
        while let Some(character) = rest.chars().next() {
            rest = &rest[character.len_utf8()..];
            match character {
                '*' => builder.star(),
                '?' => builder.token(Token::AnyCharacter),
                '[' => match Class::parse(rest) {
                    Some((class, after)) => {
                        builder.class(class);
                        rest = after;
                    }
                    None => builder.literal.push('['),
                },
                character => builder.literal.push(character),
            }
        }
        builder.finish()
    }

    /// Returns true if the glob matches the whole of `text`.
    ///
    /// In the worst case, where classes and `?` follow a `*`, the time is proportional to the product of both lengths.
    /// Otherwise it takes a few searches for literals.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let Some(mut position) = self.head.match_at(text, 0) else { return false };
        let Some((last, middles)) = self.rest.split_last() else { return position == text.len() };
        for middle in middles {
            match middle.find(text, position) {
                Some(end) => position = end,
                None => return false,
            }
        }
        last.matches_end_of(&text[position..])
    }

    /// Returns the literals that every matching text contains.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.head)
            .chain(&self.rest)
            .flat_map(|segment| &segment.tokens)
            .filter_map(|token| match token {
                Token::Literal(literal) => Some(&**literal),
                Token::AnyCharacter | Token::Class(_) => None,
            })
    }
}

impl Segment {
    fn push(&mut self, token: Token) {
        self.characters += token.characters();
        self.tokens.push(token);
    }

    /// Returns the end of the match that starts at byte `start`, if there is one.
    fn match_at(&self, text: &str, start: usize) -> Option<usize> {
        let mut rest = &text[start..];
        for token in &self.tokens {
            rest = token.strip_from(rest)?;
        }
        Some(text.len() - rest.len())
    }

    /// Returns the end of the first match that starts at byte `from` or later, if there is one.
    fn find(&self, text: &str, from: usize) -> Option<usize> {
        let leading =
            self.tokens.iter().take_while(|token| !matches!(token, Token::Literal(_))).count();
        if let Some(Token::Literal(literal)) = self.tokens.get(leading) {
            // A match starts a fixed number of characters before the literal. So the first literal that fits belongs
            // to the first match.
            let mut at = from;
            loop {
                at += memmem::find(&text.as_bytes()[at..], literal.as_bytes())?;
                let start = start_of_last(&text[from..at], leading).map(|start| from + start);
                match start.and_then(|start| self.match_at(text, start)) {
                    Some(end) => return Some(end),
                    None => at += literal.chars().next().map_or(1, char::len_utf8),
                }
            }
        }
        let starts = text[from..].char_indices().map(|(offset, _)| from + offset);
        starts.chain([text.len()]).find_map(|start| self.match_at(text, start))
    }

    fn matches_end_of(&self, text: &str) -> bool {
        if let [Token::Literal(literal)] = &*self.tokens {
            return text.ends_with(&**literal);
        }
        let start = start_of_last(text, self.characters);
        start.is_some_and(|start| self.match_at(text, start).is_some())
    }
}

/// Returns the start of the last `characters` characters of a text. `None` if the text has fewer.
fn start_of_last(text: &str, characters: usize) -> Option<usize> {
    match characters {
        0 => Some(text.len()),
        characters => text.char_indices().rev().nth(characters - 1).map(|(start, _)| start),
    }
}

impl Token {
    /// Returns the number of characters that the token matches.
    fn characters(&self) -> usize {
        match self {
            Self::Literal(literal) => literal.chars().count(),
            Self::AnyCharacter | Self::Class(_) => 1,
        }
    }

    fn strip_from<'a>(&self, text: &'a str) -> Option<&'a str> {
        match self {
            Self::Literal(literal) => text.strip_prefix(&**literal),
            Self::AnyCharacter => {
                let mut characters = text.chars();
                characters.next().map(|_| characters.as_str())
            }
            Self::Class(class) => {
                let mut characters = text.chars();
                let character = characters.next()?;
                class.contains(character).then_some(characters.as_str())
            }
        }
    }
}

impl Class {
    /// Parses a class after its opening bracket. Returns the class and the text after the closing bracket.
    fn parse(text: &str) -> Option<(Self, &str)> {
        let (negated, members) = match text.strip_prefix('!') {
            Some(members) => (true, members),
            None => (false, text),
        };
        // A closing bracket directly after the opening one is a member.
        let first = members.chars().next()?.len_utf8();
        let end = first + members[first..].find(']')?;
        let mut ranges = Vec::new();
        let mut characters = members[..end].chars();
        while let Some(low) = characters.next() {
            let mut ahead = characters.clone();
            match (ahead.next(), ahead.next()) {
                (Some('-'), Some(high)) => {
                    ranges.push((low, high));
                    characters = ahead;
                }
                _ => ranges.push((low, low)),
            }
        }
        Some((Self { negated, ranges }, &members[end + 1..]))
    }

    /// Returns the only member of the class, if its text has a single character.
    fn only_member(&self) -> Option<char> {
        match *self.ranges {
            [(low, high)] if low == high && !self.negated => Some(low),
            _ => None,
        }
    }

    fn contains(&self, character: char) -> bool {
        self.ranges.iter().any(|&(low, high)| (low..=high).contains(&character)) != self.negated
    }
}

#[derive(Default)]
struct Builder {
    done: Vec<Segment>,
    current: Segment,
    literal: String,
}

impl Builder {
    fn token(&mut self, token: Token) {
        self.flush();
        self.current.push(token);
    }

    /// Adds a class. A class with one member becomes a literal, because a literal can be searched for.
    fn class(&mut self, class: Class) {
        match class.only_member() {
            Some(character) => self.literal.push(character),
            None => self.token(Token::Class(class)),
        }
    }

    fn star(&mut self) {
        self.flush();
        self.done.push(std::mem::take(&mut self.current));
    }

    fn flush(&mut self) {
        if !self.literal.is_empty() {
            self.current.push(Token::Literal(std::mem::take(&mut self.literal).into()));
        }
    }

    fn finish(mut self) -> Glob {
        self.star();
        let rest = self.done.split_off(1);
        Glob { head: self.done.pop().unwrap_or_default(), rest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_with_one_member_joins_the_literal_around_it() {
        for (glob, literals) in [
            ("*a[5]b*", &["a5b"][..]),
            ("[*][?]", &["*?"]),
            ("a[b-b]", &["ab"]),
            ("a[!b]c", &["a", "c"]),
            ("a[bc]d", &["a", "d"]),
        ] {
            assert_eq!(Glob::parse(glob).literals().collect::<Vec<_>>(), literals, "{glob}");
        }
    }

    #[test]
    fn globs_match_like_fnmatch() {
        for (glob, text, matched) in [
            ("", "", true),
            ("*", "", true),
            ("*", "a/b", true),
            ("a*", "a", true),
            ("a*c", "abc", true),
            ("a*c", "ac/", false),
            ("a**c", "abc", true),
            ("*a*a", "aa", true),
            ("*a*a", "a", false),
            ("*aab", "aaab", true),
            ("*a?b*", "xaab", true),
            ("*?", "", false),
            ("?", "é", true),
            ("*?é", "aé", true),
            ("*é?x", "ééax", true),
            ("*?a*", "aé", false),
            ("*?a*", "aéa", true),
            ("b*[ab]?a*", "ba", false),
            ("b*[ab]?a*a", "baébaaa", true),
            ("[abc]", "b", true),
            ("x[5]y", "x5y", true),
            ("[*]", "*", true),
            ("[*]", "a", false),
            ("[b-b]", "b", true),
            ("[a-c]x", "cx", true),
            ("[!a]", "a", false),
            ("[!a]", "é", true),
            ("[^a]", "^", true),
            ("[", "[", true),
            ("[a", "[a", true),
            ("[]", "[]", true),
            ("[]a]", "]", true),
            ("[!]", "[!]", true),
            ("[!]]", "]", false),
            ("[z-a]", "m", false),
            ("[a-]", "-", true),
            ("[-a]", "-", true),
            ("[a-c-e]", "d", false),
            ("hello:v1.?", "hello:v1.1", true),
            ("*nvidia:k8s-device-plugin_*", "nvcr.io/nvidia:k8s-device-plugin_v0.9.0", true),
        ] {
            assert_eq!(Glob::parse(glob).matches(text), matched, "{glob} on {text:?}");
        }
    }
}
