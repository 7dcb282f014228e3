//! The AdmissionReview: from bytes to an answer.
//!
//! An input is a body or, if it begins with [`OF_EDITS`], a list of choices that edit a captured review. The answer is
//! compared with a naive walk over the document of `serde_json`: the same refusal or the same patch, which an
//! independent library applies.
//!
//! Three intended differences are not compared: `serde_json` refuses numbers that do not fit in an `f64`, more than 128
//! levels of nesting, and objects and arrays that the program skips without checking their grammar. Such a body has at
//! least as many closing as opening brackets, and its answer is JSON all the same.

mod brackets;
mod edit;
mod naive;

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use imageswap::{
    admission::{AdmissionSettings, Edit, Review, ReviewError, World, plan},
    rules::{MapFile, Policy, RuleSet},
};
use serde_json::{Value, json};
use support::reviews::CAPTURED;

use self::naive::Refusal;

/// The pieces of reviews.
pub const PIECES: &[&str] = &[
    "apiVersion",
    "admission.k8s.io/v1",
    "admission.k8s.io/v1beta1",
    "request",
    "uid",
    "kind",
    "namespace",
    "name",
    "operation",
    "CREATE",
    "UPDATE",
    "DELETE",
    "CONNECT",
    "object",
    "oldObject",
    "metadata",
    "labels",
    "annotations",
    "k8s.twr.io/imageswap",
    "disabled",
    "kubernetes.io/config.mirror",
    "spec",
    "template",
    "jobTemplate",
    "containers",
    "initContainers",
    "ephemeralContainers",
    "volumes",
    "image",
    "reference",
    "imagePullPolicy",
    "pullPolicy",
    "Never",
    "ownerReferences",
    "controller",
    "auto",
    "Pod",
    "CronJob",
    "PodTemplate",
    "Deployment",
    "null",
    "true",
    "false",
    "{}",
    "[]",
    "{\"",
    "\":",
    "\",\"",
    "\\u",
    "\\ud83d\\ude00",
    "\\\"",
    "1e999",
    "-0",
    "nginx:1",
    "quay.io/a/b",
];

/// The first byte of an input whose other bytes choose edits of a captured review.
pub(crate) const OF_EDITS: u8 = 3;

/// The label that turns swapping off.
pub(crate) const DISABLE_LABEL: &str = "k8s.twr.io/imageswap";

/// A world whose map has no chain, so that a second review of a swapped object changes nothing.
static WORLD: LazyLock<World> = LazyLock::new(|| {
    let map = "default::d.io\ndocker.io::hub.corp/mirror-\nquay.io::quay.corp\n\
               ghcr.io/acme::h.io/acme\n[EXACT]busybox::h.io/box\nnoswap_wildcards::left.io\n";
    let rules = RuleSet::compile(MapFile::parse(map).0);
    World::new(Policy::Maps(Box::new(rules.unwrap_or_default())), AdmissionSettings::default())
});

/// Runs the review of an input.
///
/// # Panics
/// If the review is refused or answered wrongly.
pub fn run(data: &[u8]) {
    match data.split_first() {
        Some((&OF_EDITS, choices)) => {
            if let Some(text) = edit::review(choices) {
                assert_review(text.as_bytes());
            }
        }
        _ => assert_review(data),
    }
}

/// The captured reviews.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let edited = (0..8).map(|review| vec![OF_EDITS, review, 1, 2, 3, 4, 5, 6, 7]);
    CAPTURED.iter().map(|review| review.as_bytes().to_vec()).chain(edited).collect()
}

