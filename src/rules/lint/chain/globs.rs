//! Chains to globs.
//!
//! Globs apply before all rules but `[EXACT]`. So an image that another rule rewrites matches no glob, and the new image
//! matches one only with the help of the text that the rule adds.

use std::{collections::HashMap, ptr};

use super::{
    Budget, Link, Linter,
    made::{Continuation, MadeImages},
    relocation::{Claim, Relocation},
    swapping_rules, with_lower_case,
};
use crate::rules::{
    glob::Glob,
    rule::{Effect, Key, Rule},
    rule_set::RuleSet,
};

/// The properties of a rule that decide which globs match its images.
#[derive(Eq, Hash, PartialEq)]
struct Shape<'a> {
    target: &'a str,
    /// The text that all images of the rule start with.
    base: String,
    continuations: Vec<Continuation>,
    /// True if the old images can be those of Docker Hub.
    may_be_docker_hub: bool,
}

/// A `[REPLACE]` rule with its index in the map and its glob.
type NumberedGlob<'a> = (u32, &'a Rule, &'a Glob);

impl<'a> Linter<'a> {
    /// Adds the links to `[REPLACE]` rules. `None` if the budget does not suffice for all of them.
    pub(super) fn links_to_globs(
        &self,
        makers: &'a RuleSet,
        links: &mut Vec<Link<'a>>,
        budget: &mut Budget,
    ) -> Option<()> {
        let globs = self.rules.globs.iter();
        let globs: Vec<_> =
            globs.map(|(number, glob)| (number, self.rules.rule(number), glob)).collect();
        if globs.is_empty() {
            return Some(());
        }
        let mut by_shape: HashMap<Shape<'a>, Vec<&'a Rule>> = HashMap::new();
        let number_of: HashMap<_, _> =
            globs.iter().map(|(number, rule, _)| (ptr::from_ref(*rule), *number)).collect();
        for from in swapping_rules(makers) {
            if let Key::Replace(own) = &from.key {
                // The globs of another map come before those of the rule.
                let number = number_of.get(&ptr::from_ref(from)).copied().unwrap_or(u32::MAX);
                let own = Glob::parse(own);
                link_to_globs(&[from], &globs, links, budget, |other, glob| {
                    claim_on_replaced(glob, &own, from, other > number)
                })?;
            } else {
                let MadeImages { base, continuations, .. } = MadeImages::of(from);
                let target = from.target.text();
                let may_be_docker_hub = Relocation::may_be_docker_hub(from);
                let shape = Shape { target, base, continuations, may_be_docker_hub };
                by_shape.entry(shape).or_default().push(from);
            }
        }
        for makers in by_shape.into_values() {
            let relocation = Relocation::by(makers[0]);
            link_to_globs(&makers, &globs, links, budget, |_, glob| relocation.claim(glob))?;
        }
        Some(())
    }
}

/// Adds the links from `makers`, which all make the same images, to the globs for which `claim` returns a claim.
fn link_to_globs<'a>(
    makers: &[&'a Rule],
    globs: &[NumberedGlob<'a>],
    links: &mut Vec<Link<'a>>,
    budget: &mut Budget,
    claim: impl Fn(u32, &Glob) -> Option<Claim>,
) -> Option<()> {
    let rule = makers[0];
    let samples = MadeImages::of(rule).samples();
    for (number, to, glob) in globs {
        if ptr::eq(*to, rule) {
            continue;
        }
        let made_length = rule.target.text().len() + rule.key.exact_or_glob().len();
        budget.take(to.key.exact_or_glob().len(), made_length)?;
        let is_covered = |sample: &String| with_lower_case(sample, |image| to.target.covers(image));
        if to.effect() != Effect::Swap || samples.iter().all(is_covered) {
            continue;
        }
        let Some(claim) = claim(*number, glob) else { continue };
        for from in makers {
            budget.take(1, 1)?;
            links.push(Link { from, to, is_by_case: claim == Claim::UpperCaseHosts });
        }
    }
    Some(())
}

/// Returns the claim of `glob` on the images that the `[REPLACE]` rule `rule` with the glob `own` makes.
///
/// `is_later` is true if `glob` comes after `own` in the map.
fn claim_on_replaced(glob: &Glob, own: &Glob, rule: &Rule, is_later: bool) -> Option<Claim> {
    let relocation = Relocation::by(rule);
    let made = match rule.target.template() {
        Some(template) => Glob::of_extensions(template.start()),
        None => {
            let base = rule.target.base();
            let separator = if rule.target.is_prefix() { "" } else { "/" };
            own.last_segments().prefixed(&format!("{base}{separator}"))
        }
    };
    if !glob.intersects(&made) {
        None
    } else if is_later {
        (!own.subsumes(&made)).then_some(Claim::Any)
    } else {
        relocation.claim(glob)
    }
}
