//! `imageswap swap`: how images are rewritten.

use std::io::{self, BufRead, Read, Write};

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;

use super::{Exit, Field, LoadedRules, Output, load_rules, rule_source};
use crate::{
    explanation::Outcome,
    settings::{NamespaceArguments, RuleArguments},
};

/// Maximum length of a line of standard input in bytes. Images are much shorter.
const MAX_LINE_BYTES: u64 = 1024 * 1024;

/// Fields of a line of `swap --output json`, in addition to [`OUTCOME_FIELDS`](super::OUTCOME_FIELDS).
pub const FIELDS: [Field; 1] = [Field { name: "image", meaning: "Image as given" }];

/// Arguments of `swap`.
#[derive(Args, Debug)]
pub struct SwapArguments {
    #[command(flatten)]
    rules: RuleArguments,

    #[command(flatten)]
    namespace: NamespaceArguments,

    /// Output format
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,

    /// Images to rewrite; if there are none, standard input is read, one image per line
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
}

/// Line of `swap --output json`.
#[derive(Serialize)]
struct Record<'a> {
    image: &'a str,
    #[serde(flatten)]
    outcome: Outcome,
}

/// Prints how the images of the arguments, or of the lines of `input`, are rewritten. Errors of the map go to `errors`.
///
/// # Errors
/// If the map cannot be used, the input cannot be read, or the output cannot be written.
pub fn run(
    arguments: &SwapArguments,
    input: &mut impl BufRead,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> anyhow::Result<Exit> {
    let rules = load_rules(rule_source(&arguments.rules, errors)?, &arguments.namespace, errors)?;
    for image in &arguments.images {
        print(&rules, image, arguments.output, output)?;
    }
    if !arguments.images.is_empty() {
        return Ok(Exit::Success);
    }
    let mut line = String::new();
    for number in 1.. {
        line.clear();
        let read = input
            .by_ref()
            .take(MAX_LINE_BYTES + 1)
            .read_line(&mut line)
            .with_context(|| format!("standard input, line {number}"))?;
        if read == 0 {
            break;
        }
        if read as u64 > MAX_LINE_BYTES && !line.ends_with('\n') {
            bail!("standard input, line {number}: longer than {MAX_LINE_BYTES} bytes");
        }
        // Editors of Windows put a byte order mark before the first line.
        let image = if number == 1 { line.trim_start_matches('\u{feff}') } else { &line };
        print(&rules, image.trim(), arguments.output, output)?;
    }
    Ok(Exit::Success)
}

fn print(
    rules: &LoadedRules,
    image: &str,
    format: Output,
    output: &mut impl Write,
) -> anyhow::Result<()> {
    let decision = rules.decide(image);
    if format == Output::Text {
        writeln!(output, "{}", decision.result(image))?;
        return Ok(());
    }
    let record = Record { image, outcome: Outcome::new(&decision, image) };
    serde_json::to_writer(&mut *output, &record).map_err(io::Error::from)?;
    writeln!(output)?;
    Ok(())
}
