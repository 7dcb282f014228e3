//! Chains to exact images and to registries.
//!
//! A rule makes images below its target. The keys that claim them are above the target or below it. Keys above it are
//! found by deciding on samples. Keys below it follow each other in a sorted list.

use std::ptr;

use super::{
    ANY, Budget, Link, Linter,
    made::{Continuation, MadeImages},
    swapping_rules, with_lower_case,
};
use crate::{
    image::{DOCKER_HUB, LIBRARY, canonical_registry, is_registry, split_path, split_port},
    rules::{
        rule::{Effect, Key, Rule},
        rule_set::RuleSet,
    },
};

/// Keys, sorted by their text.
struct SortedKeys<'a>(Vec<(String, &'a Rule)>);

/// A range of registry keys that claim some of the images that a rule makes.
struct KeyRange {
    /// The text that all of them start with.
    start: String,
    /// The text of an image in place of `start`, as the rule writes it.
    spelling: String,
}

impl<'a> Linter<'a> {
    /// Adds the links to `[EXACT]` rules and registry rules. `None` if the budget does not suffice for all of them.
    pub(super) fn links_to_keys(
        &self,
        makers: &'a RuleSet,
        links: &mut Vec<Link<'a>>,
        budget: &mut Budget,
    ) -> Option<()> {
        let exact = SortedKeys::of(self.rules.rules(), |key| key.exact().map(in_lower_case));
        let registries = SortedKeys::of(self.rules.rules(), |key| match key {
            Key::Registry(key) => Some(key.clone().into()),
            _ => None,
        });
        let has_default = self.has_default();
        let has_wildcards = registries.starting_with(Key::WILDCARD).next().is_some();
        for from in swapping_rules(makers) {
            let made = MadeImages::of(from);
            let mut link = |to: &'a Rule| {
                if !ptr::eq(to, from) {
                    links.push(Link { from, to, is_by_case: false });
                }
            };
            for (image, to) in exact.starting_with(&made.base_in_lower_case()) {
                budget.take(1, 1)?;
                if made.includes(image) && to.key.exact() != Some(to.target.text()) {
                    link(to);
                }
            }
            // Without a default, registry rules do not apply.
            if !has_default {
                continue;
            }
            for sample in made.samples() {
                link_to_registry_of(&sample, self, &mut link);
            }
            for range in key_ranges(&made, has_wildcards) {
                for (key, to) in registries.starting_with(&range.start) {
                    budget.take(1, 1)?;
                    let rest = &key[range.start.len()..];
                    if claims(to, &format!("{}{rest}", range.spelling), &made) {
                        link(to);
                    }
                }
            }
        }
        Some(())
    }
}

fn link_to_registry_of<'a>(sample: &str, linter: &Linter<'a>, link: &mut impl FnMut(&'a Rule)) {
    with_lower_case(sample, |image| {
        let Some(found) = linter.rules.registries.longest_prefix(image) else { return };
        let to = linter.rules.rule(found.rule);
        if to.effect() == Effect::Swap && !to.target.covers_result(image, found.has_path) {
            link(to);
        }
    });
}

/// Returns true if a registry rule rewrites images with the name `name` or below it.
fn claims(rule: &Rule, name: &str, made: &MadeImages) -> bool {
    let stays = |image: &str| {
        with_lower_case(image, |image| rule.target.covers_result(image, rule.key.has_path_prefix()))
    };
    rule.effect() == Effect::Swap
        && !(stays(&format!("{name}:{ANY}"))
            && (made.is_one_segment || stays(&format!("{name}/{ANY}"))))
}

/// Returns the ranges of the keys that claim some of the images that a rule makes.
///
/// `has_wildcards` is true if there are keys for wildcard hosts.
fn key_ranges(made: &MadeImages, has_wildcards: bool) -> Vec<KeyRange> {
    let (base, separator) = (&made.base, made.separator());
    let mut all = Vec::new();
    let mut push = |start: String, spelling: &str| {
        all.push(KeyRange { start, spelling: spelling.to_owned() });
    };
    let (first, path) = split_path(base);
    if !is_registry(first) || made.has_open_registry() {
        // Without a registry, the image is one of Docker Hub.
        push(format!("{DOCKER_HUB}/{base}{separator}"), &format!("{base}{separator}"));
    }
    if made.has_open_registry() {
        push(made.base_in_lower_case(), base);
        push(format!("{DOCKER_HUB}/{LIBRARY}/{base}"), base);
        // The host of the old image may belong to any domain.
        push(Key::WILDCARD.to_owned(), &format!("{base}{ANY}."));
        return all;
    }
    let canonical = canonical_registry(first);
    let (host, port) = split_port(&canonical);
    let domains = host.match_indices('.').filter(|&(dot, _)| has_wildcards && dot > 0);
    let domains = domains.map(|(dot, _)| format!("{}{}", Key::WILDCARD, &host[dot + 1..]));
    for name in std::iter::once(host.to_owned()).chain(domains) {
        if is_registry(first) {
            push(format!("{name}{path}{separator}"), &format!("{base}{separator}"));
            if !port.is_empty() {
                push(format!("{name}{port}{path}{separator}"), &format!("{base}{separator}"));
            }
        }
        if made.may_continue_with(Continuation::Port) {
            push(format!("{name}:"), &format!("{first}:"));
        }
    }
    if canonical == DOCKER_HUB && path.is_empty() {
        // An official image may be written without `library/`.
        push(format!("{DOCKER_HUB}/{LIBRARY}/"), &format!("{base}/"));
    }
    all
}

fn in_lower_case(image: &str) -> String {
    with_lower_case(image, |image| image.text().to_owned())
}

impl<'a> SortedKeys<'a> {
    /// Sorts the rules that swap by the text that `text_of` returns. Rules without a text are left out.
    fn of(rules: &'a [Rule], text_of: impl Fn(&Key) -> Option<String>) -> Self {
        let swapping = rules.iter().filter(|rule| rule.effect() == Effect::Swap);
        let mut keys: Vec<_> =
            swapping.filter_map(|rule| Some((text_of(&rule.key)?, rule))).collect();
        keys.sort_by(|one, other| one.0.cmp(&other.0));
        Self(keys)
    }

    fn starting_with(&self, start: &str) -> impl Iterator<Item = (&str, &'a Rule)> {
        let first = self.0.partition_point(|(key, _)| **key < *start);
        let after = self.0[first..].iter().map(|(key, rule)| (key.as_str(), *rule));
        after.take_while(move |(key, _)| key.starts_with(start))
    }
}
