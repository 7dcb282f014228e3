//! What a review costs from its bytes to those of the answer, and what each way of reading the
//! JSON costs.
//!
//! Run with `cargo bench --bench review`; `-- reader` compares only the readers.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

mod settings;

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use imageswap::{
    admission::{Outcome, Review, Verdict, review::Document},
    rules::{LoadedMap, Policy},
    settings::SAMPLE_MAP,
};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

const LABEL: &str = "k8s.twr.io/imageswap";

fn main() {
    let mut criterion = settings::criterion();
    let bodies = [
        ("create-3-kb", fixture("00-create-pod")),
        ("update-7-kb", fixture("02-update-pod")),
        ("update-70-kb", padded(70_000, 100)),
        ("update-1-mb-short-values", padded(1_000_000, 100)),
        ("update-1-mb-long-values", padded(1_000_000, 20_000)),
    ];
    reviews(&mut criterion, &bodies);
    readers(&mut criterion, &bodies);
    criterion.final_summary();
}

/// The whole of a review, as the server calls it.
fn reviews(criterion: &mut Criterion, bodies: &[(&str, Vec<u8>)]) {
    let policy = Policy::Maps(Box::new(LoadedMap::from_text(SAMPLE_MAP).unwrap().rules));
    let mut group = criterion.benchmark_group("review");
    for (name, body) in bodies {
        let review = Review::from_slice(body).unwrap();
        assert_eq!(Verdict::of(&review, &policy, LABEL).outcome, Outcome::Swapped, "{name}");
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                let review = Review::from_slice(black_box(body)).unwrap();
                Verdict::of(&review, &policy, LABEL).response(&review)
            });
        });
    }
}

/// What is read of a review, a check of the whole document by `serde_json`, and a tree of it.
fn readers(criterion: &mut Criterion, bodies: &[(&str, Vec<u8>)]) {
    for (name, body) in bodies {
        let mut group = criterion.benchmark_group(format!("reader/{name}"));
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function("imageswap", |bencher| {
            bencher.iter(|| Document::from_slice(black_box(body)).unwrap());
        });
        group.bench_function("serde_json-ignored", |bencher| {
            bencher.iter(|| serde_json::from_slice::<IgnoredAny>(black_box(body)).unwrap());
        });
        group.bench_function("serde_json-value", |bencher| {
            bencher.iter(|| serde_json::from_slice::<Value>(black_box(body)).unwrap());
        });
    }
}

/// A review captured from an API server, byte for byte.
fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/reviews/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

/// The captured update of a pod, brought to `bytes`: both objects get the annotation in which
/// kubectl keeps the last object, as JSON within JSON, and environment variables with values of
/// `value_bytes`.
fn padded(bytes: usize, value_bytes: usize) -> Vec<u8> {
    let mut review: Value = serde_json::from_slice(&fixture("02-update-pod")).unwrap();
    for object in ["object", "oldObject"] {
        let object = &mut review["request"][object];
        let last_applied = object["spec"].to_string();
        object["metadata"]["annotations"] =
            json!({ "kubectl.kubernetes.io/last-applied-configuration": last_applied });
    }
    let value = "x".repeat(value_bytes);
    let variable =
        |number: usize| json!({ "name": format!("VARIABLE_{number:05}"), "value": value });
    // Each variable stands in both objects, with a comma.
    let pair_bytes = 2 * (variable(0).to_string().len() + 1);
    let missing_bytes = bytes - review.to_string().len();
    for object in ["object", "oldObject"] {
        let variables = &mut review["request"][object]["spec"]["containers"][0]["env"];
        variables.as_array_mut().unwrap().extend((0..missing_bytes / pair_bytes).map(variable));
    }
    let body = review.to_string().into_bytes();
    assert!(body.len() > bytes * 95 / 100 && body.len() <= bytes, "{} bytes", body.len());
    body
}
