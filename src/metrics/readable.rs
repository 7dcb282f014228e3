//! A counter whose value this program reads as well.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::Counter;

use super::{Handle, Metric, Registry};

/// A counter whose value this program reads as well. The exporter does not give the values of its counters back.
#[derive(Debug)]
pub struct ReadableCounter {
    counter: Counter,
    value: AtomicU64,
}

impl ReadableCounter {
    /// Adds to the counter.
    pub fn increment(&self, amount: u64) {
        self.counter.increment(amount);
        self.value.fetch_add(amount, Ordering::Relaxed);
    }

    /// Returns the value.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

impl Handle for ReadableCounter {
    fn register(registry: &Registry, metric: &'static Metric, values: &[&'static str]) -> Self {
        Self { counter: registry.counter(metric, values), value: AtomicU64::new(0) }
    }
}
