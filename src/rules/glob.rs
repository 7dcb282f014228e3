//! One shell glob: `*` any run of characters (`/` included), `?` one character, `[abc]`, `[a-z]`,
//! `[!x]`.
//!
//! The semantics are those of Python's `fnmatch` on a case-sensitive system, because the maps of
//! the original rely on them: an unclosed `[` is a literal, `]` right after the opening bracket is
//! a member, a reversed range is empty.
//!
//! A glob is deliberately not compiled to an automaton: thousands of them would not fit in one,
//! and matching one is a few searches for literals.

use memchr::memmem;

/// A parsed glob.
#[derive(Clone, Debug)]
pub struct Glob {
    /// What stands before the first `*`.
    head: Segment,
    /// What stands after each `*`.
    rest: Vec<Segment>,
}

/// A run of tokens without `*`; it matches a fixed number of characters.
#[derive(Clone, Debug, Default)]
struct Segment {
    tokens: Vec<Token>,
    characters: usize,
}

/// A part of a glob other than `*`.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    AnyCharacter,
    Class(Class),
    Literal(Box<str>),
}

/// A set of characters in brackets.
#[derive(Clone, Debug, PartialEq)]
struct Class {
    negated: bool,
    ranges: Vec<(char, char)>,
}

/// One character of a glob, for comparing globs with each other.
#[derive(Clone, Copy, Debug)]
enum Unit<'a> {
    AnyCharacter,
    Class(&'a Class),
    Literal(char),
    Star,
}

impl Glob {
    /// Parses a glob; every string is one.
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
                        builder.token(Token::Class(class));
                        rest = after;
                    }
                    None => builder.literal.push('['),
                },
                character => builder.literal.push(character),
            }
        }
        builder.finish()
    }

    /// Whether the glob matches the whole of `text`.
    ///
    /// Takes time in proportion to the product of both lengths at worst, when classes and `?`
    /// follow a `*`; a few literal searches otherwise.
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

    /// The literals that every matching text contains.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.head)
            .chain(&self.rest)
            .flat_map(|segment| &segment.tokens)
            .filter_map(|token| match token {
                Token::Literal(literal) => Some(&**literal),
                Token::AnyCharacter | Token::Class(_) => None,
            })
    }

    /// Whether no text can match: a class of the glob is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.units().iter().any(|unit| matches!(unit, Unit::Class(class) if class.is_empty()))
    }

    /// Whether every text that `other` matches is matched by this glob too.
    ///
    /// May answer no where the truth is yes (classes are compared by their text), never the
    /// reverse.
    #[must_use]
    pub fn subsumes(&self, other: &Self) -> bool {
        wildcard_match(&self.units(), &other.units(), |own, others| match (own, others) {
            (_, Unit::Star) => false,
            (Unit::AnyCharacter, _) => true,
            (Unit::Class(own), Unit::Class(others)) => own == others,
            (Unit::Class(own), Unit::Literal(character)) => own.contains(*character),
            (Unit::Literal(own), Unit::Literal(others)) => own == others,
            _ => false,
        })
    }

    /// Whether some text matches both this glob and `other`.
    ///
    /// May answer yes where the truth is no (two different classes count as overlapping), never
    /// the reverse.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        intersect(&self.units(), &other.units())
    }

    /// A glob for the last path segments of the texts that this one matches: it matches all of
    /// them, and perhaps more.
    #[must_use]
    pub fn last_segments(&self) -> Self {
        let tail = self.rest.last().unwrap_or(&self.head);
        let units = tail.units().collect::<Vec<_>>();
        let slash = units.iter().rposition(|unit| unit.overlaps(&Unit::Literal('/')));
        let is_literal = matches!(slash.map(|slash| units[slash]), Some(Unit::Literal(_)));
        let mut builder = Builder::default();
        if !is_literal {
            builder.star();
        }
        for unit in &units[slash.map_or(0, |slash| slash + 1)..] {
            match unit {
                Unit::AnyCharacter => builder.token(Token::AnyCharacter),
                Unit::Class(class) => builder.token(Token::Class((*class).clone())),
                Unit::Literal(character) => builder.literal.push(*character),
                Unit::Star => builder.star(),
            }
        }
        builder.finish()
    }

    /// This glob with `text`, taken literally, put before it.
    #[must_use]
    pub fn prefixed(mut self, text: &str) -> Self {
        let mut head = Builder::default();
        head.literal.push_str(text);
        let mut head = head.finish().head;
        for token in self.head.tokens {
            head.push(token);
        }
        self.head = head;
        self
    }

    /// Whether some text that begins with `prefix` matches.
    ///
    /// May answer yes where the truth is no (an empty class counts as matching), never the
    /// reverse.
    #[must_use]
    pub fn matches_some_extension_of(&self, prefix: &str) -> bool {
        let mut units = self.head.units();
        prefix.chars().all(|character| match units.next() {
            Some(unit) => unit.overlaps(&Unit::Literal(character)),
            // The head ends within the prefix: a star takes the rest of it, if there is one.
            None => !self.rest.is_empty(),
        })
    }

    /// The glob without the stars that it begins with; none when it begins with none.
    #[must_use]
    pub fn after_leading_stars(&self) -> Option<Self> {
        if !self.head.tokens.is_empty() {
            return None;
        }
        let mut rest = self.rest.iter().skip_while(|segment| segment.tokens.is_empty()).cloned();
        let head = match rest.next() {
            Some(head) => head,
            None if self.rest.is_empty() => return None,
            None => Segment::default(),
        };
        Some(Self { head, rest: rest.collect() })
    }

    /// Whether a run of characters between two stars reaches across a `/`.
    #[must_use]
    pub fn spans_slash(&self) -> bool {
        self.rest
            .iter()
            .any(|segment| segment.units().skip(1).any(|unit| unit.overlaps(&Unit::Literal('/'))))
    }

    /// Whether the glob consists of stars alone.
    #[must_use]
    pub fn matches_everything(&self) -> bool {
        !self.rest.is_empty()
            && self.head.tokens.is_empty()
            && self.rest.iter().all(|segment| segment.tokens.is_empty())
    }

    fn units(&self) -> Vec<Unit<'_>> {
        let mut units: Vec<_> = self.head.units().collect();
        for segment in &self.rest {
            units.push(Unit::Star);
            units.extend(segment.units());
        }
        units
    }
}

