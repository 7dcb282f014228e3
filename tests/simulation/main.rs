//! The rotation, simulated: replicas whose clocks differ, API servers that lag, kills between any two calls, foreign
//! writers, lost watches and failing calls, in random schedules.
//!
//! The decisions are those of the product (`imageswap::controller::rotation`); etcd, the API servers and the order of
//! calls are a model. No API server that is within the CA propagation delay may ever meet a certificate that it does not
//! trust, unless a foreign writer took the trust away. When the disturbances stop, everything settles.
//!
//! `IMAGESWAP_SCHEDULES` is the number of schedules, `IMAGESWAP_SCHEDULE` the seed of a single one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "prints what was simulated, and a failed schedule")]

mod pki;
mod random;
mod replica;
mod schedule;
mod world;

use std::{env, thread, time::Instant};

use pki::CachingVerifier;
use schedule::Schedule;

/// Number of schedules by default, which is small enough for a debug build.
const SCHEDULES: u64 = 500;

/// Number of failed schedules after which a thread stops.
const MAX_FAILURES: usize = 5;

fn number(variable: &str) -> Option<u64> {
    Some(env::var(variable).ok()?.parse().unwrap())
}

#[test]
fn no_api_server_meets_a_certificate_that_it_does_not_trust() {
    let begun = Instant::now();
    let seeds = match number("IMAGESWAP_SCHEDULE") {
        Some(seed) => seed..seed + 1,
        None => 0..number("IMAGESWAP_SCHEDULES").unwrap_or(SCHEDULES),
    };
    let threads = thread::available_parallelism().unwrap().get() as u64;
    let failures: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|first| {
                let seeds = seeds.clone().skip(usize::try_from(first).unwrap());
                scope.spawn(move || run(seeds.step_by(usize::try_from(threads).unwrap())))
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    eprintln!("{} schedules in {:.1} s", seeds.end - seeds.start, begun.elapsed().as_secs_f64());
    assert!(failures.is_empty(), "{} schedules failed: seeds {failures:?}", failures.len());
}

/// Runs schedules, and returns the seeds of those that failed. Runs a failed one again to print what happened.
fn run(seeds: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut verifier = CachingVerifier::default();
    let mut failed = Vec::new();
    for seed in seeds {
        let mut finished = Schedule::new(seed, verifier, None).run();
        if let Err(failure) = finished.result {
            eprintln!("schedule {seed} failed: {failure}");
            finished = Schedule::new(seed, finished.verifier, Some(Vec::new())).run();
            for line in &finished.history {
                eprintln!("    {line}");
            }
            failed.push(seed);
        }
        verifier = finished.verifier;
        if failed.len() == MAX_FAILURES {
            break;
        }
    }
    failed
}
