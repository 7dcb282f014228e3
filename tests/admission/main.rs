//! Reviews captured from a real API server, and variations of them.
//!
//! The tests check which images change, and apply the patch to the object with an independent library.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod candidate;
mod golden;
mod pull_secrets;
mod records;
mod refusals;
mod scope;
mod shapes;
mod sites;

use base64::{Engine, engine::general_purpose::STANDARD};
use imageswap::{
    admission::{AdmissionSettings, Edit, Review, World, plan},
    rules::{MapFile, Policy, RuleSet},
};
use kube::core::{
    DynamicObject,
    admission::{AdmissionResponse, AdmissionReview},
};
use serde_json::{Value, json};

const MAP: &str = "\
default::d.io
docker.io::hub.corp/mirror-
quay.io::quay.corp
ghcr.io/acme::h.io/acme
";

const LABEL: &str = "k8s.twr.io/imageswap";

/// Changes, as pairs of JSON Pointer and new image.
type Changes = &'static [(&'static str, &'static str)];

fn world(map: &str) -> World {
    let rules = RuleSet::compile(MapFile::parse(map).0).unwrap();
    World::new(Policy::Maps(Box::new(rules)), AdmissionSettings::default())
}

fn fixture(name: &str) -> Value {
    serde_json::from_str(&support::reviews::fixture(name)).unwrap()
}

/// Answers a review and checks the answer: kube's types parse it, it has the uid of the review, and it patches exactly
/// `changes`.
fn assert_answer(name: &str, review: &Value, map: &str, outcome: &str, changes: Changes) {
    let body = review.to_string();
    let world = world(map);
    let parsed = Review::from_slice(body.as_bytes()).unwrap();
    let plan = plan(&parsed, &world);
    assert_eq!(plan.outcome.as_str(), outcome, "{name}");
    let answer = plan.settle().to_json(&parsed);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let expected_type = if changes.is_empty() { Value::Null } else { json!("JSONPatch") };
    assert_eq!(answer["response"]["patchType"], expected_type, "{name}");
    let patch: Option<json_patch::Patch> = answer["response"]["patch"]
        .as_str()
        .map(|patch| serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap());
    assert_kube_agrees(name, review, answer, patch.clone());

    let mut expected = review["request"]["object"].clone();
    for (pointer, image) in changes {
        *expected.pointer_mut(pointer).unwrap() = json!(image);
    }
    let mut patched = review["request"]["object"].clone();
    if let Some(patch) = patch {
        assert!(
            patch
                .0
                .iter()
                .all(|operation| matches!(operation, json_patch::PatchOperation::Replace(_))),
            "{name}: {patch}"
        );
        assert_eq!(patch.0.len(), changes.len(), "{name}: {patch}");
        json_patch::patch(&mut patched, &patch).unwrap();
    }
    assert_eq!(patched, expected, "{name}");
}

/// Reads review and answer with the types of kube, and compares the answer with the one that kube makes for the same
/// request and patch.
fn assert_kube_agrees(
    name: &str,
    review: &Value,
    mut answer: Value,
    patch: Option<json_patch::Patch>,
) {
    // On the wire a patch is base64, as Go writes bytes, and `status` is optional. kube's type needs an array of
    // numbers and a status.
    answer["response"]["status"] = json!({});
    if let Some(patch) = answer["response"]["patch"].as_str() {
        answer["response"]["patch"] = json!(STANDARD.decode(patch).unwrap());
    }
    let answer: AdmissionReview<DynamicObject> = serde_json::from_value(answer).unwrap();
    let mut request = review.clone();
    // A DynamicObject needs metadata. The answer does not depend on it.
    request["request"]["object"] = Value::Null;
    request["request"]["oldObject"] = Value::Null;
    let request: AdmissionReview<DynamicObject> = serde_json::from_value(request).unwrap();
    assert_eq!(answer.types, request.types, "{name}");
    let expected = AdmissionResponse::from(&request.request.unwrap());
    let expected = match patch {
        Some(patch) => expected.with_patch(patch).unwrap(),
        None => expected,
    };
    let response = answer.response.unwrap();
    assert_eq!(
        (response.uid, response.allowed, response.audit_annotations, response.warnings),
        (expected.uid, expected.allowed, expected.audit_annotations, expected.warnings),
        "{name}"
    );
    let operations = |patch: Option<Vec<u8>>| -> Option<Value> {
        patch.map(|patch| serde_json::from_slice(&patch).unwrap())
    };
    assert_eq!(operations(response.patch), operations(expected.patch), "{name}");
}

