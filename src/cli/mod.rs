//! Command line: reads the arguments, runs a command, and returns its exit code.
//!
//! It does not do the work of a command; `app` and `commands` do.

mod help;
mod name;

use std::{
    env,
    io::{self, BufWriter, IsTerminal, Write},
    process::ExitCode,
};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tracing::Level;

pub use self::help::{CommandHelp, Example, HELP};
use self::name::Alias;
use crate::{
    app,
    color::is_colored,
    commands::{
        self, Exit,
        check::CheckArguments,
        completions::CompletionsArguments,
        explain::ExplainArguments,
        export::ExportArguments,
        plan::{PlanArguments, Terminal},
        review::ReviewArguments,
        rewrite::RewriteArguments,
        swap::SwapArguments,
    },
    log,
    settings::{InitArguments, LogSettings, RuleWarning, ServeArguments, UninstallArguments},
    version::VERSION_AND_REVISION,
};

/// Rewrites container image references in Kubernetes pods, following a rules file (the map)
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
    /// Create the certificate and the webhook configuration once, for `serve --tls-mode files`
    Init(InitArguments),
    /// Delete the webhook configuration and the Secrets, before the manifests are deleted
    Uninstall(UninstallArguments),
    #[command(flatten)]
    Printing(PrintingCommand),
}

/// Commands that print their result, and do not log.
#[derive(Debug, Subcommand)]
enum PrintingCommand {
    /// Show how images are rewritten
    Swap(SwapArguments),
    /// Show step by step why an image is rewritten or left unchanged
    Explain(ExplainArguments),
    /// Find errors in map files
    Check(CheckArguments),
    /// Preview how the map rewrites the images in a cluster or in manifests
    Plan(Box<PlanArguments>),
    /// Rewrite the images in manifests, for CI, Helm and kustomize
    Rewrite(RewriteArguments),
    /// Print the map in the form of another program, such as a policy of Kubernetes
    Export(Box<ExportArguments>),
    /// Send a review to a running webhook, and print the answer
    Review(ReviewArguments),
    /// Print a completion script for a shell
    Completions(CompletionsArguments),
}

/// Returns the command line, with all of its help.
#[must_use]
pub fn command() -> clap::Command {
    help::complete(Program::command())
}

/// Runs the program on the arguments and environment of the process.
#[must_use]
pub fn run() -> ExitCode {
    let mut command = command();
    let (arguments, alias) = name::arguments(env::args_os());
    let matches = command.try_get_matches_from_mut(arguments);
    let program = match matches.and_then(|matches| Program::from_arg_matches(&matches)) {
        Ok(program) => program,
        Err(error) => error.format(&mut command).exit(),
    };
    let result = match program.command {
        Command::Serve(arguments) => match arguments.parse() {
            Ok(settings) => {
                run_logged(settings.log, alias, &arguments.warnings(), || app::serve(settings))
            }
            Err(error) => Err(error.into()),
        },
        Command::Init(arguments) => match arguments.parse() {
            Ok(settings) => {
                let (log, warnings) = (settings.log, arguments.warnings());
                run_logged(log, alias, &warnings, || commands::init::run(settings))
            }
            Err(error) => Err(error.into()),
        },
        Command::Uninstall(arguments) => match arguments.parse() {
            Ok(settings) => {
                run_logged(settings.log, alias, &[], || commands::uninstall::run(settings))
            }
            Err(error) => Err(error.into()),
        },
        Command::Printing(command) => print(&command),
    };
    let exit = result.unwrap_or_else(|error| {
        report(&error);
        Exit::Unusable
    });
    exit.into()
}

/// Runs a command that prints its result.
fn print(command: &PrintingCommand) -> anyhow::Result<Exit> {
    let is_terminal = io::stdout().is_terminal();
    let stdout = StandardOutput(io::stdout().lock());
    let output: Box<dyn Write> = match command {
        PrintingCommand::Check(_) | PrintingCommand::Plan(_) | PrintingCommand::Rewrite(_) => {
            Box::new(UntilClosed::Open(stdout))
        }
        _ => Box::new(stdout),
    };
    // On a terminal, each line is written at once. Elsewhere there may be millions of lines, so they are buffered.
    let mut output = if is_terminal { output } else { Box::new(BufWriter::new(output)) };
    let result = match command {
        PrintingCommand::Swap(arguments) => {
            commands::swap::run(arguments, &mut io::stdin().lock(), &mut output, &mut io::stderr())
        }
        PrintingCommand::Explain(arguments) => {
            commands::explain::run(arguments, &mut output, &mut io::stderr())
        }
        PrintingCommand::Check(arguments) => commands::check::run(
            arguments,
            is_colored(&io::stdout()),
            &mut io::stdin().lock(),
            &mut output,
        ),
        PrintingCommand::Plan(arguments) => {
            let terminal = Terminal::of_stdout();
            let input = &mut io::stdin().lock();
            commands::plan::run(arguments, terminal, input, &mut output, &mut io::stderr())
        }
        PrintingCommand::Rewrite(arguments) => commands::rewrite::run(
            arguments,
            &mut io::stdin().lock(),
            &mut output,
            &mut io::stderr(),
        ),
        PrintingCommand::Export(arguments) => commands::export::run(
            arguments,
            &mut io::stdin().lock(),
            &mut output,
            &mut io::stderr(),
        ),
        PrintingCommand::Review(arguments) => {
            commands::review::run(arguments, &mut output, &mut io::stderr())
        }
        PrintingCommand::Completions(arguments) => {
            commands::completions::run(arguments, self::command(), &mut output)
        }
    };
    let result = result.and_then(|exit| output.flush().map(|()| exit).map_err(Into::into));
    match result {
        // The reader of the output stopped reading.
        Err(error) if is_broken_pipe(&error) => Ok(Exit::Success),
        result => result,
    }
}

