//! Registry and `[EXACT]` keys that no image can match.

use super::{
    Advice,
    address::{bracket_problem, bracketed},
    candidate::{Candidate, proposal, split_at_other_separator, valid_or_repaired},
    problem::{KeyProblem, bracketed_word, key_problem, without_scheme},
    repository::{doubles_name, rule_for_repository},
    wildcard_keys::{wildcard_key, with_path},
};
use crate::{
    image::{DOCKER_HUB, ImageReference, LIBRARY, canonical_registry, is_valid_reference},
    rules::{
        diagnostic::shorten, pull_secrets::PullSecret, rule::Key, swapped_image::SwappedImage,
        target::Target,
    },
};

/// Marks before a key: those of a list in YAML or Markdown, or of a pattern that is negated.
pub(super) const MARKS: [char; 3] = ['!', '+', '-'];

/// The form of a registry key.
const REGISTRY_FORM: &str = "write `host[:port][/path]`, without a scheme, the path in lower case";

/// Returns advice on a registry key that no image can match because of `problem`.
///
/// The key is as written. `keyword_line` returns the line of the map that has a keyword as its key.
pub(in crate::rules) fn registry_key(
    problem: KeyProblem,
    key: &str,
    target: &str,
    keyword_line: impl Fn(&str) -> Option<u32>,
) -> Advice {
    let key = key.trim_end_matches('/');
    let shown = shorten(key);
    let message = match problem {
        KeyProblem::Bracket(_) | KeyProblem::Keyword(_) => format!("`{shown}` is not a registry"),
        KeyProblem::Invalid => format!("no valid image is below `{shown}`"),
        KeyProblem::UnknownBracket => {
            format!("there is no `[{}]`", shorten(bracketed_word(key).unwrap_or_default()))
        }
        KeyProblem::NoRegistry => format!(
            "`{}` is not a registry: it has no `.`, no `:` and no upper-case letter, and is not localhost",
            shorten(key.split('/').next().unwrap_or_default())
        ),
        KeyProblem::Tag => format!("`{shown}` has a tag or digest, which registry rules ignore"),
        KeyProblem::Wildcard => {
            format!("`{shown}` has a wildcard that registry keys do not support")
        }
    };
    let keyword_line = match problem {
        KeyProblem::Keyword(keyword) => keyword_line(keyword),
        _ => None,
    };
    let hint = match (problem, keyword_line) {
        (KeyProblem::Keyword(keyword), Some(line)) => {
            format!("`{keyword}` is already in line {line}; change that line, and remove this one")
        }
        (KeyProblem::Wildcard, _) => wildcard_key(key, target),
        _ => match proposal(corrected(problem, key, target)) {
            Some(rules) if candidates_of_list(key, target).is_some() => {
                format!("write {rules}, as a rule has one key")
            }
            Some(rules) => format!("write {rules}{}", explanation(problem, key, target)),
            None => match bracket_problem(key) {
                Some(bracket) if problem == KeyProblem::Invalid => {
                    format!("{bracket}; write `[address]` or `[address]:port`")
                }
                _ => without_proposal(problem),
            },
        },
    };
    Advice { message, hint }
}

/// Returns the rules for a key with a problem, if they are without mistakes.
pub(super) fn corrected_rules(key: &str, target: &str) -> Option<String> {
    let problem = key_problem(key)?;
    proposal(corrected(problem, key.trim_end_matches('/'), target))
}

/// Returns a rule for each of several keys that are written in one line, if they are without mistakes.
pub(super) fn rules_of_list(key: &str, target: &str) -> Option<String> {
    proposal(candidates_of_list(key, target)?)
}

/// Returns the candidates for several keys in one line. `None` if there is only one key, or too many.
fn candidates_of_list(key: &str, target: &str) -> Option<Vec<Candidate>> {
    /// A longer hint would not be readable.
    const MAX_KEYS: usize = 8;
    let keys: Vec<_> = key.split([',', ';', '|']).filter(|key| !key.is_empty()).collect();
    if !(2..=MAX_KEYS).contains(&keys.len()) || starts_with_port(target) {
        return None;
    }
    let candidates = keys.into_iter().flat_map(|key| match key_problem(key) {
        Some(problem) => corrected(problem, key, target),
        None => vec![(key.to_owned(), target.to_owned())],
    });
    Some(candidates.collect())
}

