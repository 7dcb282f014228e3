//! The metrics page: counters and gauges of the exporter, and the histograms of this program.

use std::{
    fmt::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use metrics::{
    Counter, Gauge, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use metrics_process::Collector;

use super::{Histogram, Metric, MetricKind};

/// Metadata of registrations, which the exporter ignores.
const METADATA: Metadata<'static> = Metadata::new(env!("CARGO_PKG_NAME"), Level::INFO, None);

/// A set of metrics with their values. A clone is the same registry.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    exporter: PrometheusRecorder,
    handle: PrometheusHandle,
    process: Collector,
    /// All metrics in the order of their descriptions, with the series of histograms.
    described: Mutex<Vec<Described>>,
}

struct Described {
    metric: &'static Metric,
    /// Known values of each label.
    label_values: Vec<Vec<&'static str>>,
    histograms: Vec<(String, Histogram)>,
}

impl Default for Registry {
    /// Creates a registry that contains only the metrics of the process.
    fn default() -> Self {
        let exporter = PrometheusBuilder::new().build_recorder();
        let process = Collector::default();
        with_local_recorder(&exporter, || process.describe());
        Self(Arc::new(Inner {
            handle: exporter.handle(),
            exporter,
            process,
            described: Mutex::default(),
        }))
    }
}

impl Registry {
    /// Adds the description of a metric to the page.
    pub fn describe(&self, metric: &'static Metric) {
        let (name, help) = (KeyName::from(metric.name), SharedString::from(metric.help));
        let unit: Option<Unit> = None;
        match metric.kind {
            MetricKind::Counter => self.0.exporter.describe_counter(name, unit, help),
            MetricKind::Gauge => self.0.exporter.describe_gauge(name, unit, help),
            MetricKind::Histogram(_) => {}
        }
        let label_values = vec![Vec::new(); metric.labels.len()];
        self.described(|all| {
            all.push(Described { metric, label_values, histograms: Vec::new() });
        });
    }

    /// Returns all described metrics, in the order of their descriptions.
    #[must_use]
    pub fn metrics(&self) -> Vec<&'static Metric> {
        self.described(|all| all.iter().map(|described| described.metric).collect())
    }

    /// Returns the known values of each label of a metric that was described, in the order of [`Metric::labels`].
    ///
    /// These are the values of the closed enums of a [`Family`](super::Family), and those of the counters that were
    /// added.
    #[must_use]
    pub fn label_values(&self, metric: &Metric) -> Vec<Vec<&'static str>> {
        self.described(|all| {
            let found = all.iter().find(|found| found.metric.name == metric.name);
            found.map(|found| found.label_values.clone()).unwrap_or_default()
        })
    }

    /// Adds values of each label of a metric that was described.
    pub(super) fn note_label_values(&self, metric: &Metric, sets: &[Vec<&'static str>]) {
        self.described(|all| {
            let found = all.iter_mut().filter(|found| found.metric.name == metric.name);
            for (known, values) in found.flat_map(|found| found.label_values.iter_mut().zip(sets)) {
                for value in values {
                    if !known.contains(value) {
                        known.push(value);
                    }
                }
            }
        });
    }

    /// Adds a series of a counter to the page.
    pub fn counter(&self, metric: &'static Metric, values: &[&'static str]) -> Counter {
        let sets: Vec<_> = values.iter().map(|&value| vec![value]).collect();
        self.note_label_values(metric, &sets);
        self.0.exporter.register_counter(&key(metric, values), &METADATA)
    }

    /// Adds a series of a gauge to the page.
    pub fn gauge(&self, metric: &'static Metric, values: &[&'static str]) -> Gauge {
        self.0.exporter.register_gauge(&key(metric, values), &METADATA)
    }

    /// Adds a series of a histogram to the page. The metric must be described.
    #[must_use]
    pub fn histogram(&self, metric: &'static Metric, values: &[&'static str]) -> Histogram {
        let bounds = match metric.kind {
            MetricKind::Histogram(bounds) => bounds,
            MetricKind::Counter | MetricKind::Gauge => &[],
        };
        let histogram = Histogram::new(bounds);
        let mut labels = String::new();
        for (name, value) in metric.labels.iter().zip(values) {
            let comma = if labels.is_empty() { "" } else { "," };
            // Writing to a string cannot fail.
            let _ = write!(labels, "{comma}{name}=\"{value}\"");
        }
        self.described(|all| {
            if let Some(found) = all.iter_mut().find(|found| found.metric.name == metric.name) {
                found.histograms.push((labels, histogram.clone()));
            }
        });
        histogram
    }

    /// Returns the page: all metrics with their values.
    #[must_use]
    pub fn render(&self) -> String {
        with_local_recorder(&self.0.exporter, || self.0.process.collect());
        let mut page = self.0.handle.render();
        self.described(|all| {
            for Described { metric, histograms, .. } in all {
                if let MetricKind::Histogram(_) = metric.kind {
                    let Metric { name, help, .. } = metric;
                    let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} histogram\n");
                    for (labels, histogram) in histograms {
                        histogram.append_to(&mut page, name, labels);
                    }
                    page.push('\n');
                }
            }
        });
        page
    }

    fn described<T>(&self, access: impl FnOnce(&mut Vec<Described>) -> T) -> T {
        // Each access leaves the list consistent, so a poisoned lock can be used.
        access(&mut self.0.described.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn key(metric: &'static Metric, values: &[&'static str]) -> Key {
    let labels = metric.labels.iter().zip(values);
    let labels: Vec<_> =
        labels.map(|(&name, &value)| Label::from_static_parts(name, value)).collect();
    Key::from_parts(metric.name, labels)
}

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Registry").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_page_contains_counters_gauges_and_histograms() {
        const COUNTER: Metric = Metric::counter("c_total", "A counter.", &["l"]);
        const GAUGE: Metric = Metric::gauge("g", "A gauge.", &[]);
        const HISTOGRAM: Metric = Metric {
            name: "h",
            kind: MetricKind::Histogram(&[1_000]),
            help: "Durations.",
            labels: &["a", "b"],
        };
        static METRICS: [Metric; 3] = [COUNTER, GAUGE, HISTOGRAM];
        let registry = Registry::default();
        for metric in &METRICS {
            registry.describe(metric);
        }
        registry.counter(&METRICS[0], &["x"]).increment(2);
        registry.gauge(&METRICS[1], &[]).set(3.0);
        registry.histogram(&METRICS[2], &["1", "2"]).record(Duration::from_nanos(1));
        let page = registry.render();
        for line in [
            "# HELP c_total A counter.",
            "c_total{l=\"x\"} 2",
            "# TYPE g gauge",
            "g 3",
            "# HELP h Durations.",
            "# TYPE h histogram",
            "h_bucket{a=\"1\",b=\"2\",le=\"1e-06\"} 1",
            "h_count{a=\"1\",b=\"2\"} 1",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
        let names: Vec<_> = registry.metrics().iter().map(|metric| metric.name).collect();
        assert_eq!(names, ["c_total", "g", "h"]);
        assert_eq!(registry.label_values(&METRICS[0]), [["x"]]);
    }
}
