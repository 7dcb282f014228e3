//! The metrics of the process, in the Prometheus text format.
//!
//! Handles are made once, on first use, and their labels come from closed enums, so that counting
//! neither allocates nor locks. There is no global recorder: each [`Metrics`] has its own, and two
//! servers in one process (as in tests) do not mix.

mod describe;
mod histogram;
mod labels;
mod table;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{Counter, Gauge, counter, gauge, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use metrics_process::Collector;
use time::OffsetDateTime;

use self::histogram::{ADMISSION_BUCKETS, HTTP_BUCKETS, Histogram};
pub use self::labels::{
    MapOrigin, Method, Path, ReloadResult, RotationResult, Status, WriteResult,
};
use self::table::Table;
use crate::{
    admission::{Kind, Operation, Outcome, Plan},
    rules::{Key, LoadedMap, Reason, Severity},
    version::{REVISION, VERSION},
};

/// The media type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of one process.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    process: Collector,
    http_requests: Table<Counter, { Method::ALL.len() * Status::ALL.len() }>,
    http_durations: Table<
        Histogram<{ HTTP_BUCKETS.len() }>,
        { Method::ALL.len() * Status::ALL.len() * Path::ALL.len() },
    >,
    http_exceptions: Table<Counter, { Method::ALL.len() * Status::ALL.len() }>,
    reviews: Table<Counter, { Kind::ALL.len() * Operation::ALL.len() * Outcome::ALL.len() }>,
    invalid_reviews: Counter,
    images: Table<Counter, { Reason::ALL.len() }>,
    admission_duration: Histogram<{ ADMISSION_BUCKETS.len() }>,
    map_reloads: Table<Counter, { ReloadResult::ALL.len() }>,
    tls_reloads: Table<Counter, { ReloadResult::ALL.len() }>,
    client_ca_reloads: Table<Counter, { ReloadResult::ALL.len() }>,
    certificate_rotations: Table<Counter, { RotationResult::ALL.len() }>,
    configuration_writes: Table<Counter, { WriteResult::ALL.len() }>,
    handshake_failures: Counter,
    cluster_failures: Counter,
    connections: Gauge,
}

impl Default for Metrics {
    /// All metrics at zero.
    fn default() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let process = Collector::default();
        let (connections, invalid_reviews, handshake_failures, cluster_failures) =
            with_local_recorder(&recorder, || {
                describe::all();
                process.describe();
                gauge!("imageswap_map_builtin").set(0.0);
                gauge!("imageswap_build_info", "version" => VERSION, "revision" => REVISION)
                    .set(1.0);
                (
                    gauge!("imageswap_connections"),
                    counter!(
                        "imageswap_admission_reviews_total",
                        "kind" => "unknown", "operation" => "unknown", "outcome" => "invalid"
                    ),
                    counter!("imageswap_tls_handshake_failures_total"),
                    counter!("imageswap_cluster_failures_total"),
                )
            });
        let metrics = Self {
            handle: recorder.handle(),
            recorder,
            process,
            http_requests: Table::default(),
            http_durations: Table::default(),
            http_exceptions: Table::default(),
            reviews: Table::default(),
            invalid_reviews,
            images: Table::default(),
            admission_duration: Histogram::new(&ADMISSION_BUCKETS, String::new()),
            map_reloads: Table::default(),
            tls_reloads: Table::default(),
            client_ca_reloads: Table::default(),
            certificate_rotations: Table::default(),
            configuration_writes: Table::default(),
            handshake_failures,
            cluster_failures,
            connections,
        };
        // A rate over a counter that appears with its first event would miss that event.
        for result in ReloadResult::ALL {
            metrics.map_reloads(*result).increment(0);
            metrics.tls_reloads(*result).increment(0);
            metrics.client_ca_reloads(*result).increment(0);
        }
        metrics.http_requests(Method::Post, Status::Forbidden).increment(0);
        for result in RotationResult::ALL {
            metrics.certificate_rotations(*result).increment(0);
        }
        for result in WriteResult::ALL {
            metrics.configuration_writes(*result).increment(0);
        }
        metrics
    }
}

