//! The images that a rule makes.

use super::ANY;
use crate::{
    image::{DOCKER_HUB, split_path, split_port},
    rules::rule::{Key, Rule},
};

/// The images that a rule makes, as far as keys can tell them apart.
pub(super) struct MadeImages {
    /// The text that all of them start with.
    pub(super) base: String,
    /// The texts that can follow the base.
    pub(super) continuations: Vec<Continuation>,
    /// True if only one path segment of the old image follows.
    pub(super) is_one_segment: bool,
}

/// A text that can follow the start of an image.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Continuation {
    /// Any text, without a separator.
    AnyText,
    /// `/` and a path.
    Path,
    /// `:` and the port of the old image. What it follows is a host.
    Port,
    /// Nothing, or a tag or digest. What it follows is a repository.
    Tag,
}

impl MadeImages {
    /// Returns the images that `rule` makes. The rule is not an `[EXACT]` rule.
    pub(super) fn of(rule: &Rule) -> Self {
        let target = &rule.target;
        let base = target.base().to_owned();
        let is_one_segment = matches!(rule.key, Key::Replace(_)) && target.template().is_none();
        let (base, continuations) = match (target.template(), known_host(rule)) {
            (Some(template), host) => {
                let host = host.filter(|_| template.starts_with_registry()).unwrap_or_default();
                (format!("{}{host}", template.start()), vec![Continuation::AnyText])
            }
            (None, Some(host)) if target.is_prefix() => {
                (format!("{base}{host}"), vec![Continuation::Path])
            }
            (None, _) if target.is_prefix() => (base, vec![Continuation::AnyText]),
            (None, _) => {
                let mut continuations = vec![Continuation::Path];
                continuations.extend(names_repository(rule).then_some(Continuation::Tag));
                continuations.extend(carries_port(rule).then_some(Continuation::Port));
                (base, continuations)
            }
        };
        Self { base, continuations, is_one_segment }
    }

    /// Returns the base with its host in lower case.
    pub(super) fn base_in_lower_case(&self) -> String {
        let (host, path) = split_path(&self.base);
        format!("{}{path}", host.to_ascii_lowercase())
    }

    /// Returns true if `continuation` can follow the base.
    pub(super) fn may_continue_with(&self, continuation: Continuation) -> bool {
        self.continuations.contains(&continuation)
    }

    /// Returns the text between the base and the part of the old image that follows.
    pub(super) fn separator(&self) -> &'static str {
        if self.may_continue_with(Continuation::AnyText) { "" } else { "/" }
    }

    /// Returns true if the base is only the start of a registry, to which the host of the old image is added.
    pub(super) fn has_open_registry(&self) -> bool {
        self.may_continue_with(Continuation::AnyText) && !self.base.contains('/')
    }

    /// Returns true if the rule can make `image`, whose host is in lower case. It may return a wrong `true`.
    pub(super) fn includes(&self, image: &str) -> bool {
        let Some(rest) = image.strip_prefix(&*self.base_in_lower_case()) else { return false };
        let has_allowed_path = |path: &str| !(self.is_one_segment && path.contains('/'));
        self.continuations.iter().any(|continuation| match continuation {
            Continuation::AnyText => has_allowed_path(rest),
            Continuation::Path => rest.strip_prefix('/').is_some_and(has_allowed_path),
            Continuation::Port => rest.starts_with(':'),
            Continuation::Tag => rest.is_empty() || rest.starts_with([':', '@']),
        })
    }

    /// Returns samples of the images, one for each case that registry rules can distinguish.
    pub(super) fn samples(&self) -> Vec<String> {
        let Self { base, .. } = self;
        let separator = self.separator();
        let mut samples = vec![format!("{base}{separator}{ANY}")];
        if !self.is_one_segment {
            samples.push(format!("{base}{separator}{ANY}/{ANY}"));
        }
        if self.may_continue_with(Continuation::Tag) {
            samples.push(format!("{base}:{ANY}"));
        }
        if self.may_continue_with(Continuation::Port) {
            samples.push(format!("{base}:{ANY}/{ANY}"));
        }
        if self.has_open_registry() && !self.is_one_segment {
            samples.push(format!("{base}{ANY}.{ANY}/{ANY}"));
        }
        samples
    }
}

/// Returns the host that all images of a rule have, if they have the same one.
fn known_host(rule: &Rule) -> Option<&str> {
    match &rule.key {
        Key::Registry(key) if !key.starts_with(Key::WILDCARD) => {
            let registry = key.split('/').next().unwrap_or_default();
            Some(split_port(registry).0)
        }
        _ => None,
    }
}

/// Returns true if the rule keeps the port of its images.
fn carries_port(rule: &Rule) -> bool {
    match &rule.key {
        Key::Registry(key) => {
            !key.contains('/') && split_port(key).1.is_empty() && rule.target.is_bare_host()
        }
        _ => false,
    }
}

/// Returns true if an image can be the key itself with a tag, and the target is a repository for it.
fn names_repository(rule: &Rule) -> bool {
    if rule.target.is_registry() {
        // Without a path, the image is left alone.
        return false;
    }
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
