//! `[REPLACE]` globs and `noswap_wildcards` that no image can match, such as regular expressions.

use super::{
    Advice,
    candidate::proposal,
    problem::{TextProblem, text_problem, without_scheme},
    wildcard_keys::with_path,
};
use crate::rules::{diagnostic::shorten, rule::Key};

/// Maximum number of globs that are proposed for the alternatives of one pattern.
const MAX_ALTERNATIVES: usize = 4;

/// Parts of regular expressions that match any number of characters, and the glob for them.
const REPETITIONS: [(&str, &str); 8] = [
    ("[^/]+", "*"),
    ("[^/]*", "*"),
    (".*", "*"),
    (".+", "*"),
    ("\\d+", "*"),
    ("\\w+", "*"),
    ("\\S+", "*"),
    ("\\", ""),
];

/// Returns advice on a glob that no image can match because of `problem`.
pub(in crate::rules) fn glob(problem: TextProblem, text: &str, target: &str) -> Advice {
    let globs = as_globs(text);
    let keys: Option<Vec<_>> =
        globs.map(|globs| globs.iter().map(|glob| format!("{}{glob}", Key::REPLACE)).collect());
    let end = match keys.as_deref() {
        Some([key]) => without_match_all(key).1,
        _ => "",
    };
    let rules = keys.and_then(|keys| {
        let rule = |key: &String| (without_match_all(key).0.to_owned(), target.to_owned());
        proposal(keys.iter().map(rule))
    });
    let hint = match rules {
        Some(rules) if !end.is_empty() => format!("write {rules}{end}"),
        Some(rules) if target.is_empty() || rules.contains('}') => format!("write {rules}"),
        Some(rules) => {
            format!("write {rules}, which keeps only the last path segment of the image")
        }
        None => "a glob has only the wildcards `*`, `?` and `[...]`; write the other characters as in the images".into(),
    };
    advice(text, problem, hint)
}

/// Returns `default` in place of the key of a glob that matches everything, and the end of a hint that proposes it.
pub(super) fn without_match_all(key: &str) -> (&str, &'static str) {
    match key.strip_prefix(Key::REPLACE) {
        Some(glob) if !glob.is_empty() && glob.bytes().all(|byte| byte == b'*') => {
            (Key::DEFAULT, ", and no other `default`")
        }
        _ => (key, ""),
    }
}

/// Returns advice on a glob that ends before the path of the images of its registry.
pub(in crate::rules) fn glob_without_path(text: &str, target: &str) -> Advice {
    let message = format!(
        "a glob stands for whole images, and no image of a registry ends like `{}`",
        shorten(text)
    );
    let glob = format!("{}{}/*", Key::REPLACE, text.trim_end_matches('/'));
    let hint = match with_path(target).and_then(|target| proposal([(glob, target)])) {
        Some(rule) => format!("write {rule}"),
        None => "write `/*` at the end of the glob".into(),
    };
    Advice { message, hint }
}

/// Returns advice on an entry of `noswap_wildcards` with white space in it.
pub(in crate::rules) fn joined_wildcards(entry: &str) -> Advice {
    let joined: String = entry.split_whitespace().collect();
    let texts = entry.split_whitespace().collect::<Vec<_>>().join(",");
    Advice {
        message: format!(
            "no image contains white space, so this is read as `{}`",
            shorten(&joined)
        ),
        hint: format!("write `{}`, with a comma between two texts", shorten(&texts)),
    }
}

