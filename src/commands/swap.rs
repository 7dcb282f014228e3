//! `imageswap swap`: what becomes of images.

use std::{
    io::{BufRead, Read, Write},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::load_policy;
use crate::{
    rules::{Policy, Reason},
    settings::RuleArguments,
};

/// The longest line of the standard input, in bytes; an image is shorter by far.
const MAX_LINE_BYTES: u64 = 1024 * 1024;

/// The arguments of `swap`.
#[derive(Args, Debug)]
pub struct SwapArguments {
    #[command(flatten)]
    rules: RuleArguments,

    /// How to print: the new image a line, or a JSON object a line with the reason
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,

    /// Images to swap; if none are given, they are read from standard input, one per line, and
    /// surrounding white space is ignored
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Output {
    /// For people and pipes.
    Text,
    /// A JSON object a line.
    Json,
}

/// A line of `swap --output json`.
#[derive(Serialize)]
struct Record<'a> {
    image: &'a str,
    result: String,
    swapped: bool,
    reason: Reason,
    rule: Option<String>,
    line: Option<u32>,
}

/// Swaps the images of the arguments, or of the lines of `input`. What is wrong with the map goes to `errors`.
///
/// # Errors
/// When the map or the input cannot be read, or the output not written.
pub fn run(
    arguments: &SwapArguments,
    input: &mut impl BufRead,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let policy = load_policy(arguments.rules.parse()?, errors)?;
    for image in &arguments.images {
        print(&policy, image, arguments.output, output)?;
    }
    if !arguments.images.is_empty() {
        return Ok(ExitCode::SUCCESS);
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
        print(&policy, line.trim(), arguments.output, output)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(
    policy: &Policy,
    image: &str,
    format: Output,
    output: &mut impl Write,
) -> anyhow::Result<()> {
    let decision = policy.decide(image);
    let result = decision.result(image);
    if format == Output::Text {
        writeln!(output, "{result}")?;
        return Ok(());
    }
    let record = Record {
        image,
        result,
        swapped: decision.swapped.is_some(),
        reason: decision.reason,
        rule: decision.rule.map(|rule| rule.key.to_string()),
        line: decision.rule.map(|rule| rule.line),
    };
    serde_json::to_writer(&mut *output, &record).map_err(std::io::Error::from)?;
    writeln!(output)?;
    Ok(())
}
