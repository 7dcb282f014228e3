//! Cost of a decision by `[REPLACE]` globs, by what distinguishes them.
//!
//! Run it with `cargo bench --bench globs`; with `-- adversarial` it runs only the worst cases.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

mod decisions;
#[expect(dead_code, reason = "this benchmark uses only globs")]
mod maps;
mod settings;

use std::fmt::Write;

use criterion::{BenchmarkId, Criterion};
use imageswap::{image::MAX_IMAGE_BYTES, rules::Reason};

use self::{
    decisions::{compiled, measure, spread},
    maps::{classes, globs_before_star_app},
};

/// Numbers of globs.
const GLOBS: [usize; 2] = [100, 10_000];

/// Name, glob with a number, and an image for it.
type Family = (&'static str, fn(usize) -> String, fn(usize) -> String);

const FAMILIES: [Family; 8] = [
    // Each glob has a literal of its own.
    (
        "distinct-literals",
        |n| format!("*/team-{n:05}/*"),
        |n| format!("registry.example.com/team-{n:05}/app:1.27.3"),
    ),
    // All globs have the literal `/app:`, and each has another literal.
    (
        "shared-literal",
        |n| format!("registry-{n:05}.example.com/*/app:*"),
        |n| format!("registry-{n:05}.example.com/team/app:1.27.3"),
    ),
    // The number is written in classes with one member, which count as literals.
    (
        "one-member-classes",
        |n| format!("*{}/app:*", classes(n, "")),
        |n| format!("registry.example.com/team-{n:05}/app:1.27.3"),
    ),
    // All globs have only the literal `/app:`. They are told apart by the classes before it ...
    (
        "only-shared-literal",
        |n| format!("*{}/app:*", classes(n, "x")),
        |n| format!("registry.example.com/team-{n:05}/app:1.27.3"),
    ),
    // ... or after it.
    (
        "classes-after-literal",
        |n| format!("*/app:{}*", classes(n, "x")),
        |n| format!("registry.example.com/team/app:{n:05}-alpine"),
    ),
    // They have no literal, and are told apart by the start of the image.
    (
        "no-literal",
        |n| format!("{}*", classes(n, "x")),
        |n| format!("{n:05}.example.com/team/app:1.27.3"),
    ),
    // All are the same.
    (
        "repeated",
        |_| "*/app:[0-9]*".to_owned(),
        |n| {
            let tag = if n > 50_000 { "latest" } else { "1.27.3" };
            format!("registry-{n:05}.example.com/team/app:{tag}")
        },
    ),
    // The literal `/a/` occurs a hundred times in the image.
    (
        "many-occurrences",
        |n| format!("*{}/a/*", classes(n, "x")),
        |n| format!("registry.example.com/{}team-{n:05}/a/app:1.27.3", "a/".repeat(100)),
    ),
];

fn main() {
    let mut criterion = settings::criterion();
    families(&mut criterion);
    last_of_many(&mut criterion);
    adversarial(&mut criterion);
    criterion.final_summary();
}

/// Measures decisions that match a `[REPLACE]` glob, and decisions that do not.
fn families(criterion: &mut Criterion) {
    for (name, glob, image) in FAMILIES {
        let mut group = criterion.benchmark_group(format!("glob/{name}"));
        for globs in GLOBS {
            let mut map = "default::mirror.example.com/other\n".to_owned();
            for number in 1..=globs {
                writeln!(map, "[REPLACE]{}::mirror.example.com/replaced", glob(number)).unwrap();
            }
            let set = compiled(&map);
            // No glob matches these images.
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

/// Measures decisions by `*/app:*` at the end of a map whose other globs also have its literal.
fn last_of_many(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("glob/before-star-app");
    for globs in GLOBS {
        let set = compiled(&globs_before_star_app(globs));
        let images = spread(globs, |number| format!("other-{number:05}.example.com/team/app:1"));
        measure(&mut group, BenchmarkId::from_parameter(globs), &set, &images, Reason::Replace);
    }
}

/// Measures a glob on an image of maximum length that nearly matches it.
///
/// The image contains the literals of the glob, so the glob is verified.
fn adversarial(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("adversarial");
    let image = "a".repeat(MAX_IMAGE_BYTES);
    for (name, glob) in [
        ("stars-and-literals", format!("{}[bc]", "*a".repeat(500))),
        ("stars-and-classes", format!("{}[bc]", "*[ac]".repeat(500))),
        ("classes-after-star", format!("*{}[bc]*", "[ac]".repeat(500))),
        ("literal-that-nearly-fits", format!("*{}[bc]*", "a".repeat(2000))),
    ] {
        let set = compiled(&format!("default::m.example.com\n[REPLACE]{glob}::n.example.com\n"));
        let images = [image.clone()];
        measure(&mut group, BenchmarkId::new(name, image.len()), &set, &images, Reason::Default);
    }
}
