//! Files and standard input of commands.

use std::{
    fmt::Display,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use super::Exit;
use crate::{
    namespace::is_namespace,
    settings::SettingsError,
    sources::{FileError, decode_text},
};

/// Argument for standard input.
pub(super) const STDIN: &str = "-";

/// Name of standard input in diagnostics.
pub(super) const STDIN_NAME: &str = "<stdin>";

/// Namespace of objects that name none, as for kubectl.
pub(super) const DEFAULT_NAMESPACE: &str = "default";

/// Checks that `--namespace` can be the name of a namespace.
///
/// # Errors
/// If it cannot.
pub(super) fn check_namespace(name: Option<&str>) -> Result<(), SettingsError> {
    match name.filter(|name| !is_namespace(name)) {
        Some(name) => Err(SettingsError::Namespace(name.to_owned())),
        None => Ok(()),
    }
}

/// Returns true if an argument stands for standard input.
pub(super) fn is_stdin(file: &Path) -> bool {
    file == Path::new(STDIN)
}

/// Checks that standard input, which can be read only once, is not named twice.
///
/// # Errors
/// If it is.
pub(super) fn check_stdin<'a>(files: impl Iterator<Item = &'a PathBuf>) -> anyhow::Result<()> {
    if files.filter(|file| is_stdin(file)).count() > 1 {
        anyhow::bail!("`{STDIN}` is given more than once; standard input can be read only once");
    }
    Ok(())
}

/// Reads at most `limit` bytes from standard input.
///
/// # Errors
/// If it cannot be read, is larger, or is not valid UTF-8.
pub(super) fn read_input(input: &mut impl Read, limit: usize) -> Result<String, FileError> {
    let name = Path::new(STDIN_NAME);
    let mut content = Vec::new();
    let limit = limit as u64;
    let read = input.take(limit + 1).read_to_end(&mut content);
    read.map_err(|reason| FileError::Unreadable { file: name.to_owned(), reason })?;
    if content.len() as u64 > limit {
        return Err(FileError::TooLarge { file: name.to_owned(), limit });
    }
    decode_text(name, content)
}

/// Reports an input that cannot be used.
pub(super) fn unusable(error: &dyn Display, errors: &mut impl Write) -> Exit {
    // If this cannot be written, the exit code still reports the failure.
    let _ = writeln!(errors, "error: {error}");
    Exit::Unusable
}
