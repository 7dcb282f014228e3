//! Reads files: converts bytes to text and to a map, or to an error that names file and line.
//!
//! It does not follow the file; `map` does. Commands that read a map once use it too.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    bounded_read::{read_regular_up_to, read_up_to},
    rules::{CompileError, LoadedMap, MAX_MAP_BYTES, MapScope, Refusal},
};

/// Maximum size of a map file in bytes.
pub(super) const MAX_BYTES: u64 = MAX_MAP_BYTES as u64;

/// The reason why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("{file}: {reason}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        reason: io::Error,
    },
    /// No map file is set, and there is none at the default path.
    #[error(
        "no map file at the default path {file}; set IMAGESWAP_MAPS_FILE (--maps-file) to your map"
    )]
    NoDefault {
        /// The default path.
        file: PathBuf,
    },
    /// The file is too large.
    #[error("{file}: larger than {limit} bytes")]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// The maximum size.
        limit: u64,
    },
    /// The file is not valid UTF-8.
    #[error("{file}:{line}: not valid UTF-8 at byte {offset} of the file, counted from 0")]
    InvalidUtf8 {
        /// The file.
        file: PathBuf,
        /// The line of the first invalid byte, from 1.
        line: usize,
        /// The offset of that byte in the file, from 0.
        offset: usize,
    },
    /// The file starts with the byte order mark of UTF-16.
    #[error("{file}: the file is in UTF-16; save it as UTF-8")]
    Utf16 {
        /// The file.
        file: PathBuf,
    },
    /// The file contains a map that is never applied.
    #[error("{file}: {reason}")]
    Refused {
        /// The file.
        file: PathBuf,
        /// The reason of the refusal.
        reason: Refusal,
    },
    /// The rules do not compile.
    #[error("{file}: {reason}")]
    Compile {
        /// The file.
        file: PathBuf,
        /// The error of the compiler.
        reason: CompileError,
    },
}

impl FileError {
    /// Returns true if there is no file.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        match self {
            Self::NoDefault { .. } => true,
            Self::Unreadable { reason, .. } => reason.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }

    /// Returns true if another attempt may succeed although no file changes.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreadable { reason, .. } => reason.kind() != io::ErrorKind::InvalidInput,
            _ => false,
        }
    }

    /// Returns the error of a map file at the default path, which nobody has set.
    #[must_use]
    pub fn at_default_path(self) -> Self {
        match self {
            Self::Unreadable { file, reason } if reason.kind() == io::ErrorKind::NotFound => {
                Self::NoDefault { file }
            }
            error => error,
        }
    }
}

/// Reads a map file as text.
///
/// # Errors
/// If the file cannot be read, is larger than [`MAX_MAP_BYTES`], or is not valid UTF-8.
pub fn read_map(file: &Path) -> Result<String, FileError> {
    decode_text(file, within_limit(file, MAX_BYTES, read_up_to(file, MAX_BYTES))?)
}

/// Reads a map file, compiles it, and gathers its diagnostics.
///
/// # Errors
/// As [`read_map`], and if the rules cannot be compiled.
pub fn load_map(file: &Path) -> Result<LoadedMap, FileError> {
    to_map(MapScope::Cluster, file, &read_map(file)?)
}

/// Loads a map as [`load_map`] does, but only from a regular file, on which a read never blocks.
///
/// # Errors
/// As [`load_map`], and if the file is not a regular one.
pub fn load_regular_map(file: &Path) -> Result<LoadedMap, FileError> {
    to_map(MapScope::Cluster, file, &decode_text(file, read_regular(file, MAX_BYTES)?)?)
}

/// Loads the map of a namespace as [`load_map`] does.
///
/// # Errors
/// As [`load_map`].
pub fn load_namespace_map(file: &Path) -> Result<LoadedMap, FileError> {
    to_map(MapScope::Namespace, file, &read_map(file)?)
}

pub(super) fn to_map(scope: MapScope, file: &Path, text: &str) -> Result<LoadedMap, FileError> {
    LoadedMap::from_file(scope, &file.to_string_lossy(), text)
        .map_err(|reason| FileError::Compile { file: file.to_owned(), reason })
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// If the file cannot be read, is not a regular file, or is larger.
pub(super) fn read_regular(file: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    within_limit(file, limit, read_regular_up_to(file, limit))
}

pub(super) fn within_limit(
    file: &Path,
    limit: u64,
    read: io::Result<Option<Vec<u8>>>,
) -> Result<Vec<u8>, FileError> {
    match read {
        Ok(Some(content)) => Ok(content),
        Ok(None) => Err(FileError::TooLarge { file: file.to_owned(), limit }),
        Err(reason) => Err(FileError::Unreadable { file: file.to_owned(), reason }),
    }
}

/// Reads the content of a file as text; `file` is for the error.
///
/// # Errors
/// If the content is not valid UTF-8.
pub fn decode_text(file: &Path, content: Vec<u8>) -> Result<String, FileError> {
    String::from_utf8(content).map_err(|error| {
        if error.as_bytes().starts_with(b"\xff\xfe") || error.as_bytes().starts_with(b"\xfe\xff") {
            return FileError::Utf16 { file: file.to_owned() };
        }
        let offset = error.utf8_error().valid_up_to();
        let line = 1 + memchr::memchr_iter(b'\n', &error.as_bytes()[..offset]).count();
        FileError::InvalidUtf8 { file: file.to_owned(), line, offset }
    })
}
