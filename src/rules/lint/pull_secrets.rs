//! Pull secrets for images to which no rule leads.

use super::{Linter, Part};
use crate::rules::{
    PullSecret, RuleSet,
    diagnostic::{Code, Diagnostic, shorten},
    rule::{Effect, Key, Rule},
    target::Scope,
};

impl Linter<'_> {
    /// Reports the pull secrets whose prefix has nothing in common with the images that these maps make or leave alone. It
    /// probably has a typing error.
    pub(super) fn unused_pull_secrets(&mut self, maps: &[&RuleSet]) {
        let defaults = maps.iter().filter_map(|map| map.default_rule());
        let swaps_by_default = { defaults }.any(|default| default.effect() == Effect::Swap);
        // Images of other registries may be left alone, too.
        let leaves_others = maps.iter().flat_map(|map| map.rules()).any(leaves_any_registry);
        if !swaps_by_default || leaves_others {
            return;
        }
        let mut bases: Vec<_> = maps.iter().flat_map(|map| map.rules()).filter_map(base).collect();
        bases.sort_unstable();
        let rules = self.rules;
        for secret in rules.pull_secrets().lines() {
            if !is_used(secret, &bases) {
                let span = self.span(secret.line, Part::Rule);
                let code = Code::UnusedPullSecret;
                self.found.push_with(code, || unused(secret).at(secret.line, span));
            }
        }
    }
}

/// Returns the start of the images that a rule makes, or of those that it leaves alone.
fn base(rule: &Rule) -> Option<&str> {
    match (rule.effect(), &rule.key) {
        (Effect::Swap, _) => Some(rule.target.scope().base),
        (Effect::Leave, Key::Registry(registry)) => Some(registry),
        _ => None,
    }
}

/// Returns true if a rule leaves images alone whose registry its key does not name as it is.
fn leaves_any_registry(rule: &Rule) -> bool {
    match &rule.key {
        Key::NoswapWildcards => !rule.target.is_empty(),
        Key::Exact(_) | Key::Replace(_) => rule.effect() == Effect::Leave,
        Key::Registry(_) => rule.effect() == Effect::Leave && rule.key.is_wildcard(),
        Key::Default => false,
    }
}

/// Returns true if an image can be under the prefix and start with one of these texts, which are sorted.
///
/// That is the case if one of both texts is the start of the other. That they may differ in the port, or end within a
/// name, does not matter to this check.
fn is_used(secret: &PullSecret, bases: &[&str]) -> bool {
    let Scope { base, .. } = secret.prefix.scope();
    let next = bases.partition_point(|other| *other < base);
    let is_below = bases.get(next).is_some_and(|other| other.starts_with(base));
    let starts = (1..=base.len()).filter_map(|end| base.get(..end));
    is_below || starts.into_iter().any(|start| bases.binary_search(&start).is_ok())
}

fn unused(secret: &PullSecret) -> Diagnostic {
    let prefix = secret.prefix.text();
    let message = format!("no rule leads to images under `{}`", shorten(prefix));
    let hint = "correct the prefix, or ignore this if pods name such images themselves";
    Diagnostic::new(Code::UnusedPullSecret, message, hint)
}
