//! The rules of the map, with their hits.

use serde::Serialize;

use super::shown::Shown;
use crate::{
    admission::World,
    rules::{Policy, Rule},
};

/// Maximum number of rules on the page. A page with them has about 100 KiB, and people look for the rules at its top.
const MAX_SHOWN: usize = 500;

/// Maximum number of rules whose hits are read for one page: about ten milliseconds.
const MAX_READ: usize = 200_000;

/// The rules of the map of the cluster.
#[derive(Debug, Serialize)]
pub(super) struct Rules {
    /// Number of rules.
    pub(super) total: usize,
    /// Number of rules that have decided no image since the load, of those whose hits are read.
    pub(super) without_hits: usize,
    /// The rules with the most hits, and rules with as many in the order of the file.
    pub(super) shown: Vec<RuleRow>,
    /// Number of rules that are not shown.
    pub(super) left_out: usize,
}

/// A rule.
#[derive(Debug, Serialize)]
pub(super) struct RuleRow {
    pub(super) key: Shown,
    pub(super) target: Shown,
    pub(super) kind: &'static str,
    pub(super) line: u32,
    pub(super) hits: u64,
}

/// A number of rules whose hits may still be read, so that a page takes a bounded time.
pub(super) struct ReadBudget(usize);

impl Default for ReadBudget {
    fn default() -> Self {
        Self(MAX_READ)
    }
}

impl ReadBudget {
    /// Returns the rules whose hits may be read.
    pub(super) fn take<'a>(&mut self, rules: &'a [Rule]) -> &'a [Rule] {
        let taken = &rules[..rules.len().min(self.0)];
        self.0 -= taken.len();
        taken
    }
}

impl Rules {
    /// Returns the rules of the map of the cluster; `None` without a map.
    pub(super) fn of(world: &World, budget: &mut ReadBudget) -> Option<Self> {
        let Policy::Maps(map) = &*world.policy else { return None };
        // The counters go on while they are sorted, so each is read once.
        let read = budget.take(map.rules());
        let mut rules: Vec<_> = read.iter().map(|rule| (rule.hits(), rule)).collect();
        let without_hits = rules.iter().filter(|(hits, _)| *hits == 0).count();
        let by_hits = |(hits, rule): &(u64, &Rule)| (u64::MAX - hits, rule.line);
        if rules.len() > MAX_SHOWN {
            rules.select_nth_unstable_by_key(MAX_SHOWN, by_hits);
            rules.truncate(MAX_SHOWN);
        }
        rules.sort_unstable_by_key(by_hits);
        let total = map.rules().len();
        Some(Self {
            total,
            without_hits,
            left_out: total - rules.len(),
            shown: rules.into_iter().map(|(hits, rule)| RuleRow::new(hits, rule)).collect(),
        })
    }
}

impl RuleRow {
    fn new(hits: u64, rule: &Rule) -> Self {
        Self {
            key: Shown::of(&rule.key),
            target: Shown::new(rule.target.text()),
            kind: rule.key.kind().as_str(),
            line: rule.line,
            hits,
        }
    }
}
