//! Globs: matching, and the relations between globs that the lints use.
//!
//! An input consists of two globs and texts; the target adds texts that the globs are likely to match. Matching is
//! compared with the oracle of the rule tests. Inputs of runs make globs with hundreds of stars.

use imageswap::rules::Glob;
use support::{cases, laws};

use crate::inputs::{self, OF_RUNS, sample};

/// The pieces of globs and texts.
pub const PIECES: &[&str] = &[
    "", "*", "?", "a", "b", "/", "[ab]", "[!a]", "[", "]", "!", "-", "[a-c]", "[]a]", "[!]]",
    "[z-a]", ".io", ":1", "*a", "a*", "?*", "*[!b]", "aab", "é", "**", "a/b", "[é-ö]", "[--/]",
    "[:@]", "A",
];

/// Maximum size of a glob or text in bytes: the steps of the oracle grow with the product of both lengths.
const MAX_BYTES: usize = 512;

/// Maximum number of texts of an input. More would only make it slow.
const MAX_TEXTS: usize = 4;

/// Maximum number of positions in a text that are checked one by one.
const MAX_POSITIONS: usize = 64;

/// Runs the globs of an input on its texts.
///
/// # Panics
/// If a glob matches a text that it must not match, or does not match one that it must match.
pub fn run(data: &[u8]) {
    let mut texts = inputs::texts(data, PIECES, MAX_BYTES).into_iter();
    let (one, other) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
    let mut texts: Vec<_> = texts.take(MAX_TEXTS).collect();
    texts.extend([sample(&one, ""), sample(&one, "a/b"), sample(&other, "x")]);
    for (glob, other) in [(&one, &other), (&other, &one)] {
        for text in &texts {
            laws::assert_matches_like_oracle(glob, text);
        }
        laws::assert_glob_relations_hold(glob, other, &texts);
        assert_parts(glob, &texts);
    }
}

/// Returns the globs of the rule tests with their images, and globs on which a backtracking matcher would not end.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let of_case = |glob: &str, image: &str| inputs::of_texts(&[glob, "*a*", image]);
    let mut seeds: Vec<_> = cases::all()
        .flat_map(|case| {
            let globs = case.map.lines().filter_map(|line| line.strip_prefix("[REPLACE]"));
            globs.filter_map(|glob| Some(of_case(glob.split_once("::")?.0, case.image)))
        })
        .collect();
    seeds.sort_unstable();
    seeds.dedup();
    let piece = |text: &str| PIECES.iter().position(|piece| *piece == text).unwrap_or_default();
    let runs = |runs: &[(&str, u8)]| -> Vec<u8> {
        runs.iter()
            .flat_map(|(text, count)| [u8::try_from(piece(text)).unwrap_or(1), *count])
            .collect()
    };
    let stars =
        [runs(&[("*a", 200), ("b", 1)]), runs(&[("?*", 200)]), runs(&[("a", 255), ("a", 255)])];
    seeds.push([&[OF_RUNS], &*stars.join(&0)].concat());
    seeds
}

/// Checks the parts of a glob that the lints use.
fn assert_parts(text_of_glob: &str, texts: &[String]) {
    let glob = Glob::parse(text_of_glob);
    let tail = glob.after_leading_stars();
    let prefixed = glob.clone().prefixed("*/[a");
    for text in texts {
        let matches = glob.matches(text);
        assert!(matches || !glob.matches_everything(), "{text_of_glob} on {text}");
        if matches {
            assert!(
                glob.literals().all(|literal| text.contains(literal)),
                "{text_of_glob} on {text}"
            );
            for (end, _) in text.char_indices().take(MAX_POSITIONS) {
                assert!(glob.matches_some_extension_of(&text[..end]), "{text_of_glob} on {text}");
            }
        }
        if let Some(tail) = &tail
            && text.len() <= MAX_POSITIONS
        {
            let ends = text.char_indices().map(|(at, _)| &text[at..]).chain([""]);
            assert_eq!(
                ends.clone().any(|end| tail.matches(end)),
                matches,
                "{text_of_glob} on {text}"
            );
        }
        assert_eq!(prefixed.matches(&format!("*/[a{text}")), matches, "{text_of_glob} on {text}");
    }
}
