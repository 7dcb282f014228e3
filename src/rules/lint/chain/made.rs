//! The images that a rule makes.

use super::ANY;
use crate::{
    image::{DOCKER_HUB, split_port},
    rules::rule::{Key, Rule},
};

/// The images that a rule makes, as far as keys can tell them apart.
pub(super) struct Made {
    /// The text that all of them start with, with its host in lower case.
    pub(super) base: String,
    /// True if any text may follow the base. Otherwise, a `/` follows.
    pub(super) is_prefix: bool,
    /// True if an image can also be the base itself, with a tag or digest.
    pub(super) is_repository: bool,
    /// True if the port of the old image can follow the base, which is a host.
    pub(super) carries_port: bool,
    /// True if only a path segment follows the base and the separator.
    pub(super) is_one_segment: bool,
}

impl Made {
    /// Returns the images that `rule` makes. The rule is not an `[EXACT]` rule.
    pub(super) fn by(rule: &Rule) -> Self {
        let target = &rule.target;
        let is_replace = matches!(rule.key, Key::Replace(_));
        let plain = Self {
            base: with_host_in_lower_case(target.base()),
            is_prefix: target.is_prefix(),
            is_repository: false,
            carries_port: false,
            is_one_segment: is_replace,
        };
        match (target.template(), known_host(rule)) {
            (Some(template), host) => {
                let start = with_host_in_lower_case(template.start());
                let host = host.filter(|_| template.starts_with_registry()).unwrap_or_default();
                Self {
                    base: format!("{start}{host}"),
                    is_prefix: true,
                    is_one_segment: false,
                    ..plain
                }
            }
            (None, Some(host)) if target.is_prefix() => {
                Self { base: format!("{}{host}", plain.base), is_prefix: false, ..plain }
            }
            (None, _) if target.is_prefix() => plain,
            (None, _) => Self {
                is_repository: names_repository(rule),
                carries_port: carries_port(rule),
                ..plain
            },
        }
    }

    /// Returns true if the rule can make `image`, whose host is in lower case. It may return a wrong `true`.
    pub(super) fn includes(&self, image: &str) -> bool {
        let Some(rest) = image.strip_prefix(&*self.base) else { return false };
        let inside = if self.is_prefix { Some(rest) } else { rest.strip_prefix('/') };
        if let Some(inside) = inside {
            return !(self.is_one_segment && inside.contains('/'));
        }
        (self.is_repository && (rest.is_empty() || rest.starts_with([':', '@'])))
            || (self.carries_port && rest.starts_with(':'))
    }

    /// Returns samples of the images, one for each case that registry rules can distinguish.
    pub(super) fn samples(&self) -> Vec<String> {
        let Self { base, .. } = self;
        let separator = if self.is_prefix { "" } else { "/" };
        let mut samples = vec![format!("{base}{separator}{ANY}")];
        if !self.is_one_segment {
            samples.push(format!("{base}{separator}{ANY}/{ANY}"));
        }
        if self.is_repository {
            samples.push(format!("{base}:{ANY}"));
        }
        if self.carries_port {
            samples.push(format!("{base}:{ANY}/{ANY}"));
        }
        if self.is_prefix && !base.contains('/') && !self.is_one_segment {
            // Together with the host, the prefix is the name of a registry.
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
pub(super) fn carries_port(rule: &Rule) -> bool {
    match &rule.key {
        Key::Registry(key) => {
            !key.contains('/') && split_port(key).1.is_empty() && rule.target.is_bare_host()
        }
        _ => false,
    }
}

/// Returns true if an image can be the key itself with a tag. The target is then a whole repository.
pub(super) fn names_repository(rule: &Rule) -> bool {
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

fn with_host_in_lower_case(text: &str) -> String {
    let (host, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    format!("{}{path}", host.to_ascii_lowercase())
}
