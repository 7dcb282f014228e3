//! Literals of CEL, the language of expressions in Kubernetes.

/// Returns a string literal.
pub(super) fn string(text: &str) -> String {
    let mut literal = String::from("'");
    for character in text.chars() {
        if matches!(character, '\'' | '\\') {
            literal.push('\\');
        }
        literal.push(character);
    }
    literal.push('\'');
    literal
}

/// Returns a list with a line for each item. `sample` is an item that gives an empty list its type.
pub(super) fn list(items: impl IntoIterator<Item = String>, sample: &str) -> String {
    let mut items = items.into_iter().peekable();
    match items.peek() {
        None => format!("[{sample}].filter(none, false)"),
        Some(_) => lines('[', items, ']'),
    }
}

/// Returns a map with a line for each entry, of which there is at least one.
pub(super) fn map(entries: impl IntoIterator<Item = (String, String)>) -> String {
    lines('{', entries.into_iter().map(|(key, value)| format!("{}: {value}", string(&key))), '}')
}

/// Returns a map from strings to strings in one line.
pub(super) fn record(entries: &[(&str, &str)]) -> String {
    let entry = |(key, value): &(&str, &str)| format!("{}: {}", string(key), string(value));
    format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
}

fn lines(open: char, items: impl IntoIterator<Item = String>, close: char) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.replace('\n', "\n  ")).collect();
    format!("{open}\n  {}\n{close}", items.join(",\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_escaped_and_indented() {
        assert_eq!(string(r"a\x{2E}'b"), r"'a\\x{2E}\'b'");
        assert_eq!(list([], "''"), "[''].filter(none, false)");
        assert_eq!(list(["1".to_owned(), "2".to_owned()], ""), "[\n  1,\n  2\n]");
        let nested = map([("a".to_owned(), list(["1".to_owned()], ""))]);
        assert_eq!(nested, "{\n  'a': [\n    1\n  ]\n}");
        assert_eq!(record(&[("a", "b"), ("c", "")]), "{'a': 'b', 'c': ''}");
    }
}