/// Returns a captured review with other values at some JSON Pointers.
fn edited(name: &str, edits: &[(&str, Value)]) -> Value {
    let mut review = fixture(name);
    for (pointer, value) in edits {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = review.pointer_mut(parent).unwrap();
        match parent {
            Value::Array(array) if key == "-" => array.push(value.clone()),
            Value::Array(array) => array[key.parse::<usize>().unwrap()] = value.clone(),
            _ => parent[key.replace("~1", "/")] = value.clone(),
        }
    }
    review
}

#[test]
fn captured_reviews_get_the_expected_changes() {
    let cases: &[(&str, &str, Changes)] = &[
        (
            "00-create-pod",
            "swapped",
            &[
                ("/spec/initContainers/0/image", "hub.corp/mirror-docker.io/library/busybox:1.36"),
                ("/spec/containers/0/image", "hub.corp/mirror-docker.io/nginx:1.27"),
                ("/spec/containers/1/image", "quay.corp/prometheus/node-exporter:v1.8.2"),
                ("/spec/volumes/0/image/reference", "h.io/acme/model:v3"),
            ],
        ),
        ("01-update-pod", "unchanged", &[]),
        (
            "02-update-pod",
            "swapped",
            &[("/spec/containers/0/image", "hub.corp/mirror-docker.io/nginx:1.28")],
        ),
        (
            "03-update-pod-ephemeralcontainers",
            "swapped",
            &[("/spec/ephemeralContainers/0/image", "hub.corp/mirror-docker.io/busybox:1.36")],
        ),
        (
            "04-create-deployment",
            "swapped",
            &[
                ("/spec/template/spec/initContainers/0/image", "hub.corp/mirror-docker.io/busybox"),
                (
                    "/spec/template/spec/containers/0/image",
                    "d.io/acme/api@sha256:15d3b5c4f521a84896ed1ead1b14e4774d02202d5c65ab68f30eeaf310a3b1a7",
                ),
            ],
        ),
        (
            "05-create-cronjob",
            "swapped",
            &[(
                "/spec/jobTemplate/spec/template/spec/containers/0/image",
                "hub.corp/mirror-docker.io/python:3.12-slim",
            )],
        ),
        (
            "06-create-pod",
            "swapped",
            &[
                ("/spec/initContainers/0/image", "hub.corp/mirror-docker.io/busybox"),
                (
                    "/spec/containers/0/image",
                    "d.io/acme/api@sha256:15d3b5c4f521a84896ed1ead1b14e4774d02202d5c65ab68f30eeaf310a3b1a7",
                ),
            ],
        ),
        ("07-delete-pod", "no-images", &[]),
    ];
    for (name, outcome, changes) in cases {
        assert_answer(name, &fixture(name), MAP, outcome, changes);
    }
}

#[test]
fn a_swapped_pod_is_left_alone_when_it_comes_again() {
    let body = fixture("00-create-pod").to_string();
    let world = world(MAP);
    let parsed = Review::from_slice(body.as_bytes()).unwrap();
    let edits: Vec<_> = plan(&parsed, &world)
        .edits
        .iter()
        .map(|Edit::Image { at, to, .. }| (format!("/request/object{at}"), json!(to.to_string())))
        .collect();
    let edits: Vec<_> =
        edits.iter().map(|(pointer, value)| (pointer.as_str(), value.clone())).collect();
    assert_eq!(edits.len(), 4);
    let again = edited("00-create-pod", &edits);
    assert_answer("swapped pod", &again, MAP, "unchanged", &[]);
}

#[test]
fn a_v1beta1_review_gets_a_v1beta1_answer() {
    let review = edited("05-create-cronjob", &[("/apiVersion", json!("admission.k8s.io/v1beta1"))]);
    assert_answer("v1beta1", &review, "default::", "unchanged", &[]);
}

#[test]
fn an_answer_without_changes_is_short() {
    let body = fixture("07-delete-pod").to_string();
    let review = Review::from_slice(body.as_bytes()).unwrap();
    let answer = plan(&review, &world(MAP)).settle().to_json(&review);
    assert_eq!(
        answer,
        r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"a75c841c-71f3-419e-8e06-1da3e7f0bc64","allowed":true}}"#
    );
}
