//! `imageswap explain`: why an image is rewritten or left unchanged.
//!
//! An explanation is created once as data, and printed as text or JSON.

use std::io::{self, Write};

use clap::Args;

use super::{Exit, Field, LoadedRules, Output, load_rules, rule_source};
use crate::{
    explanation::{DecidingRules, Explanation, Outcome, StepRecord},
    image::ImageReference,
    rules::diagnostic::shorten,
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
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,

    /// Images, as in the pods
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
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
            print(&explanation, output)?;
        }
    }
    Ok(Exit::Success)
}

/// Returns the explanation for one image.
fn explain<'a>(rules: &'a LoadedRules, source: &RuleSource, image: &'a str) -> Explanation<'a> {
    let sources = match &rules.namespace {
        Some(map) => format!("{}, then {source}", map.file),
        None => source.to_string(),
    };
    let deciding = DecidingRules {
        policy: &rules.policy,
        namespace: rules.namespace.as_ref().map(|map| &map.rules),
        diagnostics: &rules.diagnostics,
    };
    deciding.explain(image, sources)
}

/// Prints an explanation as text.
fn print(explanation: &Explanation<'_>, output: &mut impl Write) -> io::Result<()> {
    let reference = ImageReference::parse(explanation.image);
    let origin = if reference.is_shorthand() { " (none is written, so Docker Hub)" } else { "" };
    writeln!(output, "image     {}", explanation.image)?;
    writeln!(output, "registry  {}{origin}", explanation.registry)?;
    write!(output, "path      {}", explanation.path)?;
    if reference.is_library() {
        write!(output, " (library/{} to registry rules)", explanation.path)?;
    }
    writeln!(output, "\nrules     {}", explanation.rules)?;
    for StepRecord { step, finding, .. } in &explanation.steps {
        writeln!(output, "  {:<16} {finding}", step.label())?;
    }
    writeln!(output, "result    {}", sentence(&explanation.outcome))?;
    for (placeholder, value) in &explanation.placeholders {
        writeln!(output, "          {placeholder} is {value}")?;
    }
    if let Some(remark) = &explanation.remark {
        writeln!(output, "          {remark}")?;
    }
    for line in &explanation.pull_secret_lines {
        let rule = shorten(&line.to_string()).into_owned();
        writeln!(output, "secrets   {} by {} `{rule}`", line.names.join(", "), line.location())?;
    }
    if let Some(again) = &explanation.second_pass {
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

fn sentence(outcome: &Outcome) -> String {
    let Outcome { result, swapped, reason, line, .. } = outcome;
    let reason = reason.as_str();
    let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
    let verb = if *swapped { "" } else { " is left alone" };
    format!("{result}{verb} ({reason}{line})")
}
