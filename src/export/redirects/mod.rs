//! The rules of a map as redirects of repositories, for the programs that pull images.
//!
//! These programs compare names of repositories, with `docker.io/library/` written out, and append the rest of a name to
//! that of the mirror. So a redirect replaces the start of a name by another text. `destination` finds that text, and
//! `precedence` removes redirects whose images another rule would decide first.
//!
//! Images with a port are those of keys with that port. In a map, a key without a port matches any port.

mod destination;
mod precedence;
mod prefixes;

use std::collections::BTreeSet;

use super::{Remark, shown};
use crate::{
    image::{DOCKER_HUB, is_registry, is_valid_reference, split_path, split_port},
    rules::{Effect, Key, PullSecret, Rule, RuleSet},
};

/// The features of a form that decide which rules it can express.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "the features do not depend on each other")]
pub(super) struct Features {
    /// True if a redirect can be for a part of a registry.
    pub(super) paths: bool,
    /// True if a redirect can be for all hosts below a domain: the forms of `containers/image`.
    pub(super) domains: bool,
    /// True if there can be a redirect for all other hosts.
    pub(super) default: bool,
    /// True if a part of a redirect can be left alone.
    pub(super) exceptions: bool,
}

/// The images of a redirect.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Source {
    /// Those that no other redirect is for.
    Default,
    /// Those of all hosts that end with a dot and this domain.
    Domain(String),
    /// Those of a host with its port.
    Host {
        /// The host with its port.
        host: String,
        /// The first segments of the path; empty for the whole host.
        path: String,
    },
}

/// A redirect: a rule of the map as a form can express it.
#[derive(Clone, Debug)]
pub(super) struct Redirect<'r> {
    /// The rule.
    pub(super) rule: &'r Rule,
    /// The images.
    pub(super) source: Source,
    /// The text that replaces the source at the start of a name; `None` if the images are left alone.
    pub(super) to: Option<String>,
}

/// The redirects of a map, with remarks on its lines.
#[derive(Debug, Default)]
pub(super) struct Redirects<'r> {
    /// The redirects in the order of the map.
    pub(super) kept: Vec<Redirect<'r>>,
    /// The lines that are left out.
    pub(super) left_out: Vec<Remark>,
    /// Remarks on the redirects.
    pub(super) notes: Vec<Remark>,
}

const LIBRARY_NOTE: &str = "official images of Docker Hub have `library/` in their name here, and not in the map: copy \
                            them to both names, or write `{path}` in the target";

impl<'r> Redirects<'r> {
    /// Returns the redirects that a form can express, and the rules that it cannot.
    pub(super) fn of(rules: &'r RuleSet, features: Features) -> Self {
        let mut redirects = Self::default();
        let has_default = rules.default_rule().is_some();
        for rule in rules.rules() {
            let source = match &rule.key {
                Key::Default => Ok(Source::Default),
                Key::Exact(_) => Err("the form has no rules for single images".to_owned()),
                Key::NoswapWildcards => continue,
                Key::Registry(_) if !has_default => {
                    Err("without a `default`, no rule for a registry applies".to_owned())
                }
                Key::Registry(key) if !is_possible(key) => continue,
                Key::Registry(key) => source(key, features),
                Key::Replace(_) => Err("the form has no globs".to_owned()),
            };
            redirects.add(rule, source, features);
        }
        if features.domains {
            prefixes::apply(rules, &mut redirects);
        }
        precedence::apply(rules, features, &mut redirects);
        let is_noted = |redirect: &&Redirect<'_>| destination::differs_by_library(redirect);
        let noted = redirects.kept.iter().filter(is_noted);
        redirects.notes.extend(noted.map(|redirect| Remark::new(redirect.rule, LIBRARY_NOTE)));
        redirects.left_out.extend(rules.pull_secrets().lines().iter().map(left_out_secret));
        redirects.left_out.sort();
        redirects.notes.sort();
        redirects
    }

    /// Returns the hosts that are targets, if there is a default. It leaves their images alone, so a form with a default
    /// has to name them. Hosts that have a redirect are not among them.
    pub(super) fn hosts_of_targets(&self) -> Vec<String> {
        let has_default = self.kept.iter().any(|redirect| redirect.source == Source::Default);
        let targets = self.kept.iter().filter_map(|redirect| redirect.to.as_ref());
        let hosts: BTreeSet<_> =
            targets.map(|to| split_path(to).0).filter(|_| has_default).collect();
        let is_free =
            |host: &&str| !self.kept.iter().any(|redirect| redirect.source.prefix() == **host);
        hosts.into_iter().filter(is_free).map(str::to_owned).collect()
    }

    fn add(&mut self, rule: &'r Rule, source: Result<Source, String>, features: Features) {
        // A default that leaves its images alone is the same as none.
        if matches!(rule.key, Key::Default) && rule.effect() != Effect::Swap {
            return;
        }
        let source = match source {
            Ok(Source::Default) if !features.default => {
                Err("the form has no rule for all other registries; add a rule for each".to_owned())
            }
            source => source,
        };
        let redirect = source.and_then(|source| {
            let to = destination::of(rule, &source)?;
            Ok(Redirect { rule, source, to })
        });
        match redirect {
            Ok(redirect) => self.kept.push(redirect),
            Err(reason) => self.left_out.push(Remark::new(rule, reason)),
        }
    }
}

impl Source {
    /// Returns the name of the repositories, as the forms with prefixes write it.
    pub(super) fn prefix(&self) -> String {
        match self {
            Self::Default => "*".to_owned(),
            Self::Domain(domain) => format!("*.{domain}"),
            Self::Host { host, path } if path.is_empty() => host.clone(),
            Self::Host { host, path } => format!("{host}/{path}"),
        }
    }

    /// Returns true if images of Docker Hub without an organization are among the images.
    fn has_official_images(&self) -> bool {
        match self {
            Self::Default => true,
            Self::Domain(domain) => DOCKER_HUB.ends_with(&format!(".{domain}")),
            Self::Host { host, path } => host == DOCKER_HUB && path.is_empty(),
        }
    }
}

/// Parses the key of a registry rule.
fn source(key: &str, features: Features) -> Result<Source, String> {
    let Some(domain) = key.strip_prefix("*.") else {
        let (host, path) = split_path(key);
        let path = path.trim_start_matches('/');
        if !is_registry(host) {
            return Err(
                "images name this host only with a port; write the port in the key".to_owned()
            );
        }
        if !path.is_empty() && !features.paths {
            return Err("the form redirects whole hosts only".to_owned());
        }
        return Ok(Source::Host { host: host.to_owned(), path: path.to_owned() });
    };
    if !features.domains {
        return Err("the form has no wildcard hosts; add a rule for each host".to_owned());
    }
    if domain.contains(['/', ':']) {
        return Err("the form has no wildcard hosts with a port or a path".to_owned());
    }
    Ok(Source::Domain(domain.to_owned()))
}

/// Returns true if a valid reference can match the key.
fn is_possible(key: &str) -> bool {
    let key = key.strip_prefix("*.").map_or_else(|| key.to_owned(), |domain| format!("a.{domain}"));
    let (host, path) = split_path(&key);
    let host_is_valid = split_port(host).0.starts_with('[') || !split_port(host).0.contains(':');
    host_is_valid && is_valid_reference(&format!("{host}{path}/a"))
}

fn left_out_secret(secret: &PullSecret) -> Remark {
    Remark {
        line: secret.line,
        key: shown(&format!("{}{}", PullSecret::KEY, secret.prefix)),
        text: "the form has no pull secrets; give the nodes the credentials of the mirror"
            .to_owned(),
    }
}
