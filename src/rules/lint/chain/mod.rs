//! Chains: targets whose images another rule of the same map rewrites again.
//!
//! A second pass happens if the API server reinvokes the webhook, or if a controller copies a rewritten template. It
//! would then rewrite the image again. A map without a chain is idempotent. So the search may report a chain that only
//! an unlikely image follows, but it never misses a pair of rules within its [`Budget`].

mod globs;
mod keys;
mod made;
mod relocation;

use std::collections::{HashMap, HashSet};

use super::{Budget, Linter, Part};
use crate::{
    image::{ImageReference, has_upper_case},
    rules::{
        MapScope, Maps,
        diagnostic::{Code, Diagnostic, shorten},
        rule::{Effect, Key, Rule},
        rule_set::RuleSet,
    },
};

/// Placeholder for a path segment, or the rest of one, that occurs in no rule.
const ANY: &str = "\0";

/// Calls `run` with an image whose registry is in lower case.
fn with_lower_case<T>(image: &str, run: impl FnOnce(&ImageReference<'_>) -> T) -> T {
    let written = ImageReference::parse(image);
    if has_upper_case(image) {
        run(&written.in_lower_case(&mut vec![0; image.len()]))
    } else {
        run(&written)
    }
}

/// A rule that makes images, and the rule that rewrites them again.
struct Link<'a> {
    from: &'a Rule,
    to: &'a Rule,
    /// True if only images whose host is written with upper-case letters are rewritten again.
    is_by_case: bool,
}

impl<'a> Linter<'a> {
    /// Reports the chains within the map.
    pub(super) fn chains(&mut self) {
        for Link { from, to, is_by_case } in self.links_from(self.rules) {
            let target = shorten(to.target.text());
            let images = if is_by_case {
                "images of hosts in capitals, which this rule writes in lower case,"
            } else {
                "images that this rule makes"
            };
            let message = format!("{images} are sent on to `{target}` by line {}", to.line);
            let hint = match &from.key {
                Key::Exact(_) => "give the rule its final target".to_owned(),
                _ => format!("give the rule its final target, or narrow line {}", to.line),
            };
            let code = if is_by_case { Code::CaseChain } else { Code::Chain };
            let diagnostic = Diagnostic::new(code, message, hint)
                .related_to(to.line, "this rule claims them on a second pass");
            self.report(from, Part::Target, diagnostic);
        }
    }

    /// Reports the chains from rules of the cluster to rules of this map, that of a namespace.
    pub(super) fn chains_from(&mut self, cluster: &'a RuleSet) {
        for Link { from, to, is_by_case } in self.links_from(cluster) {
            let images = if is_by_case { "images of hosts in capitals" } else { "images" };
            let target = shorten(to.target.text());
            let message = format!(
                "{images} that {} makes, in the map of the cluster, are sent on to `{target}`",
                from.location()
            );
            let hint = "narrow this rule, or give the other one this target";
            let code = if is_by_case { Code::CaseChain } else { Code::Chain };
            self.report(to, Part::Rule, Diagnostic::new(code, message, hint));
        }
    }

    /// Finds the rules of this map that rewrite the images of the rules `makers` again.
    fn links_from(&mut self, makers: &'a RuleSet) -> Vec<Link<'a>> {
        let mut budget = Budget::new();
        let mut links = self.links_from_exact_targets(makers);
        let is_complete = self.links_to_keys(makers, &mut links, &mut budget).is_some()
            && self.links_to_globs(makers, &mut links, &mut budget).is_some();
        if !is_complete {
            self.found.mark_partial();
        }
        // Of two links between the same rules, the one that more images follow counts.
        links.sort_by_key(|link| (link.from.line, link.to.line, link.is_by_case));
        let mut seen = HashSet::new();
        links.retain(|link| seen.insert((link.from.line, link.to.line)));
        links
    }

    /// Finds chains from exact targets. Such a target is one image, so the rule set can decide on it.
    fn links_from_exact_targets(&self, makers: &'a RuleSet) -> Vec<Link<'a>> {
        let mut links = Vec::new();
        // Decisions of a namespace do not depend on the rules of the cluster if there are none.
        let none = RuleSet::default();
        let by_line: HashMap<_, _> =
            self.rules.rules().iter().map(|rule| (rule.line, rule)).collect();
        for from in makers.rules() {
            if from.key.exact().is_none() || from.effect() != Effect::Swap {
                continue;
            }
            let image = from.target.text();
            let decision = match self.scope {
                MapScope::Cluster => self.rules.decide(image),
                MapScope::Namespace => Maps::new(Some(self.rules), &none).decide(image),
            };
            let Some(to) = decision.swapped.and(decision.rule) else { continue };
            if let Some(&to) = by_line.get(&to.line) {
                links.push(Link { from, to, is_by_case: false });
            }
        }
        links
    }
}

/// Returns the rules that can make any number of images.
fn swapping_rules(makers: &RuleSet) -> impl Iterator<Item = &Rule> {
    let rules = makers.rules().iter();
    rules.filter(|rule| rule.effect() == Effect::Swap && rule.key.exact().is_none())
}
