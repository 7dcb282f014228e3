//! The text of a map file and its lines: where a rule and its target are in a line.
//!
//! This module does not check rules; `map_file` parses them.

use std::{borrow::Cow, ops::Range};

use memchr::memchr2;

/// Returns the text without its byte-order mark, if it has one.
#[must_use]
pub fn without_byte_order_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Returns a text without its white space.
pub(super) fn without_white_space(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_whitespace) {
        Cow::Owned(text.chars().filter(|character| !character.is_whitespace()).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// Returns the byte range of the rule in a line of a map: the line without comment and surrounding white space.
#[must_use]
pub fn rule_span(line: &str) -> Range<usize> {
    let rule = line.split_once('#').map_or(line, |(rule, _)| rule);
    let start = rule.len() - rule.trim_start().len();
    start..start + rule.trim().len()
}

/// Returns the byte range of the key in a line of a map. It is empty if the line is not a rule.
#[must_use]
pub(super) fn key_span(line: &str) -> Range<usize> {
    let span = rule_span(line);
    match separator(&line[span.clone()]) {
        Separator::Double(separator) | Separator::Single(separator) => {
            span.start..span.start + separator.start
        }
        Separator::Missing | Separator::Several => span.start..span.start,
    }
}

/// Returns the byte range of the target in a line of a map.
///
/// If the target is empty, or the line is not a rule, it is the range of the whole rule.
#[must_use]
pub fn target_span(line: &str) -> Range<usize> {
    let span = rule_span(line);
    let (Separator::Double(separator) | Separator::Single(separator)) =
        separator(&line[span.clone()])
    else {
        return span;
    };
    let start = span.start + separator.end;
    let target = &line[start..span.end];
    if target.is_empty() { span } else { span.end - target.trim_start().len()..span.end }
}

/// The separator between key and target, as a byte range of the rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Separator {
    /// `::`.
    Double(Range<usize>),
    /// There is none.
    Missing,
    /// More than one colon or pair of colons could be it.
    Several,
    /// A single `:`, which is deprecated.
    Single(Range<usize>),
}

/// Returns the separator of a rule, the content of a line without its comment.
///
/// A colon between `[` and the next `]`, with no bracket in between, belongs to an IPv6 address or to a class of
/// characters, and separates nothing. White space between two colons does not count.
#[must_use]
pub fn separator(rule: &str) -> Separator {
    let mut colons = 0;
    let mut double = None;
    let mut last: Option<usize> = None;
    let mut at = 0;
    while let Some(found) = memchr2(b':', b'[', &rule.as_bytes()[at..]) {
        at += found;
        if rule.as_bytes()[at] == b'[' {
            at = end_of_brackets(rule, at);
            continue;
        }
        colons += 1;
        if let Some(last) = last
            && rule[last + 1..at].trim().is_empty()
            && double.replace(last..at + 1).is_some()
        {
            return Separator::Several;
        }
        last = Some(at);
        at += 1;
    }
    match (double, colons, last) {
        (Some(double), _, _) => Separator::Double(double),
        (None, 1, Some(colon)) => Separator::Single(colon..colon + 1),
        (None, 0, _) => Separator::Missing,
        _ => Separator::Several,
    }
}

/// Returns the end of the pair of brackets that opens at `start`, or of that bracket alone if another one follows.
fn end_of_brackets(rule: &str, start: usize) -> usize {
    let inside = start + 1;
    match memchr2(b'[', b']', &rule.as_bytes()[inside..]) {
        Some(next) if rule.as_bytes()[inside + next] == b']' => inside + next + 1,
        _ => inside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_point_into_the_line() {
        for (line, rule, target) in [
            ("  a.io :: b.io/x   # why", "a.io :: b.io/x", "b.io/x"),
            ("a.io::", "a.io::", "a.io::"),
            ("a.io : : b.io", "a.io : : b.io", "b.io"),
            ("a.io: b.io", "a.io: b.io", "b.io"),
            ("[fd00::5] :: [fd00::6]:80", "[fd00::5] :: [fd00::6]:80", "[fd00::6]:80"),
            ("a.io;b.io", "a.io;b.io", "a.io;b.io"),
        ] {
            assert_eq!((&line[rule_span(line)], &line[target_span(line)]), (rule, target));
        }
    }

    #[test]
    fn colons_in_brackets_separate_nothing() {
        for (rule, expected) in [
            ("a::b", Separator::Double(1..3)),
            ("a : : b:1", Separator::Double(2..5)),
            ("a:b", Separator::Single(1..2)),
            ("a", Separator::Missing),
            ("a::b::c", Separator::Several),
            ("a:::b", Separator::Several),
            ("a:1:b", Separator::Several),
            ("[::1]::b", Separator::Double(5..7)),
            ("a::[::1]:5000", Separator::Double(1..3)),
            ("[EXACT][::1]/x::b", Separator::Double(14..16)),
            ("[REPLACE]x[:@]*::b", Separator::Double(15..17)),
            ("[a:[::1]::b", Separator::Double(8..10)),
            ("[a::b", Separator::Double(2..4)),
            ("]:[::b", Separator::Double(3..5)),
            ("[::]", Separator::Missing),
        ] {
            assert_eq!(separator(rule), expected, "{rule}");
        }
    }
}
