//! The rules and settings that decide about a review.

use std::{collections::BTreeSet, sync::Arc};

use serde::Serialize;

use super::{Differences, Sites};
use crate::{
    closed_enum::closed_enum,
    rules::{NamespaceMaps, Policy, RuleSet},
};

/// The compiled rules and settings that decide about a review.
///
/// A review is planned with one value, even if a part changes meanwhile. The parts come from different sources; when
/// one changes, a new value replaces this one.
#[derive(Clone, Debug)]
pub struct World {
    /// The rules that decide how images are rewritten.
    pub policy: Arc<Policy>,
    /// The maps of namespaces, which are asked first.
    pub namespaces: Arc<NamespaceMaps>,
    /// A map that is compared with the policy, if there is one.
    pub candidate: Arc<Option<RuleSet>>,
    /// The differences of that map from the policy so far.
    pub differences: Arc<Differences>,
    /// The locations of images in custom resources.
    pub sites: Arc<Sites>,
    /// The settings.
    pub settings: AdmissionSettings,
}

impl World {
    /// Creates a world in which no namespace has a map of its own, with the built-in sites.
    #[must_use]
    pub fn new(policy: impl Into<Arc<Policy>>, settings: AdmissionSettings) -> Self {
        let (policy, sites) = (policy.into(), Arc::new(Sites::built_in()));
        Self {
            policy,
            namespaces: Arc::default(),
            candidate: Arc::default(),
            differences: Arc::default(),
            sites,
            settings,
        }
    }
}

/// The settings of admission, besides the map.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AdmissionSettings {
    /// The settings that decide which images of an object are swapped.
    pub scope: Scope,
    /// The records that are made of changes.
    pub reporting: Reporting,
    /// The namespaces whose objects are not changed.
    pub shadow: Shadow,
}

/// The records that are made of changes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Reporting {
    /// True if the audit log of the API server gets the changes.
    pub audits: bool,
    /// True if the client that sends the object gets the changes as warnings.
    pub warns: bool,
    /// True if a pod gets an annotation with its original images.
    pub annotates: bool,
}

/// The namespaces in shadow mode: images are decided, counted and recorded, but not changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Shadow {
    /// All namespaces.
    Everywhere,
    /// These namespaces.
    In(BTreeSet<Box<str>>),
    /// No namespace.
    #[default]
    Nowhere,
}

impl Shadow {
    /// Returns the consequences of decisions about an object in `namespace`.
    #[must_use]
    pub fn mode(&self, namespace: &str) -> Mode {
        let is_shadowed = match self {
            Self::Everywhere => true,
            Self::In(namespaces) => namespaces.contains(namespace),
            Self::Nowhere => false,
        };
        if is_shadowed { Mode::Shadow } else { Mode::Enforce }
    }
}

closed_enum! {
    /// The consequences of the decisions.
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Mode {
        /// The object is changed.
        Enforce => "enforce",
        /// Decisions are made, counted and recorded, but the object is not changed.
        Shadow => "shadow",
    }
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
