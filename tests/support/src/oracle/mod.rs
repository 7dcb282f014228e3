//! A naive implementation of the swap rules, without index or automaton: each step is a pass over all rules. Tests
//! compare the compiled rule set with it. It shares no code with the program.

mod glob;
mod image;
mod map;
mod target;

pub use glob::fnmatch;
pub use image::{Image, without_tag_and_digest};
pub use map::is_manifest;

use map::{Key, PullSecrets, RegistryKey, Rule};

/// Maximum size of the name of an image, without tag and digest, in bytes.
const MAX_NAME_BYTES: usize = 255;

/// A decision about an image.
#[derive(Debug, Eq, PartialEq)]
pub struct Decision {
    /// The image after the decision.
    pub result: String,
    /// Name of the reason.
    pub reason: &'static str,
}

/// The rules of a map.
pub struct Oracle {
    rules: Vec<Rule>,
    pull_secrets: Vec<PullSecrets>,
}

impl Oracle {
    /// Reads a map.
    pub fn new(text: &str) -> Self {
        Self { rules: map::read(text), pull_secrets: map::read_pull_secrets(text) }
    }

    fn rule(&self, key: &Key) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.key == *key)
    }

    /// Decides about an image.
    pub fn decide(&self, text: &str) -> Decision {
        if let Some(reason) = reason_to_skip(text) {
            return leave(text, reason);
        }
        if let Some(decision) = self.by_exact(text) {
            return decision;
        }
        if text == "auto" {
            return leave(text, "placeholder");
        }
        let none = || leave(text, "no-default");
        self.by_others(&Image::parse(text), None).unwrap_or_else(none)
    }

    /// Returns the names of the pull secrets for an image, once for each line.
    pub fn pull_secrets(&self, text: &str) -> Vec<&str> {
        if reason_to_skip(text).is_some() {
            return Vec::new();
        }
        let image = Image::parse(text);
        let hub = (image.registry == "docker.io")
            .then(|| Image::parse(&format!("docker.io/{}", image.canonical_path())));
        let needs = |secrets: &&PullSecrets| {
            let is_of = |image: &Image| {
                let prefix = &secrets.prefix;
                target::is_under(image, prefix) || target::is_repository_of(image, &prefix.target)
            };
            is_of(&image) || hub.as_ref().is_some_and(is_of)
        };
        let secrets = self.pull_secrets.iter().filter(needs);
        secrets.flat_map(|secrets| &secrets.names).map(String::as_str).collect()
    }

    /// Decides about an image in a namespace with this map; `cluster` is the map of the cluster.
    pub fn decide_before(&self, cluster: &Self, text: &str) -> Decision {
        if let Some(reason) = reason_to_skip(text) {
            return leave(text, reason);
        }
        if let Some(decision) = self.by_exact(text) {
            return decision;
        }
        if text == "auto" {
            return cluster.by_exact(text).unwrap_or_else(|| leave(text, "placeholder"));
        }
        let image = Image::parse(text);
        if let Some(decision) = self.by_others(&image, Some(cluster)) {
            return decision;
        }
        if self.is_under_any_target(&image) {
            return leave(text, "already-swapped");
        }
        cluster.decide(text)
    }

    fn by_exact(&self, text: &str) -> Option<Decision> {
        self.rule(&Key::Exact(text.to_owned())).map(|rule| exact(rule, text))
    }

    /// Decides by the other rules, if one matches. `cluster` is the map that is asked after this one.
    fn by_others(&self, image: &Image, cluster: Option<&Self>) -> Option<Decision> {
        if let Some(rule) = self.replace_rule(&image.text) {
            return Some(replace(rule, image));
        }
        let default = self.rule(&Key::Default);
        if default.is_none() && cluster.is_none() {
            return None;
        }
        if let Some((rule, key)) = self.registry_rule(image) {
            return Some(registry(rule, key, image));
        }
        if self.contains_noswap_wildcard(&image.text) {
            return Some(leave(&image.text, "noswap-wildcard"));
        }
        Some(self.default(default?, image, cluster))
    }

    fn replace_rule(&self, text: &str) -> Option<&Rule> {
        self.rules
            .iter()
            .find(|rule| matches!(&rule.key, Key::Replace(glob) if fnmatch(glob, text)))
    }

    /// Returns the registry rule that applies.
    fn registry_rule(&self, image: &Image) -> Option<(&Rule, &RegistryKey)> {
        // The host itself, then the domains that it ends with, the longest first.
        let mut hosts = vec![(false, &*image.host)];
        for (dot, _) in image.host.match_indices('.').filter(|&(dot, _)| dot > 0) {
            hosts.push((true, &image.host[dot + 1..]));
        }
        let port = image.port.as_ref().map(|port| port.to_ascii_lowercase());
        let ports = if port.is_some() { vec![&port, &None] } else { vec![&None] };
        let (repository, _) = image.repository_and_suffix();
        for (is_wildcard, host) in hosts {
            for port in &ports {
                let longest = self
                    .rules
                    .iter()
                    .filter_map(|rule| match &rule.key {
                        Key::Registry(key) => Some((rule, key)),
                        _ => None,
                    })
                    .filter(|(_, key)| key.is_wildcard == is_wildcard && key.host == host)
                    .filter(|(_, key)| key.port == **port && has_prefix(&repository, key))
                    .max_by_key(|(_, key)| key.prefix.as_ref().map_or(0, String::len));
                if longest.is_some() {
                    return longest;
                }
            }
        }
        None
    }

    fn contains_noswap_wildcard(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        self.rule(&Key::NoswapWildcards).is_some_and(|rule| {
            let mut parts = rule.target.split(',').filter(|part| !part.is_empty());
            parts.any(|part| text.contains(&part.to_ascii_lowercase()))
        })
    }

    fn default(&self, rule: &Rule, image: &Image, cluster: Option<&Self>) -> Decision {
        let reason = "default";
        if let Some(reason) = reason_not_to_swap(rule, reason) {
            return leave(&image.text, reason);
        }
        let mut maps = [Some(self), cluster].into_iter().flatten();
        if maps.any(|map| map.is_under_any_target(image)) {
            return leave(&image.text, "already-swapped");
        }
        let target = &rule.target;
        let result = if target::has_placeholder(target) {
            target::expand(target, image)
        } else if target.ends_with('-') {
            with_host(target, image)
        } else {
            Some(format!("{}/{}", target::base(target), image.path))
        };
        swap(image, result, reason)
    }

    fn is_under_any_target(&self, image: &Image) -> bool {
        self.rules
            .iter()
            .filter(|rule| rule.key != Key::NoswapWildcards && !rule.target.is_empty())
            .any(|rule| target::is_valid(rule) && target::is_under(image, rule))
    }
}

