//! The target: validity, placeholders, and images that are already there (sections 1.6, 1.7 and 5).

use super::{
    image::{Image, canonical_host},
    map::{Key, Rule},
};
use crate::grammar;

const REGISTRY: &str = "{registry}";
const PATH: &str = "{path}";

/// Returns true if the target gives a valid reference with the shortest image, with and without a tag.
pub(super) fn is_valid(rule: &Rule) -> bool {
    let target = &rule.target;
    let shortest = match &rule.key {
        Key::Exact(_) => return grammar::is_reference(target),
        _ if has_placeholder(target) => match template(target) {
            Some(template) => fill(&template, "a", "a"),
            None => return false,
        },
        Key::Replace(_) if target.ends_with('-') => format!("{target}a"),
        _ if target.ends_with('-') => format!("{target}a/a"),
        _ => format!("{}/a", base(target)),
    };
    grammar::is_reference(&shortest) && grammar::is_reference(&format!("{shortest}:a"))
}

/// Returns the target without a `/` at its end.
pub(super) fn base(target: &str) -> &str {
    target.trim_end_matches('/')
}

/// Returns true if the target is a host without port and path.
pub(super) fn is_bare_host(target: &str) -> bool {
    !base(target).contains('/') && !base(target).contains(':')
}

/// Returns true if the target contains a placeholder, at a valid place or not.
pub(super) fn has_placeholder(target: &str) -> bool {
    target.contains(REGISTRY) || target.contains(PATH)
}

/// Returns the image that a target with placeholders gives; `None` if the registry cannot be in a path.
pub(super) fn expand(target: &str, image: &Image) -> Option<String> {
    let registry = match &image.port {
        Some(port) => format!("{}-{port}", image.host),
        None => image.host.clone(),
    };
    if target.contains(REGISTRY) && image.is_ipv6() {
        return None;
    }
    let (repository, suffix) = image.repository_and_suffix();
    Some(format!("{}{suffix}", fill(&template(target)?, &registry, &repository)))
}

/// Returns the target with the `{path}` that is meant at its end; `None` if a placeholder is at an invalid place.
fn template(target: &str) -> Option<String> {
    let first_slash = target.find('/')?;
    let is_well_placed = |placeholder: &str| match target.find(placeholder) {
        Some(at) => at > first_slash && target.matches(placeholder).count() == 1,
        None => true,
    };
    let touch = target.contains("{registry}{path}") || target.contains("{path}{registry}");
    if touch || !is_well_placed(REGISTRY) || !is_well_placed(PATH) {
        return None;
    }
    let end = if target.contains(PATH) { "" } else { "/{path}" };
    Some(format!("{}{end}", base(target)))
}

fn fill(template: &str, registry: &str, path: &str) -> String {
    template.replace(REGISTRY, registry).replace(PATH, path)
}

/// Returns true if the image is already at the target of the rule (section 5).
pub(super) fn is_under(image: &Image, rule: &Rule) -> bool {
    let target = &rule.target;
    if matches!(rule.key, Key::Exact(_)) {
        return image.text == *target;
    }
    let text = image.text_in_lower_case();
    let target_in_lower_case = host_in_lower_case(target);
    if has_placeholder(target) {
        let literal = &target_in_lower_case[..target_in_lower_case.find('{').unwrap()];
        return match literal.strip_suffix('/') {
            Some(base) => is_at_or_below(image, &text, base),
            None => text.starts_with(literal),
        };
    }
    let base = base(&target_in_lower_case);
    let has_prefix = matches!(&rule.key, Key::Registry(key) if key.prefix.is_some());
    (target.ends_with('-') && text.starts_with(&target_in_lower_case))
        || is_at_or_below(image, &text, base)
        || (has_prefix && [":", "@"].iter().any(|mark| text.starts_with(&format!("{base}{mark}"))))
}

/// Returns true if the image is the repository that a target names, with a tag or digest.
pub(super) fn is_repository_of(image: &Image, target: &str) -> bool {
    let target = host_in_lower_case(target);
    let base = base(&target);
    let text = image.text_in_lower_case();
    let is_followed_by = |mark: &str| text.starts_with(&format!("{base}{mark}"));
    !target.ends_with('-') && base.contains('/') && [":", "@"].into_iter().any(is_followed_by)
}

/// Returns what a target says about images without placeholders: the text that they start with, and whether anything may
/// follow.
pub(super) fn meaning(target: &str) -> (String, bool) {
    let is_prefix = target.ends_with('-');
    let lower = host_in_lower_case(target);
    let base = base(&lower);
    let text =
        if is_bare_host(base) && !is_prefix { canonical_host(base) } else { base.to_owned() };
    (text, is_prefix)
}

fn is_at_or_below(image: &Image, text: &str, base: &str) -> bool {
    text == base
        || text.starts_with(&format!("{base}/"))
        || (is_bare_host(base) && image.host == canonical_host(base))
}

/// Returns the target with everything before its first `/` in lower case.
fn host_in_lower_case(target: &str) -> String {
    match target.split_once('/') {
        Some((host, rest)) => format!("{}/{rest}", host.to_ascii_lowercase()),
        None => target.to_ascii_lowercase(),
    }
}
