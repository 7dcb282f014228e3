//! Answers to captured reviews, compared byte for byte with recorded answers.
//!
//! The order of JSON fields does not matter to an API server, but an unintended change shows here. To record
//! intended changes, run the test with `IMAGESWAP_WRITE_GOLDEN` set, and review the difference.

use std::{env, fs, path::PathBuf};

use imageswap::{
    admission::{AdmissionSettings, Facts, Review, World, plan},
    rules::{LegacyPrefix, LoadedMap, Policy},
    settings::SAMPLE_MAP,
};

use crate::{MAP, fixture};

const WRITE: &str = "IMAGESWAP_WRITE_GOLDEN";

const REVIEWS: [&str; 8] = [
    "00-create-pod",
    "01-update-pod",
    "02-update-pod",
    "03-update-pod-ephemeralcontainers",
    "04-create-deployment",
    "05-create-cronjob",
    "06-create-pod",
    "07-delete-pod",
];

/// Returns a policy of each kind, with its name in the files.
fn policies() -> [(&'static str, Policy); 4] {
    let maps = |text: &str| Policy::Maps(Box::new(LoadedMap::from_text(text).unwrap().rules));
    [
        ("registries", maps(MAP)),
        ("sample", maps(SAMPLE_MAP)),
        ("nothing", maps("default::")),
        ("legacy", Policy::Legacy(LegacyPrefix::new("registry.example.com/legacy-"))),
    ]
}

#[test]
fn answers_match_the_recorded_ones_byte_for_byte() {
    let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/answers"));
    for (map, policy) in policies() {
        let world = World::new(policy, AdmissionSettings::default());
        let mut answers = String::new();
        for name in REVIEWS {
            let body = fixture(name).to_string();
            let review = Review::from_slice(body.as_bytes()).unwrap();
            let answer = plan(&review, &world).settle(&Facts::default()).to_json(&review);
            answers.push_str(&answer);
            answers.push('\n');
        }
        let file = directory.join(format!("{map}.jsonl"));
        if env::var_os(WRITE).is_some() {
            fs::create_dir_all(&directory).unwrap();
            fs::write(&file, &answers).unwrap();
        }
        let golden = fs::read_to_string(&file).unwrap();
        for ((name, found), expected) in REVIEWS.iter().zip(answers.lines()).zip(golden.lines()) {
            assert_eq!(found, expected, "{name} with {map}");
        }
        assert_eq!(answers, golden, "{map}");
    }
}
