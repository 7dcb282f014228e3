//! Metrics of requests, reviews and connections.

use std::time::Duration;

use metrics::{Counter, Gauge};

use super::{
    handshake::HandshakeFailure,
    vocabulary::{Method, Path, Status},
};
use crate::{
    admission::{ImageCount, Kind, Mode, Operation, Outcome, Plan},
    closed_enum::closed_enum,
    metrics::{Family, Histogram, Metric, MetricKind, ReadableCounter, Registry, single},
    rules::Reason,
    status_page::ImageRow,
};

/// Upper bounds of the duration of a request in nanoseconds, from 5 ms to 10 s: the defaults of Prometheus' Python
/// client, which the original used.
const HTTP_BUCKETS: &[u64] = &[
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    75_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    750_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    7_500_000_000,
    10_000_000_000,
];

/// Upper bounds of the duration of a review in nanoseconds, from 5 us to 1 s: from a small pod to the largest pod with
/// a slow map.
const ADMISSION_BUCKETS: &[u64] = &[
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
];

const HTTP_REQUESTS: Metric = Metric::counter(
    "imageswap_http_request_total",
    "HTTP requests answered.",
    &["method", "status"],
);
const HTTP_DURATION: Metric = Metric {
    name: "imageswap_http_request_duration_seconds",
    kind: MetricKind::Histogram(HTTP_BUCKETS),
    help: "Time from a request's headers to its answer, in seconds.",
    labels: &["method", "path", "status"],
};
const HTTP_EXCEPTIONS: Metric = Metric::counter(
    "imageswap_http_request_exceptions_total",
    "HTTP requests that failed by a fault of this program.",
    &["method", "status"],
);
const REVIEWS: Metric = Metric::counter(
    "imageswap_admission_reviews_total",
    "Admission reviews by outcome.",
    &["kind", "operation", "outcome"],
);
const IMAGES: Metric = Metric::counter(
    "imageswap_images_total",
    "Images decided, by reason, swapped or left alone; in shadow mode they stay unchanged.",
    &["mode", "reason", "swapped"],
);
const CANDIDATE_IMAGES: Metric = Metric::counter(
    "imageswap_candidate_images_total",
    "Images compared with the candidate map, by result: `differs` if the new image would be another one.",
    &["result"],
);
const REVIEW_DURATION: Metric = Metric {
    name: "imageswap_admission_duration_seconds",
    kind: MetricKind::Histogram(ADMISSION_BUCKETS),
    help: "Time to read, decide and answer a review, without the network, in seconds.",
    labels: &[],
};
const HANDSHAKE_FAILURES: Metric = Metric::counter(
    "imageswap_tls_handshake_failures_total",
    "TLS handshakes that failed, as when the API server does not trust the certificate.",
    &["reason"],
);
const READY: Metric = Metric::gauge(
    "imageswap_ready",
    "1 while the replica has a map and a certificate, so that it can answer reviews, else 0.",
    &[],
);
const CONNECTIONS: Metric = Metric::gauge("imageswap_connections", "Open connections.", &[]);

closed_enum! {
    /// The result of the decision on an image.
    enum Swapped {
        /// The image is left alone.
        False => "false",
        /// The image is swapped.
        True => "true",
    }
}

closed_enum! {
    /// The result of a comparison with the candidate map.
    enum Compared {
        /// The new image would be another one.
        Differs => "differs",
        /// The new image would be the same.
        Same => "same",
    }
}

/// Handles of the metrics of the server.
#[derive(Debug)]
pub struct ServerMetrics {
    http_requests: Family<(Method, Status), Counter>,
    http_durations: Family<(Method, Path, Status), Histogram>,
    http_exceptions: Family<(Method, Status), Counter>,
    reviews: Family<(Kind, Operation, Outcome), Counter>,
    invalid_reviews: Counter,
    images: Family<(Mode, Reason, Swapped), ReadableCounter>,
    candidate_images: Family<(Compared,), Counter>,
    review_duration: Histogram,
    handshake_failures: Family<(HandshakeFailure,), Counter>,
    ready: Gauge,
    connections: Gauge,
}

