//! Cost of a review, from the bytes of the request to the bytes of the answer, and cost of different JSON readers.
//!
//! Run it with `cargo bench --bench review`; with `-- reader` it compares only the readers.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

mod reviews;
mod settings;

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use imageswap::{
    admission::{AdmissionSettings, Outcome, Review, World, plan, review::Document},
    rules::{LoadedMap, Policy},
    settings::SAMPLE_MAP,
};
use serde::de::IgnoredAny;
use serde_json::Value;

use self::reviews::{fixture, minimal, padded, with_containers};

fn main() {
    let mut criterion = settings::criterion();
    let bodies = [
        ("create-2-kb", minimal()),
        ("create-3-kb", fixture("00-create-pod")),
        ("update-7-kb", fixture("02-update-pod")),
        ("update-70-kb", padded(70_000, 100)),
        ("update-1-mb-short-values", padded(1_000_000, 100)),
        ("update-1-mb-long-values", padded(1_000_000, 20_000)),
        ("update-6-mb", padded(6_000_000, 100)),
    ];
    reviews(&mut criterion, &bodies);
    patches(&mut criterion);
    readers(&mut criterion, &bodies);
    criterion.final_summary();
}

/// Measures a whole review, as the server handles it.
fn reviews(criterion: &mut Criterion, bodies: &[(&str, Vec<u8>)]) {
    let policy = Policy::Maps(Box::new(LoadedMap::from_text(SAMPLE_MAP).unwrap().rules));
    let world = World::new(policy, AdmissionSettings::default());
    let mut group = criterion.benchmark_group("review");
    for (name, body) in bodies {
        let review = Review::from_slice(body).unwrap();
        assert_eq!(plan(&review, &world).outcome, Outcome::Swapped, "{name}");
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                let review = Review::from_slice(black_box(body)).unwrap();
                plan(&review, &world).settle().to_json(&review)
            });
        });
    }
}

/// Measures only the answer, by the number of images that change.
fn patches(criterion: &mut Criterion) {
    let policy = Policy::Maps(Box::new(LoadedMap::from_text(SAMPLE_MAP).unwrap().rules));
    let world = World::new(policy, AdmissionSettings::default());
    let mut group = criterion.benchmark_group("patch");
    for changes in [4, 1000] {
        let body = with_containers(changes);
        let review = Review::from_slice(&body).unwrap();
        let plan = plan(&review, &world);
        assert_eq!(plan.edits.len(), changes);
        group.throughput(Throughput::Elements(changes as u64));
        group.bench_function(changes.to_string(), |bencher| {
            bencher.iter(|| black_box(&plan).settle().to_json(&review));
        });
    }
}

/// Measures the own reader, a check of the whole document by `serde_json`, and a `serde_json` tree.
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
