//! `imageswap completions`: completion scripts for shells.

use std::io::Write;

use clap::{Args, Command};
use clap_complete::Shell;

use super::Exit;

/// Arguments of `completions`.
#[derive(Args, Debug)]
pub struct CompletionsArguments {
    /// Shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the completion script of `command` for a shell.
///
/// # Errors
/// If the output cannot be written.
pub fn run(
    arguments: &CompletionsArguments,
    mut command: Command,
    output: &mut impl Write,
) -> anyhow::Result<Exit> {
    // The generator panics if it cannot write, so it writes into memory.
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    output.write_all(&script)?;
    Ok(Exit::Success)
}
