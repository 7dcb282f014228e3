//! Colors of the output: on or off.

use anstream::{AutoStream, ColorChoice, stream::RawStream};

/// Returns true if output to `stream` has colors.
///
/// It has colors on a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`. `CLICOLOR_FORCE` turns colors on
/// elsewhere too. Clap follows the same variables for its help and its errors.
pub fn is_colored(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}
