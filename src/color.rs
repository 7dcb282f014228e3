//! Decision whether output has colors.

use anstream::{AutoStream, ColorChoice, stream::RawStream};

/// Returns true if output to `stream` is to have colors.
///
/// That is so on a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`. `CLICOLOR_FORCE` turns colors on elsewhere
/// too. Clap decides in the same way for its help and its errors.
pub fn is_colored(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}
