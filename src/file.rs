//! Reading files that come from outside.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Reads a file of at most `limit` bytes; none when it is larger.
///
/// # Errors
/// When the file cannot be opened or read.
pub fn read_up_to(file: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    File::open(file)?.take(limit + 1).read_to_end(&mut content)?;
    Ok((content.len() as u64 <= limit).then_some(content))
}
