//! Exit codes of the program.

use std::process::ExitCode;

/// Exit code of the program. Of those of `check`, the highest wins if several apply.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Exit {
    /// The command succeeded.
    Success = 0,
    /// `check` found errors, `export` cannot express a line of the map, `review` got no valid answer, `rewrite` left an
    /// image that the map rewrites, or `serve`, `init` or `uninstall` failed while running.
    Failure = 1,
    /// Arguments, settings or files cannot be used. Clap exits with the same code.
    Unusable = 2,
    /// `plan` or `rewrite --check` found images that change.
    Changes = 3,
    /// `plan --verify` found an image whose new registry does not have it.
    TargetAbsent = 4,
}

impl Exit {
    /// Returns the worse of two results: something cannot be used, then a failure, then an absent target, then a change.
    pub(super) fn worse(self, other: Self) -> Self {
        let order = [Self::Unusable, Self::Failure, Self::TargetAbsent, Self::Changes];
        order.into_iter().find(|exit| [self, other].contains(exit)).unwrap_or(Self::Success)
    }

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
