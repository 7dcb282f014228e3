//! Lines that are not rules, because of their separator or an empty key.

use super::{
    address::{bracket_problem, bracketed},
    candidate::{is_valid_target, proposal, split_at_other_separator},
    keys::{MARKS, corrected_rules, registry_key, rules_of_list},
    patterns::without_match_all,
    problem::{KeyProblem, key_problem, without_scheme},
    wildcard_keys::wildcard_key,
};
use crate::{
    image::{is_valid_reference, split_path},
    rules::{
        line::{Separator, separator, without_white_space},
        manifest::{FIELD_HINT, is_field},
        rule::Key,
    },
};

/// Returns advice on a registry key with a `*` that is not the start of `*.domain`.
pub(in crate::rules) fn misplaced_star(key: &str, target: &str) -> String {
    if let Some(rules) = rules_of_list(key, target).or_else(|| without_mark(key, target)) {
        return format!("write {rules}");
    }
    match key_problem(key) {
        Some(problem @ KeyProblem::Bracket(_)) => registry_key(problem, key, target, |_| None).hint,
        _ => wildcard_key(key, target),
    }
}

/// Returns the rules for a key without the mark that stands before it. `None` if there is no mark.
fn without_mark(key: &str, target: &str) -> Option<String> {
    let rest = key.trim_start_matches(MARKS);
    (rest.len() < key.len()).then(|| rules(rest, target))?
}

/// Returns advice on a line whose single colon is no separator. `None` if it probably is one.
///
/// It is the colon of a field of a manifest, or the one before a port, or the tag or the digest of an image.
pub(in crate::rules) fn other_colon(key: &str, target: &str) -> Option<String> {
    if is_field(key, target) {
        return Some(FIELD_HINT.into());
    }
    let is_image = match Key::parse(key) {
        Ok(Key::Exact(image)) => {
            !target.contains('/') && is_valid_reference(&format!("{image}:{target}"))
        }
        Ok(Key::Replace(_)) => target.contains(['*', '?']) && !target.contains('/'),
        // The port of a registry whose target is missing.
        Ok(Key::Registry(_)) => target.bytes().all(|byte| byte.is_ascii_digit()),
        _ => false,
    };
    let rule =
        is_image.then(|| proposal([(format!("{key}:{target}"), String::new())])).flatten()?;
    Some(format!("write {rule} to leave these images alone, or a target after the `::`"))
}

/// Returns advice on a line with the deprecated separator.
pub(in crate::rules) fn deprecated_separator(key: &str, target: &str) -> String {
    if let Some(hint) = other_colon(key, target) {
        return hint;
    }
    match rules(key, target) {
        Some(rules) => format!("write {rules}"),
        None => "write `::` between key and target".into(),
    }
}

/// Returns advice on a rule without a key.
pub(in crate::rules) fn empty_key(rule: &str) -> String {
    const GENERAL: &str = "write the registry that the rule is for before the `::`";
    let target = rule.trim_start_matches(['/', ':']);
    if rule.starts_with('[') {
        return "write the image or the glob between the bracket and the `::`".into();
    }
    let default = || proposal([(Key::DEFAULT.to_owned(), target.to_owned())]);
    match (!target.is_empty()).then(default).flatten() {
        Some(rule) => format!("{GENERAL}, or {rule} if there is no `default`"),
        None => GENERAL.into(),
    }
}

/// The mistake of a line with a comment that starts with `//`, as a clause.
const COMMENT_PROBLEM: &str = "a comment starts with `#`";

/// Returns advice on a rule with a comment that starts with `//`. It is given with its white space.
///
/// `None` if there is no such comment, or the rule before it has another mistake.
pub(in crate::rules) fn slash_comment(rule: &str) -> Option<String> {
    let rule = without_white_space(without_slash_comment(rule)?);
    let (Separator::Double(separator) | Separator::Single(separator)) = separator(&rule) else {
        return None;
    };
    let (key, end) = without_match_all(&rule[..separator.start]);
    let rule = proposal([(key.to_owned(), rule[separator.end..].to_owned())])?;
    Some(format!("{COMMENT_PROBLEM}; write {rule}{end}"))
}

/// Returns the text before a `//` that follows white space. `None` if there is none, or it is a part of a URL.
fn without_slash_comment(rule: &str) -> Option<&str> {
    let ends = rule.match_indices("//").map(|(at, _)| &rule[..at]);
    let text = ends.into_iter().find(|text| text.ends_with(char::is_whitespace))?.trim_end();
    (!text.ends_with(':')).then_some(text)
}

