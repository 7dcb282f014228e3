//! Manifests in the shapes that people and tools write them in, from `tests/fixtures/manifests`.
//!
//! `expected.txt` there lists what is rewritten in each file and what is told about it. With
//! `IMAGESWAP_WRITE_GOLDEN=1` the test writes it.

use std::{collections::BTreeSet, env, fmt::Write, fs, path::Path};

use super::{MAP, compare::differences, problems, rewrite, world};
use imageswap::rules::Policy;

const DIRECTORY: &str = "tests/fixtures/manifests";

#[test]
fn the_shapes_of_manifests_are_rewritten_in_place() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(DIRECTORY);
    let world = world(MAP);
    let Policy::Maps(rules) = &*world.policy else { panic!("a map") };
    let mut found = String::new();
    let files = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|file| !file.ends_with("expected.txt")).collect::<BTreeSet<_>>();
    assert!(files.len() >= 30, "{}", files.len());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let rewritten = rewrite(&text);
        for (from, to) in differences(&text, &rewritten.text) {
            assert_eq!(rules.decide(&from).result(&from), to, "{}", file.display());
        }
        // A change keeps the number of lines.
        assert_eq!(text.lines().count(), rewritten.text.lines().count(), "{}", file.display());
        let name = file.file_name().unwrap().to_str().unwrap();
        for change in &rewritten.changes {
            writeln!(found, "{name}:{}: {} -> {}", change.line, change.from, change.to).unwrap();
        }
        for problem in problems(&rewritten) {
            writeln!(found, "{name}:{problem}").unwrap();
        }
        if rewritten.text == text && rewritten.notes.is_empty() {
            writeln!(found, "{name}: stays").unwrap();
        }
    }
    let golden = directory.join("expected.txt");
    if env::var_os("IMAGESWAP_WRITE_GOLDEN").is_some() {
        fs::write(&golden, &found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(&golden).unwrap_or_default());
}