impl Segment {
    fn push(&mut self, token: Token) {
        self.characters += match &token {
            Token::Literal(literal) => literal.chars().count(),
            Token::AnyCharacter | Token::Class(_) => 1,
        };
        self.tokens.push(token);
    }

    /// The end of the match that starts at byte `start`.
    fn match_at(&self, text: &str, start: usize) -> Option<usize> {
        let mut rest = &text[start..];
        for token in &self.tokens {
            rest = token.strip_from(rest)?;
        }
        Some(text.len() - rest.len())
    }

    /// The end of the first match that starts at byte `from` or later.
    fn find(&self, text: &str, from: usize) -> Option<usize> {
        if let Some(Token::Literal(literal)) = self.tokens.first() {
            let mut start = from;
            loop {
                start += memmem::find(&text.as_bytes()[start..], literal.as_bytes())?;
                match self.match_at(text, start) {
                    Some(end) => return Some(end),
                    None => start += literal.chars().next().map_or(1, char::len_utf8),
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
        let start = match self.characters {
            0 => Some(text.len()),
            characters => text.char_indices().rev().nth(characters - 1).map(|(start, _)| start),
        };
        start.is_some_and(|start| self.match_at(text, start).is_some())
    }

    fn units(&self) -> impl Iterator<Item = Unit<'_>> {
        self.tokens.iter().flat_map(|token| {
            let (unit, literal) = match token {
                Token::AnyCharacter => (Some(Unit::AnyCharacter), ""),
                Token::Class(class) => (Some(Unit::Class(class)), ""),
                Token::Literal(literal) => (None, &**literal),
            };
            unit.into_iter().chain(literal.chars().map(Unit::Literal))
        })
    }
}

impl Token {
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
    /// Reads a class after its opening bracket, and returns what follows the closing one.
    fn parse(text: &str) -> Option<(Self, &str)> {
        let (negated, members) = match text.strip_prefix('!') {
            Some(members) => (true, members),
            None => (false, text),
        };
        // A closing bracket in the first place is a member.
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

    fn contains(&self, character: char) -> bool {
        self.ranges.iter().any(|&(low, high)| (low..=high).contains(&character)) != self.negated
    }

    fn is_empty(&self) -> bool {
        !self.negated && self.ranges.iter().all(|(low, high)| low > high)
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

/// Matches `text` against `pattern`, whose stars take any run of units.
fn wildcard_match<'a>(
    pattern: &[Unit<'a>],
    text: &[Unit<'a>],
    unit_matches: impl Fn(&Unit<'a>, &Unit<'a>) -> bool,
) -> bool {
    let (mut at, mut position) = (0, 0);
    let mut backtrack = None;
    while position < text.len() {
        match pattern.get(at) {
            Some(Unit::Star) => {
                backtrack = Some((at, position));
                at += 1;
            }
            Some(unit) if unit_matches(unit, &text[position]) => {
                at += 1;
                position += 1;
            }
            _ => match backtrack {
                Some((star, start)) => {
                    backtrack = Some((star, start + 1));
                    (at, position) = (star + 1, start + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|unit| matches!(unit, Unit::Star))
}

/// Whether two sequences with stars have a text in common.
///
/// Walks the product of both, a row for each unit of `first`; a cell says whether the rests from
/// there on have a text in common.
fn intersect(first: &[Unit<'_>], second: &[Unit<'_>]) -> bool {
    let mut below = vec![false; second.len() + 1];
    for row in (0..=first.len()).rev() {
        let mut current = vec![false; second.len() + 1];
        for column in (0..=second.len()).rev() {
            current[column] = match (first.get(row), second.get(column)) {
                (None, None) => true,
                (Some(Unit::Star), None) => below[column],
                (None, Some(Unit::Star)) => current[column + 1],
                (Some(Unit::Star), Some(_)) | (Some(_), Some(Unit::Star)) => {
                    below[column] || current[column + 1]
                }
                (Some(own), Some(other)) => own.overlaps(other) && below[column + 1],
                _ => false,
            };
        }
        below = current;
    }
    below[0]
}

impl Unit<'_> {
    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Unit::Literal(own), Unit::Literal(other)) => own == other,
            (Unit::Class(class), Unit::Literal(character))
            | (Unit::Literal(character), Unit::Class(class)) => class.contains(*character),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_fnmatch_does() {
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
            ("[abc]", "b", true),
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

    #[test]
    fn subsumption_never_claims_too_much() {
        for (glob, other, subsumes) in [
            ("*", "a?[b]*", true),
            ("a*", "ab*c", true),
            ("a?", "ab", true),
            ("a?", "a*", false),
            ("*b", "a*", false),
            ("[a-c]", "b", true),
            ("a*b*", "a*", false),
        ] {
            let (glob_parsed, other_parsed) = (Glob::parse(glob), Glob::parse(other));
            assert_eq!(glob_parsed.subsumes(&other_parsed), subsumes, "{glob} over {other}");
        }
    }

    #[test]
    fn intersection_never_claims_too_little() {
        for (glob, other, intersects) in [
            ("a*", "*b", true),
            ("a*", "b*", false),
            ("*a", "*b", false),
            ("a?c", "a[x]c", true),
            ("*/app:*", "h.io/*", true),
            ("ab", "a", false),
            ("*", "", true),
        ] {
            let (glob_parsed, other_parsed) = (Glob::parse(glob), Glob::parse(other));
            assert_eq!(glob_parsed.intersects(&other_parsed), intersects, "{glob} and {other}");
        }
    }

    #[test]
    fn last_segments_of_a_glob() {
        for (glob, inside, outside) in [
            ("quay.io/a/b:1", "b:1", "a"),
            ("*mysql:5.6", "mysql:5.6", "mysql:5.7"),
            ("a*/bc", "bc", "xbc"),
            ("a*b", "xb", "bx"),
        ] {
            let last = Glob::parse(glob).last_segments();
            assert!(last.matches(inside) && !last.matches(outside), "{glob}");
        }
    }
}
