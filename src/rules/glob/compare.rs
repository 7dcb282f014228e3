//! Comparison of globs with each other, and with the images that a rule produces. Only the lints use it.
//!
//! The results are conservative: each method names the side on which it may be wrong, and it is never wrong on the
//! other.

use super::{
    Builder, Class, Glob, Segment, Token,
    units::{Unit, units},
};

impl Glob {
    /// Returns true if no text can match, because a class of the glob is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.units().iter().any(|unit| matches!(unit, Unit::Class(class) if class.is_empty()))
    }

    /// Returns true if this glob matches every text that `other` matches.
    ///
    /// It may return a wrong `false`, because classes are compared by their text, but never a wrong `true`.
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

    /// Returns true if a text exists that matches both this glob and `other`.
    ///
    /// It may return a wrong `true`, because two different classes count as overlapping, but never a wrong `false`.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        intersect(&self.units(), &other.units())
    }

    /// Returns a glob for the last path segments of the texts that this glob matches. It matches all of them, and may
    /// match more.
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

    /// Returns a glob that matches every text that starts with `text`.
    #[must_use]
    pub fn of_extensions(text: &str) -> Self {
        let mut builder = Builder::default();
        builder.star();
        builder.finish().prefixed(text)
    }

    /// Returns this glob with the literal `text` before it.
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

    /// Returns true if a text that starts with `prefix` can match.
    ///
    /// It may return a wrong `true`, because an empty class counts as matching, but never a wrong `false`.
    #[must_use]
    pub fn matches_some_extension_of(&self, prefix: &str) -> bool {
        let mut units = self.head.units();
        prefix.chars().all(|character| match units.next() {
            Some(unit) => unit.overlaps(&Unit::Literal(character)),
            // The head ends within the prefix. If a star follows, it matches the rest.
            None => !self.rest.is_empty(),
        })
    }

    /// Returns the glob without its leading stars. `None` if it has no leading star.
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

    /// Returns true if a segment after a star can match a `/` at a position other than its first.
    #[must_use]
    pub fn spans_slash(&self) -> bool {
        self.rest
            .iter()
            .any(|segment| segment.units().skip(1).any(|unit| unit.overlaps(&Unit::Literal('/'))))
    }

    /// Returns true if a segment between two stars can match a text that includes a part of `literal`, between texts
    /// that match anything.
    ///
    /// It may return a wrong `true`, because what comes before and after is not considered, but never a wrong `false`.
    #[must_use]
    pub fn touches(&self, literal: &str) -> bool {
        let literal: Vec<_> = literal.chars().map(Unit::Literal).collect();
        let touches = |segment: &Segment| {
            let units: Vec<_> = segment.units().collect();
            // `start` is the position of the segment from the start of the literal, moved by the length of the segment.
            let starts = if units.is_empty() { 1..1 } else { 1..units.len() + literal.len() };
            starts.into_iter().any(|start| {
                let pairs = units.iter().skip(units.len().saturating_sub(start));
                let literal = literal.iter().skip(start.saturating_sub(units.len()));
                pairs.zip(literal).all(|(unit, character)| unit.overlaps(character))
            })
        };
        self.rest.iter().any(touches)
    }

    /// Returns true if a segment after a star can match a `-` and a digit, or ends with a `-`.
    #[must_use]
    pub fn touches_port(&self) -> bool {
        let touches = |segment: &Segment| {
            let units: Vec<_> = segment.units().collect();
            units.iter().enumerate().any(|(at, unit)| {
                let is_digit =
                    |next: &Unit<'_>| ('0'..='9').any(|digit| next.overlaps(&Unit::Literal(digit)));
                unit.overlaps(&Unit::Literal('-')) && units.get(at + 1).is_none_or(is_digit)
            })
        };
        self.rest.iter().any(touches)
    }

    /// Returns true if a segment can match a lower-case letter.
    #[must_use]
    pub fn has_lower_case_letter(&self) -> bool {
        let is_letter = |unit: Unit<'_>| ('a'..='z').any(|it| unit.overlaps(&Unit::Literal(it)));
        std::iter::once(&self.head).chain(&self.rest).any(|segment| segment.units().any(is_letter))
    }

    /// Returns true if the glob consists only of stars.
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
    fn units(&self) -> impl Iterator<Item = Unit<'_>> {
        units(&self.tokens)
    }
}

impl Class {
    fn is_empty(&self) -> bool {
        !self.negated && self.ranges.iter().all(|(low, high)| low > high)
    }
}

/// Returns true if `pattern` matches `text`. A star in the pattern matches any sequence of units.
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

/// Returns true if two sequences with stars match a common text.
///
/// It fills a table with a row for each unit of `first` and a column for each unit of `second`. A cell is true if the
/// remaining units from there on match a common text.
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
    fn subsumption_is_never_wrongly_true() {
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
    fn intersection_is_never_wrongly_false() {
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
    fn a_segment_touches_a_literal_that_it_can_overlap() {
        for (glob, literal, touches) in [
            ("*quay*", "/library/", false),
            ("*", "/library/", false),
            ("*x/lib*", "/library/", true),
            ("*ary/nginx*", "/library/", true),
            ("*bra*", "/library/", true),
            ("*?*", "/library/", true),
            ("*x/library/y*", "/library/", true),
            ("*x/librarz/y*", "/library/", false),
        ] {
            assert_eq!(Glob::parse(glob).touches(literal), touches, "{glob} and {literal}");
        }
    }

    #[test]
    fn last_segments_match_the_end_of_every_match() {
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
