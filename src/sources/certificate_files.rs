//! The serving certificate, from a pair of files.

use std::path::{Path, PathBuf};

use super::{Loaded, Source};
use crate::{
    origin::Origin,
    state::{Live, LoadError},
    tls::ServingCertificate,
};

/// Loads certificate and key from a directory.
#[derive(Debug)]
pub struct CertificateFiles {
    directory: PathBuf,
}

impl CertificateFiles {
    /// Creates the source of the pair in `directory`.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }
}

impl Source for CertificateFiles {
    type Value = ServingCertificate;

    fn directory(&self) -> &Path {
        &self.directory
    }

    fn load(
        &mut self,
        live: &Live<ServingCertificate>,
    ) -> Result<Loaded<ServingCertificate>, LoadError> {
        let certificate =
            ServingCertificate::read(&self.directory).map_err(LoadError::transient)?;
        if live.load().as_ref().is_some_and(|current| current.is_same(&certificate)) {
            return Ok(Loaded::InUse);
        }
        let load = certificate.load(Origin::File(self.directory.clone()));
        Ok(Loaded::New(certificate, load))
    }
}
