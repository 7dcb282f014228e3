//! Registry and `[EXACT]` keys that no image can match.

use super::{
    Advice,
    candidate::{Candidate, is_valid_target, proposal, split_at_other_separator},
    problem::{KeyProblem, key_problem, without_scheme},
    repair::repaired,
    wildcard_keys::{wildcard_key, with_path},
};
use crate::{
    image::{DOCKER_HUB, ImageReference, LIBRARY, is_valid_reference},
    rules::{diagnostic::shorten, rule::Key, swapped_image::SwappedImage, target::Target},
};

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
            Some(rules) => format!("write {rules}{}", explanation(problem)),
            None => without_proposal(problem),
        },
    };
    Advice { message, hint }
}

/// Returns the rules for a key with a problem, if they are without mistakes.
pub(super) fn corrected_rules(key: &str, target: &str) -> Option<String> {
    let problem = key_problem(key)?;
    proposal(corrected(problem, key.trim_end_matches('/'), target))
}

fn corrected(problem: KeyProblem, key: &str, target: &str) -> Vec<Candidate> {
    if let (KeyProblem::Invalid, Some((key, rest))) = (problem, split_at_other_separator(key)) {
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
        KeyProblem::NoRegistry => format!("{DOCKER_HUB}/{key}"),
        KeyProblem::Tag => return exact_rules(key, target),
        KeyProblem::Wildcard => return Vec::new(),
    };
    vec![(key, target.to_owned())]
}

/// Returns the end of a hint that proposes rules.
fn explanation(problem: KeyProblem) -> &'static str {
    match problem {
        KeyProblem::NoRegistry => " for images of Docker Hub, or add the port of the registry",
        KeyProblem::Bracket(Key::REPLACE) => {
            "; without placeholders in the target, it keeps only the last path segment"
        }
        KeyProblem::Tag => "; an [EXACT] rule is for an image that is written exactly like this",
        _ => "",
    }
}

fn without_proposal(problem: KeyProblem) -> String {
    match problem {
        KeyProblem::Bracket(kind) => format!("write `{kind}` in capitals, and the image after it"),
        KeyProblem::Keyword(keyword) => format!("write `{keyword}`"),
        KeyProblem::Tag => {
            "remove the tag or digest, or write the whole image after `[EXACT]`".into()
        }
        KeyProblem::Invalid | KeyProblem::NoRegistry | KeyProblem::Wildcard => REGISTRY_FORM.into(),
    }
}

/// Returns a key without scheme and superfluous characters, and with its path in lower case.
fn normalized(key: &str) -> String {
    let key = without_scheme(key.trim_matches(['"', '\'']));
    let segments: Vec<_> = key.split('/').filter(|segment| !segment.is_empty()).collect();
    let Some((host, path)) = segments.split_first() else { return String::new() };
    let host = host.trim_end_matches(['.', ':']);
    let host = if host.parse::<core::net::Ipv6Addr>().is_ok() {
        format!("[{host}]")
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
    let text = if is_valid_target(&Key::Default, target) || is_image {
        target.to_owned()
    } else {
        repaired(&Key::Default, target).text
    };
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
    let message = format!("`{}` is not a valid image", shorten(image));
    let has_tag = !ImageReference::parse(target).tag_and_digest().is_empty();
    let hint = if image.contains(['*', '?', '[']) {
        let target = with_path(target).filter(|_| !has_tag);
        let rule = |target| proposal([(format!("{}{image}", Key::REPLACE), target)]);
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
