//! The message of the innermost of nested errors.

use std::error::Error;

/// Returns the message of the innermost error. The outer messages only say that there is an inner error.
pub(crate) fn innermost(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
