//! `imageswap explain`: why an image is rewritten or left unchanged.
//!
//! An explanation is created once as data, and printed as text or JSON.

mod steps;

use std::{
    collections::{BTreeMap, HashSet},
    io::{self, Write},
};

use clap::Args;
use serde::Serialize;

use self::steps::{StepName, StepRecord};
use super::{Exit, Field, LoadedRules, Outcome, Output, load_rules, rule_source};
use crate::{
    image::{ImageReference, is_valid_reference},
    rules::{Decision, Maps, Policy, PullSecret, Reason, Rule, Target, diagnostic::shorten},
    settings::{NamespaceArguments, RuleArguments, RuleSource},
};

/// Fields of a line of `explain --output json`, in addition to [`OUTCOME_FIELDS`](super::OUTCOME_FIELDS).
pub const FIELDS: [Field; 13] = [
    Field { name: "image", meaning: "Image as given" },
    Field { name: "registry", meaning: "Registry of the image; `docker.io` if the image has none" },
    Field { name: "path", meaning: "Image without its registry, with tag and digest" },
    Field {
        name: "rules",
        meaning: "File of the map, or `LEGACY mode`; before it the file of the namespace, if it has a map",
    },
    Field {
        name: "steps",
        meaning: "Steps of the decision, in order; it ends with the first that applies",
    },
    Field {
        name: "steps[].step",
        meaning: "`exact`, `replace`, `registry`, `noswap-wildcard` or `default`; `prefix` in LEGACY mode; before the steps of each map `namespace-map` or `cluster-map`, if the namespace has a map",
    },
    Field { name: "steps[].finding", meaning: "Sentence that describes the result of the step" },
    Field { name: "steps[].rule", meaning: "Key of the rule that matched, or `null`" },
    Field { name: "steps[].line", meaning: "Line of that rule, or `null`" },
    Field {
        name: "placeholders",
        meaning: "Placeholders of the target with their values for this image, such as \
                  `{\"{path}\": \"a/b\"}`; empty if there are none",
    },
    Field {
        name: "pull_secrets",
        meaning: "Names of the pull secrets that a new pod with this image gets, in order",
    },
    Field { name: "remark", meaning: "Remark on a result that is easy to misread, or `null`" },
    Field {
        name: "second_pass",
        meaning: "Result for the rewritten image, with the fields `result` to `line`; `null` if \
                  the image is unchanged. If it is rewritten again, the map has a chain",
    },
];

/// Arguments of `explain`.
#[derive(Args, Debug)]
pub struct ExplainArguments {
    #[command(flatten)]
    rules: RuleArguments,

    #[command(flatten)]
    namespace: NamespaceArguments,

    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,

    /// Images, as in the pods
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

/// Explanation of the decision for one image, and line of `explain --output json`.
#[derive(Serialize)]
struct Explanation<'a> {
    image: &'a str,
    registry: &'a str,
    path: &'a str,
    rules: String,
    steps: Vec<StepRecord>,
    #[serde(flatten)]
    outcome: Outcome,
    placeholders: BTreeMap<&'static str, String>,
    pull_secrets: Vec<&'a str>,
    /// The lines of the map with these pull secrets.
    #[serde(skip)]
    pull_secret_lines: Vec<&'a PullSecret>,
    remark: Option<String>,
    second_pass: Option<Outcome>,
}

