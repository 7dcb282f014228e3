//! `exit-codes.md`: the exit codes of each command, from the table of the help.

use imageswap::cli::{CommandHelp, HELP};

use crate::markdown::{self, literal};

const INTRODUCTION: &str = "\
An error is written to standard error, in a line that begins with `error: `. While `serve`, `init` and `uninstall` run,
errors are in their log instead.

";

const REMARKS: &str = "
If the reader of its output goes away, as in `imageswap swap ... | head`, a command exits with 0. `check`,
`plan` and `rewrite` still exit with their own code, so that a pipeline does not hide it. If `check` or `rewrite` cannot
use one of several files, it still does the others, and exits with 2. Then 1, 4 and 3 come before 0,
in this order. A target that is unknown counts as a change.
";

pub(crate) fn page() -> String {
    let rows = HELP.iter().flat_map(|help| {
        let name = help.command.map_or("imageswap".to_owned(), |name| format!("imageswap {name}"));
        of(help).into_iter().map(move |[code, meaning]| [literal(&name), code, meaning])
    });
    let table = markdown::table(["command", "code", "meaning"], rows);
    markdown::page("Exit codes") + INTRODUCTION + &table + REMARKS
}

/// Returns the codes of a command with their meanings.
pub(crate) fn of(help: &CommandHelp) -> Vec<[String; 2]> {
    let codes = help.exit_codes.iter();
    codes.map(|(exit, meaning)| [exit.code().to_string(), (*meaning).to_owned()]).collect()
}
