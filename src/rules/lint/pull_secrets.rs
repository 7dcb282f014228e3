//! Pull secrets for images to which no rule leads.

use super::{Linter, Part};
use crate::rules::{
    PullSecret, RuleSet,
    diagnostic::{Code, Diagnostic, shorten},
    rule::{Effect, Rule},
    target::Scope,
};

impl Linter<'_> {
    /// Reports the pull secrets whose prefix has nothing in common with the targets of these maps. It probably has a typing
    /// error.
    pub(super) fn unused_pull_secrets(&mut self, maps: &[&RuleSet]) {
        let mut targets: Vec<_> =
            maps.iter().flat_map(|map| map.rules()).filter_map(base).collect();
        targets.sort_unstable();
        let rules = self.rules;
        for secret in rules.pull_secrets().lines() {
            if !is_used(secret, &targets) {
                let span = self.span(secret.line, Part::Rule);
                let code = Code::UnusedPullSecret;
                self.found.push_with(code, || unused(secret).at(secret.line, span));
            }
        }
    }
}

/// Returns the start of the images that a rule makes; `None` if it makes none.
fn base(rule: &Rule) -> Option<&str> {
    (rule.effect() == Effect::Swap).then(|| rule.target.scope().base)
}

/// Returns true if an image can be under the prefix and under one of the targets, which are sorted.
///
/// That is the case if one of both texts is the start of the other. That they may differ in the port, or end within a
/// name, does not matter to this check.
fn is_used(secret: &PullSecret, targets: &[&str]) -> bool {
    let Scope { base, .. } = secret.prefix.scope();
    let next = targets.partition_point(|target| *target < base);
    let is_below = targets.get(next).is_some_and(|target| target.starts_with(base));
    let starts = (1..=base.len()).filter_map(|end| base.get(..end));
    is_below || starts.into_iter().any(|start| targets.binary_search(&start).is_ok())
}

fn unused(secret: &PullSecret) -> Diagnostic {
    let prefix = secret.prefix.text();
    let message = format!("no rule leads to images under `{}`", shorten(prefix));
    let hint = "correct the prefix, or ignore this if pods name such images themselves";
    Diagnostic::new(Code::UnusedPullSecret, message, hint)
}
