//! The rules and settings that decide about a review.

use std::sync::Arc;

use crate::rules::Policy;

/// The compiled rules and settings that decide about a review.
///
/// A review is planned with one value, even if a part changes meanwhile. The parts come from different sources; when
/// one changes, a new value replaces this one.
#[derive(Clone, Debug)]
pub struct World {
    /// The rules that decide how images are rewritten.
    pub policy: Arc<Policy>,
    /// The settings that decide which images of an object are swapped, besides the map.
    pub scope: Scope,
    /// The consequences of the decisions.
    pub mode: Mode,
}

impl World {
    /// Creates a world that enforces its decisions.
    #[must_use]
    pub fn new(policy: impl Into<Arc<Policy>>, scope: Scope) -> Self {
        Self { policy: policy.into(), scope, mode: Mode::Enforce }
    }
}

/// The consequences of the decisions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// The object is changed.
    #[default]
    Enforce,
    /// Decisions are made and counted, but the object is not changed.
    Shadow,
}

/// The settings that decide which images of an object are swapped, besides the map.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scope {
    /// The name of the label that turns swapping off when its value is `disabled`.
    pub disable_label: Box<str>,
    /// True if images with the pull policy `Never` are swapped too.
    pub swaps_never_pulled: bool,
}

impl Scope {
    /// The default of the disable label, as in the original.
    pub const DISABLE_LABEL: &str = "k8s.twr.io/imageswap";
}

impl Default for Scope {
    fn default() -> Self {
        Self { disable_label: Self::DISABLE_LABEL.into(), swaps_never_pulled: false }
    }
}
