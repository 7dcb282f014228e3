//! Problems of keys, globs and wildcards that no image can match.

use std::fmt;

use crate::{
    image::{has_reference_characters_only, is_registry, is_valid_reference, split_port},
    rules::{glob::Glob, pull_secrets::PullSecret, rule::Key},
};

/// The reason why no image matches a registry key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::rules) enum KeyProblem {
    /// It starts with a misspelled `[EXACT]`, `[PULLSECRET]` or `[REPLACE]`, which is given here in its correct form.
    Bracket(&'static str),
    /// It is not valid in an image reference for another reason.
    Invalid,
    /// It is a misspelled keyword, or another word for it, which is given here in its correct form.
    Keyword(&'static str),
    /// Its first segment is not a registry, so an image that starts like this belongs to Docker Hub.
    NoRegistry,
    /// It has a tag or a digest.
    Tag,
    /// It starts with a word in brackets that no rule has.
    UnknownBracket,
    /// It contains a wildcard.
    Wildcard,
}

/// The reason why no valid image contains a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::rules) enum TextProblem {
    /// A character that is not allowed in an image reference.
    Character(char),
    /// A `/` and a character that does not follow a `/` in an image reference.
    Separators(char),
}

/// Returns the reason why no image matches a registry key, if there is one.
///
/// The key is as written, not canonical, because a registry without `.` and `:` needs an upper-case letter.
pub(in crate::rules) fn key_problem(key: &str) -> Option<KeyProblem> {
    let key = key.trim_end_matches('/');
    let (registry, path) = key.split_once('/').unwrap_or((key, ""));
    let plain = key.strip_prefix(Key::WILDCARD);
    if let Some(bracket) = bracket(key) {
        Some(KeyProblem::Bracket(bracket))
    } else if bracketed_word(key).is_some() {
        Some(KeyProblem::UnknownBracket)
    } else if let Some(keyword) = keyword(key) {
        Some(KeyProblem::Keyword(keyword))
    } else if without_scheme(key) != key {
        Some(KeyProblem::Invalid)
    } else if key.contains('?') || plain.unwrap_or(key).contains('*') {
        Some(KeyProblem::Wildcard)
    } else if path.contains([':', '@']) || (path.is_empty() && is_shorthand_with_tag(key)) {
        Some(KeyProblem::Tag)
    } else if !is_registry(registry) {
        Some(KeyProblem::NoRegistry)
    } else {
        // The host of an image that `*.domain` means has one label more.
        let host = if plain.is_some() { "a." } else { "" };
        let sample = format!("{host}{}/image", plain.unwrap_or(key));
        (!is_valid_reference(&sample)).then_some(KeyProblem::Invalid)
    }
}

/// Returns the reason why no image matches a glob, if there is one.
pub(in crate::rules) fn glob_problem(glob: &Glob) -> Option<TextProblem> {
    glob.literals().find_map(text_problem)
}

/// Returns true if a glob ends before the path of the images of a registry: `quay.io`, `*.gcr.io` or `quay.io/`.
pub(in crate::rules) fn ends_before_path(glob: &str) -> bool {
    if glob.ends_with('/') {
        return true;
    }
    // A colon would begin a tag. The last label of a domain is a word; that of a version is a number.
    let is_word =
        |label: &str| label.len() > 1 && label.bytes().all(|byte| byte.is_ascii_alphabetic());
    !glob.contains(['/', ':', '@', '?', '['])
        && glob.rsplit_once('.').is_some_and(|(_, label)| is_word(label))
}

