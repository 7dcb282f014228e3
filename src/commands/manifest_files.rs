//! The files with manifests that arguments name, and those in directories.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
};

use walkdir::WalkDir;

use super::{
    Exit,
    input::{is_stdin, read_input, unusable},
};
use crate::{
    bounded_read::read_up_to,
    excerpt::excerpt,
    manifests::SyntaxError,
    sources::{FileError, decode_text},
};

/// Maximum size of a file or of standard input, in bytes. A file is in memory as a whole.
pub(super) const MAX_MANIFEST_BYTES: usize = 256 * 1024 * 1024;

/// Maximum length of a path in a message, in bytes.
const MAX_PATH_BYTES: usize = 4096;

/// Endings of the names of manifests.
const ENDINGS: [&str; 3] = ["json", "yaml", "yml"];

/// Files with manifests, and what could not be looked into.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) manifests: Vec<PathBuf>,
    /// Errors of directories.
    pub(super) errors: Vec<String>,
    /// Directories without a manifest.
    pub(super) empty: Vec<PathBuf>,
}

impl Files {
    /// Reports the directories without a manifest, and those that cannot be read.
    pub(super) fn report(&self, errors: &mut impl Write) -> Exit {
        for directory in &self.empty {
            // The results on standard output are valid even if the warnings cannot be written.
            let _ = writeln!(errors, "warning: {}: no .yaml, .yml or .json file", shown(directory));
        }
        let reported = self.errors.iter().map(|error| unusable(error, errors));
        reported.fold(Exit::Success, Exit::worse)
    }
}

/// Returns the files that the arguments name, with those in directories. The order is that of the arguments, and in a
/// directory that of the names. Hidden files and directories, and symbolic links, are not entered.
pub(super) fn files(arguments: &[PathBuf]) -> Files {
    let mut found = Files::default();
    for argument in arguments {
        if is_stdin(argument) || !argument.is_dir() {
            found.manifests.push(argument.clone());
            continue;
        }
        let before = found.manifests.len() + found.errors.len();
        let is_hidden = |name: &str| name.starts_with('.');
        let entries = WalkDir::new(argument).sort_by_file_name().into_iter();
        let entries = entries.filter_entry(|entry| {
            entry.depth() == 0 || !entry.file_name().to_str().is_some_and(is_hidden)
        });
        for entry in entries {
            match entry {
                Ok(entry) if entry.file_type().is_file() && is_manifest(entry.path()) => {
                    found.manifests.push(entry.into_path());
                }
                Ok(_) => {}
                Err(error) => found.errors.push(describe(&error)),
            }
        }
        if found.manifests.len() + found.errors.len() == before {
            found.empty.push(argument.clone());
        }
    }
    found
}

/// Returns the name of a file for a message.
pub(super) fn shown(file: &Path) -> String {
    excerpt(&file.to_string_lossy(), MAX_PATH_BYTES).into_owned()
}

/// Describes a syntax error in the text of a file.
pub(super) fn syntax_error(file: &str, text: &str, error: &SyntaxError) -> String {
    let SyntaxError { line, column, .. } = error;
    let is_template = text.contains("{{");
    let hint = if is_template { "; render templates first, as by `helm template`" } else { "" };
    format!("{file}:{line}:{column}: {error}{hint}")
}

/// Returns true if the name of a file ends as that of a manifest.
fn is_manifest(file: &Path) -> bool {
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending))
}

/// Describes the error of a directory: the path, and the error of the system.
fn describe(error: &walkdir::Error) -> String {
    let path = shown(error.path().unwrap_or(Path::new("")));
    match error.io_error() {
        Some(reason) => format!("{path}: {reason}"),
        None => error.to_string(),
    }
}

/// Reads a file, or standard input, as text.
///
/// # Errors
/// If it cannot be read, is larger than [`MAX_MANIFEST_BYTES`], or is not valid UTF-8.
pub(super) fn read(file: &Path, input: &mut impl Read) -> Result<String, FileError> {
    if is_stdin(file) {
        return read_input(input, MAX_MANIFEST_BYTES);
    }
    let limit = MAX_MANIFEST_BYTES as u64;
    match read_up_to(file, limit) {
        Ok(Some(content)) => decode_text(file, content),
        Ok(None) => Err(FileError::TooLarge { file: file.to_owned(), limit }),
        Err(reason) => Err(FileError::Unreadable { file: file.to_owned(), reason }),
    }
}