/// Explains how images are rewritten, and the effect of a second pass. Errors of the map go to `errors`.
///
/// # Errors
/// If the map cannot be used, or the output cannot be written.
pub fn run(
    arguments: &ExplainArguments,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> anyhow::Result<Exit> {
    let source = rule_source(&arguments.rules, errors)?;
    let rules = load_rules(source.clone(), &arguments.namespace, errors)?;
    for (index, image) in arguments.images.iter().enumerate() {
        let explanation = explain(&rules, &source, image);
        if arguments.output == Output::Json {
            serde_json::to_writer(&mut *output, &explanation).map_err(io::Error::from)?;
            writeln!(output)?;
        } else {
            if index > 0 {
                writeln!(output)?;
            }
            explanation.print(output)?;
        }
    }
    Ok(Exit::Success)
}

fn explain<'a>(rules: &'a LoadedRules, source: &RuleSource, image: &'a str) -> Explanation<'a> {
    let policy = &rules.policy;
    let own = rules.namespace.as_ref().map(|map| &map.rules);
    let reference = ImageReference::parse(image);
    let decision = rules.decide(image);
    let outcome = Outcome::new(&decision, image);
    let second_pass = outcome.swapped.then(|| {
        let result = &*outcome.result;
        Outcome::new(&rules.decide(result), result)
    });
    let maps = policy.maps(own);
    let pull_secret_lines = maps.map(|maps| maps.pull_secrets(&outcome.result)).unwrap_or_default();
    Explanation {
        image,
        registry: reference.registry(),
        path: reference.path(),
        rules: match &rules.namespace {
            Some(map) => format!("{}, then {source}", map.file),
            None => source.to_string(),
        },
        steps: match (policy, source) {
            (Policy::Maps(cluster), _) => {
                Maps::new(own, cluster).explain(image).0.iter().map(StepRecord::new).collect()
            }
            (Policy::Legacy(_), RuleSource::Legacy(prefix)) => {
                let finding = format!("`{}`", prefix.text());
                vec![StepRecord { step: StepName::Prefix, finding, rule: None, line: None }]
            }
            (Policy::Legacy(_), _) => Vec::new(),
        },
        placeholders: match (decision.swapped, decision.rule) {
            (Some(_), Some(rule)) => rule.target.placeholders(&reference).into_iter().collect(),
            _ => BTreeMap::new(),
        },
        pull_secrets: names(&pull_secret_lines),
        pull_secret_lines,
        remark: remark(rules, &decision, image, &outcome.result),
        outcome,
        second_pass,
    }
}

/// Returns the names in these lines, each once.
fn names<'a>(lines: &[&'a PullSecret]) -> Vec<&'a str> {
    let mut known = HashSet::new();
    let names = lines.iter().flat_map(|line| line.names.iter()).map(|name| &**name);
    names.filter(|name| known.insert(*name)).collect()
}

impl Explanation<'_> {
    fn print(&self, output: &mut impl Write) -> io::Result<()> {
        let reference = ImageReference::parse(self.image);
        let origin =
            if reference.is_shorthand() { " (none is written, so Docker Hub)" } else { "" };
        writeln!(output, "image     {}", self.image)?;
        writeln!(output, "registry  {}{origin}", self.registry)?;
        write!(output, "path      {}", self.path)?;
        if reference.is_library() {
            write!(output, " (library/{} to registry rules)", self.path)?;
        }
        writeln!(output, "\nrules     {}", self.rules)?;
        for StepRecord { step, finding, .. } in &self.steps {
            writeln!(output, "  {:<16} {finding}", step.label())?;
        }
        writeln!(output, "result    {}", sentence(&self.outcome))?;
        for (placeholder, value) in &self.placeholders {
            writeln!(output, "          {placeholder} is {value}")?;
        }
        if let Some(remark) = &self.remark {
            writeln!(output, "          {remark}")?;
        }
        for line in &self.pull_secret_lines {
            let rule = shorten(&line.to_string()).into_owned();
            writeln!(
                output,
                "secrets   {} by {} `{rule}`",
                line.names.join(", "),
                line.location()
            )?;
        }
        if let Some(again) = &self.second_pass {
            writeln!(output, "again     {}", sentence(again))?;
            if again.swapped {
                writeln!(
                    output,
                    "          A second pass changes the image again: a chain, which `imageswap \
                     check` reports."
                )?;
            }
        }
        Ok(())
    }
}

/// Returns a remark on a decision that is easy to misread.
fn remark(
    rules: &LoadedRules,
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
fn skipped_rule(rules: &LoadedRules, decision: &Decision<'_>, image: &str) -> Option<String> {
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

fn sentence(outcome: &Outcome) -> String {
    let Outcome { result, swapped, reason, line, .. } = outcome;
    let reason = reason.as_str();
    let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
    let verb = if *swapped { "" } else { " is left alone" };
    format!("{result}{verb} ({reason}{line})")
}
