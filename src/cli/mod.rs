//! The command line: what the program can be asked to do, and its exit codes.

use std::{
    io::{self, BufWriter, IsTerminal, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, Subcommand};
use tracing::{Level, level_filters::LevelFilter, warn};
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    app,
    commands::{self, check::CheckArguments, explain::ExplainArguments, swap::SwapArguments},
    settings::{InitArguments, LogFormat, LogSettings, ServeArguments, unknown_variables},
    version::VERSION_AND_REVISION,
};

/// The exit code for arguments, settings and files that cannot be used.
const UNUSABLE: u8 = 2;

/// Rewrites the images of Kubernetes pods to other registries, by a map file.
#[derive(Debug, Parser)]
#[command(version = VERSION_AND_REVISION, max_term_width = 100, propagate_version = true)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the admission webhook
    Serve(Box<ServeArguments>),
    /// Write a certificate and the webhook configuration once, for `serve --tls-mode files`
    Init(InitArguments),
    /// Show what becomes of images
    Swap(SwapArguments),
    /// Show why an image becomes what it becomes, step by step
    Explain(ExplainArguments),
    /// Find the mistakes in map files
    Check(CheckArguments),
}

/// Runs the program on the arguments and environment of the process.
///
/// The exit code is 0 when all is well, 1 when `check` finds errors or `serve` fails while running,
/// and 2 when arguments, settings or files cannot be used.
#[must_use]
pub fn run() -> ExitCode {
    let program = Program::parse();
    let is_terminal = io::stdout().is_terminal();
    let stdout = io::stdout().lock();
    let output: Box<dyn Write> = match &program.command {
        Command::Check(_) => Box::new(UntilClosed::Open(stdout)),
        _ => Box::new(stdout),
    };
    // On a terminal each line is for a person who waits; elsewhere the lines may be millions.
    let mut output = if is_terminal { output } else { Box::new(BufWriter::new(output)) };
    let result = match &program.command {
        Command::Serve(arguments) => {
            return match arguments.parse() {
                Ok(settings) => run_logged(settings.log, || app::serve(settings)),
                Err(error) => unusable(&error.into()),
            };
        }
        Command::Init(arguments) => {
            return match arguments.parse() {
                Ok(settings) => run_logged(settings.log, || commands::init::run(settings)),
                Err(error) => unusable(&error.into()),
            };
        }
        Command::Swap(arguments) => {
            commands::swap::run(arguments, &mut io::stdin().lock(), &mut output, &mut io::stderr())
        }
        Command::Explain(arguments) => {
            commands::explain::run(arguments, &mut output, &mut io::stderr())
        }
        Command::Check(arguments) => commands::check::run(arguments, is_terminal, &mut output),
    };
    let result = result.and_then(|code| output.flush().map(|()| code).map_err(Into::into));
    match result {
        Ok(code) => code,
        // Whoever reads the output has seen enough of it.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => unusable(&error),
    }
}

/// Output that may lose its reader, as in `imageswap check ... | head`, and then goes nowhere.
///
/// The exit code of `check` is an answer of its own: a pipeline that shows the first lines must not pass because of it.
enum UntilClosed<W> {
    Open(W),
    Closed,
}

impl<W: Write> UntilClosed<W> {
    fn try_to<T>(
        &mut self,
        write: impl FnOnce(&mut W) -> io::Result<T>,
        unread: T,
    ) -> io::Result<T> {
        let Self::Open(output) = self else { return Ok(unread) };
        match write(output) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                *self = Self::Closed;
                Ok(unread)
            }
            written => written,
        }
    }
}

impl<W: Write> Write for UntilClosed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.try_to(|output| output.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.try_to(Write::flush, ())
    }
}

/// Runs what logs what it does.
fn run_logged(log: LogSettings, run: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    init_log(log);
    warn_of_unknown_variables();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if tracing::enabled!(Level::ERROR) {
                tracing::error!(error = format!("{error:#}"), "imageswap ends");
            } else {
                tell(&error);
            }
            ExitCode::FAILURE
        }
    }
}

fn unusable(error: &anyhow::Error) -> ExitCode {
    tell(error);
    ExitCode::from(UNUSABLE)
}

fn tell(error: &anyhow::Error) {
    // If the standard error is gone too, there is nobody left to tell.
    let _ = writeln!(io::stderr(), "error: {error:#}");
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Logs to the standard error, which leaves the standard output to the other commands.
///
/// Of the libraries only warnings are logged: their view of every frame would bury the reviews. The
/// client of the API server logs each failed call, which is for `cluster` to do, once. What peers do wrong over
/// HTTP/2 would be a line for each of their frames, without a limit.
fn init_log(LogSettings { level, format }: LogSettings) {
    let is_terminal = io::stderr().is_terminal();
    let filter = Targets::new()
        .with_target(env!("CARGO_CRATE_NAME"), level)
        .with_target("h2", LevelFilter::OFF)
        .with_target("kube_client", LevelFilter::OFF)
        .with_default(level.min(LevelFilter::WARN));
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = if format == LogFormat::Json || (format == LogFormat::Auto && !is_terminal) {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    } else {
        lines.with_ansi(is_terminal).with_target(false).boxed()
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}

fn warn_of_unknown_variables() {
    let program = Program::command();
    let arguments = program.get_subcommands().flat_map(clap::Command::get_arguments);
    let known: Vec<_> = arguments.filter_map(|argument| argument.get_env()?.to_str()).collect();
    let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for (variable, nearest) in unknown_variables(variables, &known) {
        match nearest {
            Some(nearest) => warn!(variable, "unknown setting; did you mean {nearest}?"),
            None => warn!(variable, "unknown setting; `imageswap serve --help` lists them"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Program::command().debug_assert();
    }

    #[test]
    fn every_flag_of_serve_is_named_after_its_variable() {
        let program = Program::command();
        let serve = program.find_subcommand("serve").unwrap();
        let mut seen = 0;
        for argument in serve.get_arguments() {
            assert!(argument.get_help().is_some(), "{argument} has no help");
            let Some(variable) = argument.get_env().and_then(|variable| variable.to_str()) else {
                continue;
            };
            let name = variable.strip_prefix("IMAGESWAP_").unwrap_or(variable);
            let name = name.to_ascii_lowercase().replace('_', "-");
            assert_eq!(argument.get_long(), Some(name.as_str()));
            seen += 1;
        }
        assert!(seen >= 16, "{seen} flags");
    }
}
