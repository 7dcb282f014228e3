//! Syntax errors of manifests.

use granit_parser::{ErrorKind, ScanError};

use super::origin::Origin;

/// The problem with a merge key that sets a key which the mapping has set before it.
pub(super) const AMBIGUOUS: &str = "the merge key `<<` sets a key that the mapping has set before it, and YAML parsers \
    disagree about which value applies; move `<<` to the top of the mapping";

/// The problem with text behind the end of a document, which no `---` separates from it.
const NOT_SEPARATED: &str =
    "the document has ended before this; begin the next one with a line `---`";

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

    /// Returns the error of a parser that has read a text from `origin` on, which is the start of a line.
    pub(super) fn of(error: &ScanError, origin: Origin) -> Self {
        let marker = error.marker();
        let problem = match error.kind() {
            ErrorKind::ExpectedDocumentStart => NOT_SEPARATED.to_owned(),
            _ => error.info(),
        };
        Self { line: origin.line_of(marker), column: marker.col() + 1, problem }
    }
}
