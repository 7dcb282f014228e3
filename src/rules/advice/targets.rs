//! Targets that make no valid image reference.

use super::{
    Advice,
    address::bracket_problem,
    candidate::proposal,
    patterns::without_match_all,
    repair::{Repair, repaired},
};
use crate::rules::{diagnostic::shorten, rule::Key, target::Target, template::TemplateError};

/// Returns advice on a target that makes no valid image reference. `written` is its key as it is written.
pub(in crate::rules) fn invalid_target(key: &Key, written: &str, target: &str) -> Advice {
    let message = format!(
        "`{}` makes no valid image reference, so the images of this rule are left alone",
        shorten(target)
    );
    let Repair { mut problems, text } = repaired(key, target);
    let (written, end) = without_match_all(written);
    let correction = match proposal([(written.to_owned(), target.to_owned())]) {
        Some(rule) => format!("write {rule}{end}"),
        None => form(key, &text).to_owned(),
    };
    if let Some(problem) = bracket_problem(target) {
        problems.insert(0, problem.to_owned());
    }
    if problems.is_empty() {
        problems.push("a segment begins and ends with a letter or a digit".into());
    }
    Advice { message, hint: format!("{}; {correction}", problems.join("; ")) }
}

/// Returns the correct form of a target, as a clause of advice.
fn form(key: &Key, target: &str) -> &'static str {
    match key {
        Key::Default if Target::new(target).template_error() == Some(TemplateError::InRegistry) => {
            "write one rule for each registry"
        }
        Key::Exact(_) => {
            "write a whole image, `host[:port]/path[:tag][@digest]`, without a scheme, the path in lower case"
        }
        _ => "write `host[:port][/path]`, without a scheme, the path in lower case",
    }
}
