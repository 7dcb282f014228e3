//! The driver on the command line; `fuzz/run` calls it.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand, builder::PossibleValuesParser};
use imageswap_fuzz::{
    TARGETS, Target,
    driver::{self, Plan},
};

/// Runs the parsers of imageswap on random inputs.
#[derive(Parser)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run targets on reproducible random inputs
    Run {
        /// Maximum number of inputs for each target
        #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
        executions: u64,
        /// Maximum duration for each target
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Seed of the random inputs
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Targets to run [default: all]
        #[arg(value_parser = names())]
        targets: Vec<String>,
    },
    /// Run inputs from files
    Reproduce {
        /// Target
        #[arg(value_parser = names())]
        target: String,
        /// Files with inputs
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Write the seed inputs, one file each
    Corpus {
        /// Target
        #[arg(value_parser = names())]
        target: String,
        /// Directory for the files
        directory: PathBuf,
    },
    /// Print the dictionary for libFuzzer
    Dictionary {
        /// Target
        #[arg(value_parser = names())]
        target: String,
    },
}

fn names() -> PossibleValuesParser {
    TARGETS.map(|target| target.name).into()
}

/// Returns the targets with these names.
fn named(names: &[String]) -> impl Iterator<Item = &'static Target> {
    TARGETS.iter().filter(move |target| names.iter().any(|name| name == target.name))
}

fn main() -> io::Result<ExitCode> {
    let mut output = io::stdout().lock();
    let mut failures = 0;
    match Program::parse().command {
        Command::Run { executions, seconds, seed, targets } => {
            let plan = Plan { executions, time: Duration::from_secs(seconds), seed };
            let all = TARGETS.map(|target| target.name.to_owned());
            for target in named(if targets.is_empty() { &all } else { &targets }) {
                let report = driver::drive(target, plan)?;
                let count = usize::from(report.failure.is_some());
                if let Some(file) = report.failure {
                    writeln!(output, "{}: fails on {}", target.name, file.display())?;
                }
                writeln!(
                    output,
                    "{}: {} executions in {:.1} s, {count} failures",
                    target.name,
                    report.executions,
                    report.time.as_secs_f64()
                )?;
                failures += count;
            }
        }
        Command::Reproduce { target, files } => {
            for target in named(&[target]) {
                for file in &files {
                    let is_fine = driver::holds(target, &fs::read(file)?);
                    let verdict = if is_fine { "holds" } else { "fails" };
                    writeln!(output, "{}: {verdict} on {}", target.name, file.display())?;
                    failures += usize::from(!is_fine);
                }
            }
        }
        Command::Corpus { target, directory } => {
            fs::create_dir_all(&directory)?;
            for target in named(&[target]) {
                for (number, input) in driver::corpus(target)?.iter().enumerate() {
                    fs::write(directory.join(format!("seed-{number:03}")), input)?;
                }
            }
        }
        Command::Dictionary { target } => {
            for target in named(&[target]) {
                output.write_all(driver::dictionary(target).as_bytes())?;
            }
        }
    }
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