impl Metrics {
    /// Counts an answered request.
    pub fn http(&self, method: Method, path: Path, status: Status, elapsed: Duration) {
        self.http_requests(method, status).increment(1);
        let by_status = by_status(method, status);
        let by_path = by_status * Path::ALL.len() + path as usize;
        self.http_durations
            .at(by_path, || {
                let (method, path, status) = (method.as_str(), path.as_str(), status.as_str());
                let labels = format!(r#"method="{method}",path="{path}",status="{status}""#);
                Histogram::new(&HTTP_BUCKETS, labels)
            })
            .record(elapsed);
        if status == Status::InternalServerError {
            self.http_exceptions
                .at(by_status, || {
                    self.record(|| {
                        counter!(
                            "imageswap_http_request_exceptions_total",
                            "method" => method.as_str(), "status" => status.as_str()
                        )
                    })
                })
                .increment(1);
        }
    }

    /// Counts an answered review and its images.
    pub fn review(&self, plan: &Plan<'_>, elapsed: Duration) {
        let Plan { kind, operation, outcome, .. } = *plan;
        let index = (kind as usize * Operation::ALL.len() + operation as usize)
            * Outcome::ALL.len()
            + outcome as usize;
        self.reviews
            .at(index, || {
                self.record(|| {
                    counter!(
                        "imageswap_admission_reviews_total",
                        "kind" => kind.as_str(), "operation" => operation.as_str(),
                        "outcome" => outcome.as_str()
                    )
                })
            })
            .increment(1);
        for (reason, &count) in Reason::ALL.iter().zip(&plan.reasons) {
            if count > 0 {
                self.images
                    .at(*reason as usize, || {
                        self.record(
                            || counter!("imageswap_images_total", "reason" => reason.as_str()),
                        )
                    })
                    .increment(count.into());
            }
        }
        self.admission_duration.record(elapsed);
    }

    /// Counts a body that was no review.
    pub fn invalid_review(&self) {
        self.invalid_reviews.increment(1);
    }

    /// Counts a reload of the map that did not put it into use.
    pub fn map_reload(&self, result: ReloadResult) {
        self.map_reloads(result).increment(1);
    }

    /// Counts a map that is newly in use, and takes down where it is from, what it holds and what is wrong with it.
    pub fn map_applied(&self, map: &LoadedMap, origin: MapOrigin) {
        self.map_reloads(ReloadResult::Applied).increment(1);
        let LoadedMap { rules, diagnostics } = map;
        self.record(|| {
            let is_built_in = usize::from(origin == MapOrigin::BuiltIn);
            gauge!("imageswap_map_builtin").set(to_f64(is_built_in));
            for kind in Key::KINDS {
                let count = rules.rules().iter().filter(|rule| rule.key.kind() == kind).count();
                gauge!("imageswap_map_rules", "kind" => kind).set(to_f64(count));
            }
            for severity in [Severity::Error, Severity::Warning] {
                gauge!("imageswap_map_diagnostics", "severity" => severity.as_str())
                    .set(to_f64(diagnostics.count(severity)));
            }
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            gauge!("imageswap_map_last_success_timestamp_seconds").set(now.as_secs_f64());
        });
    }

    /// Counts a reload of the serving certificate.
    pub fn tls_reload(&self, result: ReloadResult) {
        self.tls_reloads(result).increment(1);
    }

    /// Counts a reload of the authorities of clients.
    pub fn client_ca_reload(&self, result: ReloadResult) {
        self.client_ca_reloads(result).increment(1);
    }

    /// Takes down when the serving certificate ends.
    #[expect(clippy::cast_precision_loss, reason = "dates are far below 2^52 seconds")]
    pub fn tls_not_after(&self, not_after: OffsetDateTime) {
        let timestamp = not_after.unix_timestamp() as f64;
        self.record(|| gauge!("imageswap_tls_not_after_timestamp_seconds").set(timestamp));
    }

    /// Counts a new certificate or authority, or a failure to make one.
    pub fn certificate_rotation(&self, result: RotationResult) {
        self.certificate_rotations(result).increment(1);
    }

    /// Counts a write to the webhook configuration, or a failure to write it.
    pub fn configuration_write(&self, result: WriteResult) {
        self.configuration_writes(result).increment(1);
    }

    /// Counts a look at the cluster that failed.
    pub fn cluster_failure(&self) {
        self.cluster_failures.increment(1);
    }

    /// Counts a TLS handshake that failed.
    pub fn handshake_failure(&self) {
        self.handshake_failures.increment(1);
    }

    /// Counts a connection until the guard is dropped.
    #[must_use]
    pub fn connection(&self) -> ConnectionGuard {
        self.connections.increment(1.0);
        ConnectionGuard(self.connections.clone())
    }

    /// The metrics in the Prometheus text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.record(|| self.process.collect());
        let mut page = self.handle.render();
        histogram::append_metric(
            &mut page,
            "imageswap_http_request_duration_seconds",
            "Time from a request's headers to its answer, in seconds.",
            self.http_durations.used(),
        );
        histogram::append_metric(
            &mut page,
            "imageswap_admission_duration_seconds",
            "Time to read, decide and answer a review, without the network, in seconds.",
            std::iter::once(&self.admission_duration),
        );
        page
    }

