//! The maps of namespaces.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{rules::ReadBudget, shown::Shown};
use crate::{
    admission::World,
    rules::{LoadedMap, Rule, Severity},
    state::{LoadStatus, Summary},
};

/// Maximum number of namespaces on the page.
const MAX_SHOWN: usize = 1_000;

/// The maps of namespaces.
#[derive(Debug, Default, Serialize)]
pub(super) struct Namespaces {
    /// Number of maps in use.
    pub(super) maps: usize,
    /// Number of namespaces whose file could not be used at the last load.
    pub(super) failing: usize,
    /// The namespaces, those that fail first.
    pub(super) shown: Vec<NamespaceRow>,
    /// Number of namespaces that are not shown.
    pub(super) left_out: usize,
}

/// The map of a namespace.
#[derive(Debug, Serialize)]
pub(super) struct NamespaceRow {
    pub(super) namespace: Shown,
    /// Number of rules in use; `None` if the map of the cluster decides.
    pub(super) rules: Option<usize>,
    /// Number of images that they have decided; `None` without rules, or if there are too many to read.
    pub(super) hits: Option<u64>,
    pub(super) errors: usize,
    pub(super) warnings: usize,
    /// The error of the last load; `None` if it succeeded.
    pub(super) last_error: Option<Shown>,
}

impl Namespaces {
    /// Returns the maps of namespaces; `status` is that of their load.
    pub(super) fn of(world: &World, status: Option<&LoadStatus>, budget: &mut ReadBudget) -> Self {
        let none = BTreeMap::new();
        let failing = match status.and_then(|status| status.load.as_ref()) {
            Some(load) => match &load.summary {
                Summary::NamespaceMaps(summary) => &summary.failing,
                _ => &none,
            },
            None => &none,
        };
        let mut maps: BTreeMap<_, _> =
            world.namespaces.iter().map(|(namespace, map)| (namespace, Some(map))).collect();
        let in_use = maps.len();
        for namespace in failing.keys() {
            maps.entry(namespace).or_default();
        }
        let total = maps.len();
        // Both parts are in the order of their names.
        let (first, others): (Vec<_>, Vec<_>) =
            maps.into_iter().partition(|(namespace, _)| failing.contains_key(*namespace));
        let all = first.into_iter().chain(others).take(MAX_SHOWN);
        let shown: Vec<_> = all
            .map(|(namespace, map)| {
                let error = failing.get(namespace).map(|error| Shown::new(error));
                NamespaceRow::new(namespace, map, error, budget)
            })
            .collect();
        Self { maps: in_use, failing: failing.len(), left_out: total - shown.len(), shown }
    }
}

impl NamespaceRow {
    fn new(
        namespace: &str,
        map: Option<&LoadedMap>,
        last_error: Option<Shown>,
        budget: &mut ReadBudget,
    ) -> Self {
        let rules = map.map(|map| map.rules.rules());
        let hits = rules.and_then(|rules| {
            let read = budget.take(rules);
            (read.len() == rules.len()).then(|| read.iter().map(Rule::hits).sum())
        });
        let count = |severity| map.map_or(0, |map| map.diagnostics.count(severity));
        Self {
            namespace: Shown::new(namespace),
            rules: rules.map(<[Rule]>::len),
            hits,
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            last_error,
        }
    }
}
