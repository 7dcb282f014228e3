//! Syntax errors of manifests.

use granit_parser::ScanError;

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
    problem: String,
}

impl SyntaxError {
    pub(super) fn new(line: usize, column: usize, problem: &str) -> Self {
        Self { line, column, problem: problem.to_owned() }
    }
}

impl From<ScanError> for SyntaxError {
    fn from(error: ScanError) -> Self {
        let marker = error.marker();
        Self { line: marker.line(), column: marker.col() + 1, problem: error.info() }
    }
}
