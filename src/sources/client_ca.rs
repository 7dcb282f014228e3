//! The certificate authorities of clients that may post reviews, from a file.

use std::path::{Path, PathBuf};

use super::{Loaded, Source, directory_of};
use crate::{
    origin::Origin,
    state::{Live, Load, LoadError, Summary},
    tls::{Roots, read_ca_file},
};

/// Loads the client CA file.
#[derive(Debug)]
pub struct ClientCaSource {
    file: PathBuf,
    directory: PathBuf,
}

impl ClientCaSource {
    /// Creates the source of the client CA in `file`.
    #[must_use]
    pub fn new(file: PathBuf) -> Self {
        Self { directory: directory_of(&file), file }
    }
}

impl Source for ClientCaSource {
    type Value = Roots;

    fn directory(&self) -> &Path {
        &self.directory
    }

    fn load(&mut self, live: &Live<Roots>) -> Result<Loaded<Roots>, LoadError> {
        let roots = read_ca_file(&self.file).map_err(LoadError::transient)?;
        let old = live.load_full();
        if old.as_deref() == Some(&roots) {
            return Ok(Loaded::InUse);
        }
        let none = Roots::default();
        let old = old.as_deref().unwrap_or(&none);
        let summary = Summary::ClientCa {
            authorities: roots.len(),
            added: roots.without(old).len(),
            removed: old.without(&roots).len(),
        };
        let load = Load::new(Origin::File(self.file.clone()), summary);
        Ok(Loaded::New(roots, load))
    }
}
