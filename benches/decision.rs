//! What one decision costs, by what decides and by how many rules there are, and what it costs to
//! compile a map.
//!
//! Run with `cargo bench --bench decision`; `-- glob` runs only what has `glob` in its name.
//!
//! The images of a benchmark are spread over the whole map, a thousand of them in turn. With a
//! single image all that a decision touches would stay in the processor's first cache, and a
//! large map would look like a small one.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

mod settings;

use std::{fmt::Write, hint::black_box};

use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, measurement::WallTime};
use imageswap::rules::{MapFile, Reason, RuleSet};

/// The numbers of rules: a small map, a large one, and one with a rule for every image there is.
const RULES: [usize; 3] = [10, 1000, 100_000];

/// The numbers of globs.
const GLOBS: [usize; 2] = [100, 10_000];

/// The most images of one benchmark.
const MAX_IMAGES: usize = 1000;

fn main() {
    let mut criterion = settings::criterion();
    decisions(&mut criterion);
    globs(&mut criterion);
    compile(&mut criterion);
    criterion.final_summary();
}

/// Decisions by each kind of rule but globs.
fn decisions(criterion: &mut Criterion) {
    // Name, reason, and the image for the rule with a number.
    type Kind = (&'static str, Reason, fn(usize) -> String);
    let kinds: [Kind; 6] = [
        ("exact", Reason::Exact, |n| format!("exact-{n}.example.com/team/app:1.27.3")),
        ("registry", Reason::Registry, |n| format!("registry-{n}.example.com/team/app:1.27.3")),
        ("path-prefix", Reason::Registry, |n| format!("path-{n}.example.com/team/app:1.27.3")),
        ("default", Reason::Default, |n| format!("other-{n}.example.com/team/app:1.27.3")),
        ("noswap-wildcard", Reason::NoswapWildcard, |n| format!("internal-{n}/team/app:1.27.3")),
        ("already-swapped", Reason::AlreadySwapped, |n| {
            format!("mirror.example.com/{n}/registry/team/app:1.27.3")
        }),
    ];
    for (name, reason, image) in kinds {
        let mut group = criterion.benchmark_group(format!("decision/{name}"));
        for rules in RULES {
            let set = compiled(&mixed_map(rules));
            let images = spread(rules / 3 - 1, image);
            measure(&mut group, BenchmarkId::from_parameter(rules), &set, &images, reason);
        }
    }
}

/// Decisions by `[REPLACE]` globs, and past them.
fn globs(criterion: &mut Criterion) {
    // Name, the glob with a number, and an image for it.
    type Family = (&'static str, fn(usize) -> String, fn(usize) -> String);
    let families: [Family; 3] = [
        // Each glob has a literal of its own.
        (
            "distinct-literals",
            |n| format!("*/team-{n:05}/*"),
            |n| format!("registry.example.com/team-{n:05}/app:1.27.3"),
        ),
        // All globs have the literal `/app:`, and each has another one too.
        (
            "shared-literal",
            |n| format!("registry-{n:05}.example.com/*/app:*"),
            |n| format!("registry-{n:05}.example.com/team/app:1.27.3"),
        ),
        // All globs have the literal `/app:` and no other, the number being written in classes.
        // Such globs are verified one after the other, so this is the worst case.
        (
            "only-shared-literal",
            |n| {
                let digit = |place: usize| n / place % 10;
                format!(
                    "*[{}][{}][{}][{}][{}]/app:*",
                    digit(10_000),
                    digit(1000),
                    digit(100),
                    digit(10),
                    digit(1)
                )
            },
            |n| format!("registry.example.com/team-{n:05}/app:1.27.3"),
        ),
    ];
    for (name, glob, image) in families {
        let mut group = criterion.benchmark_group(format!("glob/{name}"));
        for globs in GLOBS {
            let mut map = "default::mirror.example.com/other\n".to_owned();
            for number in 1..=globs {
                writeln!(map, "[REPLACE]{}::mirror.example.com/replaced", glob(number)).unwrap();
            }
            let set = compiled(&map);
            // An image that has the literal, but a number that no glob has.
            let others = spread(globs, |number| image(number + 50_000));
            for (outcome, reason, images) in [
                ("match", Reason::Replace, spread(globs, image)),
                ("no-match", Reason::Default, others),
            ] {
                measure(&mut group, BenchmarkId::new(outcome, globs), &set, &images, reason);
            }
        }
    }
}

/// Measures the decision over one image after the other, which must all have `reason`.
fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    set: &RuleSet,
    images: &[String],
    reason: Reason,
) {
    for image in images.iter().step_by(10) {
        assert_eq!(set.decide(image).reason, reason, "{image}");
    }
    group.bench_function(id, |bencher| {
        let mut images = images.iter().cycle();
        bencher.iter(|| set.decide(black_box(images.next().unwrap())));
    });
}

/// Parsing and compiling a large map, which is what a reload costs before the lints.
fn compile(criterion: &mut Criterion) {
    let rules = 100_000;
    let map = mixed_map(rules);
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(10).throughput(Throughput::Elements(rules as u64));
    group.bench_function(BenchmarkId::from_parameter(rules), |bencher| {
        bencher.iter_with_large_drop(|| compiled(black_box(&map)));
    });
}

/// A map with as many rules: a third each are exact images, registries and path prefixes.
fn mixed_map(rules: usize) -> String {
    let mut map = "default::mirror.example.com/other\nnoswap_wildcards::internal-\n".to_owned();
    for line in 2..rules {
        let number = line / 3;
        let (key, target) = match line % 3 {
            0 => (format!("[EXACT]exact-{number}.example.com/team/app:1.27.3"), "exact:1"),
            1 => (format!("registry-{number}.example.com"), "registry"),
            _ => (format!("path-{number}.example.com/team"), "path"),
        };
        writeln!(map, "{key}::mirror.example.com/{number}/{target}").unwrap();
    }
    map
}

fn compiled(map: &str) -> RuleSet {
    RuleSet::compile(MapFile::parse(map).0).unwrap()
}

/// Images for numbers from 1 to `count`, evenly spread, in an order that is not that of the map.
fn spread(count: usize, image: impl Fn(usize) -> String) -> Vec<String> {
    let images = count.min(MAX_IMAGES);
    // A prime, so that each number comes once.
    (0..images).map(|index| image(1 + index * 7919 % images * (count / images))).collect()
}
