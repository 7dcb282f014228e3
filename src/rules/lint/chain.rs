//! Chains: targets that another rule of the same map sends elsewhere.
//!
//! An image that one rule swaps would then be swapped again on a second pass, as it happens when
//! the API server reinvokes the webhook or a controller copies a swapped template. A map without a
//! chain is idempotent. The search therefore may report a chain that only a far-fetched image
//! takes, and never misses one (as far as its [`Budget`] goes).

use std::collections::HashSet;

use super::{Budget, Linter, Part};
use crate::{
    image::{DOCKER_HUB, DOCKER_HUB_INDEX, ImageReference, LIBRARY, is_registry},
    rules::{
        diagnostic::{Code, Diagnostic, shorten},
        glob::Glob,
        rule::{Effect, Key, Rule},
        target::Target,
        target_index::TargetIndex,
    },
};

/// Stands for a path segment, or the rest of one, that no rule names.
const ANY: &str = "\0";

/// A rule that makes images, and the rule that claims them.
type Link<'a> = (&'a Rule, &'a Rule);

impl<'a> Linter<'a> {
    pub(super) fn chains(&mut self) {
        let mut seen = HashSet::new();
        let mut links = Vec::new();
        links.extend(self.links_from_exact_targets());
        links.extend(self.links_to_keys_under_a_target());
        links.extend(self.links_to_registries_of_targets());
        let (links_to_globs, is_partial) = self.links_to_globs();
        links.extend(links_to_globs);
        if is_partial {
            self.found.mark_partial();
        }
        for (from, to) in links {
            if !seen.insert((from.line, to.line)) {
                continue;
            }
            let target = shorten(to.target.text());
            let message = format!(
                "images that this rule makes are sent on to `{target}` by line {}",
                to.line
            );
            let hint = match &from.key {
                Key::Exact(_) => "give the rule its final target".to_owned(),
                _ => format!("give the rule its final target, or narrow line {}", to.line),
            };
            let diagnostic = Diagnostic::new(Code::Chain, message, hint)
                .related_to(to.line, "this rule claims them on a second pass");
            self.report(from, Part::Target, diagnostic);
        }
    }

