//! Histograms that count samples in buckets when they are recorded.
//!
//! The exporter's own histograms store every sample until the next scrape: megabytes under load, and a cache miss for
//! each sample. Here a sample always costs two additions.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A histogram of durations. A clone shares its buckets.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    /// Upper bounds in nanoseconds, ascending.
    bounds: &'static [u64],
    /// Number of samples in each bucket and not in the bucket before. The last bucket has no upper bound.
    counts: Box<[AtomicU64]>,
    /// Sum of the samples in nanoseconds; overflows after 580 years.
    sum: AtomicU64,
}

impl Histogram {
    /// Creates an empty histogram. The upper bounds are in nanoseconds, ascending.
    #[must_use]
    pub fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Buckets { bounds, counts, sum: AtomicU64::new(0) }))
    }

    /// Adds a sample.
    pub fn record(&self, duration: Duration) {
        let Buckets { bounds, counts, sum } = &*self.0;
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = bounds.partition_point(|&bound| bound < nanoseconds);
        counts[bucket].fetch_add(1, Ordering::Relaxed);
        sum.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Appends the series to a page. `labels` is the text between the braces, and may be empty.
    pub(super) fn append_to(&self, page: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        let bounds = self.0.bounds.iter().map(|&bound| label(seconds(bound)));
        let bounds = bounds.chain(std::iter::once("+Inf".to_owned()));
        let mut count = 0;
        // Writing to a string cannot fail.
        for (bound, samples) in bounds.zip(&self.0.counts) {
            count += samples.load(Ordering::Relaxed);
            let _ = writeln!(page, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}");
        }
        let sum = seconds(self.0.sum.load(Ordering::Relaxed));
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(page, "{name}_sum{braces} {sum}");
        let _ = writeln!(page, "{name}_count{braces} {count}");
    }
}

/// Returns the label of an upper bound, as Python writes it: `1.0`, `0.005`, `5e-06`.
///
/// The Python version had these labels, and Prometheus 3 stores those of other programs in this form too.
fn label(bound: f64) -> String {
    let text = format!("{bound:?}");
    // Both write the shortest decimal, with an exponent below 0.0001. Python's has at least two digits.
    match text.split_once("e-") {
        Some((digits, exponent)) => format!("{digits}e-{exponent:0>2}"),
        None => text,
    }
}

#[expect(clippy::cast_precision_loss, reason = "15 digits are enough for a duration")]
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_counts_in_each_bucket_with_a_sufficient_bound() {
        let histogram = Histogram::new(&[1_000, 5_000_000_000]);
        for nanoseconds in [0, 1_000, 1_001, 5_000_000_000, 5_000_000_001] {
            histogram.record(Duration::from_nanos(nanoseconds));
        }
        let mut page = String::new();
        histogram.append_to(&mut page, "x", "a=\"b\"");
        assert_eq!(
            page,
            "x_bucket{a=\"b\",le=\"1e-06\"} 2\nx_bucket{a=\"b\",le=\"5.0\"} 4\n\
             x_bucket{a=\"b\",le=\"+Inf\"} 5\nx_sum{a=\"b\"} 10.000002002\nx_count{a=\"b\"} 5\n"
        );
        let mut page = String::new();
        Histogram::new(&[1]).append_to(&mut page, "x", "");
        assert!(page.contains("x_bucket{le=\"1e-09\"} 0\n"), "{page}");
        assert!(page.ends_with("x_sum 0\nx_count 0\n"), "{page}");
    }

    #[test]
    fn upper_bounds_are_written_as_by_python() {
        // The output of `python3 -c 'for n in (...): print(n / 1e9)'`.
        for (nanoseconds, expected) in [
            (1, "1e-09"),
            (2_500, "2.5e-06"),
            (99_999, "9.9999e-05"),
            (100_000, "0.0001"),
            (5_000_000, "0.005"),
            (500_000_000, "0.5"),
            (1_000_000_000, "1.0"),
            (2_500_000_000, "2.5"),
            (10_000_000_000, "10.0"),
            (100_000_000_000_000_000, "100000000.0"),
        ] {
            assert_eq!(label(seconds(nanoseconds)), expected);
        }
    }
}
