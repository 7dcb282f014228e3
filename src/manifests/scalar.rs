//! Single values: their types, and texts that need no quotes.

use std::borrow::Cow;

use granit_parser::{ScalarStyle, Tag};

/// The type of a value, as Kubernetes reads it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// `true` or `false`.
    Bool(bool),
    /// The key `<<`, whose value is merged into the mapping (<https://yaml.org/type/merge.html>).
    Merge,
    /// Nothing, `null` or `~`.
    Null,
    /// A number.
    Number,
    /// A value with a tag of another type, such as `!!binary`.
    Other,
    /// A text.
    Text,
}

/// Words for true.
const TRUE: [&str; 4] = ["on", "true", "y", "yes"];

/// Words for false.
const FALSE: [&str; 4] = ["false", "n", "no", "off"];

/// Returns true if a value is one of the words, in lower case, in upper case, or with a capital.
fn is_word(value: &str, words: &[&str]) -> bool {
    let is_lower = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_upper = |text: &str| text.bytes().all(|byte| byte.is_ascii_uppercase());
    let has_case = is_upper(value) || value.get(1..).is_some_and(is_lower);
    has_case && words.iter().any(|word| word.eq_ignore_ascii_case(value))
}

impl Kind {
    /// Determines the type of a value, by the core schema of YAML 1.2 (section 10.3.2) and with the booleans of YAML 1.1,
    /// as the YAML library of Kubernetes does (<https://pkg.go.dev/sigs.k8s.io/yaml>).
    pub(super) fn of(value: &str, style: ScalarStyle, tag: Option<&Tag>) -> Self {
        match tag {
            Some(tag) if tag.core_suffix() == Some("str") || tag.original() == "!" => Self::Text,
            Some(tag) if tag.original().starts_with("!!") => Self::Other,
            // The library of Kubernetes ignores the tags of applications.
            _ if style != ScalarStyle::Plain => Self::Text,
            _ => Self::of_plain(value),
        }
    }

    fn of_plain(value: &str) -> Self {
        match value {
            "<<" => Self::Merge,
            "" | "~" | "null" | "Null" | "NULL" => Self::Null,
            _ if is_word(value, &TRUE) => Self::Bool(true),
            _ if is_word(value, &FALSE) => Self::Bool(false),
            ".nan" | ".NaN" | ".NAN" => Self::Number,
            _ if is_number(value) => Self::Number,
            _ => Self::Text,
        }
    }
}

fn is_number(value: &str) -> bool {
    let unsigned = value.strip_prefix(['-', '+']).unwrap_or(value);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let all = |digits: &str, radix| {
        !digits.is_empty() && digits.chars().all(|digit| digit == '_' || digit.is_digit(radix))
    };
    if !unsigned.starts_with(|first: char| first == '.' || first.is_ascii_digit()) {
        return false;
    }
    match unsigned.get(..2) {
        Some("0b") => all(&unsigned[2..], 2),
        Some("0o") => all(&unsigned[2..], 8),
        Some("0x") => all(&unsigned[2..], 16),
        _ => all(unsigned, 10) || unsigned.parse::<f64>().is_ok(),
    }
}

/// Returns a name or an image as a value in block style.
pub(super) fn written(name: &str) -> Cow<'_, str> {
    if is_plain(name) { name.into() } else { format!("\"{name}\"").into() }
}

/// Returns true if an image reference means itself without quotes, in block and flow style, in YAML 1.1 and 1.2.
fn is_plain(image: &str) -> bool {
    let is_word = |word: &&str| word.eq_ignore_ascii_case(image);
    let is_reserved = TRUE.iter().chain(&FALSE).chain(&["null"]).any(is_word);
    // With a slash, it is neither a word nor a number, nor a time such as `12:30`.
    let is_text = image.contains('/')
        || (image.starts_with(|first: char| first.is_ascii_alphabetic()) && !is_reserved);
    is_text
        && image.starts_with(|first: char| first.is_ascii_alphanumeric())
        && !image.ends_with(':')
        && !image.contains(['[', ']'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_have_the_types_that_kubernetes_gives_them() {
        for (value, kind) in [
            ("", Kind::Null),
            ("~", Kind::Null),
            ("null", Kind::Null),
            ("true", Kind::Bool(true)),
            ("False", Kind::Bool(false)),
            ("yes", Kind::Bool(true)),
            ("OFF", Kind::Bool(false)),
            ("oN", Kind::Text),
            ("12", Kind::Number),
            ("-1.5e3", Kind::Number),
            ("1_000", Kind::Number),
            ("0x1f", Kind::Number),
            ("0o17", Kind::Number),
            (".5", Kind::Number),
            ("-.inf", Kind::Number),
            (".nan", Kind::Number),
            ("nginx", Kind::Text),
            ("nan", Kind::Text),
            ("inf", Kind::Text),
            ("1.2.3", Kind::Text),
            ("0xyz", Kind::Text),
            ("5000/a", Kind::Text),
            ("-", Kind::Text),
        ] {
            assert_eq!(Kind::of(value, ScalarStyle::Plain, None), kind, "{value}");
        }
        assert_eq!(Kind::of("12", ScalarStyle::SingleQuoted, None), Kind::Text);
    }

    #[test]
    fn an_image_is_quoted_if_it_would_mean_something_else() {
        for (image, expected) in [
            ("d.io/nginx:1", true),
            ("nginx", true),
            ("127.0.0.1:5000/a", true),
            ("12:30", false),
            ("123", false),
            ("No", false),
            ("[fd00::5]:5000/a", false),
            ("d.io/a:", false),
        ] {
            assert_eq!(is_plain(image), expected, "{image}");
        }
    }
}
