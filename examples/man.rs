//! Writes the manual pages of the program and its commands: `just man`.
//!
//! It is an example, not a command, so the program does not contain the generator.

use std::{env, fs, io, path::PathBuf};

use clap_mangen::Man;

/// Headings of the end of the help, with the sections of a manual page that they become.
const SECTIONS: [(&str, &str); 2] =
    [(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n"), ("\nExit codes:\n", "\n.SH \"EXIT STATUS\"\n")];

fn main() -> io::Result<()> {
    let directory: PathBuf = env::args_os().nth(1).unwrap_or_else(|| "target/man".into()).into();
    fs::create_dir_all(&directory)?;
    // The command `help` would add a page for each command again.
    let mut program = imageswap::cli::command().disable_help_subcommand(true);
    program.build();
    for command in std::iter::once(&program).chain(program.get_subcommands()) {
        let man = Man::new(command.clone());
        let mut page = Vec::new();
        man.render(&mut page)?;
        let mut page = String::from_utf8(page).map_err(io::Error::other)?;
        for (heading, section) in SECTIONS {
            // The line breaks of the examples are kept: `.nf` turns filling off.
            page = page.replace(heading, &format!("{section}.nf\n"));
        }
        let page = page.replace(".SH VERSION", ".fi\n.SH VERSION");
        fs::write(directory.join(man.get_filename()), page)?;
    }
    Ok(())
}
