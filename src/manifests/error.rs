//! Syntax errors of manifests.

use granit_parser::ScanError;

use super::origin::Origin;

/// The problem with a merge key that sets a key which the mapping has set before it.
pub(super) const AMBIGUOUS: &str = "the merge key `<<` sets a key that the mapping has set before it, and YAML parsers \
    disagree about which value applies; move `<<` to the top of the mapping";

/// An error in the syntax of a text, with its position.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{problem}")]
pub struct SyntaxError {
    /// Line, from 1.
    pub line: usize,
    /// Character within the line, from 1.
    pub column: usize,
    pub(super) problem: String,
}

impl SyntaxError {
    pub(super) fn new(line: usize, column: usize, problem: &str) -> Self {
        Self { line, column, problem: problem.to_owned() }
    }

    /// Returns the error of a parser that has read a text from `origin` on, which is the start of a line.
    pub(super) fn of(error: &ScanError, origin: Origin) -> Self {
        let marker = error.marker();
        let (line, column) = (origin.line_of(marker), marker.col() + 1);
        Self { line, column, problem: error.info() }
    }
}
