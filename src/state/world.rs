//! The world in use: the rules and settings that decide about reviews.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwapOption, Guard};

use crate::{
    admission::{AdmissionSettings, Sites, World},
    rules::{NamespaceMaps, Policy, RuleSet},
};

/// The [`World`] in use, which is rebuilt when one of its parts changes.
#[derive(Debug)]
pub struct CurrentWorld {
    settings: AdmissionSettings,
    /// The parts, which different tasks replace. Reviews do not take the lock.
    parts: Mutex<Parts>,
    world: ArcSwapOption<World>,
}

#[derive(Debug, Default)]
struct Parts {
    policy: Option<Arc<Policy>>,
    namespaces: Arc<NamespaceMaps>,
    candidate: Arc<Option<RuleSet>>,
    sites: Arc<Sites>,
}

impl CurrentWorld {
    /// Creates the state without a world, until the first policy is set.
    #[must_use]
    pub fn new(settings: AdmissionSettings) -> Self {
        Self { settings, parts: Mutex::default(), world: ArcSwapOption::empty() }
    }

    /// Returns the world in use; `None` if no policy is set yet.
    pub fn load(&self) -> Guard<Option<Arc<World>>> {
        self.world.load()
    }

    /// Replaces the policy.
    pub fn set_policy(&self, policy: &Arc<Policy>) {
        self.replace(|parts| parts.policy = Some(policy.clone()));
    }

    /// Replaces the maps of namespaces.
    pub fn set_namespaces(&self, namespaces: &Arc<NamespaceMaps>) {
        self.replace(|parts| parts.namespaces = namespaces.clone());
    }

    /// Replaces the map that is compared with the map in use.
    pub fn set_candidate(&self, candidate: &Arc<Option<RuleSet>>) {
        self.replace(|parts| parts.candidate = candidate.clone());
    }

    /// Replaces the locations of images in custom resources.
    pub fn set_sites(&self, sites: &Arc<Sites>) {
        self.replace(|parts| parts.sites = sites.clone());
    }

    fn replace(&self, change: impl FnOnce(&mut Parts)) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut parts);
        let Parts { policy, namespaces, candidate, sites } = &*parts;
        let Some(policy) = policy.clone() else { return };
        self.world.store(Some(Arc::new(World {
            policy,
            namespaces: namespaces.clone(),
            candidate: candidate.clone(),
            sites: sites.clone(),
            settings: self.settings.clone(),
        })));
    }
}