/// Returns true if `target` is a port, alone or with a path.
fn starts_with_port(target: &str) -> bool {
    let port = target.split('/').next().unwrap_or_default();
    !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns advice on a key with white space between two words.
pub(in crate::rules) fn joined_keys(key: &str, target: &str) -> Advice {
    let joined: String = key.split_whitespace().collect();
    let keys: Vec<_> = key.split_whitespace().collect();
    let are_keys = keys.iter().all(|key| key_problem(key).is_none());
    let rules = are_keys.then(|| rules_of_list(&keys.join(","), target)).flatten();
    let hint = match rules {
        Some(rules) => format!("write {rules}, as a rule has one key"),
        None => "write one key without white space".into(),
    };
    let message =
        format!("no image contains white space, so this key is read as `{}`", shorten(&joined));
    Advice { message, hint }
}

fn corrected(problem: KeyProblem, key: &str, target: &str) -> Vec<Candidate> {
    if let Some(candidates) = candidates_of_list(key, target) {
        return candidates;
    }
    if let (KeyProblem::Invalid, true, Some((key, rest))) =
        (problem, starts_with_port(target), split_at_other_separator(key))
    {
        // The separator that was found is the colon of a port.
        return vec![(key.to_owned(), format!("{rest}:{target}"))];
    }
    let key = match problem {
        KeyProblem::Bracket(kind) => {
            let rest = key.split_once(']').map_or("", |(_, rest)| rest);
            format!("{kind}{rest}")
        }
        KeyProblem::Invalid => normalized(key),
        KeyProblem::Keyword(keyword) => keyword.to_owned(),
        KeyProblem::NoRegistry if is_official_image(key, target) => {
            format!("{DOCKER_HUB}/{LIBRARY}/{key}")
        }
        KeyProblem::NoRegistry => format!("{DOCKER_HUB}/{key}"),
        KeyProblem::Tag => return exact_rules(key, target),
        KeyProblem::UnknownBracket | KeyProblem::Wildcard => return Vec::new(),
    };
    vec![(key, target.to_owned())]
}

/// Returns true for a key such as `nginx` that probably means an official image of Docker Hub, not an organization: the
/// target ends with its name, or is empty.
fn is_official_image(key: &str, target: &str) -> bool {
    let target = without_scheme(target).trim_end_matches('/');
    let has_name = |(_, last): (&str, &str)| last.split([':', '@']).next() == Some(key);
    !key.contains('/') && (target.is_empty() || target.rsplit_once('/').is_some_and(has_name))
}

/// Returns the end of a hint that proposes rules.
fn explanation(problem: KeyProblem, key: &str, target: &str) -> String {
    match problem {
        KeyProblem::NoRegistry if is_official_image(key, target) => format!(
            " for the official image, as `{DOCKER_HUB}/{key}` is the organization, or add the port of the registry"
        ),
        KeyProblem::NoRegistry if !key.contains('/') => format!(
            " for the organization, as the official image is `{DOCKER_HUB}/{LIBRARY}/{key}`, or add the port of the registry"
        ),
        KeyProblem::NoRegistry => {
            " for images of Docker Hub, or add the port of the registry".into()
        }
        KeyProblem::Bracket(Key::REPLACE) => {
            "; without placeholders in the target, it keeps only the last path segment".into()
        }
        KeyProblem::Tag => {
            "; an [EXACT] rule is for an image that is written exactly like this".into()
        }
        _ => String::new(),
    }
}

fn without_proposal(problem: KeyProblem) -> String {
    match problem {
        KeyProblem::Bracket(kind) => {
            let what = if kind == PullSecret::KEY { "prefix" } else { "image" };
            format!("write `{kind}` in capitals, and the {what} after it")
        }
        KeyProblem::Keyword(keyword) => format!("write `{keyword}`"),
        KeyProblem::Tag => {
            "remove the tag or digest, or write the whole image after `[EXACT]`".into()
        }
        KeyProblem::UnknownBracket => {
            "write `[EXACT]`, `[PULLSECRET]` or `[REPLACE]`, or the registry alone; an empty target leaves its images alone"
                .into()
        }
        KeyProblem::Invalid | KeyProblem::NoRegistry | KeyProblem::Wildcard => REGISTRY_FORM.into(),
    }
}

/// Returns a key without scheme and superfluous characters, and with its path in lower case.
fn normalized(key: &str) -> String {
    let written = key.trim_start_matches(MARKS).trim_matches(['"', '\'']);
    let key = without_scheme(written);
    let segments: Vec<_> = key.split('/').filter(|segment| !segment.is_empty()).collect();
    let Some((host, path)) = segments.split_first() else { return String::new() };
    // The URL of a registry ends with the version of its API.
    let is_url = key.len() < written.len();
    let path = if is_url && matches!(path, ["v1" | "v2"]) { &[] } else { path };
    let host = host.trim_end_matches(['.', ':']);
    let host = if let Some(address) = bracketed(host) {
        address
    } else if canonical_registry(host) == DOCKER_HUB {
        DOCKER_HUB.to_owned()
    } else if host.starts_with('.') {
        format!("*{host}")
    } else {
        host.to_owned()
    };
    path.iter().fold(host, |key, segment| {
        let (name, tag) = segment.split_at(segment.find([':', '@']).unwrap_or(segment.len()));
        format!("{key}/{}{tag}", name.to_ascii_lowercase())
    })
}

/// Returns `[EXACT]` rules for an image, one for each common way to write it.
///
/// The new image is the one that a registry rule with this target gives.
fn exact_rules(image: &str, target: &str) -> Vec<Candidate> {
    let reference = ImageReference::parse(image);
    let new = moved(&reference, target);
    let mut spellings = vec![image.to_owned()];
    if reference.registry().eq_ignore_ascii_case(DOCKER_HUB) {
        let path = reference.path();
        let library = path.strip_prefix(LIBRARY).and_then(|path| path.strip_prefix('/'));
        let short = library.filter(|name| !name.contains('/')).unwrap_or(path);
        spellings = vec![short.to_owned(), format!("{DOCKER_HUB}/{short}")];
    }
    spellings.into_iter().map(|image| (format!("{}{image}", Key::EXACT), new.clone())).collect()
}

/// Returns the image that a target makes of an image whose name is the key of the rule.
fn moved(image: &ImageReference<'_>, target: &str) -> String {
    let is_image = Target::new(target).base().contains('/') && is_valid_reference(target);
    let text = if is_image { target.to_owned() } else { valid_or_repaired(&Key::Default, target) };
    let target = Target::new(&text);
    let swapped = match target.template() {
        Some(template) => SwappedImage::filled(template, image),
        None if target.is_prefix() => SwappedImage::prefixed(target.text(), image),
        None => None,
    };
    if let Some(swapped) = swapped {
        swapped.to_string()
    } else if target.is_empty() {
        String::new()
    } else if target.is_registry() {
        format!("{}/{}", target.base(), image.path())
    } else if ImageReference::parse(target.text()).tag_and_digest().is_empty() {
        format!("{}{}", target.base(), image.tag_and_digest())
    } else {
        text
    }
}

/// Returns advice on an `[EXACT]` key that is not a valid image.
pub(in crate::rules) fn exact_key(image: &str, target: &str) -> Advice {
    let written = target;
    let message = format!("`{}` is not a valid image", shorten(image));
    let has_tag = !ImageReference::parse(target).tag_and_digest().is_empty();
    let hint = if image.contains(['*', '?', '[']) {
        let target = with_path(target).filter(|_| !has_tag);
        let rule = |target| proposal([(format!("{}{image}", Key::REPLACE), target)]);
        if target.as_deref().is_some_and(|with_path| doubles_name(image, with_path)) {
            return Advice { message, hint: for_each_image(image, written) };
        }
        match target.and_then(rule) {
            Some(rule) if rule.contains("{path}") => format!(
                "[EXACT] does not support wildcards; write {rule}, which keeps the path and the tag of the image"
            ),
            Some(rule) => format!("[EXACT] does not support wildcards; write {rule}"),
            None => "[EXACT] does not support wildcards; write a rule for each image".into(),
        }
    } else {
        match proposal([(format!("{}{}", Key::EXACT, normalized(image)), target.to_owned())]) {
            Some(rule) => format!("write {rule}, the image exactly as in the pods"),
            None => "write the image exactly as in the pods".into(),
        }
    };
    Advice { message, hint }
}

/// Returns advice on an `[EXACT]` key with wildcards whose target names one image.
fn for_each_image(image: &str, target: &str) -> String {
    let general = "[EXACT] does not support wildcards; write a rule for each image";
    match rule_for_repository(image, target) {
        Some(rule) => format!("{general}, or {rule} for all tags"),
        None => general.into(),
    }
}
