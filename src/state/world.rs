//! The world in use: the rules and settings that decide about reviews.

use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};

use crate::{
    admission::{Scope, World},
    rules::Policy,
};

/// The [`World`] in use, which is rebuilt when one of its parts changes.
#[derive(Debug)]
pub struct CurrentWorld {
    scope: Scope,
    world: ArcSwapOption<World>,
}

impl CurrentWorld {
    /// Creates the state without a world, until the first policy is set.
    #[must_use]
    pub fn new(scope: Scope) -> Self {
        Self { scope, world: ArcSwapOption::empty() }
    }

    /// Returns the world in use; `None` if no policy is set yet.
    pub fn load(&self) -> Guard<Option<Arc<World>>> {
        self.world.load()
    }

    /// Replaces the policy.
    pub fn set_policy(&self, policy: &Arc<Policy>) {
        self.world.store(Some(Arc::new(World::new(policy.clone(), self.scope.clone()))));
    }
}
