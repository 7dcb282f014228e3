//! Answers to captured reviews, compared byte for byte with recorded answers.
//!
//! The order of JSON fields does not matter to an API server, but an unintended change shows here. To record
//! intended changes, run the test with `IMAGESWAP_WRITE_GOLDEN` set, and review the difference.

use std::{env, fs, path::PathBuf};

use imageswap::{
    admission::{AdmissionSettings, Reporting, Review, World, plan},
    rules::{LegacyPrefix, LoadedMap, Policy},
    settings::SAMPLE_MAP,
};
use serde_json::json;

use crate::{MAP, edited, fixture};

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

/// Returns a world for each file of answers, with the name of the file.
fn worlds() -> [(&'static str, World); 5] {
    let maps = |text: &str| Policy::Maps(Box::new(LoadedMap::from_text(text).unwrap().rules));
    let world = |policy: Policy| World::new(policy, AdmissionSettings::default());
    // Every edit and every record: pull secrets, audit annotations, warnings, and the annotation with the original images.
    let reporting = Reporting { audits: true, warns: true, annotates: true };
    let settings = AdmissionSettings { reporting, ..AdmissionSettings::default() };
    let map = format!("{MAP}[PULLSECRET]hub.corp::hub\n[PULLSECRET]quay.corp::quay, hub\n");
    [
        ("registries", world(maps(MAP))),
        ("sample", world(maps(SAMPLE_MAP))),
        ("nothing", world(maps("default::"))),
        ("legacy", world(Policy::Legacy(LegacyPrefix::new("registry.example.com/legacy-")))),
        ("everything", World::new(maps(&map), settings)),
    ]
}

/// Returns the captured reviews, and one of a custom resource, with their names.
fn reviews() -> Vec<(&'static str, String)> {
    let captured = REVIEWS.iter().map(|name| (*name, fixture(name).to_string()));
    let kind = json!({ "group": "tekton.dev", "version": "v1", "kind": "Task" });
    let steps = json!([{ "image": "nginx:1.27" }, { "image": "quay.io/a/b:2" }]);
    let task = edited(
        "04-create-deployment",
        &[("/request/kind", kind), ("/request/object/spec/steps", steps)],
    );
    captured.chain([("a Task", task.to_string())]).collect()
}

#[test]
fn answers_match_the_recorded_ones_byte_for_byte() {
    let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/answers"));
    let reviews = reviews();
    for (name, world) in worlds() {
        let mut answers = String::new();
        for (_, body) in &reviews {
            let review = Review::with_sites(body.as_bytes(), &world.sites).unwrap();
            let answer = plan(&review, &world).settle().to_json(&review);
            answers.push_str(&answer);
            answers.push('\n');
        }
        let file = directory.join(format!("{name}.jsonl"));
        if env::var_os(WRITE).is_some() {
            fs::create_dir_all(&directory).unwrap();
            fs::write(&file, &answers).unwrap();
        }
        let golden = fs::read_to_string(&file).unwrap();
        for (((review, _), found), expected) in
            reviews.iter().zip(answers.lines()).zip(golden.lines())
        {
            assert_eq!(found, expected, "{review} with {name}");
        }
        assert_eq!(answers, golden, "{name}");
    }
}