fn assert_review(body: &[u8]) {
    let shown = || String::from_utf8_lossy(body);
    let found = Review::from_slice(body);
    let value = match serde_json::from_slice::<Value>(body) {
        Ok(value) => value,
        Err(error) => {
            let is_intended = ["number out of range", "recursion limit exceeded"]
                .iter()
                .any(|reason| error.to_string().starts_with(reason));
            match found {
                Err(ReviewError::Json(error)) => assert_position(body, &error),
                found => {
                    let is_possible = is_intended || brackets::is_one_container(body);
                    assert!(is_possible, "{error}: {}", shown());
                    if let Ok(review) = found {
                        let answer = plan(&review, &WORLD).settle().to_json(&review);
                        let read = serde_json::from_str::<Value>(&answer);
                        assert!(read.is_ok(), "{answer}: {}", shown());
                    }
                }
            }
            return;
        }
    };
    let expected = naive::expected(&value, DISABLE_LABEL, &WORLD.policy);
    let (review, expected) = match (&found, expected) {
        (Ok(review), Ok(expected)) => (review, expected),
        (Err(error), Err(refusal)) => return assert_refusal(error, &refusal),
        (found, expected) => panic!("{found:?} is not {expected:?}: {}", shown()),
    };
    let plan = plan(review, &WORLD);
    assert_eq!(plan.operation.as_str(), expected.operation, "{}", shown());
    assert_eq!(plan.kind.as_str(), expected.kind, "{}", shown());
    let changes: Vec<_> = plan
        .edits
        .iter()
        .map(|Edit::Image { at, to, .. }| (at.to_string(), to.to_string()))
        .collect();
    assert_eq!(plan.outcome.as_str(), expected.outcome(&changes), "{}", shown());
    assert!(expected.allows(&changes), "{changes:?} is not {expected:?}: {}", shown());
    assert_answer(&value, &plan.settle().to_json(review), &changes);
}

fn assert_position(body: &[u8], error: &imageswap::admission::JsonError) {
    let lines: Vec<_> = body.split(|&byte| byte == b'\n').collect();
    let line = lines.get(error.line() - 1);
    assert!(line.is_some_and(|line| error.column() <= line.len() + 1), "{error}: {lines:?}");
}

fn assert_refusal(error: &ReviewError, expected: &Refusal) {
    let found = match error {
        ReviewError::Json(error) => panic!("{error} is not {expected:?}"),
        ReviewError::NoRequest => Refusal::NoRequest,
        ReviewError::NoUid => Refusal::NoUid,
        ReviewError::UnsupportedVersion(version) => Refusal::UnsupportedVersion(version.clone()),
    };
    assert_eq!(found, *expected);
}

/// Checks that the API server would accept the answer, and that its patch sets exactly the changed images.
fn assert_answer(review: &Value, answer: &str, changes: &[(String, String)]) {
    let Ok(mut answer) = serde_json::from_str::<Value>(answer) else {
        panic!("not JSON: {answer}")
    };
    let patch = answer["response"].as_object_mut().and_then(|response| response.remove("patch"));
    let version = review["apiVersion"].as_str().unwrap_or("admission.k8s.io/v1");
    let mut expected = json!({
        "apiVersion": version,
        "kind": "AdmissionReview",
        "response": { "uid": review["request"]["uid"], "allowed": true },
    });
    if !changes.is_empty() {
        expected["response"]["patchType"] = json!("JSONPatch");
    }
    assert_eq!(answer, expected);
    assert_eq!(patch.is_some(), !changes.is_empty());
    let Some(patch) = patch else { return };
    let patch = patch.as_str().and_then(|patch| STANDARD.decode(patch).ok()).unwrap_or_default();
    let Ok(patch) = serde_json::from_slice::<json_patch::Patch>(&patch) else {
        panic!("not a patch: {}", String::from_utf8_lossy(&patch))
    };
    assert_eq!(patch.0.len(), changes.len(), "{patch}");

    let mut patched = review.clone();
    let object = &mut patched["request"]["object"];
    if let Err(error) = json_patch::patch(object, &patch) {
        panic!("{error}: {patch} on {object}");
    }
    let mut expected = review["request"]["object"].clone();
    for (pointer, image) in changes {
        match expected.pointer_mut(pointer) {
            Some(value) => *value = json!(image),
            None => panic!("there is no {pointer} in {expected}"),
        }
    }
    assert_eq!(*object, expected);
    assert_swapped_once(&patched);
}

/// Checks that a second review of a swapped object changes nothing.
fn assert_swapped_once(review: &Value) {
    let body = review.to_string();
    let again = Review::from_slice(body.as_bytes());
    let changes = again.as_ref().map(|again| {
        let edits = plan(again, &WORLD).edits;
        edits.iter().map(|Edit::Image { from, .. }| (*from).to_owned()).collect::<Vec<_>>()
    });
    assert!(changes.as_ref().is_ok_and(Vec::is_empty), "{changes:?} once more in {body}");
}
