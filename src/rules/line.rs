//! The text of a map file and its lines: where a rule and its target are in a line.
//!
//! This module does not check rules; `map_file` parses them.

use std::ops::Range;

/// Returns the text without its byte-order mark, if it has one.
#[must_use]
pub fn without_byte_order_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Returns the byte range of the rule in a line of a map: the line without comment and surrounding white space.
#[must_use]
pub fn rule_span(line: &str) -> Range<usize> {
    let rule = line.split_once('#').map_or(line, |(rule, _)| rule);
    let start = rule.len() - rule.trim_start().len();
    start..start + rule.trim().len()
}

/// Returns the byte range of the target in a line of a map.
///
/// If the target is empty, it is the range of the whole rule.
#[must_use]
pub fn target_span(line: &str) -> Range<usize> {
    let span = rule_span(line);
    let rule = &line[span.clone()];
    let target = rule.find("::").map(|at| at + 2).or_else(|| rule.find(':').map(|at| at + 1));
    match target.map(|at| span.start + at) {
        Some(start) if start < span.end => {
            let padding = line[start..span.end].len() - line[start..span.end].trim_start().len();
            start + padding..span.end
        }
        _ => span,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_point_into_the_line() {
        let line = "  a.io :: b.io/x   # why";
        assert_eq!(&line[rule_span(line)], "a.io :: b.io/x");
        assert_eq!(&line[target_span(line)], "b.io/x");
        assert_eq!(&"a.io::"[target_span("a.io::")], "a.io::");
    }
}
