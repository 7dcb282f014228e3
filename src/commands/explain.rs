//! `imageswap explain`: why an image is rewritten or left unchanged.

use std::io::Write;

use clap::Args;

use super::{Exit, load_policy};
use crate::{
    image::{ImageReference, is_valid_reference},
    rules::{Decision, Policy, Reason, Rule, RuleSet, Step, diagnostic::shorten},
    settings::{RuleArguments, RuleSource},
};

/// Arguments of `explain`.
#[derive(Args, Debug)]
pub struct ExplainArguments {
    #[command(flatten)]
    rules: RuleArguments,

    /// Image, as in the pod
    #[arg(value_name = "IMAGE")]
    image: String,
}

/// Explains how the image is rewritten, and the effect of a second pass. Errors of the map go to `errors`.
///
/// # Errors
/// When the map cannot be read, or the output not written.
pub fn run(
    arguments: &ExplainArguments,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> anyhow::Result<Exit> {
    let source = arguments.rules.parse()?;
    let image = &*arguments.image;
    writeln!(output, "image     {image}")?;
    describe(image, output)?;
    writeln!(output, "rules     {source}")?;
    let policy = load_policy(source.clone(), errors)?;
    match (&policy, &source) {
        (Policy::Maps(rules), _) => steps(rules, image, output)?,
        (Policy::Legacy(_), RuleSource::Legacy(prefix)) => {
            writeln!(output, "  prefix           `{}`", prefix.text())?;
        }
        (Policy::Legacy(_), _) => {}
    }
    let decision = policy.decide(image);
    let result = decision.result(image);
    writeln!(output, "result    {}", outcome(&decision, image))?;
    if let Some(remark) = remark(&decision, &result) {
        writeln!(output, "          {remark}")?;
    }
    if decision.swapped.is_some() {
        let again = policy.decide(&result);
        writeln!(output, "again     {}", outcome(&again, &result))?;
        if again.swapped.is_some() {
            writeln!(
                output,
                "          A second pass changes the image again: a chain, which `imageswap check` \
                 reports."
            )?;
        }
    }
    Ok(Exit::Success)
}

fn describe(image: &str, output: &mut impl Write) -> std::io::Result<()> {
    let reference = ImageReference::parse(image);
    let origin = if reference.is_shorthand() { " (none is written, so Docker Hub)" } else { "" };
    writeln!(output, "registry  {}{origin}", reference.registry())?;
    let path = reference.path();
    let canonical = if reference.is_library() {
        format!(" (library/{path} to registry rules)")
    } else {
        String::new()
    };
    writeln!(output, "path      {path}{canonical}")
}

fn steps(rules: &RuleSet, image: &str, output: &mut impl Write) -> std::io::Result<()> {
    let (steps, _) = rules.explain(image);
    for step in steps {
        let (name, finding) = match step {
            Step::Exact { rules: 0, .. } => ("[EXACT]", "the map has none".to_owned()),
            Step::Exact { rules, matched } => (
                "[EXACT]",
                match matched {
                    Some(rule) => format!("{} is this image", place(rule)),
                    None => format!("none of {rules} is this image"),
                },
            ),
            Step::Globs { globs: 0, .. } => ("[REPLACE]", "the map has none".to_owned()),
            Step::Globs { globs, matched } => (
                "[REPLACE]",
                match matched {
                    Some(rule) => format!("{} is the first that matches", place(rule)),
                    None => format!("none of {globs} matches"),
                },
            ),
            Step::NoDefault => {
                ("default", "the map has none, so registry rules do not apply".to_owned())
            }
            Step::Registry { image, matched } => (
                "registry",
                match matched {
                    Some(rule) => format!("{} has the longest prefix", place(rule)),
                    None => format!("no rule for {} or a part of it", canonical(&image)),
                },
            ),
            Step::Wildcards { matched } => (
                "noswap_wildcards",
                match matched {
                    Some((_, substring)) => format!("the image contains `{substring}`"),
                    None => "the image contains none".to_owned(),
                },
            ),
            Step::Default { rule, covered_by } => (
                "default",
                match covered_by {
                    Some(covering) => {
                        format!("the image is already under the target of {}", place(covering))
                    }
                    None => format!("{} applies", place(rule)),
                },
            ),
        };
        writeln!(output, "  {name:<16} {finding}")?;
    }
    Ok(())
}

fn canonical(image: &ImageReference<'_>) -> String {
    let library = if image.is_library() { "library/" } else { "" };
    format!("{}/{library}{}", image.registry(), image.repository())
}

fn place(rule: &Rule) -> String {
    format!("line {} `{}`", rule.line, shorten(&rule.to_string()))
}

/// Returns a remark on a decision that is easy to misread.
fn remark(decision: &Decision<'_>, result: &str) -> Option<&'static str> {
    match decision.reason {
        Reason::InvalidTarget => Some(
            "The target of this rule makes no valid image reference; run `imageswap check` for details.",
        ),
        Reason::Malformed => Some(
            "The image contains a character that no image reference can have, for example because another program has yet to fill it in.",
        ),
        Reason::Placeholder => Some(
            "Istio's injector replaces `auto` with its proxy image. An `[EXACT]auto` rule overrides this.",
        ),
        _ if decision.swapped.is_some() && !is_valid_reference(result) => {
            Some("The result is not a valid image reference, so no registry can serve it.")
        }
        _ => None,
    }
}

fn outcome(decision: &Decision<'_>, image: &str) -> String {
    let reason = decision.reason.as_str();
    let line = decision.rule.map(|rule| format!(", line {}", rule.line)).unwrap_or_default();
    match decision.swapped {
        Some(swapped) => format!("{swapped} ({reason}{line})"),
        None => format!("{image} is left alone ({reason}{line})"),
    }
}
