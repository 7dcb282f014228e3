//! Follows the files for questions to registries: credentials and CAs.

use std::path::{Path, PathBuf};

use super::{
    FollowedFile, Loaded, Source, directory_of, last_content::LastContent, map_file::read_regular,
};
use crate::{
    origin::Origin,
    registry::Credentials,
    state::{HasStatus, Live, Load, LoadError, Summary},
    tls::{Roots, parse_ca},
};

/// Maximum size of each file in bytes: that of a Secret or ConfigMap.
const MAX_BYTES: u64 = 1024 * 1024;

/// Parses the content of a file. The error does not quote it.
type Parse<T> = fn(&[u8]) -> Result<(T, Summary), String>;

/// Loads a file that need not exist at its default path.
///
/// A file that is gone leaves its last value in use until a restart, as with the map.
#[derive(Debug)]
pub struct RegistryFileSource<T> {
    file: FollowedFile,
    directory: PathBuf,
    last_content: LastContent,
    parse: Parse<T>,
}

impl RegistryFileSource<Credentials> {
    /// Creates the source of the credentials in `file`, a Docker config file.
    #[must_use]
    pub fn credentials(file: FollowedFile) -> Self {
        Self::new(file, |content| {
            let (credentials, problems) =
                Credentials::parse(content).map_err(|error| error.to_string())?;
            let summary = Summary::RegistryConfig { registries: credentials.len(), problems };
            Ok((credentials, summary))
        })
    }
}

impl RegistryFileSource<Roots> {
    /// Creates the source of the CAs in `file`.
    #[must_use]
    pub fn authorities(file: FollowedFile) -> Self {
        Self::new(file, |content| {
            let roots = parse_ca(content).map_err(|error| error.to_string())?;
            let summary = Summary::RegistryCa { authorities: roots.len() };
            Ok((roots, summary))
        })
    }
}

impl<T> RegistryFileSource<T> {
    fn new(file: FollowedFile, parse: Parse<T>) -> Self {
        let directory = directory_of(file.path());
        Self { directory, file, last_content: LastContent::default(), parse }
    }
}

impl<T: Send + Sync + 'static> Source for RegistryFileSource<T> {
    type Value = T;

    fn directory(&self) -> &Path {
        &self.directory
    }

    fn load(&mut self, live: &Live<T>) -> Result<Loaded<T>, LoadError> {
        let file = self.file.path();
        let content = match read_regular(file, MAX_BYTES) {
            Ok(content) => content,
            Err(error) => {
                self.last_content.forget();
                return if !live.status().is_loaded() && self.file.may_be_missing(&error) {
                    Ok(Loaded::InUse)
                } else {
                    Err(LoadError::transient(error))
                };
            }
        };
        if !self.last_content.replace(&content) {
            return Ok(Loaded::Unchanged);
        }
        let (value, summary) = (self.parse)(&content).map_err(|reason| {
            LoadError::until_changed(format_args!("{}: {reason}", file.display()))
        })?;
        Ok(Loaded::New(value, Load::new(Origin::File(file.to_owned()), summary)))
    }
}
