//! Registry keys with wildcards that registry keys do not support.

use super::{
    candidate::{Candidate, proposal, valid_or_repaired},
    problem::without_scheme,
    repository::{doubles_name, rule_for_repository},
};
use crate::{
    image::{DOCKER_HUB, LIBRARY, is_registry, split_path},
    rules::{rule::Key, target::Target},
};

/// Matches the character after a repository in an image: the next segment, the tag or the digest follows.
const END_OF_REPOSITORY: &str = "[/:@]*";

/// Returns advice on a registry key with a wildcard other than that of `*.domain`.
pub(super) fn wildcard_key(key: &str, target: &str) -> String {
    let key = with_lower_case_host(without_scheme(key).trim_end_matches('/'));
    let all = without_last_stars(&key);
    if key.bytes().all(|byte| b"*./".contains(&byte)) {
        let hint = proposal([(Key::DEFAULT.to_owned(), target.to_owned())]);
        return hint
            .map_or_else(general_hint, |rule| format!("write {rule}, and no other `default`"));
    }
    if let Some(rule) = registry_rule(all, target) {
        return format!("write {rule}");
    }
    let last = key.rsplit('/').next().unwrap_or_default();
    let doubles = |with_path: String| doubles_name(&key, &with_path);
    if last.contains([':', '@']) && with_path(target).is_some_and(doubles) {
        return rule_for_repository(&key, target)
            .map_or_else(general_hint, |rule| format!("write {rule}"));
    }
    if let Some((domain, rules)) = domain_rules(all, target) {
        let rest = match domain {
            "" => String::new(),
            domain => format!("; the second rule is for `{domain}` itself"),
        };
        return format!("write {rules}{rest}");
    }
    match glob_rules(&key, target).and_then(proposal) {
        Some(rules) if rules.contains("{path}") => {
            format!("write {rules}; `{{path}}` is the path of the image")
        }
        Some(rules) => format!("write {rules}"),
        None => general_hint(),
    }
}

/// Returns the key without the segments at its end that consist of stars.
fn without_last_stars(key: &str) -> &str {
    match key.rsplit_once('/') {
        Some((rest, last)) if !last.is_empty() && last.bytes().all(|byte| byte == b'*') => {
            without_last_stars(rest)
        }
        _ => key,
    }
}

fn general_hint() -> String {
    "write a rule for each registry or repository, as `host[:port][/path]`".into()
}

fn with_lower_case_host(key: &str) -> String {
    let (host, path) = split_path(key);
    format!("{}{path}", host.to_ascii_lowercase())
}

/// Returns the rule for a key whose wildcard means what a registry key means without it: `quay.io/*`, `quay.io:*`.
fn registry_rule(key: &str, target: &str) -> Option<String> {
    let (host, path) = split_path(key);
    let key = if path.is_empty() {
        let all = host.trim_end_matches('*').trim_end_matches(':');
        if is_registry(all) { all.to_owned() } else { key.to_owned() }
    } else {
        format!("{}{path}", host.trim_end_matches(":*"))
    };
    // `*.*.domain` and `**.domain` mean the hosts that `*.domain` means, as the star also matches several labels.
    let domain = key.trim_start_matches(['*', '.']);
    let key = if key.starts_with('*') && key.contains("*.") && is_domain(&key, domain) {
        format!("{}{domain}", Key::WILDCARD)
    } else {
        key
    };
    let plain = || proposal([(key.clone(), target.to_owned())]);
    plain().or_else(|| proposal([(format!("{DOCKER_HUB}/{key}"), target.to_owned())]))
}

/// Returns true if `domain` is the end of `key`, and a dot stands before it.
fn is_domain(key: &str, domain: &str) -> bool {
    key.strip_suffix(domain).is_some_and(|stars| stars.ends_with('.'))
}

/// Returns the rules for `*gcr.io`, which means a domain and the hosts below it, and the domain.
fn domain_rules<'a>(key: &'a str, target: &str) -> Option<(&'a str, String)> {
    let domain = key.trim_start_matches('*');
    if domain.len() == key.len() || !domain.starts_with(|first: char| first.is_ascii_alphanumeric())
    {
        return None;
    }
    let rule = |key: String| (key, target.to_owned());
    let below = || rule(format!("{}{domain}", Key::WILDCARD));
    if let Some(rules) = proposal([below(), rule(domain.to_owned())]) {
        return Some((domain, rules));
    }
    Some(("", proposal([below()])?))
}

/// Returns `[REPLACE]` rules for the images that the author of the key meant. They keep the path of the image.
fn glob_rules(key: &str, target: &str) -> Option<Vec<Candidate>> {
    // An IPv6 address in brackets would be a class of characters.
    if key.starts_with('[') {
        return None;
    }
    let target = with_path(target)?;
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    let last = path.rsplit('/').next().unwrap_or_default();
    let endings: &[&str] = if path.is_empty() {
        &["/*"]
    } else if key.ends_with('*') || last.contains([':', '@']) {
        &[""]
    } else {
        &["", END_OF_REPOSITORY]
    };
    let rules = spellings(key, host)?.into_iter().flat_map(|spelling| {
        let rule = |ending| (format!("{}{spelling}{ending}", Key::REPLACE), target.clone());
        endings.iter().map(rule).collect::<Vec<_>>()
    });
    Some(rules.collect())
}

/// Returns the ways in which images of the key are written. `None` if one of them is not distinct from other images.
fn spellings(key: &str, host: &str) -> Option<Vec<String>> {
    let shorthand = match key.strip_prefix(DOCKER_HUB).and_then(|path| path.strip_prefix('/')) {
        Some(path) => path,
        None if key == host && !is_registry(host) => return None,
        None if host.contains(['*', '?']) || is_registry(host) => {
            return Some(vec![key.to_owned()]);
        }
        None => key,
    };
    let (organization, _) = shorthand.split_once('/')?;
    // Official images are written without `library`. A glob for these would match images of other registries.
    let is_distinct = organization != LIBRARY && !organization.contains(['*', '?', '[']);
    is_distinct.then(|| vec![shorthand.to_owned(), format!("{DOCKER_HUB}/{shorthand}")])
}

/// Returns the target with `{path}`, so that a `[REPLACE]` rule keeps the whole path. An empty target stays empty.
///
/// `None` if the target cannot have placeholders.
pub(super) fn with_path(target: &str) -> Option<String> {
    let text = valid_or_repaired(&Key::Default, target);
    let target = Target::new(&text);
    if target.is_empty() || target.template().is_some() {
        Some(text)
    } else if !target.is_prefix() {
        Some(format!("{}/{{path}}", target.base()))
    } else if target.is_registry() {
        // The host of the image would be a part of the registry.
        None
    } else {
        Some(format!("{target}{{registry}}/{{path}}"))
    }
}