/// Returns the reason why no valid image contains `text`, if there is one.
pub(in crate::rules) fn text_problem(text: &str) -> Option<TextProblem> {
    if !has_reference_characters_only(text) {
        let mut buffer = [0; 4];
        let is_foreign =
            |character: &char| !has_reference_characters_only(character.encode_utf8(&mut buffer));
        return text.chars().find(is_foreign).map(TextProblem::Character);
    }
    // A path segment starts with a letter or a digit. Tags and digests contain no `/`.
    let after_slash = text.split('/').skip(1).filter_map(|segment| segment.chars().next());
    let separator = after_slash.into_iter().find(|first| !first.is_ascii_alphanumeric());
    let has_empty_segment = text.contains("//").then_some('/');
    has_empty_segment.or(separator).map(TextProblem::Separators)
}

impl fmt::Display for TextProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character(character) if character.is_ascii_graphic() => {
                write!(formatter, "no image contains a `{character}`")
            }
            Self::Character(character) => {
                write!(formatter, "no image contains the character U+{:04X}", u32::from(*character))
            }
            Self::Separators(character) => write!(formatter, "no image contains `/{character}`"),
        }
    }
}

/// Returns `text` without a scheme such as `https://` before it. In common schemes, a character may be missing.
pub(super) fn without_scheme(text: &str) -> &str {
    let (scheme, rest) = text.split_at(text.bytes().take_while(u8::is_ascii_alphabetic).count());
    let is_common = ["docker", "http", "https", "oci"].contains(&scheme);
    let is_scheme = !scheme.is_empty() && rest.starts_with("://");
    if is_scheme || (is_common && (rest.starts_with("//") || rest.starts_with(":/"))) {
        rest.trim_start_matches([':', '/'])
    } else {
        text
    }
}

/// Returns true for text such as `nginx:1.27`: a repository without a path that has a tag or a digest.
fn is_shorthand_with_tag(key: &str) -> bool {
    let port = split_port(key).1;
    !port.bytes().skip(1).all(|byte| byte.is_ascii_digit()) && is_valid_reference(key)
}

/// Returns `[EXACT]`, `[PULLSECRET]` or `[REPLACE]` if `key` starts with a misspelled form of it.
fn bracket(key: &str) -> Option<&'static str> {
    let (word, _) = key.strip_prefix('[')?.split_once(']')?;
    let word = word.to_ascii_uppercase();
    // An IPv6 address has colons.
    let kinds = [("EXACT", Key::EXACT), ("PULLSECRET", PullSecret::KEY), ("REPLACE", Key::REPLACE)];
    let mut kinds =
        kinds.into_iter().filter(|(kind, _)| !word.contains(':') && is_near(&word, kind));
    kinds.next().map(|(_, bracket)| bracket)
}

/// Returns the word in brackets with which `key` starts. Hexadecimal digits are a part of an IPv6 address.
pub(super) fn bracketed_word(key: &str) -> Option<&str> {
    let (word, _) = key.strip_prefix('[')?.split_once(']')?;
    let is_word = word.bytes().all(|byte| byte.is_ascii_alphabetic() || b"-_ ".contains(&byte));
    let is_digits = word.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_word && !is_digits).then_some(word)
}

/// Words that are written in place of `noswap_wildcards`.
const EXCLUSIONS: [&str; 4] = ["exclude", "ignore", "noswap", "skip"];

/// Returns the keyword that `key` is a misspelled form of, or another word for.
fn keyword(key: &str) -> Option<&'static str> {
    if key.contains(['.', ':', '/', '*']) {
        return None;
    }
    let lower = key.to_ascii_lowercase();
    if EXCLUSIONS.contains(&&*lower) {
        return Some(Key::NOSWAP_WILDCARDS);
    }
    [Key::DEFAULT, Key::NOSWAP_WILDCARDS].into_iter().find(|keyword| is_near(&lower, keyword))
}

/// Returns true if `text` is `word` with at most two typing errors.
pub(in crate::rules) fn is_near(text: &str, word: &str) -> bool {
    /// With more edits, other words would count as `word`.
    const MAX_EDITS: usize = 2;
    text.len() <= word.len() + MAX_EDITS && strsim::damerau_levenshtein(text, word) <= MAX_EDITS
}
