//! Images that lose a part of their name, so that the mirror cannot tell them apart or does not find them.

use std::collections::HashMap;

use super::{Linter, Part};
use crate::{
    image::{DOCKER_HUB, LIBRARY, canonical_registry, split_path, split_port},
    rules::{
        advice::proposal,
        diagnostic::{Code, Diagnostic, shorten},
        rule::{Effect, Key, Rule},
    },
};

impl Linter<'_> {
    /// Reports registries that differ only in the port and have the same target, which ends with `-`. Such a target keeps
    /// the host, but not the port.
    pub(super) fn dropped_ports(&mut self) {
        let mut first = HashMap::new();
        for rule in self.rules.rules() {
            let Key::Registry(key) = &rule.key else { continue };
            if rule.effect() != Effect::Swap || !rule.target.is_prefix() {
                continue;
            }
            let (registry, path) = split_path(key);
            let host = split_port(registry).0;
            let other = *first.entry((host, path, rule.target.text())).or_insert(rule);
            if other.line != rule.line {
                self.report(rule, Part::Rule, dropped_port(rule, other, host));
            }
        }
    }

    /// Reports a rule for Docker Hub that does not put `library/` before official images.
    pub(super) fn dropped_library(&mut self) {
        let mut hub = None;
        for rule in self.rules.rules() {
            let Key::Registry(key) = &rule.key else { continue };
            match key.strip_prefix(DOCKER_HUB) {
                Some("") => hub = Some(rule),
                Some(path) if path.strip_prefix('/') == Some(LIBRARY) => return,
                _ => {}
            }
        }
        let drops = |rule: &&Rule| {
            rule.effect() == Effect::Swap
                && rule.target.template().is_none()
                && !ends_with_library(rule)
                && !is_docker_hub(rule)
        };
        if let Some(rule) = hub.filter(drops) {
            self.report(rule, Part::Target, dropped_library(rule));
        }
    }
}

fn dropped_port(rule: &Rule, other: &Rule, host: &str) -> Diagnostic {
    let message = format!(
        "images of this registry and of that in line {} get the same names, because the target keeps `{}` without its port",
        other.line,
        shorten(host)
    );
    let with_port = format!("{}{{registry}}", rule.target);
    let hint = match proposal([(rule.key.to_string(), with_port)]) {
        Some(rule) => format!("write {rule}, which keeps the port, or use different targets"),
        None => "use different targets".to_owned(),
    };
    Diagnostic::new(Code::PortDropped, message, hint).related_to(other.line, "the other registry")
}

/// Returns true if the last segment of the target is `library`, so that official images have it already.
fn ends_with_library(rule: &Rule) -> bool {
    rule.target.base().rsplit('/').next() == Some(LIBRARY)
}

/// Returns true if the target is Docker Hub itself, where official images need no `library/`.
fn is_docker_hub(rule: &Rule) -> bool {
    canonical_registry(rule.target.base()) == DOCKER_HUB
}

fn dropped_library(rule: &Rule) -> Diagnostic {
    let target = &rule.target;
    let (new, library, with_path) = if target.is_prefix() {
        (
            format!("{target}{DOCKER_HUB}/nginx"),
            format!("{target}{DOCKER_HUB}/{LIBRARY}"),
            format!("{target}{DOCKER_HUB}/{{path}}"),
        )
    } else {
        let base = target.base();
        (format!("{base}/nginx"), format!("{base}/{LIBRARY}"), format!("{base}/{{path}}"))
    };
    let message = format!("`nginx` becomes `{}`, without `{LIBRARY}/`", shorten(&new));
    let added = proposal([(format!("{DOCKER_HUB}/{LIBRARY}"), library)]);
    let replaced = proposal([(DOCKER_HUB.to_owned(), with_path)]);
    let advice =
        [added.map(|rule| format!("add {rule}")), replaced.map(|rule| format!("write {rule}"))];
    let advice = advice.into_iter().flatten().collect::<Vec<_>>().join(", or ");
    let hint = format!("if the mirror is a pull-through cache, {advice}");
    Diagnostic::new(Code::LibraryDropped, message, hint)
}
