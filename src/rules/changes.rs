//! Number of rules that were added, removed or changed by a reload.

use std::collections::HashMap;

use super::{Key, RuleSet, Target};

/// Number of differences between a map and the previous one: rules and pull secrets, by their keys.
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
        let old: HashMap<_, _> = old.into_iter().flat_map(lines).collect();
        let mut changes = Self::default();
        let mut total = 0;
        for (key, value) in lines(new) {
            total += 1;
            match old.get(&key) {
                None => changes.added += 1,
                Some(other) if *other != value => changes.changed += 1,
                Some(_) => {}
            }
        }
        changes.removed = old.len() + changes.added - total;
        changes
    }
}

/// The key of a line.
#[derive(Eq, Hash, PartialEq)]
enum LineKey<'a> {
    PullSecret(&'a Target),
    Rule(&'a Key),
}

/// The value of a line: the names of Secrets, or a target.
#[derive(Eq, PartialEq)]
enum LineValue<'a> {
    Names(&'a [Box<str>]),
    Target(&'a Target),
}

/// Returns the rules and pull secrets of a map.
fn lines(rules: &RuleSet) -> impl Iterator<Item = (LineKey<'_>, LineValue<'_>)> {
    let secrets = rules.pull_secrets().lines().iter();
    let secrets =
        secrets.map(|line| (LineKey::PullSecret(&line.prefix), LineValue::Names(&line.names)));
    let rules = rules.rules().iter();
    let rules = rules.map(|rule| (LineKey::Rule(&rule.key), LineValue::Target(&rule.target)));
    rules.chain(secrets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::LoadedMap;

    #[test]
    fn changes_are_counted_by_key() {
        let rules = |text: &str| LoadedMap::from_text(text).unwrap().rules;
        let old =
            rules("default::a.io\nb.io::1\nc.io::2\n[PULLSECRET]b.io::a\n[PULLSECRET]c.io::a");
        let new = rules("default::a.io\nb.io::3\nd.io::4\ne.io::5\n[PULLSECRET]b.io::b");
        let expected = RuleChanges { added: 2, removed: 2, changed: 2 };
        assert_eq!(RuleChanges::between(Some(&old), &new), expected);
        let expected = RuleChanges { added: 5, removed: 0, changed: 0 };
        assert_eq!(RuleChanges::between(None, &new), expected);
    }
}
