//! The series of a metric, by the values of its labels.

use std::{fmt, marker::PhantomData, sync::OnceLock};

use metrics::{Counter, Gauge};

use super::{Histogram, Metric, Registry};
use crate::closed_enum::ClosedEnum;

/// The label values of a series.
pub trait Labels: Copy {
    /// Number of combinations of label values.
    const COUNT: usize;

    /// Returns the position of the combination, below [`Labels::COUNT`].
    fn index(self) -> usize;

    /// Returns the values, in the order of [`Metric::labels`].
    fn values(self) -> Vec<&'static str>;

    /// Returns all values of each label, in the same order.
    fn sets() -> Vec<Vec<&'static str>>;
}

impl Labels for () {
    const COUNT: usize = 1;

    fn index(self) -> usize {
        0
    }

    fn values(self) -> Vec<&'static str> {
        Vec::new()
    }

    fn sets() -> Vec<Vec<&'static str>> {
        Vec::new()
    }
}

impl<A: ClosedEnum> Labels for (A,) {
    const COUNT: usize = A::ALL.len();

    fn index(self) -> usize {
        self.0.index()
    }

    fn values(self) -> Vec<&'static str> {
        vec![self.0.as_str()]
    }

    fn sets() -> Vec<Vec<&'static str>> {
        vec![names::<A>()]
    }
}

impl<A: ClosedEnum, B: ClosedEnum> Labels for (A, B) {
    const COUNT: usize = A::ALL.len() * B::ALL.len();

    fn index(self) -> usize {
        self.0.index() * B::ALL.len() + self.1.index()
    }

    fn values(self) -> Vec<&'static str> {
        vec![self.0.as_str(), self.1.as_str()]
    }

    fn sets() -> Vec<Vec<&'static str>> {
        vec![names::<A>(), names::<B>()]
    }
}

impl<A: ClosedEnum, B: ClosedEnum, C: ClosedEnum> Labels for (A, B, C) {
    const COUNT: usize = A::ALL.len() * B::ALL.len() * C::ALL.len();

    fn index(self) -> usize {
        (self.0.index() * B::ALL.len() + self.1.index()) * C::ALL.len() + self.2.index()
    }

    fn values(self) -> Vec<&'static str> {
        vec![self.0.as_str(), self.1.as_str(), self.2.as_str()]
    }

    fn sets() -> Vec<Vec<&'static str>> {
        vec![names::<A>(), names::<B>(), names::<C>()]
    }
}

/// A handle of a series.
pub trait Handle: Sized {
    /// Adds the series to the page of `registry`.
    fn register(registry: &Registry, metric: &'static Metric, values: &[&'static str]) -> Self;
}

impl Handle for Counter {
    fn register(registry: &Registry, metric: &'static Metric, values: &[&'static str]) -> Self {
        registry.counter(metric, values)
    }
}

impl Handle for Gauge {
    fn register(registry: &Registry, metric: &'static Metric, values: &[&'static str]) -> Self {
        registry.gauge(metric, values)
    }
}

impl Handle for Histogram {
    fn register(registry: &Registry, metric: &'static Metric, values: &[&'static str]) -> Self {
        registry.histogram(metric, values)
    }
}

/// The series of a metric. A series appears on the page at its first use.
pub struct Family<L, H> {
    metric: &'static Metric,
    registry: Registry,
    handles: Box<[OnceLock<H>]>,
    labels: PhantomData<fn(L)>,
}

impl<L: Labels, H: Handle> Family<L, H> {
    /// Describes `metric` in `registry` and adds no series.
    #[must_use]
    pub fn new(registry: &Registry, metric: &'static Metric) -> Self {
        registry.describe(metric);
        registry.note_label_values(metric, &L::sets());
        let handles = (0..L::COUNT).map(|_| OnceLock::new()).collect();
        Self { metric, registry: registry.clone(), handles, labels: PhantomData }
    }

    /// Returns the handle of a series.
    pub fn of(&self, labels: L) -> &H {
        self.handles[labels.index()]
            .get_or_init(|| H::register(&self.registry, self.metric, &labels.values()))
    }

    /// Returns the handle of a series that is on the page; `None` if it is not.
    pub fn existing(&self, labels: L) -> Option<&H> {
        self.handles[labels.index()].get()
    }
}

impl<L: ClosedEnum> Family<(L,), Counter> {
    /// Adds all series to the page with the value 0.
    ///
    /// If a counter appeared with its first event, a rate over it would miss that event.
    #[must_use]
    pub fn from_zero(self) -> Self {
        for &label in L::ALL {
            self.of((label,)).increment(0);
        }
        self
    }
}

impl<L, H> fmt::Debug for Family<L, H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Family").field(&self.metric.name).finish()
    }
}

/// Describes a metric without labels in `registry` and returns its only series.
#[must_use]
pub fn single<H: Handle>(registry: &Registry, metric: &'static Metric) -> H {
    registry.describe(metric);
    H::register(registry, metric, &[])
}

/// Returns the names of all variants.
fn names<E: ClosedEnum>() -> Vec<&'static str> {
    E::ALL.iter().map(|variant| variant.as_str()).collect()
}
