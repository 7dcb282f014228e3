//! Cost of loading a map: parsing, compiling and linting.
//!
//! Run it with `cargo bench --bench map`; with `-- lint` it runs only the lints.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

#[expect(dead_code, reason = "this benchmark makes no decisions")]
mod maps;
mod settings;

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use imageswap::rules::{MAX_MAP_BYTES, MapFile, MapScope, RuleSet, lint::lint};

use self::maps::mixed_map;

/// Numbers of rules: a small map, a large one, and one with a rule for every existing image.
const RULES: [usize; 3] = [10, 1000, 100_000];

fn main() {
    let mut criterion = settings::criterion();
    let mut maps: Vec<_> = RULES.map(|rules| (rules.to_string(), mixed_map(rules))).into();
    maps.push(("16-mib".to_owned(), largest_map()));
    steps(&mut criterion, &maps);
    criterion.final_summary();
}

/// Measures each step of loading a map separately. Compiling starts with a parsed map, whose parsing is not counted.
fn steps(criterion: &mut Criterion, maps: &[(String, String)]) {
    let mut group = criterion.benchmark_group("map");
    group.sample_size(10);
    for (name, map) in maps {
        group.throughput(Throughput::Bytes(map.len() as u64));
        group.bench_function(BenchmarkId::new("parse", name), |bencher| {
            bencher.iter_with_large_drop(|| MapFile::parse(black_box(map)));
        });
        group.bench_function(BenchmarkId::new("compile", name), |bencher| {
            bencher.iter_batched(
                || MapFile::parse(map).0,
                |parsed| RuleSet::compile(parsed).unwrap(),
                BatchSize::PerIteration,
            );
        });
        let rules = RuleSet::compile(MapFile::parse(map).0).unwrap();
        group.bench_function(BenchmarkId::new("lint", name), |bencher| {
            bencher.iter_with_large_drop(|| lint(black_box(&rules), MapScope::Cluster, map));
        });
    }
}

/// Returns a map of the maximum size: one more line would not fit.
fn largest_map() -> String {
    // Less than the average length of a line, so there are enough lines.
    const LINE_BYTES: usize = 50;
    let mut map = mixed_map(MAX_MAP_BYTES / LINE_BYTES);
    let end = map[..MAX_MAP_BYTES].rfind('\n').unwrap() + 1;
    map.truncate(end);
    assert!(map.len() > MAX_MAP_BYTES - 100, "{} bytes", map.len());
    map
}
