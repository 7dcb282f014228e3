//! Cases for `benches/instructions`, which counts their instructions.
//!
//! Without arguments, the program runs each case once, and measures nothing.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

#[expect(dead_code, reason = "this program does not use criterion")]
mod decisions;
mod maps;
#[expect(dead_code, reason = "this program uses only a few reviews")]
mod reviews;

use std::{env, hint::black_box, iter, sync::Arc};

use imageswap::{
    admission::{AdmissionSettings, Reporting, Review, World, plan},
    rules::{LoadedMap, Policy},
    settings::SAMPLE_MAP,
};
use mimalloc::MiMalloc;
use serde_json::{Value, json};

use self::{
    decisions::{compiled, spread},
    maps::{
        KINDS, class_globs, globs_before_star_app, image_of_wildcard_host, mixed_map,
        wildcard_hosts,
    },
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
    let images = spread(10_000, |n| format!("registry.example.com/team-{n:05}/app:1.27.3"));
    cases.push(decisions("glob-classes-10000".to_owned(), || class_globs(10_000), images));
    let reviews: [(&str, Body); 3] = [
        ("review-2-kb", minimal),
        ("review-7-kb", || fixture("02-update-pod")),
        ("review-70-kb", || padded(70_000, 100)),
    ];
    for (name, body) in reviews {
        let prepare = Box::new(move || review(body(), world()));
        cases.push(Case { name: name.to_owned(), times: 1, prepare });
    }
    for (name, add) in FEATURES {
        let prepare = Box::new(move || review(minimal(), with(&[add])));
        cases.push(Case { name: format!("review-2-kb-{name}"), times: 1, prepare });
    }
    let prepare = Box::new(|| review(minimal(), with(&FEATURES.map(|(_, add)| add))));
    cases.push(Case { name: "review-2-kb-all".to_owned(), times: 1, prepare });
    let prepare = Box::new(|| review(custom_resource(), world()));
    cases.push(Case { name: "review-site".to_owned(), times: 1, prepare });
    cases
}

/// A change of a world that turns a feature on.
type Feature = fn(&mut World);

/// The features that are off in a world by default. The audit annotations are on in `serve`.
const FEATURES: [(&str, Feature); 5] = [
    ("audit", |world| world.settings.reporting.audits = true),
    ("namespace-map", |world| {
        let map = LoadedMap::from_text("gcr.io::registry.example.com/team").unwrap();
        world.namespaces = Arc::new(iter::once(("shop".into(), Arc::new(map))).collect());
    }),
    ("candidate-map", |world| {
        world.candidate = Arc::new(Some(LoadedMap::from_text(SAMPLE_MAP).unwrap().rules));
    }),
    ("pull-secret", |world| {
        let map = format!("{SAMPLE_MAP}\n[PULLSECRET]registry.example.com::credentials\n");
        let rules = LoadedMap::from_text(&map).unwrap().rules;
        world.policy = Arc::new(Policy::Maps(Box::new(rules)));
    }),
    ("records", |world| {
        world.settings.reporting = Reporting { audits: true, warns: true, annotates: true };
    }),
];

/// Creates a world with the sample map.
fn world() -> World {
    let policy = Policy::Maps(Box::new(LoadedMap::from_text(SAMPLE_MAP).unwrap().rules));
    World::new(policy, AdmissionSettings::default())
}

/// Creates a world with the sample map and features that are off by default.
fn with(features: &[Feature]) -> World {
    let mut world = world();
    for add in features {
        add(&mut world);
    }
    world
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

/// Returns the creation of a custom resource with one image at a built-in site.
fn custom_resource() -> Vec<u8> {
    let mut review: Value = serde_json::from_slice(&minimal()).unwrap();
    review["request"]["kind"] =
        json!({ "group": "postgresql.cnpg.io", "version": "v1", "kind": "Cluster" });
    review["request"]["object"]["spec"]["imageName"] = json!("ghcr.io/acme/postgresql:17");
    review.to_string().into_bytes()
}

/// Prepares a run that parses a review and writes the answer.
fn review(body: Vec<u8>, world: World) -> Run {
    let run = move || {
        let review = Review::with_sites(black_box(&body), &world.sites).unwrap();
        black_box(plan(&review, &world).settle().to_json(&review));
    };
    run();
    Box::new(run)
}
