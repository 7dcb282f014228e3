//! The commands besides `serve`. Those that answer on the terminal read files, and touch neither
//! network nor cluster; `init` prepares a cluster.

pub mod check;
pub mod explain;
pub mod init;
pub mod swap;

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;

use crate::{
    rules::{Diagnostics, LoadedMap, Policy, Severity},
    settings::RuleSource,
    sources::{MapError, load_map},
};

/// Maximum number of errors of a map that are shown by a command other than `check`.
const MAX_SHOWN_ERRORS: usize = 5;

/// Loads the rules that `source` names, and writes the errors of the map to `errors`: they may be the reason for a
/// result that nobody expects.
///
/// # Errors
/// When the map file cannot be read or compiled, or is one that the webhook never applies.
fn load_policy(source: RuleSource, errors: &mut impl Write) -> anyhow::Result<Policy> {
    const CONTEXT: &str = "the map, which --maps or IMAGESWAP_MAPS_FILE names, cannot be used";
    let (file, map) = match source {
        RuleSource::Legacy(prefix) => return Ok(Policy::Legacy(prefix)),
        RuleSource::BuiltIn(text) => {
            let file = PathBuf::from("the built-in map");
            match LoadedMap::from_text(text) {
                Ok(map) => (file, map),
                Err(reason) => return Err(MapError::Compile { file, reason }.into()),
            }
        }
        RuleSource::MapFile(file) => {
            let map = load_map(&file).context(CONTEXT)?;
            (file, map)
        }
    };
    show_errors(&file, &map.diagnostics, errors);
    match map.refusal(false, None) {
        Some(reason) => Err(MapError::Refused { file, reason }).context(CONTEXT),
        None => Ok(Policy::Maps(Box::new(map.rules))),
    }
}

fn show_errors(file: &Path, diagnostics: &Diagnostics, output: &mut impl Write) {
    let file = file.display();
    let errors = diagnostics.kept().iter().filter(|found| found.severity() == Severity::Error);
    let mut shown = 0;
    for error in errors.take(MAX_SHOWN_ERRORS) {
        let place = error.line.map_or_else(String::new, |line| format!(":{line}"));
        // The answers on the standard output count, even if nobody can be told of the errors.
        let _ = writeln!(output, "warning: {file}{place}: {}; {}", error.message, error.hint);
        shown += 1;
    }
    let more = diagnostics.count(Severity::Error) - shown;
    if more > 0 {
        let more = counted(more, "more error");
        let _ = writeln!(output, "warning: {file}: {more}; `imageswap check` lists them all");
    }
}

/// Returns a number with its noun in the singular or plural.
fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
