//! Cost of verified targets for a review whose images need no check.
//!
//! Run it with `cargo bench --bench targets`.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

mod settings;

use std::{hint::black_box, sync::Arc, time::Duration};

use imageswap::{
    metrics::Registry,
    registry::{
        Check, CheckFuture, CheckResult, Checked, Presence, Resolver, ResolverSettings, Target,
    },
};
use tokio::time::Instant;

/// Number of images that are known: as many as the cache holds in a large cluster.
const IMAGES: usize = 5_000;

/// A client whose registries have every image, except for one registry, which wants no requests.
struct Client;

impl Check for Client {
    fn check<'a>(&'a self, target: &'a Target) -> CheckFuture<'a> {
        let is_limited = target.registry() == "limited.example.com";
        let result = if is_limited { CheckResult::RateLimited } else { CheckResult::Present };
        let retry_after = is_limited.then_some(Duration::from_mins(5));
        Box::pin(async move { Checked { retry_after, ..Checked::new(result) } })
    }
}

fn main() {
    let mut criterion = settings::criterion();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let except = vec!["exempt.example.com".to_owned()];
    let settings = ResolverSettings { except, ..ResolverSettings::default() };
    let resolver = Resolver::new(settings, &Registry::default());
    resolver.set_client(Arc::new(Client));
    let targets = |host: &str, images: usize| -> Vec<_> {
        let images = (0..images).map(|number| format!("{host}/team-{number}/app:1.27.{number}"));
        images.map(|image| Target::parse(&image).unwrap()).collect()
    };
    let cached = targets("mirror.example.com", IMAGES);
    runtime.block_on(async {
        for some in cached.chunks(100).chain([&*targets("limited.example.com", 1)]) {
            resolver.ask(some, Instant::now() + Duration::from_secs(5)).await;
        }
    });
    let mut group = criterion.benchmark_group("targets");
    for (name, targets, presence) in [
        ("cached", cached, Presence::Present),
        ("breaker", targets("limited.example.com", IMAGES), Presence::Unknown),
        ("exempt", targets("exempt.example.com", IMAGES), Presence::Unknown),
    ] {
        let mut targets = targets.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let target = targets.next().unwrap();
                assert_eq!(resolver.known(black_box(target)), Some(presence));
            });
        });
    }
    let images: Vec<_> = (0..IMAGES).map(|number| format!("quay.io/app:{number}")).collect();
    // A cluster has fewer images than are remembered, or more, so that they push each other out.
    for (name, count) in [("remember", 1_000), ("remember-too-many", IMAGES)] {
        let mut images = images[..count].iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| resolver.remember(black_box(images.next().unwrap()), "default"));
        });
    }
    group.bench_function("parse", |bencher| {
        bencher.iter(|| Target::parse(black_box("mirror.example.com/team-7/app:1.27.7")));
    });
    group.finish();
    criterion.final_summary();
}
