//! Number of rules that were added, removed or changed by a reload.

use std::collections::HashMap;

use super::RuleSet;

/// Number of differences between a map and the previous one, by the keys of their rules.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RuleChanges {
    /// Number of new keys.
    pub added: usize,
    /// Number of removed keys.
    pub removed: usize,
    /// Number of keys with a different target.
    pub changed: usize,
}

impl RuleChanges {
    /// Compares `new` with `old`. Without an old map, all rules are new.
    #[must_use]
    pub fn between(old: Option<&RuleSet>, new: &RuleSet) -> Self {
        let old: HashMap<_, _> = old
            .into_iter()
            .flat_map(RuleSet::rules)
            .map(|rule| (&rule.key, &rule.target))
            .collect();
        let mut changes = Self::default();
        for rule in new.rules() {
            match old.get(&rule.key) {
                None => changes.added += 1,
                Some(target) if **target != rule.target => changes.changed += 1,
                Some(_) => {}
            }
        }
        changes.removed = old.len() + changes.added - new.rules().len();
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::LoadedMap;

    #[test]
    fn changes_are_counted_by_key() {
        let rules = |text: &str| LoadedMap::from_text(text).unwrap().rules;
        let old = rules("default::a.io\nb.io::1\nc.io::2");
        let new = rules("default::a.io\nb.io::3\nd.io::4\ne.io::5");
        let expected = RuleChanges { added: 2, removed: 1, changed: 1 };
        assert_eq!(RuleChanges::between(Some(&old), &new), expected);
        let expected = RuleChanges { added: 4, removed: 0, changed: 0 };
        assert_eq!(RuleChanges::between(None, &new), expected);
    }
}
