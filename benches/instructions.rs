//! Cases for `benches/instructions`, which counts their instructions.
//!
//! Without arguments, the program runs each case once, and measures nothing.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

#[expect(dead_code, reason = "this program does not use criterion")]
mod decisions;
mod maps;
#[expect(dead_code, reason = "this program uses only a few reviews")]
mod reviews;

use std::{env, hint::black_box};

use imageswap::{
    admission::{AdmissionSettings, Facts, Review, World, plan},
    rules::{LoadedMap, Policy},
    settings::SAMPLE_MAP,
};
use mimalloc::MiMalloc;

use self::{
    decisions::{compiled, spread},
    maps::{KINDS, globs_before_star_app, image_of_wildcard_host, mixed_map, wildcard_hosts},
    reviews::{fixture, minimal, padded},
};

/// Allocator of the program.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// A prepared run.
type Run = Box<dyn Fn()>;

struct Case {
    name: String,
    /// Number of decisions or reviews in a run.
    times: usize,
    prepare: Box<dyn Fn() -> Run>,
}

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    for case in cases() {
        match *arguments {
            ["list"] => list(&case),
            ["run", name] if name != case.name => {}
            _ => counted_by_callgrind(&*(case.prepare)()),
        }
    }
}

#[expect(clippy::print_stdout, reason = "the list is for the script")]
fn list(case: &Case) {
    println!("{} {}", case.name, case.times);
}

/// The function whose instructions callgrind counts. Callgrind finds it by its name.
#[inline(never)]
fn counted_by_callgrind(run: &dyn Fn()) {
    run();
}

fn cases() -> Vec<Case> {
    type Image = fn(usize) -> String;
    type Body = fn() -> Vec<u8>;
    let mut cases = Vec::new();
    for rules in [10, 100_000] {
        for (name, _, image) in KINDS {
            let images = spread(rules / 3 - 1, image);
            cases.push(decisions(format!("{name}-{rules}"), move || mixed_map(rules), images));
        }
        let images = spread(rules, image_of_wildcard_host);
        let name = format!("wildcard-host-{rules}");
        cases.push(decisions(name, move || wildcard_hosts(rules), images));
    }
    let globs: [(&str, Image); 2] = [
        ("glob", |n| format!("registry-{n:05}.example.com/team/app:1.27.3")),
        ("star-app", |n| format!("other-{n:05}.example.com/team/app:1.27.3")),
    ];
    for (name, image) in globs {
        // The last glob is `*/app:*`, so one fewer has a number.
        let images = spread(9999, image);
        cases.push(decisions(format!("{name}-10000"), || globs_before_star_app(10_000), images));
    }
    let reviews: [(&str, Body); 3] = [
        ("review-2-kb", minimal),
        ("review-7-kb", || fixture("02-update-pod")),
        ("review-70-kb", || padded(70_000, 100)),
    ];
    for (name, body) in reviews {
        let prepare = Box::new(move || review(body()));
        cases.push(Case { name: name.to_owned(), times: 1, prepare });
    }
    cases
}

/// Creates a case that decides on each of `images`.
fn decisions(name: String, map: impl Fn() -> String + 'static, images: Vec<String>) -> Case {
    let times = images.len();
    let prepare = Box::new(move || {
        let (set, images) = (compiled(&map()), images.clone());
        let run = move || {
            for image in &images {
                black_box(set.decide(black_box(image)));
            }
        };
        run();
        Box::new(run) as Run
    });
    Case { name, times, prepare }
}

/// Prepares a run that parses a review and writes the answer.
fn review(body: Vec<u8>) -> Run {
    let policy = Policy::Maps(Box::new(LoadedMap::from_text(SAMPLE_MAP).unwrap().rules));
    let world = World::new(policy, AdmissionSettings::default());
    let run = move || {
        let review = Review::from_slice(black_box(&body)).unwrap();
        black_box(plan(&review, &world).settle(&Facts::default()).to_json(&review));
    };
    run();
    Box::new(run)
}
