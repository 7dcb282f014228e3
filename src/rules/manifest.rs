//! Detection of a manifest in place of a map, such as the wrong file or the wrong key of a ConfigMap.
//!
//! A line of YAML with a single colon looks like a rule with the deprecated separator. So the first line decides,
//! before any line is parsed as a rule.

use super::line::rule_span;

/// Key of the map in the ConfigMap that the manifests of the project contain.
const DEFAULT_KEY: &str = "maps";

/// Maximum length of a key of a ConfigMap, in bytes. Kubernetes accepts no longer one, as it can become a file name.
const MAX_KEY_BYTES: usize = 253;

/// Returns the first line with content, and its number from 1, if the text is a manifest in YAML or JSON.
///
/// Blank lines and comments do not count. The text is a manifest if the line is `---`, starts with `{`, or starts with
/// `apiVersion:` or `kind:` and contains no other colon.
pub(crate) fn first_line(text: &str) -> Option<(usize, &str)> {
    let (index, line) =
        text.split('\n').enumerate().find(|(_, line)| !rule_span(line).is_empty())?;
    let content = &line[rule_span(line)];
    let value = ["apiVersion:", "kind:"].iter().find_map(|field| content.strip_prefix(field));
    let is_manifest = content == "---"
        || content.starts_with('{')
        || value.is_some_and(|value| !value.contains(':'));
    is_manifest.then_some((index + 1, line))
}

/// Advice on a line of a manifest within a map.
pub(super) const FIELD_HINT: &str = "this line is a field of a manifest; remove it, as a map has only rules, or use `imageswap check --configmap-key KEY FILE` for a manifest";

/// Returns true if a line with a single colon is a field that holds a map: `data:`, or `maps: |`.
pub(super) fn is_field(key: &str, value: &str) -> bool {
    let is_block = matches!(value, "|" | "|-" | "|+" | ">" | ">-" | ">+");
    is_block || (key == "data" && value.is_empty())
}

/// Returns advice on a manifest in place of a map.
pub(super) fn hint(text: &str) -> String {
    let key = key(text).unwrap_or(DEFAULT_KEY);
    // In a JSONPath, a dot in the key would begin the next field.
    let field = key.replace('.', "\\.");
    format!(
        "use the map itself: `kubectl get configmap NAME -n NAMESPACE -o jsonpath='{{.data.{field}}}' | imageswap check -`, or `imageswap check --configmap-key {key} FILE`"
    )
}

/// Returns the key of a ConfigMap in YAML that probably holds the map: `maps`, or else the first one.
fn key(text: &str) -> Option<&str> {
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let data = text.lines().skip_while(|line| line.trim_end() != "data:").skip(1);
    let mut lines = data.filter(|line| !line.trim().is_empty()).peekable();
    let first = indentation(lines.peek()?);
    // The values of the keys are indented further, and the next field of the manifest is not indented.
    let lines = lines.take_while(|line| first > 0 && indentation(line) >= first);
    let lines = lines.filter(|line| indentation(line) == first);
    let keys = lines.filter_map(|line| line.split_once(':'));
    let mut keys =
        keys.map(|(key, _)| key.trim().trim_matches(['"', '\''])).filter(|key| is_key(key));
    let first = keys.next()?;
    Some(if keys.any(|key| key == DEFAULT_KEY) { DEFAULT_KEY } else { first })
}

/// Returns true if a ConfigMap can have this key.
fn is_key(key: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !key.is_empty() && key.len() <= MAX_KEY_BYTES && key.bytes().all(is_allowed)
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

    #[test]
    fn advice_names_the_key_that_probably_holds_the_map() {
        for (text, field, key) in [
            ("kind: ConfigMap\ndata:\n  maps: |\n    default::d.io\n", "maps", "maps"),
            ("data:\n\n  a.conf: |\n\n    x: y\n  b: c\nkind: ConfigMap\n", "a\\.conf", "a.conf"),
            ("data:\n  'a': b\n  maps: |\n    x::\n", "maps", "maps"),
            ("data:\nkind: ConfigMap\n", "maps", "maps"),
            ("data:\n  a b: c\n", "maps", "maps"),
            ("{\"kind\": \"ConfigMap\"}", "maps", "maps"),
        ] {
            let hint = hint(text);
            let part = format!("-o jsonpath='{{.data.{field}}}' | imageswap check -`");
            assert!(hint.contains(&part), "{part} in {hint}");
            assert!(hint.ends_with(&format!("--configmap-key {key} FILE`")), "{hint}");
        }
    }
}
