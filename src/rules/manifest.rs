//! A manifest in place of a map: the wrong key of a ConfigMap, or the wrong file.
//!
//! Each line of YAML with a single colon would pass for a rule with the deprecated separator. So the first line
//! decides, before any line is read as a rule.

use super::map_file::rule_span;

/// Returns the number of the first line, from 1, and the line, if they begin a manifest in YAML or JSON.
///
/// That is so when the first line which is neither blank nor a comment is `---`, begins with `{`, or begins with
/// `apiVersion:` or `kind:` and has no other colon.
pub(super) fn first_line(text: &str) -> Option<(usize, &str)> {
    let (index, line) =
        text.split('\n').enumerate().find(|(_, line)| !rule_span(line).is_empty())?;
    let content = &line[rule_span(line)];
    let value = ["apiVersion:", "kind:"].iter().find_map(|field| content.strip_prefix(field));
    let begins_manifest = content == "---"
        || content.starts_with('{')
        || value.is_some_and(|value| !value.contains(':'));
    begins_manifest.then_some((index + 1, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_told_by_its_first_line() {
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
