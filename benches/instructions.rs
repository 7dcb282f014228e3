//! The cases whose instructions `benches/instructions` counts.
//!
//! By itself the program runs each case once, and measures nothing.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

#[expect(dead_code, reason = "criterion does not measure here")]
mod decisions;
mod maps;
#[expect(dead_code, reason = "a few reviews are enough here")]
mod reviews;

use std::{env, hint::black_box};

use imageswap::{
    admission::{Facts, Review, Scope, World, plan},
    rules::{LoadedMap, Policy},
    settings::SAMPLE_MAP,
};
use mimalloc::MiMalloc;

use self::{
    decisions::{compiled, spread},
    maps::{KINDS, globs_before_star_app, mixed_map},
    reviews::{fixture, minimal, padded},
};

/// The program's allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// A run without its preparation.
type Run = Box<dyn Fn()>;

struct Case {
    name: String,
    /// How many decisions or reviews a run has.
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

/// What callgrind counts; it knows the function by its name.
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
    }
    let globs: [(&str, Image); 2] = [
        ("glob", |n| format!("registry-{n:05}.example.com/team/app:1.27.3")),
        ("star-app", |n| format!("other-{n:05}.example.com/team/app:1.27.3")),
    ];
    for (name, image) in globs {
        // The glob `*/app:*` is the last, so that there are fewer before it.
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

/// One decision after the other over images.
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

/// A review, from its bytes to those of the answer.
fn review(body: Vec<u8>) -> Run {
    let policy = Policy::Maps(Box::new(LoadedMap::from_text(SAMPLE_MAP).unwrap().rules));
    let world = World::new(policy, Scope::default());
    let run = move || {
        let review = Review::from_slice(black_box(&body)).unwrap();
        black_box(plan(&review, &world).settle(&Facts::default()).to_json(&review));
    };
    run();
    Box::new(run)
}
