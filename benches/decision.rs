//! Cost of a decision, by kind and number of rules.
//!
//! Run it with `cargo bench --bench decision`; with `-- registry` it runs only benchmarks with `registry` in their
//! name. Decisions by globs are in `globs.rs`.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

mod decisions;
#[expect(dead_code, reason = "globs have their own benchmark")]
mod maps;
mod settings;

use criterion::{BenchmarkId, Criterion};
use imageswap::rules::Reason;

use self::{
    decisions::{compiled, measure, spread},
    maps::{KINDS, image_of_wildcard_host, mixed_map, wildcard_hosts},
};

/// Numbers of rules: a small map, a large one, and one with a rule for every existing image.
const RULES: [usize; 3] = [10, 1000, 100_000];

/// Numbers of substrings in `noswap_wildcards`.
const WILDCARDS: [usize; 3] = [10, 1000, 10_000];

fn main() {
    let mut criterion = settings::criterion();
    by_kind(&mut criterion);
    wildcards(&mut criterion);
    by_wildcard_host(&mut criterion);
    criterion.final_summary();
}

/// Measures decisions by each kind of rule other than globs.
fn by_kind(criterion: &mut Criterion) {
    for (name, reason, image) in KINDS {
        let mut group = criterion.benchmark_group(format!("decision/{name}"));
        for rules in RULES {
            let set = compiled(&mixed_map(rules));
            let images = spread(rules / 3 - 1, image);
            measure(&mut group, BenchmarkId::from_parameter(rules), &set, &images, reason);
        }
    }
}

/// Measures decisions that match a long list of wildcards, and decisions that do not.
fn wildcards(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wildcards");
    for count in WILDCARDS {
        let list: Vec<_> = (1..=count).map(|number| format!("internal-{number:05}/")).collect();
        let map =
            format!("default::mirror.example.com/other\nnoswap_wildcards::{}\n", list.join(","));
        let set = compiled(&map);
        let image = |number: usize| format!("internal-{number:05}/team/app:1.27.3");
        let others = spread(count, |number| image(number + 50_000));
        for (outcome, reason, images) in [
            ("match", Reason::NoswapWildcard, spread(count, image)),
            ("no-match", Reason::Default, others),
        ] {
            measure(&mut group, BenchmarkId::new(outcome, count), &set, &images, reason);
        }
    }
}

/// Measures decisions by wildcard hosts, and decisions on hosts below none of their domains.
fn by_wildcard_host(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wildcard-hosts");
    for count in RULES {
        let set = compiled(&wildcard_hosts(count));
        let others = spread(count, |number| image_of_wildcard_host(number + 1_000_000));
        for (outcome, reason, images) in [
            ("match", Reason::Registry, spread(count, image_of_wildcard_host)),
            ("no-match", Reason::Default, others),
        ] {
            measure(&mut group, BenchmarkId::new(outcome, count), &set, &images, reason);
        }
    }
}
