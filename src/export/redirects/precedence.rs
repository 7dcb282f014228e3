//! The order of decision: a redirect is left out if another rule would decide some of its images first, and the form
//! cannot express that rule.

use std::collections::{HashMap, HashSet};

use super::{Features, Redirect, Redirects, Source};
use crate::{
    export::{Remark, shown},
    image::{
        DOCKER_HUB, DOCKER_HUB_INDEX, has_reference_characters_only, is_registry, split_path,
        split_port,
    },
    rules::{Effect, Glob, Key, MapFile, Rule, RuleSet},
};

/// Removes the redirects that would decide images of other rules.
pub(super) fn apply(rules: &RuleSet, features: Features, redirects: &mut Redirects<'_>) {
    let blockers = Blockers::new(rules);
    redirects.remove_if(|redirect| blockers.of(redirect));
    // A rule that is left out may leave its images to a rule with a shorter key.
    loop {
        let before = redirects.kept.len();
        let left_out = redirects.left_out_of(rules);
        redirects.remove_if(|redirect| {
            let first = left_out.iter().find(|rule| decides_before(rule, redirect))?;
            Some(format!("{} decides some of its images first, and is not exported", named(first)))
        });
        if !features.exceptions {
            let kept = redirects.kept.clone();
            let leaves = |other: &&Redirect<'_>| other.to.is_none();
            let leaving: Vec<_> = kept.iter().filter(leaves).map(|other| other.rule).collect();
            redirects.remove_if(|redirect| {
                redirect.to.as_ref()?;
                let is_default = redirect.source == Source::Default;
                let mut leaving = leaving.iter().filter(|_| !is_default);
                let first = leaving.find(|rule| decides_before(rule, redirect))?;
                Some(format!(
                    "{} leaves some of its images alone, which the form cannot",
                    named(first)
                ))
            });
        }
        if redirects.kept.len() == before {
            return;
        }
    }
}

impl<'r> Redirects<'r> {
    /// Moves the redirects for which there is a reason to the rules that are left out.
    fn remove_if(&mut self, reason: impl Fn(&Redirect<'r>) -> Option<String>) {
        let mut kept = Vec::new();
        for redirect in self.kept.drain(..) {
            match reason(&redirect) {
                // Without the redirect, its images are left alone as well.
                Some(_) if redirect.to.is_none() && redirect.source != Source::Default => {
                    kept.push(redirect);
                }
                Some(reason) => self.left_out.push(Remark::new(redirect.rule, reason)),
                None => kept.push(redirect),
            }
        }
        self.kept = kept;
    }

    /// Returns the rules for registries that are left out.
    fn left_out_of<'a>(&self, rules: &'a RuleSet) -> Vec<&'a Rule> {
        let kept: HashSet<_> = self.kept.iter().map(|redirect| redirect.rule.line).collect();
        let is_left_out =
            |rule: &&Rule| matches!(rule.key, Key::Registry(_)) && !kept.contains(&rule.line);
        rules.rules().iter().filter(is_left_out).collect()
    }
}

/// The rules that come before those of registries, and those that only concern the default.
struct Blockers<'r> {
    rules: &'r RuleSet,
    /// The rules of single images that are first for an image of another rule, by the line of that.
    exact: HashMap<u32, &'r Rule>,
    globs: Vec<(&'r Rule, Glob)>,
}

impl<'r> Blockers<'r> {
    fn new(rules: &'r RuleSet) -> Self {
        let globs = rules.rules().iter().filter_map(|rule| match &rule.key {
            Key::Replace(glob) => Some((rule, Glob::parse(&glob.to_ascii_lowercase()))),
            _ => None,
        });
        Self { rules, exact: exact_rules(rules), globs: globs.collect() }
    }

    /// Returns the reason why a redirect would decide images that another rule decides.
    fn of(&self, redirect: &Redirect<'_>) -> Option<String> {
        if let Some((rule, _)) =
            self.globs.iter().find(|(_, glob)| can_match(glob, &redirect.source))
        {
            return Some(format!(
                "{} can match its images, comes first, and is not exported",
                named(rule)
            ));
        }
        if let Some(rule) = self.exact.get(&redirect.rule.line) {
            return Some(format!(
                "{} decides one of its images first, and is not exported",
                named(rule)
            ));
        }
        if redirect.source != Source::Default {
            return None;
        }
        let mut rules = self.rules.rules().iter();
        let noswap = rules.find(|rule| matches!(rule.key, Key::NoswapWildcards));
        if let Some(rule) = noswap.filter(|rule| rule.target.text().contains(|mark| mark != ',')) {
            return Some(format!("{} comes first, and the form has no substrings", named(rule)));
        }
        self.rules.rules().iter().find_map(|rule| self.partly_covered_host(rule)).map(|host| {
            format!("images of `{host}` that are not at a target would be rewritten too; add the rule `{host}::`")
        })
    }

