//! Everything that decides about reviews, put together from its parts.

use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};

use crate::{
    admission::{Scope, World},
    rules::Policy,
};

/// The [`World`] in use, which is put together anew when one of its parts changes.
#[derive(Debug)]
pub struct CurrentWorld {
    scope: Scope,
    world: ArcSwapOption<World>,
}

impl CurrentWorld {
    /// Creates a world without a policy, which decides nothing yet.
    #[must_use]
    pub fn new(scope: Scope) -> Self {
        Self { scope, world: ArcSwapOption::empty() }
    }

    /// Returns the world in use; `None` as long as there is no policy.
    pub fn load(&self) -> Guard<Option<Arc<World>>> {
        self.world.load()
    }

    /// Decides by `policy` from now on.
    pub fn set_policy(&self, policy: &Arc<Policy>) {
        self.world.store(Some(Arc::new(World::new(policy.clone(), self.scope.clone()))));
    }
}
