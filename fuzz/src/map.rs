//! The map: its lines, its decisions, the diagnostics of `check`, and LEGACY mode.
//!
//! An input consists of a map and images; the target adds images to which the rules apply. Every decision is compared
//! with the oracle of the rule tests, and the laws are those of the tests on random maps.

use imageswap::{
    image::MAX_IMAGE_BYTES,
    rules::{LegacyPrefix, LoadedMap, Rule},
};
use support::{cases, laws::Map};

use crate::inputs::{self, sample};

/// The pieces of maps and images.
pub const PIECES: &[&str] = &[
    "",
    "\n",
    "::",
    ":",
    "/",
    "default::",
    "[EXACT]",
    "[PULLSECRET]",
    "[REPLACE]",
    "noswap_wildcards::",
    "auto",
    "kind:",
    "---",
    "{",
    "https://",
    "A",
    "docker.io",
    "index.docker.io",
    "localhost",
    "library",
    "a.io",
    "b.io",
    "a.io:443",
    ":80",
    "name:5000",
    "m-a.io",
    "m-",
    "-",
    "*",
    "?",
    "[ab]",
    "[!a]",
    "[",
    "]",
    ":1",
    "@sha256:ab",
    "@",
    "a",
    "b",
    ",",
    "#",
    " ",
    "\r",
    "\t",
    "\u{feff}",
    "[::1]",
    "é",
    ".",
    "\ndefault::d.io\n",
    "/a",
    "/b",
    "{registry}",
    "{path}",
    "/{registry}",
    "/{path}",
    "}",
    "*.",
    "*.io",
    "*.a.io",
    "x.a.io",
    "A.io",
    "INDEX.docker.io",
    "docker.io:443",
    "[FD00::a]",
    "[fd00::a]:80",
    "[:@]",
    "llllllllllllllll",
    "@sha256:0123456789abcdef0123456789abcdef",
];

/// Maximum size of a map in bytes. The oracle tries every rule for each image, so larger maps would be slow.
const MAX_BYTES: usize = 8192;

/// Maximum number of images of an input. More would only make it slow.
const MAX_IMAGES: usize = 8;

/// Maximum number of rules for which images are added.
const MAX_RULES_WITH_IMAGES: usize = 4;

/// Runs the map of an input on its images.
///
/// # Panics
/// If a decision differs from that of the oracle, a law does not hold, or a diagnostic has no valid position.
pub fn run(data: &[u8]) {
    let mut texts = inputs::texts(data, PIECES, MAX_BYTES).into_iter();
    let text = texts.next().unwrap_or_default();
    let map = Map::read(&text);
    map.assert_prints_and_reads_back();
    assert_diagnostics(&text);
    let mut images: Vec<_> = texts.take(MAX_IMAGES).collect();
    if let [prefix, images @ ..] = &*images {
        for image in images {
            assert_legacy(prefix, image);
        }
    }
    let rules = map.rules().rules().iter().take(MAX_RULES_WITH_IMAGES);
    images.extend(rules.flat_map(images_of));
    for image in &images {
        map.assert_decides_like_oracle(image);
        map.assert_finds_pull_secrets_like_oracle(image);
        map.assert_explains_its_decision(image);
        map.assert_keeps_references_valid(image);
        map.assert_idempotent_or_chained(image);
    }
}

/// Returns the maps of the rule tests with their images, and the sample map.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = cases::all().map(|case| inputs::of_texts(&[case.map, "d.io", case.image]));
    let sample = imageswap::settings::SAMPLE_MAP;
    texts.chain([inputs::of_texts(&[sample, "nginx", "quay.io/a/b:1"])]).collect()
}

/// Returns images for a rule: images that it matches, and results of it.
fn images_of(rule: &Rule) -> Vec<String> {
    let key = rule.key.to_string();
    let mut images = if let Some(image) = key.strip_prefix("[EXACT]") {
        vec![image.to_owned()]
    } else if let Some(glob) = key.strip_prefix("[REPLACE]") {
        vec![sample(glob, ""), sample(glob, "a.io/b")]
    } else if key == "default" || key == "noswap_wildcards" {
        vec!["nginx:1".to_owned(), "[::1]:80/a".to_owned()]
    } else {
        images_of_registry(&key)
    };
    let target = rule.target.text().trim_end_matches('/');
    let filled = target.replace("{registry}", "a.io").replace("{path}", "a/b");
    images.extend([format!("{target}/a"), format!("{target}a.io/b:1"), target.to_owned()]);
    images.extend([format!("{filled}/a/b:1"), target.to_ascii_uppercase(), filled]);
    images
}

/// Returns images that a registry key matches.
fn images_of_registry(key: &str) -> Vec<String> {
    let key = match key.strip_prefix("*.") {
        Some(domain) => format!("x.{domain}"),
        None => key.to_owned(),
    };
    let (host, path) = key.split_at(key.find('/').unwrap_or(key.len()));
    let upper = host.to_ascii_uppercase();
    vec![
        format!("{key}/a/b:1"),
        format!("{key}:1"),
        format!("{host}:80{path}/a"),
        format!("{upper}{path}/a"),
        format!("y.{host}{path}/a"),
    ]
}

/// Checks that each diagnostic has a message and a valid position in the map.
fn assert_diagnostics(text: &str) {
    let Ok(loaded) = LoadedMap::from_text(text) else { panic!("the map does not compile: {text}") };
    let lines: Vec<_> = imageswap::rules::line::without_byte_order_mark(text).split('\n').collect();
    for diagnostic in loaded.diagnostics.kept() {
        assert!(!diagnostic.message.is_empty() && !diagnostic.hint.is_empty(), "{diagnostic:?}");
        let line = |number: u32| lines.get(number as usize - 1);
        if let Some(number) = diagnostic.line {
            let part = line(number).and_then(|line| line.get(diagnostic.span.clone()));
            assert!(part.is_some_and(|part| !part.is_empty()), "{diagnostic:?} in {text}");
        }
        if let Some(related) = &diagnostic.related {
            assert!(line(related.line).is_some(), "{diagnostic:?} in {text}");
        }
    }
}

/// Checks a decision in LEGACY mode with a naive reading of section 6 of the swap rules.
fn assert_legacy(prefix: &str, image: &str) {
    let last = image.rsplit('/').next().unwrap_or_default();
    let is_malformed =
        image.chars().any(|c| !c.is_ascii_alphanumeric() && !"._-:/@+[]".contains(c));
    let is_unchanged = image.is_empty()
        || is_malformed
        || image == "auto"
        || image.len() > MAX_IMAGE_BYTES
        || image.contains(prefix);
    let expected = if is_unchanged {
        image.to_owned()
    } else if prefix.ends_with('-') {
        format!("{prefix}{image}")
    } else {
        format!("{}/{last}", prefix.trim_end_matches('/'))
    };
    let legacy = LegacyPrefix::new(prefix);
    assert_eq!(legacy.decide(image).result(image), expected, "{prefix} before {image}");
    assert_eq!(legacy.decide(&expected).result(&expected), expected, "{prefix} before {image}");
}
