//! New content for a file.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use tempfile::NamedTempFile;

/// Replaces the content of a regular file. It has the old or the new content, even if the program is stopped meanwhile.
/// The file keeps its permissions and, if this process may set it, its owner. Another hard link keeps the old content.
///
/// # Errors
/// If it is not a regular file, or its directory cannot be written.
pub(super) fn replace(file: &Path, text: &str) -> io::Result<()> {
    // A symbolic link stays one.
    let file = file.canonicalize()?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let directory = file.parent().unwrap_or(Path::new("/"));
    let new = NamedTempFile::new_in(directory);
    let mut new = new.map_err(|error| unwritable(directory, &error))?;
    new.write_all(text.as_bytes())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        // Only root may give a file to another owner.
        let _ = fchown(new.as_file(), Some(metadata.uid()), Some(metadata.gid()));
    }
    new.as_file().set_permissions(metadata.permissions())?;
    new.as_file().sync_all()?;
    new.persist(&file).map_err(|error| error.error)?;
    Ok(())
}

/// Replaces the content of a file as [`replace`] does, or creates it with its directory.
///
/// # Errors
/// As [`replace`].
pub(super) fn create_or_replace(file: &Path, text: &str) -> io::Result<()> {
    if file.exists() {
        return replace(file, text);
    }
    let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The mask of the process applies, as to any new file.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let new = builder.tempfile_in(directory);
    let mut new = new.map_err(|error| unwritable(directory, &error))?;
    new.write_all(text.as_bytes())?;
    new.as_file().sync_all()?;
    new.persist(file).map_err(|error| error.error)?;
    Ok(())
}

/// Names the directory in which no file can be made. The library names its temporary file.
fn unwritable(directory: &Path, error: &io::Error) -> io::Error {
    let kind = error.kind();
    io::Error::new(kind, format!("{} cannot be written: {kind}", directory.display()))
}