    /// An exact target is one image, so the rule set itself tells what becomes of it.
    fn links_from_exact_targets(&self) -> Vec<Link<'a>> {
        let exact = self.rules.rules().iter().filter(|rule| rule.key.exact().is_some());
        exact
            .filter(|rule| rule.effect() == Effect::Swap)
            .filter_map(|rule| {
                let decision = self.rules.decide(rule.target.text());
                Some((rule, decision.swapped.and(decision.rule)?))
            })
            .collect()
    }

    /// Keys that lie under a target: an exact image, or a registry with a path prefix.
    fn links_to_keys_under_a_target(&self) -> Vec<Link<'a>> {
        let mut links = Vec::new();
        let targets = &self.rules.targets;
        // A key without a port also claims images with one, so targets are looked up without too.
        let with_port: Vec<_> = self
            .rules
            .rules()
            .iter()
            .filter_map(|rule| Some((rule, without_port(rule)?)))
            .collect();
        let stripped: Vec<_> = with_port.iter().map(|(_, stripped)| stripped.clone()).collect();
        let stripped_targets = TargetIndex::build(&stripped);
        for rule in self.rules.rules().iter().filter(|rule| rule.effect() == Effect::Swap) {
            match &rule.key {
                Key::Exact(image) if **image != *rule.target.text() => {
                    let from = targets.containing(&ImageReference::parse(image));
                    links.extend(from.map(|number| (self.rules.rule(number), rule)));
                }
                Key::Registry(key) => {
                    let leaves = |image: &str| !rule.target.covers(&ImageReference::parse(image));
                    let ported = name_with_port(key);
                    let names = names_of_images_below(key).into_iter().chain(ported.clone());
                    for name in names.filter(|name| leaves(name)) {
                        let from = targets.containing(&ImageReference::parse(&name));
                        links.extend(from.map(|number| (self.rules.rule(number), rule)));
                    }
                    if ported.is_some_and(|name| leaves(&name)) {
                        let name = format!("{key}/{ANY}");
                        let from = stripped_targets.containing(&ImageReference::parse(&name));
                        links.extend(from.map(|number| (with_port[number as usize].0, rule)));
                    }
                }
                _ => {}
            }
        }
        links
    }

    /// Registry rules that claim a target itself, and with it all images below.
    fn links_to_registries_of_targets(&self) -> Vec<Link<'a>> {
        let mut links = Vec::new();
        if self.rules.default_rule().is_none() {
            return links;
        }
        for rule in self.rules.rules().iter().filter(|rule| makes_images(rule)) {
            for sample in samples(rule) {
                let image = ImageReference::parse(&sample);
                let Some(found) = self.rules.registries.longest_prefix(&image) else { continue };
                let claiming = self.rules.rule(found.rule);
                let stays = claiming.effect() != Effect::Swap
                    || claiming.target.covers(&image)
                    || (found.has_path && claiming.target.is_repository_of(&image));
                if !stays {
                    links.push((rule, claiming));
                }
            }
        }
        links
    }

    /// Globs that claim what rules make, and whether some were not looked at.
    fn links_to_globs(&self) -> (Vec<Link<'a>>, bool) {
        let globs: Vec<_> = self.rules.globs.iter().collect();
        let mut links = Vec::new();
        let mut seen = HashSet::new();
        let mut budget = Budget::new();
        for rule in self.rules.rules().iter().filter(|rule| makes_images(rule)) {
            let own = match &rule.key {
                Key::Replace(text) => Some(Glob::parse(text)),
                _ => None,
            };
            if own.is_none() && !seen.insert((rule.target.text(), names_repository(rule))) {
                continue;
            }
            let mut is_later = false;
            for (number, glob) in &globs {
                let claiming = self.rules.rule(*number);
                if claiming.line == rule.line {
                    is_later = true;
                    continue;
                }
                let made_length = rule.target.text().len() + rule.key.exact_or_glob().len();
                if !budget.take(claiming.key.exact_or_glob().len(), made_length) {
                    return (links, true);
                }
                let stays = claiming.effect() != Effect::Swap
                    || samples(rule)
                        .iter()
                        .all(|sample| claiming.target.covers(&ImageReference::parse(sample)));
                let claims = !stays
                    && match &own {
                        Some(own) => claims_replaced(glob, own, rule, is_later),
                        None => claims_relocated(glob, rule),
                    };
                if claims {
                    links.push((rule, claiming));
                }
            }
        }
        (links, false)
    }
}

/// Whether the rule makes any number of images below its target.
fn makes_images(rule: &Rule) -> bool {
    rule.effect() == Effect::Swap && rule.key.exact().is_none()
}

/// What the images of a rule begin with.
fn beginnings(rule: &Rule) -> Vec<String> {
    let base = rule.target.base();
    if rule.target.is_prefix() {
        // Behind the prefix stands the host, which a shorthand does not name.
        return vec![base.to_owned(), format!("{base}{DOCKER_HUB}/")];
    }
    let mut beginnings = vec![format!("{base}/")];
    if rule.target.is_bare_host() || names_repository(rule) {
        beginnings.push(format!("{base}:"));
    }
    if names_repository(rule) {
        beginnings.extend([format!("{base}@"), base.to_owned()]);
    }
    beginnings
}

/// Images that stand for all that the rule makes, as far as registry rules can tell them apart.
fn samples(rule: &Rule) -> Vec<String> {
    let base = rule.target.base();
    let joint = if rule.target.is_prefix() { "" } else { "/" };
    let mut samples = vec![format!("{base}{joint}{ANY}"), format!("{base}{joint}{ANY}/{ANY}")];
    if names_repository(rule) {
        samples.push(format!("{base}:{ANY}"));
    }
    if rule.target.is_bare_host() && !rule.target.is_prefix() {
        samples.push(format!("{base}:{ANY}/{ANY}"));
    }
    if rule.target.is_prefix() {
        // With the host behind it the prefix may be part of a registry's name.
        samples.push(format!("{base}{ANY}.{ANY}/{ANY}"));
    }
    samples
}