    fn http_requests(&self, method: Method, status: Status) -> &Counter {
        self.http_requests.at(by_status(method, status), || {
            self.record(|| {
                counter!(
                    "imageswap_http_request_total",
                    "method" => method.as_str(), "status" => status.as_str()
                )
            })
        })
    }

    fn map_reloads(&self, result: ReloadResult) -> &Counter {
        self.map_reloads.at(result as usize, || {
            self.record(|| counter!("imageswap_map_reloads_total", "result" => result.as_str()))
        })
    }

    fn tls_reloads(&self, result: ReloadResult) -> &Counter {
        self.tls_reloads.at(result as usize, || {
            self.record(|| counter!("imageswap_tls_reloads_total", "result" => result.as_str()))
        })
    }

    fn client_ca_reloads(&self, result: ReloadResult) -> &Counter {
        self.client_ca_reloads.at(result as usize, || {
            self.record(
                || counter!("imageswap_client_ca_reloads_total", "result" => result.as_str()),
            )
        })
    }

    fn certificate_rotations(&self, result: RotationResult) -> &Counter {
        self.certificate_rotations.at(result as usize, || {
            self.record(
                || counter!("imageswap_certificate_rotations_total", "result" => result.as_str()),
            )
        })
    }

    fn configuration_writes(&self, result: WriteResult) -> &Counter {
        self.configuration_writes.at(result as usize, || {
            self.record(|| {
                counter!(
                    "imageswap_webhook_configuration_writes_total", "result" => result.as_str()
                )
            })
        })
    }

    fn record<T>(&self, make: impl FnOnce() -> T) -> T {
        with_local_recorder(&self.recorder, make)
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Counts a connection as long as it lives.
#[derive(Debug)]
pub struct ConnectionGuard(Gauge);

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// The place of a method and a status in a table of both.
fn by_status(method: Method, status: Status) -> usize {
    method as usize * Status::ALL.len() + status as usize
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn to_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::Mode;

    #[test]
    fn the_tables_have_a_place_for_every_combination_of_labels() {
        let metrics = Metrics::default();
        for method in Method::ALL {
            for path in Path::ALL {
                for status in Status::ALL {
                    metrics.http(*method, *path, *status, Duration::from_millis(1));
                }
            }
        }
        for kind in Kind::ALL {
            for operation in Operation::ALL {
                for outcome in Outcome::ALL {
                    let reasons = [1; Reason::ALL.len()];
                    let (mode, edits) = (Mode::Enforce, smallvec::SmallVec::new());
                    metrics.review(
                        &Plan { kind, operation, outcome, mode, edits, reasons },
                        Duration::from_micros(1),
                    );
                }
            }
        }
        let text = metrics.render();
        for line in [
            "imageswap_http_request_total{method=\"POST\",status=\"200\"} 7",
            "imageswap_http_request_exceptions_total{method=\"GET\",status=\"500\"} 7",
            "imageswap_admission_reviews_total{kind=\"Pod\",operation=\"CREATE\",outcome=\"swapped\"} 1",
            "imageswap_images_total{reason=\"already-swapped\"} 300",
            "imageswap_admission_duration_seconds_bucket{le=\"0.000005\"} 300",
            "imageswap_connections 0",
            &format!("imageswap_build_info{{version=\"{VERSION}\",revision=\"{REVISION}\"}} 1"),
            "process_cpu_seconds_total",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert_eq!(text.lines().filter(|l| l.contains("_duration_seconds_count")).count(), 281);
    }
}
