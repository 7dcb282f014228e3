//! Chains: targets whose images another rule of the same map rewrites again.
//!
//! A second pass happens if the API server reinvokes the webhook, or if a controller copies a rewritten template. It
//! would then rewrite the image again. A map without a chain is idempotent. So the search may report a chain that only
//! an unlikely image follows, but it never misses a pair of rules within its [`Budget`].

mod globs;
mod keys;
mod made;
mod relocation;

use std::collections::HashSet;

use super::{Budget, Linter, Part};
use crate::{
    image::{ImageReference, has_upper_case},
    rules::{
        diagnostic::{Code, Diagnostic, shorten},
        rule::{Effect, Key, Rule},
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
    pub(super) fn chains(&mut self) {
        let mut budget = Budget::new();
        let mut links = self.links_from_exact_targets();
        let is_complete = self.links_to_keys(&mut links, &mut budget).is_some()
            && self.links_to_globs(&mut links, &mut budget).is_some();
        if !is_complete {
            self.found.mark_partial();
        }
        // Of two links between the same rules, the one that more images follow counts.
        links.sort_by_key(|link| (link.from.line, link.to.line, link.is_by_case));
        let mut seen = HashSet::new();
        for Link { from, to, is_by_case } in links {
            if !seen.insert((from.line, to.line)) {
                continue;
            }
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

    /// Finds chains from exact targets. Such a target is one image, so the rule set can decide on it.
    fn links_from_exact_targets(&self) -> Vec<Link<'a>> {
        let exact = self.rules.rules().iter().filter(|rule| rule.key.exact().is_some());
        exact
            .filter(|rule| rule.effect() == Effect::Swap)
            .filter_map(|from| {
                let decision = self.rules.decide(from.target.text());
                let to = decision.swapped.and(decision.rule)?;
                Some(Link { from, to, is_by_case: false })
            })
            .collect()
    }

    /// Returns the rules that can make any number of images.
    fn swapping_rules(&self) -> impl Iterator<Item = &'a Rule> {
        let rules = self.rules.rules().iter();
        rules.filter(|rule| rule.effect() == Effect::Swap && rule.key.exact().is_none())
    }
}