/// Standard output, which its errors name.
struct StandardOutput<W>(W);

impl<W: Write> Write for StandardOutput<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(of_standard_output)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(of_standard_output)
    }
}

fn of_standard_output(error: io::Error) -> io::Error {
    match error.kind() {
        // The caller tries again.
        io::ErrorKind::Interrupted => error,
        kind => io::Error::new(kind, format!("standard output: {error}")),
    }
}

/// Output that is discarded as soon as its reader is gone, as in `imageswap check ... | head`.
///
/// The exit codes of `check` and `plan` must not depend on the reader. Otherwise a map with errors would pass if only the
/// first lines are read.
enum UntilClosed<W> {
    Open(W),
    Closed,
}

impl<W: Write> UntilClosed<W> {
    fn try_to<T>(
        &mut self,
        write: impl FnOnce(&mut W) -> io::Result<T>,
        if_closed: T,
    ) -> io::Result<T> {
        let Self::Open(output) = self else { return Ok(if_closed) };
        match write(output) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                *self = Self::Closed;
                Ok(if_closed)
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

/// Runs a command that logs.
fn run_logged(
    settings: LogSettings,
    alias: Option<Alias>,
    warnings: &[RuleWarning],
    run: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    log::init(settings);
    if let Some(alias) = alias {
        alias.log();
    }
    let command = Program::command();
    let arguments = command.get_subcommands().flat_map(clap::Command::get_arguments);
    let known: Vec<_> = arguments.filter_map(|argument| argument.get_env()?.to_str()).collect();
    log::warn_of_unknown_variables(&known);
    for warning in warnings {
        log::warn_of_rules(*warning);
    }
    match run() {
        Ok(()) => Ok(Exit::Success),
        Err(error) if error.is::<app::UnusableClientCa>() => Err(error),
        Err(error) => {
            if tracing::enabled!(Level::ERROR) {
                tracing::error!(error = format!("{error:#}"), "imageswap stopped by an error");
            } else {
                report(&error);
            }
            Ok(Exit::Failure)
        }
    }
}

/// Writes an error to standard error.
fn report(error: &anyhow::Error) {
    // If standard error is closed, the error cannot be reported.
    let _ = writeln!(io::stderr(), "error: {error:#}");
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::SETTINGS;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_setting_is_a_flag_of_serve_named_after_its_variable() {
        let program = command();
        let serve = program.find_subcommand("serve").unwrap();
        for setting in SETTINGS {
            let is_its_flag = |argument: &&clap::Arg| {
                argument.get_env().is_some_and(|variable| variable == setting.variable())
            };
            let argument = serve.get_arguments().find(is_its_flag).unwrap();
            assert_eq!(argument.get_long(), Some(&*setting.flag()));
        }
    }

    #[test]
    fn every_argument_has_help_and_every_variable_a_default() {
        for subcommand in command().get_subcommands() {
            for argument in subcommand.get_arguments() {
                let help = argument.get_help().unwrap().to_string();
                assert!(!help.is_empty(), "{argument} has no help");
                assert_eq!(help.contains("[default: "), argument.get_env().is_some(), "{help}");
                let long = argument.get_long_help().map(ToString::to_string);
                assert!(long.is_none_or(|long| long.starts_with(&help)), "{help}");
            }
        }
    }

    #[test]
    fn every_command_has_examples_and_exit_codes() {
        let program = command();
        let names = program.get_subcommands().map(|subcommand| Some(subcommand.get_name()));
        let names: Vec<_> = std::iter::once(None).chain(names).collect();
        assert_eq!(HELP.map(|help| help.command).to_vec(), names);
        for help in HELP {
            for example in help.examples {
                assert!(example.line.len() <= 76, "{}", example.line);
            }
        }
    }
}
