//! The terminal that the table of `plan` is written to.

use std::io::{IsTerminal, stdout};

use crate::color::is_colored;

/// The properties of standard output on which a table depends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminal {
    /// True if the output has colors.
    pub is_colored: bool,
    /// Number of columns; `None` if the output is no terminal, or its width is not known.
    pub columns: Option<usize>,
}

impl Terminal {
    /// Returns the properties of standard output.
    #[must_use]
    pub fn of_stdout() -> Self {
        let size = stdout().is_terminal().then(|| rustix::termios::tcgetwinsize(stdout()).ok());
        let columns = size.flatten().map(|size| usize::from(size.ws_col));
        Self { is_colored: is_colored(&stdout()), columns: columns.filter(|columns| *columns > 0) }
    }
}
