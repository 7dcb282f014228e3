//! Chains: targets whose images another rule of the same map rewrites again.
//!
//! A second pass happens if the API server reinvokes the webhook, or if a controller copies a rewritten template. It
//! would then rewrite the image again. A map without a chain is idempotent. So the search may report a chain that only
//! an unlikely image follows, but it never misses a chain within its [`Budget`].

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

/// Placeholder for a path segment, or the rest of one, that occurs in no rule.
const ANY: &str = "\0";

/// A rule that produces images, and the rule that rewrites them again.
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

    /// Finds chains from exact targets. Such a target is one image, so the rule set can decide on it.
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

    /// Finds chains to keys that are under a target: an exact image, or a registry with a path prefix.
    fn links_to_keys_under_a_target(&self) -> Vec<Link<'a>> {
        let mut links = Vec::new();
        let targets = &self.rules.targets;
        // A key without a port also matches images with one. So targets are also looked up without their port.
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

    /// Finds chains to registry rules that match a target itself, and with it all images below.
    fn links_to_registries_of_targets(&self) -> Vec<Link<'a>> {
        let mut links = Vec::new();
        if self.rules.default_rule().is_none() {
            return links;
        }
        for rule in self.rules.rules().iter().filter(|rule| produces_images(rule)) {
            for sample in samples(rule) {
                let image = ImageReference::parse(&sample);
                let Some(found) = self.rules.registries.longest_prefix(&image) else { continue };
                let next = self.rules.rule(found.rule);
                let stays = next.effect() != Effect::Swap
                    || next.target.covers(&image)
                    || (found.has_path && next.target.is_repository_of(&image));
                if !stays {
                    links.push((rule, next));
                }
            }
        }
        links
    }

    /// Finds chains to globs. Also returns true if the budget did not suffice for all of them.
    fn links_to_globs(&self) -> (Vec<Link<'a>>, bool) {
        let globs: Vec<_> = self.rules.globs.iter().collect();
        let mut links = Vec::new();
        let mut seen = HashSet::new();
        let mut budget = Budget::new();
        for rule in self.rules.rules().iter().filter(|rule| produces_images(rule)) {
            let own = match &rule.key {
                Key::Replace(text) => Some(Glob::parse(text)),
                _ => None,
            };
            if own.is_none() && !seen.insert((rule.target.text(), names_repository(rule))) {
                continue;
            }
            let mut is_later = false;
            for (number, glob) in &globs {
                let next = self.rules.rule(*number);
                if next.line == rule.line {
                    is_later = true;
                    continue;
                }
                let made_length = rule.target.text().len() + rule.key.exact_or_glob().len();
                if !budget.take(next.key.exact_or_glob().len(), made_length) {
                    return (links, true);
                }
                let stays = next.effect() != Effect::Swap
                    || samples(rule)
                        .iter()
                        .all(|sample| next.target.covers(&ImageReference::parse(sample)));
                let is_chain = !stays
                    && match &own {
                        Some(own) => matches_replaced(glob, own, rule, is_later),
                        None => matches_relocated(glob, rule),
                    };
                if is_chain {
                    links.push((rule, next));
                }
            }
        }
        (links, false)
    }
}

/// Returns true if the rule can produce any number of images below its target.
fn produces_images(rule: &Rule) -> bool {
    rule.effect() == Effect::Swap && rule.key.exact().is_none()
}

/// Returns the prefixes of the images that a rule produces.
fn produced_prefixes(rule: &Rule) -> Vec<String> {
    let base = rule.target.base();
    if rule.target.is_prefix() {
        // The host follows the prefix. For a shorthand it is Docker Hub.
        return vec![base.to_owned(), format!("{base}{DOCKER_HUB}/")];
    }
    let mut prefixes = vec![format!("{base}/")];
    if rule.target.is_bare_host() || names_repository(rule) {
        prefixes.push(format!("{base}:"));
    }
    if names_repository(rule) {
        prefixes.extend([format!("{base}@"), base.to_owned()]);
    }
    prefixes
}

