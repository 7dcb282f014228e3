//! Metrics of the controller.

use metrics::{Counter, Gauge};

use crate::{
    closed_enum::closed_enum,
    metrics::{Family, Metric, Registry, single},
};

closed_enum! {
    /// The result of creating a certificate or certificate authority.
    pub(super) enum RotationResult {
        /// It could not be created.
        Failed => "failed",
        /// It was created.
        Issued => "issued",
    }
}

closed_enum! {
    /// The result of a write to the webhook configuration, or of the repair of one field.
    pub(super) enum WriteResult {
        /// It was created.
        Created => "created",
        /// It could not be written.
        Failed => "failed",
        /// A field is no longer repaired for a while, because another client keeps changing it.
        Left => "left",
        /// It differed from the template, and was updated.
        Repaired => "repaired",
    }
}

const ROTATIONS: Metric = Metric::counter(
    "imageswap_certificate_rotations_total",
    "Certificates and certificate authorities created by this replica, by result.",
    &["result"],
);
const CONFIGURATION_WRITES: Metric = Metric::counter(
    "imageswap_webhook_configuration_writes_total",
    "Writes of this replica to the webhook configuration, by result; `left` counts fields that are no longer repaired.",
    &["result"],
);
const CONFIGURATION_PRESENT: Metric = Metric::gauge(
    "imageswap_webhook_configuration_present",
    "1 if there was a webhook configuration when the replica last looked, else 0.",
    &[],
);
const CLUSTER_FAILURES: Metric = Metric::counter(
    "imageswap_cluster_failures_total",
    "Failed reconciliations, by an error of the API server or an invalid state of the cluster.",
    &[],
);

/// Handles of the metrics of the controller.
#[derive(Debug)]
pub struct ControllerMetrics {
    rotations: Family<(RotationResult,), Counter>,
    configuration_writes: Family<(WriteResult,), Counter>,
    configuration_present: Family<(), Gauge>,
    failures: Counter,
}

impl ControllerMetrics {
    /// Registers the metrics.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        Self {
            rotations: Family::new(registry, &ROTATIONS).from_zero(),
            configuration_writes: Family::new(registry, &CONFIGURATION_WRITES).from_zero(),
            configuration_present: Family::new(registry, &CONFIGURATION_PRESENT),
            failures: single(registry, &CLUSTER_FAILURES),
        }
    }

    /// Counts a new certificate or authority, or a failure to create one.
    pub(super) fn rotation(&self, result: RotationResult) {
        self.rotations.of((result,)).increment(1);
    }

    /// Counts a write to the webhook configuration, or a failure to write it.
    pub(super) fn configuration_write(&self, result: WriteResult) {
        self.configuration_writes.of((result,)).increment(1);
    }

    /// Sets the presence of the webhook configuration, as it was observed.
    ///
    /// A process that observes no cluster never calls this, so it has no such series.
    pub(super) fn configuration_presence(&self, is_present: bool) {
        self.configuration_present.of(()).set(if is_present { 1.0 } else { 0.0 });
    }

    /// Counts a reconciliation that failed.
    pub(super) fn failure(&self) {
        self.failures.increment(1);
    }
}