/// Returns advice on a text of `noswap_wildcards` that no image can contain because of `problem`.
pub(in crate::rules) fn wildcard(problem: TextProblem, text: &str) -> Advice {
    let hint = match as_globs(text) {
        _ if text.contains(['{', '}']) => {
            "placeholders stand only in targets; write plain text".into()
        }
        Some(globs) if globs.iter().all(|glob| glob.bytes().all(|byte| byte == b'*')) => {
            "remove it; to leave all other images alone, write `default::`".into()
        }
        Some(globs) => match plain_texts(&globs) {
            Some(texts) => format!("these texts have no wildcards; write `{texts}`"),
            None => match proposal(globs.iter().map(|glob| rule_that_leaves_alone(glob))) {
                Some(rules) => format!(
                    "these texts have no wildcards; write {rules} in a line of its own, which applies before the registries"
                ),
                None => without_wildcards(),
            },
        },
        None => without_wildcards(),
    };
    advice(text, problem, hint)
}

fn advice(text: &str, problem: TextProblem, hint: String) -> Advice {
    Advice { message: format!("no image matches `{}`: {problem}", shorten(text)), hint }
}

fn without_wildcards() -> String {
    "these texts have no wildcards; write a part of the image".into()
}

/// Returns the globs as plain texts, separated by commas. `None` if they are not plain.
fn plain_texts(globs: &[String]) -> Option<String> {
    let texts: Vec<_> = globs.iter().map(|glob| glob.trim_matches('*')).collect();
    let is_plain =
        |text: &&str| !text.contains(['*', '?', '[', ',']) && text_problem(text).is_none();
    let texts = texts.iter().all(is_plain).then(|| texts.join(","))?;
    (shorten(&texts) == texts).then_some(texts)
}

/// Returns the `[REPLACE]` rule that leaves alone the images that contain the text of a glob.
fn rule_that_leaves_alone(glob: &str) -> (String, String) {
    let inner = glob.trim_matches('*');
    (format!("{}*{inner}*", Key::REPLACE), String::new())
}

/// Reads a pattern as a glob, or else as a regular expression, and returns globs for it.
fn as_globs(pattern: &str) -> Option<Vec<String>> {
    let is_regular = pattern.contains(['^', '$', '\\', '(', '|']);
    let is_anchored = pattern.starts_with('^') && !pattern.ends_with('$');
    let pattern = pattern.trim_start_matches('^').trim_end_matches('$');
    let pattern = without_scheme(pattern).replace("(?:", "(");
    let read = |pattern: String| {
        let mut regular = REPETITIONS
            .iter()
            .fold(pattern.clone(), |glob, (regular, wildcard)| glob.replace(regular, wildcard));
        if is_anchored && !regular.ends_with('*') {
            regular.push('*');
        }
        let readings = if is_regular { vec![regular] } else { vec![pattern, regular] };
        readings.into_iter().find(|glob| is_glob(glob))
    };
    alternatives(&pattern)?.into_iter().map(read).collect()
}

/// Returns true if the text between the wildcards of a glob can be a part of an image.
fn is_glob(glob: &str) -> bool {
    !glob.is_empty() && glob.split(['*', '?', '[', ']']).all(|part| text_problem(part).is_none())
}

/// Returns the alternatives of a pattern: `a|b`, `(a|b)c`, `{a,b}c`. `None` if there are too many, or they are nested.
fn alternatives(pattern: &str) -> Option<Vec<String>> {
    let Some(open) = pattern.find(['(', '{']) else {
        let all: Vec<_> = pattern.split('|').map(str::to_owned).collect();
        return (all.len() <= MAX_ALTERNATIVES && all.iter().all(|text| !text.is_empty()))
            .then_some(all);
    };
    let (close, separator) = if pattern[open..].starts_with('(') { (')', '|') } else { ('}', ',') };
    let close = open + pattern[open..].find(close)?;
    let (before, inside, after) =
        (&pattern[..open], &pattern[open + 1..close], &pattern[close + 1..]);
    if [before, after].concat().contains(['(', ')', '{', '}', '|']) || inside.contains(['(', '{']) {
        return None;
    }
    let inside: Vec<_> = inside.split(separator).collect();
    let join = |inside: &&str| [before, *inside, after].concat();
    (inside.len() <= MAX_ALTERNATIVES).then(|| inside.iter().map(join).collect())
}