impl ServerMetrics {
    /// Registers the metrics.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        let metrics = Self {
            http_requests: Family::new(registry, &HTTP_REQUESTS),
            http_durations: Family::new(registry, &HTTP_DURATION),
            http_exceptions: Family::new(registry, &HTTP_EXCEPTIONS),
            reviews: Family::new(registry, &REVIEWS),
            // A body that is not a review has no kind, operation and outcome, so these labels are outside of the enums.
            invalid_reviews: registry.counter(&REVIEWS, &["unknown", "unknown", "invalid"]),
            images: Family::new(registry, &IMAGES),
            candidate_images: Family::new(registry, &CANDIDATE_IMAGES).from_zero(),
            review_duration: single(registry, &REVIEW_DURATION),
            handshake_failures: Family::new(registry, &HANDSHAKE_FAILURES).from_zero(),
            ready: single(registry, &READY),
            connections: single(registry, &CONNECTIONS),
        };
        // If a counter appeared with its first event, a rate over it would miss that event.
        for status in Status::ALL {
            metrics.http_requests.of((Method::Post, status)).increment(0);
        }
        metrics.http_exceptions.of((Method::Post, Status::InternalServerError)).increment(0);
        metrics
    }

    /// Adds the series of the images that keep their originals, because registries are asked for new images.
    pub(super) fn expect_absent_targets(&self) {
        for mode in Mode::ALL {
            self.images.of((mode, Reason::TargetAbsent, Swapped::False)).increment(0);
        }
    }

    /// Counts an answered request.
    pub(super) fn request(&self, method: Method, path: Path, status: Status, elapsed: Duration) {
        self.http_requests.of((method, status)).increment(1);
        self.http_durations.of((method, path, status)).record(elapsed);
        if status == Status::InternalServerError {
            self.http_exceptions.of((method, status)).increment(1);
        }
    }

    /// Counts an answered review and its images.
    pub(super) fn review(&self, plan: &Plan<'_>, elapsed: Duration) {
        self.reviews.of((plan.kind, plan.operation, plan.outcome)).increment(1);
        for (reason, &count) in Reason::ALL.into_iter().zip(&plan.images) {
            let ImageCount { left_alone, swapped } = count;
            for (swapped, count) in [(Swapped::False, left_alone), (Swapped::True, swapped)] {
                // Most combinations never occur, so they get no series.
                if count > 0 {
                    self.images.of((plan.mode, reason, swapped)).increment(count.into());
                }
            }
        }
        let differences = u64::try_from(plan.comparison.differences.len()).unwrap_or(u64::MAX);
        for (result, count) in
            [(Compared::Same, plan.comparison.same.into()), (Compared::Differs, differences)]
        {
            if count > 0 {
                self.candidate_images.of((result,)).increment(count);
            }
        }
        self.review_duration.record(elapsed);
    }

    /// Returns the number of images of each kind so far, in the order of their reasons.
    pub(super) fn images(&self) -> Vec<ImageRow> {
        let mut rows = Vec::new();
        for reason in Reason::ALL {
            for (mode, swapped) in
                Mode::ALL.into_iter().flat_map(|mode| Swapped::ALL.map(|swapped| (mode, swapped)))
            {
                let counter = self.images.existing((mode, reason, swapped));
                if let Some(count) = counter.map(ReadableCounter::value).filter(|count| *count > 0)
                {
                    let swapped = swapped == Swapped::True;
                    rows.push(ImageRow { mode, reason, swapped, count });
                }
            }
        }
        rows
    }

    /// Counts a body that is not a valid review.
    pub(super) fn invalid_review(&self) {
        self.invalid_reviews.increment(1);
    }

    /// Counts a failed TLS handshake.
    pub(super) fn handshake_failure(&self, reason: HandshakeFailure) {
        self.handshake_failures.of((reason,)).increment(1);
    }

    /// Sets the readiness of the process, which changes without an event here, so a page sets it.
    pub(super) fn readiness(&self, is_ready: bool) {
        self.ready.set(if is_ready { 1.0 } else { 0.0 });
    }

    /// Counts a connection until the guard is dropped.
    pub(super) fn connection(&self) -> ConnectionGuard {
        self.connections.increment(1.0);
        ConnectionGuard(self.connections.clone())
    }
}

/// Counts a connection until it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionGuard(Gauge);

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_of_labels_has_a_series() {
        let registry = Registry::default();
        let metrics = ServerMetrics::new(&registry);
        for method in Method::ALL {
            for path in Path::ALL {
                for status in Status::ALL {
                    metrics.request(method, path, status, Duration::from_millis(1));
                }
            }
        }
        for kind in Kind::ALL {
            for operation in Operation::ALL {
                for outcome in Outcome::ALL {
                    let images = [ImageCount { left_alone: 1, swapped: 2 }; Reason::ALL.len()];
                    for mode in Mode::ALL {
                        let mut plan = Plan::empty(kind, operation, mode);
                        (plan.outcome, plan.images) = (outcome, images);
                        metrics.review(&plan, Duration::from_micros(1));
                    }
                }
            }
        }
        let page = registry.render();
        for line in [
            "imageswap_http_request_total{method=\"POST\",status=\"200\"} 8",
            "imageswap_http_request_exceptions_total{method=\"GET\",status=\"500\"} 8",
            "imageswap_admission_reviews_total{kind=\"Pod\",operation=\"CREATE\",outcome=\"swapped\"} 2",
            "imageswap_images_total{mode=\"enforce\",reason=\"default\",swapped=\"false\"} 350",
            "imageswap_images_total{mode=\"shadow\",reason=\"default\",swapped=\"true\"} 700",
            "imageswap_tls_handshake_failures_total{reason=\"alert\"} 0",
            "imageswap_admission_duration_seconds_bucket{le=\"5e-06\"} 700",
            "imageswap_connections 0",
            "process_cpu_seconds_total",
        ] {
            assert!(page.contains(line), "{line} is not in\n{page}");
        }
        assert_eq!(page.lines().filter(|l| l.contains("_duration_seconds_count")).count(), 321);
    }
}
