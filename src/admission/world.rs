//! Everything that decides about a review.

use std::sync::Arc;

use crate::rules::Policy;

/// Everything that decides about a review, compiled.
///
/// A review is planned by one value, whatever changes meanwhile. Its parts come from different sources; when one of
/// them changes, a new value takes the place of this one.
#[derive(Clone, Debug)]
pub struct World {
    /// The rules that decide over images.
    pub policy: Arc<Policy>,
    /// The settings that decide which images of an object are swapped, besides the map.
    pub scope: Scope,
    /// The consequences of what is decided.
    pub mode: Mode,
}

impl World {
    /// Puts together a world that enforces what it decides.
    #[must_use]
    pub fn new(policy: impl Into<Arc<Policy>>, scope: Scope) -> Self {
        Self { policy: policy.into(), scope, mode: Mode::Enforce }
    }
}

/// The consequences of what is decided.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// The object is changed.
    #[default]
    Enforce,
    /// Everything is decided and counted, and nothing is changed.
    Shadow,
}

/// The settings that decide which images of an object are swapped, besides the map.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scope {
    /// The name of the label that turns swapping off when its value is `disabled`.
    pub disable_label: Box<str>,
    /// Swaps images that the node never pulls too.
    pub swaps_never_pulled: bool,
}

impl Scope {
    /// The disable label unless another one is set, as in the original.
    pub const DISABLE_LABEL: &str = "k8s.twr.io/imageswap";
}

impl Default for Scope {
    fn default() -> Self {
        Self { disable_label: Self::DISABLE_LABEL.into(), swaps_never_pulled: false }
    }
}
