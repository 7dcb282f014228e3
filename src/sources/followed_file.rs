//! A file that the process follows, and that need not exist at its default path.

use std::path::{Path, PathBuf};

use super::FileError;

/// A file that the process follows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FollowedFile {
    /// The file at the default path, which need not exist.
    Default(PathBuf),
    /// A file that the settings name, which has to exist.
    Named(PathBuf),
}

impl FollowedFile {
    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        let (Self::Default(path) | Self::Named(path)) = self;
        path
    }

    /// Returns true if `error` says that there is no such file, and there need not be one.
    pub(super) fn may_be_missing(&self, error: &FileError) -> bool {
        matches!(self, Self::Default(_)) && error.is_missing()
    }
}
