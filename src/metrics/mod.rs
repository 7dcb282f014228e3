//! The registry of metrics, in the Prometheus text format.
//!
//! Each module of the program declares its metrics as [`Metric`] constants and registers them here; this module knows
//! none of them. Handles are created once, at the first use, and label values come from closed enums, so counting
//! neither allocates nor locks. There is deliberately no global recorder, so that two servers in one process, as in
//! tests, have separate metrics.

mod family;
mod histogram;
mod readable;
mod registry;

pub use self::{
    family::{Family, Handle, Labels, single},
    histogram::Histogram,
    readable::ReadableCounter,
    registry::Registry,
};

/// Media type of [`Registry::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The declaration of a metric.
#[derive(Debug)]
pub struct Metric {
    /// Name, as on the page.
    pub name: &'static str,
    /// Kind, with the properties of that kind.
    pub kind: MetricKind,
    /// Text of the `HELP` line: one sentence.
    pub help: &'static str,
    /// Labels, in the order of their values.
    pub labels: &'static [&'static str],
}

impl Metric {
    /// Declares a counter.
    #[must_use]
    pub const fn counter(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        Self { name, kind: MetricKind::Counter, help, labels }
    }

    /// Declares a gauge.
    #[must_use]
    pub const fn gauge(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        Self { name, kind: MetricKind::Gauge, help, labels }
    }
}

/// The kind of a metric.
#[derive(Clone, Copy, Debug)]
pub enum MetricKind {
    /// A number that only increases.
    Counter,
    /// A number that increases and decreases.
    Gauge,
    /// Durations in buckets; the upper bounds are in nanoseconds, ascending.
    Histogram(&'static [u64]),
}

impl MetricKind {
    /// Returns the name of the kind, as in a `TYPE` line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}
