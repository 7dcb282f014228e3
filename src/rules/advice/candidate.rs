//! Candidates for a proposal, and the check whether they are rules without mistakes.

use std::sync::Arc;

use super::{
    problem::{ends_before_path, glob_problem, key_problem, text_problem},
    repair::repaired,
};
use crate::{
    image::{MAX_IMAGE_BYTES, is_valid_reference},
    rules::{
        diagnostic::shorten,
        glob::Glob,
        line::{Separator, separator},
        rule::{Effect, Key, Rule},
        target::Target,
    },
};

/// A rule that may be proposed: its key and its target.
pub(super) type Candidate = (String, String);

/// Texts that are written in place of `::`. A longer one stands before one that it contains.
const OTHER_SEPARATORS: [&str; 8] = ["->", "=>", "==", "=", ";", "|", ",", ">"];

/// Returns the two parts of a rule with another text in place of `::`.
pub(super) fn split_at_other_separator(rule: &str) -> Option<(&str, &str)> {
    let mut splits = OTHER_SEPARATORS.iter().filter_map(|separator| rule.split_once(separator));
    splits.find(|(key, _)| !key.is_empty())
}

/// Returns the rules in backquotes, with `and` between them. Mistakes of their targets are corrected.
///
/// `None` if a rule still has a mistake, or is too long to be shown.
pub(in crate::rules) fn proposal(
    candidates: impl IntoIterator<Item = Candidate>,
) -> Option<String> {
    let rules: Option<Vec<_>> = candidates.into_iter().map(correct_rule).collect();
    let rules: Vec<_> = rules?.into_iter().map(|rule| format!("`{rule}`")).collect();
    (!rules.is_empty()).then(|| rules.join(" and "))
}

/// Returns the rule with a corrected target. `None` if it still has a mistake.
fn correct_rule((key, target): Candidate) -> Option<String> {
    let parsed = Key::parse(&key).ok()?;
    let target = valid_or_repaired(&parsed, &target);
    let rule = format!("{key}::{target}");
    let is_shown_completely = shorten(&rule) == rule;
    let is_rule = separator(&rule) == Separator::Double(key.len()..key.len() + 2);
    let is_correct = is_valid_target(&parsed, &target)
        && is_shown_completely
        && is_rule
        && key.len().max(target.len()) <= MAX_IMAGE_BYTES
        && !has_problem(&parsed, &key, &target)
        && !lacks_registry(&parsed, &target);
    is_correct.then_some(rule)
}

/// Returns a target without its mistakes, as far as they can be corrected.
pub(super) fn valid_or_repaired(key: &Key, target: &str) -> String {
    if is_valid_target(key, target) { target.to_owned() } else { repaired(key, target).text }
}

/// Returns true if the rule swaps images, or leaves them alone because its target is empty.
pub(super) fn is_valid_target(key: &Key, target: &str) -> bool {
    let rule = Rule::new(key.clone(), Target::new(target), &Arc::default(), 1);
    rule.effect() != Effect::LeaveInvalid
}

/// Returns true if the target of a rule that is not for one image names no registry.
fn lacks_registry(key: &Key, target: &str) -> bool {
    let is_one_image = matches!(key, Key::Exact(_) | Key::NoswapWildcards);
    !is_one_image && !target.is_empty() && !Target::new(target).names_registry()
}

/// Returns true if no image matches the key, which is given as it is parsed and as it is written.
fn has_problem(key: &Key, written: &str, target: &str) -> bool {
    match key {
        Key::Default => false,
        Key::Exact(image) => !is_valid_reference(image),
        Key::NoswapWildcards => target.split(',').any(|part| text_problem(part).is_some()),
        Key::Registry(_) => key_problem(written).is_some(),
        Key::Replace(glob) => {
            if ends_before_path(glob) {
                return true;
            }
            let glob = Glob::parse(glob);
            glob.is_empty() || glob_problem(&glob).is_some()
        }
    }
}