/// Returns samples of the images that a rule produces, one for each case that registry rules can distinguish.
fn samples(rule: &Rule) -> Vec<String> {
    let base = rule.target.base();
    let separator = if rule.target.is_prefix() { "" } else { "/" };
    let mut samples =
        vec![format!("{base}{separator}{ANY}"), format!("{base}{separator}{ANY}/{ANY}")];
    if names_repository(rule) {
        samples.push(format!("{base}:{ANY}"));
    }
    if rule.target.is_bare_host() && !rule.target.is_prefix() {
        samples.push(format!("{base}:{ANY}/{ANY}"));
    }
    if rule.target.is_prefix() {
        // Together with the host, the prefix may be part of a registry's name.
        samples.push(format!("{base}{ANY}.{ANY}/{ANY}"));
    }
    samples
}

/// Returns true if an image can be the key itself with a tag. The target is then a whole repository.
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

/// Returns the rule without the port of its target. `None` if the target has no port.
fn without_port(rule: &Rule) -> Option<Rule> {
    let target = rule.target.text();
    let (registry, path) = target.split_once('/').unwrap_or((target, ""));
    let (host, _) = registry.rsplit_once(':').filter(|_| produces_images(rule))?;
    let separator = if path.is_empty() { "" } else { "/" };
    let target = Target::new(&format!("{host}{separator}{path}"));
    Some(Rule::new(rule.key.clone(), target, &rule.file, rule.line))
}

/// Returns an image below a registry key, with a port added. `None` if the key already has a port.
fn name_with_port(key: &str) -> Option<String> {
    let (host, path) = key.split_once('/').map_or((key, ""), |(host, _)| key.split_at(host.len()));
    (!host.contains(':')).then(|| format!("{host}:{ANY}{path}/{ANY}"))
}

/// Returns the ways to write an image below a registry key, as far as targets can distinguish them.
///
/// Empty if the key does not start with a registry.
fn names_of_images_below(key: &str) -> Vec<String> {
    if !is_registry(key.split('/').next().unwrap_or_default()) {
        return Vec::new();
    }
    let mut names = vec![format!("{key}/{ANY}")];
    if let Some(path) = key.strip_prefix(DOCKER_HUB).and_then(|path| path.strip_prefix('/')) {
        names.push(format!("{DOCKER_HUB_INDEX}/{path}/{ANY}"));
        names.push(format!("{path}/{ANY}"));
        // An official image may be written without `library/`.
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

/// Returns true if `glob` can match an image that a default or registry rule produces.
///
/// The old image matches no glob, because globs apply before these rules.
fn matches_relocated(glob: &Glob, rule: &Rule) -> bool {
    let prefixes = produced_prefixes(rule);
    match glob.after_leading_stars() {
        None => prefixes.iter().any(|prefix| glob.matches_some_extension_of(prefix)),
        // After the prefix comes the end of the old image. A match within it would also match the old image, so only
        // a match that starts earlier counts.
        Some(tail) => {
            prefixes.iter().any(|prefix| starts_within(&tail, prefix))
                || (rule.target.is_prefix() && glob.spans_slash())
        }
    }
}

/// Returns true if `tail` can match a text that starts within `prefix` and continues with any text.
fn starts_within(tail: &Glob, prefix: &str) -> bool {
    prefix.char_indices().any(|(start, _)| tail.matches_some_extension_of(&prefix[start..]))
}

/// Returns true if `glob` can match an image that the `[REPLACE]` rule `rule` with the glob `own` produces.
fn matches_replaced(glob: &Glob, own: &Glob, rule: &Rule, is_later: bool) -> bool {
    let base = rule.target.base();
    let prefix = if rule.target.is_prefix() { base.to_owned() } else { format!("{base}/") };
    let made = own.last_segments().prefixed(&prefix);
    if !glob.intersects(&made) {
        return false;
    }
    if is_later {
        return !own.subsumes(&made);
    }
    match glob.after_leading_stars() {
        None => true,
        Some(tail) => starts_within(&tail, &prefix),
    }
}
