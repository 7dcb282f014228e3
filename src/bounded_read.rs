//! Reading files that come from outside.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

/// Reads a file of at most `limit` bytes; none when it is larger.
///
/// The file may be a pipe, as in `imageswap check <(...)`, and then reading waits for the writer.
///
/// # Errors
/// When the file cannot be opened or read.
pub fn read_up_to(file: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    File::open(file)?.take(limit + 1).read_to_end(&mut content)?;
    Ok((content.len() as u64 <= limit).then_some(content))
}

/// Reads a regular file, which never makes the reader wait, as [`read_up_to`].
///
/// # Errors
/// When the file cannot be opened or read, or is no regular file.
pub fn read_regular_up_to(file: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    if fs::metadata(file)?.is_file() {
        read_up_to(file, limit)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}