/// Returns advice on a line without a separator. It is given with its white space.
pub(in crate::rules) fn missing_separator(line: &str) -> String {
    if line.starts_with("//") {
        return COMMENT_PROBLEM.into();
    }
    if let Some(rule) = without_slash_comment(line) {
        return format!("{COMMENT_PROBLEM}; {}", missing_separator(rule));
    }
    let joined: String = line.split_whitespace().collect();
    let split = split_at_other_separator(&joined).and_then(|(key, target)| rules(key, target));
    let by_space = || {
        let (key, target) = line.split_once(char::is_whitespace)?;
        proposal([(key.to_owned(), target.split_whitespace().collect())])
    };
    if let Some(rules) = split.or_else(by_space) {
        return format!("write {rules}");
    }
    let rule = |key: &str| proposal([(key.to_owned(), String::new())]);
    match rule(&joined).or_else(|| rule(joined.trim_start_matches(MARKS))) {
        Some(rule) => {
            format!("write {rule} to leave these images alone, or a target after the `::`")
        }
        None => "write the key, `::` and the target".into(),
    }
}

/// Returns advice on a rule with more than one separator.
pub(in crate::rules) fn several_separators(rule: &str) -> String {
    let mut proposals: Vec<_> = with_bracketed_address(rule).into_iter().collect();
    if proposals.is_empty() {
        // Corrections other than that of the scheme would drop one of several targets.
        let is_valid = |(key, target): &(String, String)| {
            Key::parse(key).is_ok_and(|key| is_valid_target(&key, target))
        };
        let splits = splits_at_colons(without_scheme(rule)).into_iter();
        let splits = splits.map(|(key, target)| (key, without_scheme(&target).to_owned()));
        proposals = splits.filter(is_valid).filter_map(|split| proposal([split])).collect();
        proposals.dedup();
    }
    let is_bracketed = |kind: &&str| rule.starts_with(*kind);
    let is_address = ![Key::EXACT, Key::REPLACE].iter().any(is_bracketed);
    let problem = bracket_problem(rule).filter(|_| is_address && !rule.contains(']'));
    match (&*proposals, problem) {
        ([rules], _) => format!("write {rules}"),
        (_, Some(problem)) => format!("{problem}; write `[address]` or `[address]:port`"),
        _ => "write one `::` between key and target; a port follows after a single `:`".into(),
    }
}

/// Returns the rules that a key and a target, split at an unusual separator, probably mean.
fn rules(key: &str, target: &str) -> Option<String> {
    if key.is_empty() {
        return None;
    }
    proposal([(key.to_owned(), target.to_owned())])
        .or_else(|| corrected_rules(key, target))
        .or_else(|| without_mark(key, target))
}

/// Returns each way to split a rule at a colon or several colons. The others become single colons.
fn splits_at_colons(rule: &str) -> Vec<(String, String)> {
    let mut parts: Vec<String> = Vec::new();
    let mut rest = rule;
    while let Some(colon) = next_colon(rest) {
        parts.push(rest[..colon].to_owned());
        rest = rest[colon..].trim_start_matches(':');
    }
    parts.push(rest.to_owned());
    (1..parts.len()).map(|at| (parts[..at].join(":"), parts[at..].join(":"))).collect()
}

/// Returns the position of the first colon outside of brackets.
fn next_colon(text: &str) -> Option<usize> {
    let start = match text.find('[') {
        Some(open) if !text[..open].contains(':') => open + text[open..].find(']')?,
        _ => 0,
    };
    text[start..].find(':').map(|colon| start + colon)
}

/// Returns the rule for a line in which the key or the target is an IPv6 address without brackets.
fn with_bracketed_address(rule: &str) -> Option<String> {
    let with_brackets = |text: &str| {
        let (host, path) = split_path(text);
        bracketed(host).map(|host| format!("{host}{path}"))
    };
    rule.match_indices("::").find_map(|(at, _)| {
        let (key, target) = (&rule[..at], &rule[at + 2..]);
        let candidate = match (with_brackets(key), with_brackets(target)) {
            (None, None) => return None,
            (key_address, target_address) => (
                key_address.unwrap_or_else(|| key.to_owned()),
                target_address.unwrap_or_else(|| target.to_owned()),
            ),
        };
        let text = format!("{}::{}", candidate.0, candidate.1);
        matches!(separator(&text), Separator::Double(_)).then(|| proposal([candidate]))?
    })
}
