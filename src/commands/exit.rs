//! Exit codes of the program.

use std::process::ExitCode;

/// Exit code of the program. Of those of `check`, the highest wins if several apply.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Exit {
    /// The command succeeded.
    Success = 0,
    /// `check` found errors, `review` got no valid answer, or `serve`, `init` or `uninstall` failed while running.
    Failure = 1,
    /// Arguments, settings or files cannot be used. Clap exits with the same code.
    Unusable = 2,
    /// `plan` found images that change.
    Changes = 3,
}

impl Exit {
    /// Returns the number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
