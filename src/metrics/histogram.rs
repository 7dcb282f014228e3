//! Histograms that count a sample where it is recorded.
//!
//! Those of the exporter keep every sample until they are folded. Under load that is megabytes, each
//! sample on memory that was not touched before.
//! Here a sample is two additions, whatever came before it.

use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Upper bounds of a request's duration in nanoseconds, from 5 ms to 10 s: those of the Python client,
/// which the original used.
pub(super) const HTTP_BUCKETS: [u64; 14] = [
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

/// Upper bounds of a review's handling in nanoseconds, from 5 us to 1 s: from a small pod to the largest
/// with a slow map.
pub(super) const ADMISSION_BUCKETS: [u64; 13] = [
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

/// Durations by upper bounds, with the labels of one series.
#[derive(Debug)]
pub(super) struct Histogram<const N: usize> {
    /// As they are written, without braces; may be empty.
    labels: String,
    /// In nanoseconds, ascending.
    bounds: &'static [u64; N],
    /// How many samples each bucket has that the one before it has not.
    counts: [AtomicU64; N],
    /// How many samples are above all bounds.
    above: AtomicU64,
    /// In nanoseconds; enough for 580 years.
    sum: AtomicU64,
}

impl<const N: usize> Histogram<N> {
    /// A histogram without samples.
    pub(super) fn new(bounds: &'static [u64; N], labels: String) -> Self {
        Self {
            labels,
            bounds,
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            above: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    /// Adds a sample.
    pub(super) fn record(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = self.bounds.partition_point(|&bound| bound < nanoseconds);
        self.counts.get(bucket).unwrap_or(&self.above).fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Appends the series of the histogram.
    fn append_to(&self, page: &mut String, name: &str) {
        let comma = if self.labels.is_empty() { "" } else { "," };
        let labels = &self.labels;
        let mut count = 0;
        // Writing to a string cannot fail.
        for (&bound, samples) in self.bounds.iter().zip(&self.counts) {
            count += samples.load(Ordering::Relaxed);
            let bound = seconds(bound);
            let _ = writeln!(page, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}");
        }
        count += self.above.load(Ordering::Relaxed);
        let sum = seconds(self.sum.load(Ordering::Relaxed));
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(page, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}");
        let _ = writeln!(page, "{name}_sum{braces} {sum}");
        let _ = writeln!(page, "{name}_count{braces} {count}");
    }
}

/// Appends a metric with all its series in the Prometheus text format.
pub(super) fn append_metric<'a, const N: usize>(
    page: &mut String,
    name: &str,
    help: &str,
    series: impl Iterator<Item = &'a Histogram<N>>,
) {
    let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} histogram\n");
    series.for_each(|histogram| histogram.append_to(page, name));
    page.push('\n');
}

#[expect(clippy::cast_precision_loss, reason = "to 15 digits is enough for a duration")]
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_in_each_bucket_that_is_not_below_it() {
        let histogram = Histogram::new(&[1_000, 5_000_000_000], "a=\"b\"".to_owned());
        for nanoseconds in [0, 1_000, 1_001, 5_000_000_000, 5_000_000_001] {
            histogram.record(Duration::from_nanos(nanoseconds));
        }
        let mut page = String::new();
        append_metric(&mut page, "x", "What it is.", [&histogram].into_iter());
        assert_eq!(
            page,
            "# HELP x What it is.\n# TYPE x histogram\n\
             x_bucket{a=\"b\",le=\"0.000001\"} 2\nx_bucket{a=\"b\",le=\"5\"} 4\n\
             x_bucket{a=\"b\",le=\"+Inf\"} 5\nx_sum{a=\"b\"} 10.000002002\nx_count{a=\"b\"} 5\n\n"
        );
        let mut page = String::new();
        append_metric(&mut page, "x", "", [&Histogram::new(&[1], String::new())].into_iter());
        assert!(page.contains("x_bucket{le=\"0.000000001\"} 0\n"), "{page}");
        assert!(page.ends_with("x_sum 0\nx_count 0\n\n"), "{page}");
    }
}
