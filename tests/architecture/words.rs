//! The words: how doc comments begin, and terms that have given way to the field's own.
//!
//! CONTRIBUTING.md has the terms and the reasons.

use std::{fs, path::Path};

/// Words with which a doc comment does not begin: it says what the item does or holds.
const RIDDLES: &[&str] =
    &["How", "What", "When", "Where", "Whether", "Which", "Who", "Whose", "Why"];

/// Terms that are not used, each with the one that is.
const TERMS: &[(&str, &str)] = &[
    ("anchor of trust", "certificate authority"),
    ("bring along", "user-provided"),
    ("brought along", "user-provided"),
    ("brought in line", "updated"),
    ("certificate slot", "live value"),
    ("complaint", "warning"),
    ("deafness", "event hold-off"),
    ("keeper", "controller"),
    ("map slot", "live value"),
    ("mended", "fixed"),
    ("not as it should be", "reconciliation failed"),
    ("the longest that", "timeout"),
    ("the most bytes", "maximum size"),
    ("throttle", "log rate limiter"),
];

/// Files and folders whose prose is checked.
const PROSE: &[&str] = &[
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "benches",
    "build.rs",
    "config",
    "deploy",
    "docs",
    "examples",
    "src",
    "tests/support/src",
];

#[test]
fn doc_comments_say_what_an_item_does() {
    let mut wrong = Vec::new();
    for (place, lines) in texts(&["src", "tests/support/src", "examples", "benches", "build.rs"]) {
        let mut is_first = true;
        for (number, line) in lines.lines().enumerate() {
            let line = line.trim_start();
            let comment = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
            let first = comment.and_then(|comment| comment.split_whitespace().next());
            if is_first && first.is_some_and(|first| RIDDLES.contains(&first)) {
                wrong.push(format!("{place}:{}: {line}", number + 1));
            }
            is_first = comment.is_none();
        }
    }
    assert!(wrong.is_empty(), "say what the item does or holds:\n{}", wrong.join("\n"));
}

#[test]
fn one_thing_has_one_word() {
    let mut wrong = Vec::new();
    for (place, text) in texts(PROSE) {
        for (number, line) in text.lines().enumerate() {
            let lower = line.to_lowercase();
            for (term, better) in TERMS.iter().filter(|(term, _)| has_words(&lower, term)) {
                wrong.push(format!("{place}:{}: {term}: write {better}", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "terms of CONTRIBUTING.md:\n{}", wrong.join("\n"));
}

/// Returns true if a line has these words; a part of a longer word does not count.
fn has_words(line: &str, words: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '-';
    line.match_indices(words).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + words.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// Reads the text files at these paths, each with its path.
fn texts(paths: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    for path in paths {
        read(root, &root.join(path), &mut texts);
    }
    texts
}

fn read(root: &Path, path: &Path, texts: &mut Vec<(String, String)>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            read(root, &entry.unwrap().path(), texts);
        }
    } else if let Ok(text) = fs::read_to_string(path) {
        texts.push((path.strip_prefix(root).unwrap().display().to_string(), text));
    }
}
