//! Detection of a manifest in place of a map, such as the wrong file or the wrong key of a ConfigMap.
//!
//! A line of YAML with a single colon looks like a rule with the deprecated separator. So the first line decides,
//! before any line is parsed as a rule.

use super::line::rule_span;

/// Returns the first line with content, and its number from 1, if the text is a manifest in YAML or JSON.
///
/// Blank lines and comments do not count. The text is a manifest if the line is `---`, starts with `{`, or starts with
/// `apiVersion:` or `kind:` and contains no other colon.
pub(super) fn first_line(text: &str) -> Option<(usize, &str)> {
    let (index, line) =
        text.split('\n').enumerate().find(|(_, line)| !rule_span(line).is_empty())?;
    let content = &line[rule_span(line)];
    let value = ["apiVersion:", "kind:"].iter().find_map(|field| content.strip_prefix(field));
    let is_manifest = content == "---"
        || content.starts_with('{')
        || value.is_some_and(|value| !value.contains(':'));
    is_manifest.then_some((index + 1, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_recognized_by_its_first_line() {
        for (text, line) in [
            ("apiVersion: v1\nkind: ConfigMap\n", Some(1)),
            ("# a comment\n\n  kind: ConfigMap  # another\n", Some(3)),
            ("---\napiVersion: v1\n", Some(1)),
            ("{\"apiVersion\": \"v1\"}", Some(1)),
            ("\r\n{\r\n", Some(2)),
            ("", None),
            ("# only a comment", None),
            ("kind::d.io", None),
            ("kind:d.io:5000", None),
            ("default::d.io\nkind: ConfigMap\n", None),
            ("--- default::d.io", None),
        ] {
            assert_eq!(first_line(text).map(|(number, _)| number), line, "{text}");
        }
    }
}
