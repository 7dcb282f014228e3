//! The map: its lines, keys and duplicates (section 1).

use super::{
    image::{canonical_host, split_port},
    target,
};

/// Maximum size of a key or target in bytes.
const MAX_PART_BYTES: usize = 4096;

/// A rule of the map.
pub(super) struct Rule {
    /// The key in its canonical form.
    pub key: Key,
    /// The target as it is written.
    pub target: String,
    /// True if the key is written in its canonical form.
    is_canonical: bool,
}

/// The key of a rule.
#[derive(Eq, PartialEq)]
pub(super) enum Key {
    /// `default`.
    Default,
    /// `[EXACT]` with an image.
    Exact(String),
    /// `noswap_wildcards`.
    NoswapWildcards,
    /// A registry, with or without a path prefix.
    Registry(RegistryKey),
    /// `[REPLACE]` with a glob.
    Replace(String),
}

/// A key that names a registry or, with `*.`, every host of a domain.
#[derive(Eq, PartialEq)]
pub(super) struct RegistryKey {
    /// True if the host is a domain that follows `*.`.
    pub is_wildcard: bool,
    /// The canonical host, or the domain.
    pub host: String,
    /// The port.
    pub port: Option<String>,
    /// The path prefix.
    pub prefix: Option<String>,
}

/// Returns the rules of a map, in order.
pub(super) fn read(text: &str) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if is_manifest(text) {
        return rules;
    }
    for rule in text.split('\n').filter_map(read_line) {
        match rules.iter_mut().find(|first| first.key == rule.key) {
            // A key that is written in its canonical form wins over others, wherever it stands.
            Some(first) if first.is_canonical && !rule.is_canonical => {}
            Some(first) => *first = rule,
            None => rules.push(rule),
        }
    }
    rules
}

/// Returns true if the first line with content starts a YAML or JSON document (section 1a).
pub fn is_manifest(text: &str) -> bool {
    let mut lines = text.split('\n').map(|line| line.split('#').next().unwrap().trim());
    let Some(first) = lines.find(|line| !line.is_empty()) else { return false };
    let is_field = first.starts_with("apiVersion:") || first.starts_with("kind:");
    first == "---" || first.starts_with('{') || (is_field && first.matches(':').count() == 1)
}

/// The start of a line with pull secrets.
const PULL_SECRET: &str = "[PULLSECRET]";

/// Pull secrets for the images under a prefix.
pub(super) struct PullSecrets {
    /// The prefix, in the form of a rule with this target.
    pub prefix: Rule,
    /// The names of the Secrets.
    pub names: Vec<String>,
}

/// Returns the pull secrets of a map, in order (section 9).
pub(super) fn read_pull_secrets(text: &str) -> Vec<PullSecrets> {
    let mut all: Vec<PullSecrets> = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if is_manifest(text) {
        return all;
    }
    for secrets in text.split('\n').filter_map(read_pull_secret) {
        let meaning = |secrets: &PullSecrets| target::meaning(&secrets.prefix.target);
        match all.iter_mut().find(|first| meaning(first) == meaning(&secrets)) {
            Some(first) => *first = secrets,
            None => all.push(secrets),
        }
    }
    all
}

fn read_pull_secret(line: &str) -> Option<PullSecrets> {
    let line = content(line);
    if !line.starts_with(PULL_SECRET) {
        return None;
    }
    let (key, names) = split(&line).filter(|(key, _)| line[key.len()..].starts_with("::"))?;
    let is_too_long = key.len().max(names.len()) > MAX_PART_BYTES;
    let target = key[PULL_SECRET.len()..].to_owned();
    let is_prefix = !target.is_empty() && !target::has_placeholder(&target);
    let prefix = Rule { key: Key::Default, target, is_canonical: true };
    let mut known = Vec::new();
    for name in names.split(',').map(str::to_owned) {
        if !known.contains(&name) {
            known.push(name);
        }
    }
    let names = known;
    let is_valid =
        is_prefix && target::is_valid(&prefix) && names.iter().all(|name| is_subdomain(name));
    (is_valid && !is_too_long).then_some(PullSecrets { prefix, names })
}

