//! Reads map files: from bytes to a map, or to an error that names the place.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    bounded_read::{read_regular_up_to, read_up_to},
    rules::{CompileError, LoadedMap, MAX_MAP_BYTES, Refusal},
};

/// Why a map file cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The file cannot be read.
    #[error("{file}: {reason}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// The file is too large.
    #[error("{file}: larger than {MAX_MAP_BYTES} bytes")]
    TooLarge {
        /// The file.
        file: PathBuf,
    },
    /// The file is no text.
    #[error("{file}:{line}: no UTF-8 text: byte {offset} of the file, from 0, is not valid")]
    NoText {
        /// The file.
        file: PathBuf,
        /// The line with the first bad byte, from 1.
        line: usize,
        /// The place of that byte in the file, from 0.
        offset: usize,
    },
    /// The file holds a map that is never applied.
    #[error("{file}: {reason}")]
    Refused {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: Refusal,
    },
    /// The rules do not compile.
    #[error("{file}: {reason}")]
    Compile {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: CompileError,
    },
}

/// Reads a map file as text.
///
/// # Errors
/// When the file cannot be read, is larger than [`MAX_MAP_BYTES`], or is no UTF-8.
pub fn read_map(file: &Path) -> Result<String, MapError> {
    decode_map(file, within_limit(file, read_up_to(file, MAX_MAP_BYTES as u64))?)
}

/// Reads a map file, compiles it, and gathers what is wrong with it.
///
/// # Errors
/// As [`read_map`], and when the rules cannot be compiled.
pub fn load_map(file: &Path) -> Result<LoadedMap, MapError> {
    to_map(file, &read_map(file)?)
}

/// Loads a map as [`load_map`], but from a regular file only, which never makes the reader wait.
///
/// # Errors
/// As [`load_map`], and when the file is not a regular one.
pub fn load_regular_map(file: &Path) -> Result<LoadedMap, MapError> {
    let read = read_regular_up_to(file, MAX_MAP_BYTES as u64);
    to_map(file, &decode_map(file, within_limit(file, read)?)?)
}

pub(super) fn to_map(file: &Path, text: &str) -> Result<LoadedMap, MapError> {
    LoadedMap::from_file(&file.to_string_lossy(), text)
        .map_err(|reason| MapError::Compile { file: file.to_owned(), reason })
}

pub(super) fn within_limit(
    file: &Path,
    read: io::Result<Option<Vec<u8>>>,
) -> Result<Vec<u8>, MapError> {
    match read {
        Ok(Some(content)) => Ok(content),
        Ok(None) => Err(MapError::TooLarge { file: file.to_owned() }),
        Err(reason) => Err(MapError::Unreadable { file: file.to_owned(), reason }),
    }
}

/// Reads the content of a map file as text; `file` is for the error.
///
/// # Errors
/// If the content is not valid UTF-8.
pub fn decode_map(file: &Path, content: Vec<u8>) -> Result<String, MapError> {
    String::from_utf8(content).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let line = 1 + memchr::memchr_iter(b'\n', &error.as_bytes()[..offset]).count();
        MapError::NoText { file: file.to_owned(), line, offset }
    })
}
