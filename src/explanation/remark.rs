//! Remarks on decisions that are easy to misread.

use super::DecidingRules;
use crate::{
    image::{ImageReference, is_valid_reference},
    rules::{Decision, Reason, Rule, Target},
};

/// Returns a remark on a decision that is easy to misread.
pub(super) fn remark(
    rules: &DecidingRules<'_>,
    decision: &Decision<'_>,
    image: &str,
    result: &str,
) -> Option<String> {
    let remark = match decision.reason {
        Reason::InvalidTarget => {
            "The target of this rule makes no valid image reference; run `imageswap check` for details."
        }
        Reason::Malformed => {
            "The image contains a character that no image reference can have, for example because another program has yet to fill it in."
        }
        Reason::Placeholder => {
            "Istio's injector replaces `auto` with its proxy image. An `[EXACT]auto` rule overrides this."
        }
        Reason::Unrepresentable => return decision.rule.map(|rule| unrepresentable(rule, image)),
        _ => {
            return skipped_rule(rules, decision, image)
                .or_else(|| invalid_result(decision, image, result));
        }
    };
    Some(remark.to_owned())
}

/// Returns the reason why the new image of `image` would not be a valid reference.
fn unrepresentable(rule: &Rule, image: &str) -> String {
    let image = ImageReference::parse(image);
    let has_host_in_path =
        rule.target.is_prefix() || rule.target.text().contains(Target::REGISTRY_PLACEHOLDER);
    let reason = if image.has_ipv6_host() && has_host_in_path {
        "an IPv6 address would be part of its path"
    } else if rule.target.cannot_be_host() && !image.port_suffix().is_empty() {
        "the port would follow a target that is not a host"
    } else if rule.target.is_registry() && rule.key.has_path_prefix() {
        "it would have no path, because the key names the whole repository"
    } else {
        "it would be too long"
    };
    format!("The new image would not be a valid reference: {reason}.")
}

/// Returns a remark if a line that is not a rule looks as if it was meant for `image`.
fn skipped_rule(rules: &DecidingRules<'_>, decision: &Decision<'_>, image: &str) -> Option<String> {
    let image = ImageReference::parse(image);
    let skipped = rules.diagnostics.kept().iter().find(|diagnostic| {
        diagnostic.skips_rule_for(&image)
            || (decision.reason == Reason::NoDefault && diagnostic.skips_default())
    })?;
    let (line, rule) = (skipped.line?, skipped.skipped.as_ref()?);
    let message = &skipped.message;
    Some(format!("Line {line} `{rule}` is not a rule and is skipped: {message}."))
}

/// Returns a remark if the new image is not a valid reference.
fn invalid_result(decision: &Decision<'_>, image: &str, result: &str) -> Option<String> {
    if decision.swapped.is_none() || is_valid_reference(result) {
        return None;
    }
    let cause = match decision.rule {
        _ if !is_valid_reference(image) => " The image is not one either.".to_owned(),
        Some(rule) => format!(" The rule is {}.", rule.location()),
        None => String::new(),
    };
    Some(format!("The result is not a valid image reference, so no registry can serve it.{cause}"))
}