    /// Returns the host of a target with a path, if the map does not leave the whole host alone.
    fn partly_covered_host(&self, rule: &Rule) -> Option<String> {
        if rule.effect() != Effect::Swap || matches!(rule.key, Key::NoswapWildcards) {
            return None;
        }
        let (base, is_open) = rule.target.covered_prefix();
        let (host, path) = split_path(base);
        let is_whole = path.is_empty() && !is_open && !matches!(rule.key, Key::Exact(_));
        let is_left_alone = |rule: &Rule| {
            rule.effect() != Effect::Swap
                && matches!(&rule.key, Key::Registry(key) if **key == *host)
        };
        let is_covered = is_whole || self.rules.rules().iter().any(is_left_alone);
        (!is_covered).then(|| host.to_owned())
    }
}

/// Returns the rules of single images that decide an image otherwise than the rule that comes after them, by the line of
/// that rule.
fn exact_rules(rules: &RuleSet) -> HashMap<u32, &Rule> {
    let is_later = |rule: &&Rule| !matches!(rule.key, Key::Exact(_) | Key::Replace(_));
    let later = rules.rules().iter().filter(is_later).cloned().collect();
    let Ok(later) = RuleSet::compile(MapFile { rules: later, pull_secrets: Vec::new() }) else {
        return HashMap::new();
    };
    let exact = rules.rules().iter().rev().filter_map(|rule| {
        let image = rule.key.exact().filter(|image| has_reference_characters_only(image))?;
        let decision = later.decide(image);
        let differs = decision.result(image) != rules.decide(image).result(image);
        Some((decision.rule.filter(|_| differs)?.line, rule))
    });
    // The first rule of the map is the last one here.
    exact.collect()
}

/// Returns true if a glob can match an image of the source, however it is written.
fn can_match(glob: &Glob, source: &Source) -> bool {
    let extends = |text: &str| glob.intersects(&Glob::of_extensions(text));
    match source {
        Source::Default => true,
        Source::Domain(domain) => {
            let is_hub = DOCKER_HUB.ends_with(&format!(".{domain}"));
            is_hub || glob.intersects(&Glob::parse(&format!("*.{domain}/*")))
        }
        Source::Host { host, .. } if split_port(host).0 == DOCKER_HUB => {
            let on = |host: &str| extends(&format!("{host}/"));
            let is_short = !glob.literals().next().is_some_and(|start| {
                let (first, rest) = split_path(start);
                !rest.is_empty() && is_registry(first) && glob_starts_with(glob, start)
            });
            is_short || on(DOCKER_HUB) || on(DOCKER_HUB_INDEX)
        }
        Source::Host { .. } => extends(&source.prefix()),
    }
}

/// Returns true if all texts that the glob matches start with `start`.
fn glob_starts_with(glob: &Glob, start: &str) -> bool {
    Glob::of_extensions(start).subsumes(glob)
}

/// Returns true if a rule that comes before the redirect can match some of its images.
fn decides_before(rule: &Rule, redirect: &Redirect<'_>) -> bool {
    let Key::Registry(key) = &rule.key else { return false };
    if rule.line == redirect.rule.line {
        return false;
    }
    let (registry, path) = split_path(key);
    let path = path.trim_start_matches('/');
    match (&redirect.source, registry.strip_prefix("*.")) {
        (Source::Default, _) => true,
        (Source::Domain(domain), Some(other)) => {
            other.ends_with(&format!(".{domain}")) || (other == domain && !path.is_empty())
        }
        (Source::Domain(domain), None) => split_port(registry).0.ends_with(&format!(".{domain}")),
        (Source::Host { .. }, Some(_)) => false,
        (Source::Host { host, path: prefix }, None) => {
            let is_below = prefix.is_empty() || path.starts_with(&format!("{prefix}/"));
            registry == host && !path.is_empty() && is_below
        }
    }
}

/// Returns a rule for a message.
fn named(rule: &Rule) -> String {
    format!("line {} (`{}`)", rule.line, shown(&rule.key.to_string()))
}