/// Whether an image can be the key itself with a tag, so that the target is a whole repository.
fn names_repository(rule: &Rule) -> bool {
    match &rule.key {
        // `docker.io/x` is an organization: the image `x` is `docker.io/library/x`.
        Key::Registry(key) => match key.split_once('/') {
            Some((DOCKER_HUB, path)) => path.contains('/'),
            Some(_) => true,
            None => false,
        },
        _ => false,
    }
}

/// The rule with its target's port taken away; none when it has none.
fn without_port(rule: &Rule) -> Option<Rule> {
    let target = rule.target.text();
    let (registry, path) = target.split_once('/').unwrap_or((target, ""));
    let (host, _) = registry.rsplit_once(':').filter(|_| makes_images(rule))?;
    let joint = if path.is_empty() { "" } else { "/" };
    let target = Target::new(&format!("{host}{joint}{path}"));
    Some(Rule::new(rule.key.clone(), target, &rule.file, rule.line))
}

/// An image below a registry key, with a port that the key does not name; none when it names one.
fn name_with_port(key: &str) -> Option<String> {
    let (host, path) = key.split_once('/').map_or((key, ""), |(host, _)| key.split_at(host.len()));
    (!host.contains(':')).then(|| format!("{host}:{ANY}{path}/{ANY}"))
}

/// The ways to write an image below a registry key, as far as targets can tell them apart; none
/// when the key is no registry without a port.
fn names_of_images_below(key: &str) -> Vec<String> {
    if !is_registry(key.split('/').next().unwrap_or_default()) {
        return Vec::new();
    }
    let mut names = vec![format!("{key}/{ANY}")];
    if let Some(path) = key.strip_prefix(DOCKER_HUB).and_then(|path| path.strip_prefix('/')) {
        names.push(format!("{DOCKER_HUB_INDEX}/{path}/{ANY}"));
        names.push(format!("{path}/{ANY}"));
        // An image of the library may be written without it.
        if let Some(name) = path.strip_prefix(LIBRARY).and_then(|rest| rest.strip_prefix('/')) {
            for registry in ["", "docker.io/", "index.docker.io/"] {
                names.push(format!("{registry}{name}"));
            }
        }
    } else if key.contains('/') {
        names.push(key.to_owned());
    }
    names
}

/// Whether `glob` matches an image that a default or registry rule made of one that no glob
/// matches.
fn claims_relocated(glob: &Glob, rule: &Rule) -> bool {
    let beginnings = beginnings(rule);
    match glob.after_leading_stars() {
        None => beginnings.iter().any(|beginning| glob.matches_some_extension_of(beginning)),
        // What follows the beginning is the end of the old image. A match that lies within it
        // would have been found in the old image already, so only one that starts earlier counts.
        Some(tail) => {
            beginnings.iter().any(|beginning| starts_within(&tail, beginning))
                || (rule.target.is_prefix() && glob.spans_slash())
        }
    }
}

/// Whether `tail` matches something that starts within `beginning` and goes on at will.
fn starts_within(tail: &Glob, beginning: &str) -> bool {
    beginning.char_indices().any(|(start, _)| tail.matches_some_extension_of(&beginning[start..]))
}

/// Whether `glob` matches an image that the [REPLACE] rule `rule` with the glob `own` made.
fn claims_replaced(glob: &Glob, own: &Glob, rule: &Rule, is_later: bool) -> bool {
    let base = rule.target.base();
    let beginning = if rule.target.is_prefix() { base.to_owned() } else { format!("{base}/") };
    let made = own.last_segments().prefixed(&beginning);
    if !glob.intersects(&made) {
        return false;
    }
    if is_later {
        return !own.subsumes(&made);
    }
    match glob.after_leading_stars() {
        None => true,
        Some(tail) => starts_within(&tail, &beginning),
    }
}
