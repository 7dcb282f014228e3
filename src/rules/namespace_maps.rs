//! The maps of namespaces.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;

use super::{LoadedMap, RuleSet};

/// The maps of the namespaces that have one of their own, by namespace.
#[derive(Clone, Debug, Default)]
pub struct NamespaceMaps(HashMap<Box<str>, Arc<LoadedMap>, RandomState>);

impl NamespaceMaps {
    /// Returns the rules of a namespace; `None` if it has no map.
    #[must_use]
    pub fn rules(&self, namespace: &str) -> Option<&RuleSet> {
        self.get(namespace).map(|map| &map.rules)
    }

    /// Returns the map of a namespace; `None` if it has none.
    #[must_use]
    pub fn get(&self, namespace: &str) -> Option<&LoadedMap> {
        // Most clusters have none.
        if self.0.is_empty() {
            return None;
        }
        self.0.get(namespace).map(|map| &**map)
    }

    /// Returns the maps with their namespaces, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &LoadedMap)> {
        self.0.iter().map(|(namespace, map)| (&**namespace, &**map))
    }
}

impl FromIterator<(Box<str>, Arc<LoadedMap>)> for NamespaceMaps {
    fn from_iter<I: IntoIterator<Item = (Box<str>, Arc<LoadedMap>)>>(maps: I) -> Self {
        Self(maps.into_iter().collect())
    }
}
