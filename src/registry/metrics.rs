//! Metrics of verified targets.

use std::time::Duration;

use metrics::{Counter, Gauge};

use super::check::CheckResult;
use crate::{
    closed_enum::closed_enum,
    metrics::{Family, Histogram, Metric, MetricKind, Registry, single},
};

/// Upper bounds of the duration of a check in nanoseconds, from 1 ms to 10 s: from a registry in the same cluster to
/// the timeout.
const CHECK_BUCKETS: &[u64] = &[
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

closed_enum! {
    /// The source of the knowledge about an image.
    pub(super) enum Source {
        /// The registry is not asked for a while, because it has failed.
        Breaker => "breaker",
        /// Too many checks are running or waiting.
        Busy => "busy",
        /// The answer was known.
        Cache => "cache",
        /// The registry is never asked.
        Exempt => "exempt",
        /// There is no client, because the credentials could not be loaded.
        NoClient => "no-client",
        /// The registry was asked.
        Registry => "registry",
        /// The time of the review was over before the registry had answered.
        Timeout => "timeout",
    }
}

const CHECKS: Metric = Metric::counter(
    "imageswap_target_checks_total",
    "Checks of images at their registries, by result.",
    &["result"],
);
const CHECK_DURATION: Metric = Metric {
    name: "imageswap_target_check_duration_seconds",
    kind: MetricKind::Histogram(CHECK_BUCKETS),
    help: "Time of a check, until the registry has answered or the time is over, in seconds.",
    labels: &[],
};
const ANSWERS: Metric = Metric::counter(
    "imageswap_target_answers_total",
    "Images of reviews that were to be verified, by the source of the answer.",
    &["source"],
);
const CACHE_ENTRIES: Metric = Metric::gauge(
    "imageswap_target_cache_entries",
    "Answers of registries in the cache, also those that have expired.",
    &[],
);
const BREAKERS_OPEN: Metric = Metric::gauge(
    "imageswap_registry_breakers_open",
    "Number of registries that are not asked, because they have failed (open circuit breakers).",
    &[],
);

/// Handles of the metrics of verified targets.
#[derive(Debug)]
pub struct TargetMetrics {
    checks: Family<(CheckResult,), Counter>,
    check_duration: Histogram,
    answers: Family<(Source,), Counter>,
    cache_entries: Gauge,
    breakers_open: Gauge,
}

impl TargetMetrics {
    /// Registers the metrics. All series are on the page from the start.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        Self {
            checks: Family::new(registry, &CHECKS).from_zero(),
            check_duration: single(registry, &CHECK_DURATION),
            answers: Family::new(registry, &ANSWERS).from_zero(),
            cache_entries: single(registry, &CACHE_ENTRIES),
            breakers_open: single(registry, &BREAKERS_OPEN),
        }
    }

    /// Counts a check.
    pub(super) fn check(&self, result: CheckResult, duration: Duration) {
        self.checks.of((result,)).increment(1);
        self.check_duration.record(duration);
    }

    /// Counts an answer.
    pub(super) fn answer(&self, source: Source) {
        self.answers.of((source,)).increment(1);
    }

    /// Sets the number of answers in the cache.
    #[expect(clippy::cast_precision_loss, reason = "a cache has fewer answers than 2^52")]
    pub(super) fn cache_entries(&self, count: usize) {
        self.cache_entries.set(count as f64);
    }

    /// Sets the number of open breakers.
    #[expect(clippy::cast_precision_loss, reason = "there are fewer registries than 2^52")]
    pub(super) fn breakers_open(&self, count: usize) {
        self.breakers_open.set(count as f64);
    }
}