/// Returns true if the path prefix of the key consists of the first segments of the repository.
fn has_prefix(repository: &str, key: &RegistryKey) -> bool {
    key.prefix
        .as_ref()
        .is_none_or(|prefix| repository == prefix || repository.starts_with(&format!("{prefix}/")))
}

fn exact(rule: &Rule, text: &str) -> Decision {
    let reason = "exact";
    match reason_not_to_swap(rule, reason) {
        Some(reason) => leave(text, reason),
        None => Decision { result: rule.target.clone(), reason },
    }
}

fn replace(rule: &Rule, image: &Image) -> Decision {
    let reason = "replace";
    if let Some(reason) = reason_not_to_swap(rule, reason) {
        return leave(&image.text, reason);
    }
    if target::is_under(image, rule) {
        return leave(&image.text, "already-swapped");
    }
    let target = &rule.target;
    let last = image.text.rsplit('/').next().unwrap();
    let result = if target::has_placeholder(target) {
        target::expand(target, image)
    } else if target.ends_with('-') {
        Some(format!("{target}{last}"))
    } else {
        Some(format!("{}/{last}", target::base(target)))
    };
    swap(image, result, reason)
}

fn registry(rule: &Rule, key: &RegistryKey, image: &Image) -> Decision {
    let reason = "registry";
    if let Some(reason) = reason_not_to_swap(rule, reason) {
        return leave(&image.text, reason);
    }
    if target::is_under(image, rule) {
        return leave(&image.text, "already-swapped");
    }
    let target = &rule.target;
    let base = target::base(target);
    let result = if target::has_placeholder(target) {
        target::expand(target, image)
    } else if target.ends_with('-') {
        with_host(target, image)
    } else if let Some(prefix) = &key.prefix {
        let (repository, _) = image.repository_and_suffix();
        let is_representable = repository != *prefix || base.contains('/');
        is_representable.then(|| format!("{base}{}", &image.canonical_path()[prefix.len()..]))
    } else if let Some(port) = &image.port
        && key.port.is_none()
        && target::is_bare_host(target)
    {
        // A first segment with `_` is not a host, and cannot have a port.
        (!base.contains('_')).then(|| format!("{base}:{port}/{}", image.path))
    } else {
        Some(format!("{base}/{}", image.path))
    };
    swap(image, result, reason)
}

/// Returns the image that a target with `-` at its end gives; `None` if the host cannot be in a path.
fn with_host(target: &str, image: &Image) -> Option<String> {
    (!image.is_ipv6()).then(|| format!("{target}{}/{}", image.host, image.path))
}

/// Returns the reason to leave the images of a rule alone because of its target, if there is one.
fn reason_not_to_swap(rule: &Rule, reason: &'static str) -> Option<&'static str> {
    match () {
        () if rule.target.is_empty() => Some(reason),
        () if !target::is_valid(rule) => Some("invalid-target"),
        () => None,
    }
}

fn leave(image: &str, reason: &'static str) -> Decision {
    Decision { result: image.to_owned(), reason }
}

/// Returns the decision for a result; there is none if no reference can express it.
fn swap(image: &Image, result: Option<String>, reason: &'static str) -> Decision {
    match result {
        Some(result)
            if without_tag_and_digest(&result).len() <= MAX_NAME_BYTES && result.len() <= 4096 =>
        {
            Decision { result, reason }
        }
        _ => leave(&image.text, "unrepresentable"),
    }
}

/// Returns the reason to leave an image alone before any rule is tried, if there is one.
fn reason_to_skip(text: &str) -> Option<&'static str> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-:/@+[]".contains(c);
    match () {
        () if text.is_empty() => Some("empty"),
        () if !text.chars().all(is_allowed) => Some("malformed"),
        () if text.len() > 4096 => Some("too-long"),
        () => None,
    }
}
