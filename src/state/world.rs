//! The world in use: the rules and settings that decide about reviews.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwapOption, Guard};
use tokio::sync::Notify;

use crate::{
    admission::{AdmissionSettings, Differences, Sites, World},
    rules::{NamespaceMaps, Policy, RuleSet},
};

/// The [`World`] in use, which is rebuilt when one of its parts changes.
#[derive(Debug)]
pub struct CurrentWorld {
    settings: AdmissionSettings,
    /// The parts, which different tasks replace. Reviews do not take the lock.
    parts: Mutex<Parts>,
    world: ArcSwapOption<World>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Parts {
    policy: Option<Arc<Policy>>,
    namespaces: Arc<NamespaceMaps>,
    candidate: Arc<Option<RuleSet>>,
    differences: Arc<Differences>,
    sites: Arc<Sites>,
}

impl CurrentWorld {
    /// Creates the state without a world, until the first policy is set.
    #[must_use]
    pub fn new(settings: AdmissionSettings) -> Self {
        Self {
            settings,
            parts: Mutex::default(),
            world: ArcSwapOption::empty(),
            changed: Notify::new(),
        }
    }

    /// Returns the world in use; `None` if no policy is set yet.
    pub fn load(&self) -> Guard<Option<Arc<World>>> {
        self.world.load()
    }

    /// Returns the world in use as a shared pointer, which may be kept; `None` if no policy is set yet.
    #[must_use]
    pub fn load_full(&self) -> Option<Arc<World>> {
        self.world.load_full()
    }

    /// Waits for the next change of the world. One that came since the last call counts. For one task only.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Replaces the policy, and begins a new record of the differences from it.
    pub fn set_policy(&self, policy: &Arc<Policy>) {
        self.replace(|parts| {
            parts.policy = Some(policy.clone());
            parts.differences = Arc::default();
        });
    }

    /// Replaces the maps of namespaces.
    pub fn set_namespaces(&self, namespaces: &Arc<NamespaceMaps>) {
        self.replace(|parts| parts.namespaces = namespaces.clone());
    }

    /// Replaces the map that is compared with the map in use, and begins a new record of its differences.
    pub fn set_candidate(&self, candidate: &Arc<Option<RuleSet>>) {
        self.replace(|parts| {
            parts.candidate = candidate.clone();
            parts.differences = Arc::default();
        });
    }

    /// Replaces the locations of images in custom resources.
    pub fn set_sites(&self, sites: &Arc<Sites>) {
        self.replace(|parts| parts.sites = sites.clone());
    }

    fn replace(&self, change: impl FnOnce(&mut Parts)) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut parts);
        let Parts { policy, namespaces, candidate, differences, sites } = &*parts;
        let Some(policy) = policy.clone() else { return };
        self.world.store(Some(Arc::new(World {
            policy,
            namespaces: namespaces.clone(),
            candidate: candidate.clone(),
            differences: differences.clone(),
            sites: sites.clone(),
            settings: self.settings.clone(),
        })));
        self.changed.notify_one();
    }
}