fn is_subdomain(name: &str) -> bool {
    let is_edge = |character: Option<char>| {
        character.is_some_and(|it| it.is_ascii_lowercase() || it.is_ascii_digit())
    };
    let is_inside = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
    let is_label = |label: &str| {
        is_edge(label.chars().next())
            && is_edge(label.chars().last())
            && label.chars().all(is_inside)
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Returns a line without its comment and white space.
fn content(line: &str) -> String {
    line.split('#').next().unwrap().chars().filter(|c| !c.is_whitespace()).collect()
}

fn read_line(line: &str) -> Option<Rule> {
    let line = content(line);
    if line.starts_with(PULL_SECRET) {
        return None;
    }
    let (key, target) = split(&line)?;
    let is_too_long = key.len().max(target.len()) > MAX_PART_BYTES;
    let (key, is_canonical) = read_key(key)?;
    if is_too_long && key != Key::NoswapWildcards {
        return None;
    }
    Some(Rule { key, target: target.to_owned(), is_canonical })
}

/// Splits a line at its separator, if it has exactly one.
fn split(line: &str) -> Option<(&str, &str)> {
    let colons: Vec<usize> =
        line.match_indices(':').map(|(at, _)| at).filter(|&at| !is_bracketed(line, at)).collect();
    let doubles: Vec<usize> =
        colons.windows(2).filter(|pair| pair[0] + 1 == pair[1]).map(|pair| pair[0]).collect();
    match (&*doubles, &*colons) {
        (&[at], _) => Some((&line[..at], &line[at + 2..])),
        ([], &[at]) => Some((&line[..at], &line[at + 1..])),
        _ => None,
    }
}

/// Returns true if the last bracket before a position is `[` and the next one is `]`.
fn is_bracketed(line: &str, at: usize) -> bool {
    let brackets = ['[', ']'];
    let before = line[..at].rfind(brackets).map(|at| &line[at..=at]);
    let after = line[at..].find(brackets).map(|length| &line[at + length..=at + length]);
    before == Some("[") && after == Some("]")
}

/// Returns the canonical form of a key, and true if the key is written so.
fn read_key(text: &str) -> Option<(Key, bool)> {
    if let Some(image) = text.strip_prefix("[EXACT]") {
        return (!image.is_empty()).then(|| (Key::Exact(image.to_owned()), true));
    }
    if let Some(glob) = text.strip_prefix("[REPLACE]") {
        return (!glob.is_empty()).then(|| (Key::Replace(glob.to_owned()), true));
    }
    match text.trim_end_matches('/') {
        "" => None,
        "default" => Some((Key::Default, true)),
        "noswap_wildcards" => Some((Key::NoswapWildcards, true)),
        text => read_registry_key(text),
    }
}

fn read_registry_key(text: &str) -> Option<(Key, bool)> {
    let (registry, prefix) = match text.split_once('/') {
        Some((registry, prefix)) => (registry, Some(prefix.to_owned())),
        None => (text, None),
    };
    let (written, port) = split_port(registry);
    let (is_wildcard, host) = match written.strip_prefix("*.") {
        Some(domain) => (true, domain.to_ascii_lowercase()),
        None => (false, canonical_host(written)),
    };
    // A star is allowed in front of a domain, and nowhere else.
    if text.matches('*').count() != usize::from(is_wildcard) || (is_wildcard && host.is_empty()) {
        return None;
    }
    let is_canonical = written.strip_prefix("*.").unwrap_or(written) == host
        && port.is_none_or(|port| port == port.to_ascii_lowercase());
    let port = port.map(str::to_ascii_lowercase);
    Some((Key::Registry(RegistryKey { is_wildcard, host, port, prefix }), is_canonical))
}
