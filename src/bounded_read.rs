//! Reads files up to a maximum size.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

/// Reads a file of at most `limit` bytes; `None` if it is larger.
///
/// The file may be a pipe, as in `imageswap check <(...)`. Reading then waits for the writer.
///
/// # Errors
/// If the file cannot be opened or read.
pub fn read_up_to(file: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    File::open(file)?.take(limit + 1).read_to_end(&mut content)?;
    Ok((content.len() as u64 <= limit).then_some(content))
}

/// Reads a regular file of at most `limit` bytes, like [`read_up_to`], but never waits for a writer.
///
/// # Errors
/// If the file cannot be opened or read, or is not a regular file.
pub fn read_regular_up_to(file: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    if fs::metadata(file)?.is_file() {
        read_up_to(file, limit)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}
