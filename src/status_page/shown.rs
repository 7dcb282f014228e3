//! Text of maps and of clients, as the page shows it.

use std::fmt;

use serde::Serialize;

use crate::rules::diagnostic::shorten;

/// An excerpt of text from a map, a file name, an error or a client: cut, and without control and bidirectional
/// characters.
///
/// The report contains such text in this type only, so it is bounded, and the same in both forms of the page.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Shown(String);

impl Shown {
    /// Creates the excerpt of a text.
    pub(super) fn new(text: &str) -> Self {
        Self(shorten(text).into_owned())
    }

    /// Creates the excerpt of the text of a value.
    pub(super) fn of(value: impl fmt::Display) -> Self {
        Self::new(&value.to_string())
    }

    /// Returns true if the text is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
