//! A certificate chain and its private key, checked to belong together.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio_rustls::rustls::{
    self,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    sign::CertifiedKey,
};
use x509_parser::{certificate::X509Certificate, error::X509Error, prelude::FromDer};

use super::{
    Validity,
    pem::{PemFileError, pem_reason, read},
};
use crate::{
    origin::Origin,
    state::{Load, Summary},
};

/// The names of certificate and key, in files as in a Secret, in the order in which they are looked for: those of the
/// original, then those of a `kubernetes.io/tls` Secret, as cert-manager writes it.
pub const FILE_NAMES: [(&str, &str); 2] = [("cert.pem", "key.pem"), ("tls.crt", "tls.key")];

/// A certificate that is ready to be served.
#[derive(Clone, Debug)]
pub struct ServingCertificate {
    key: Arc<CertifiedKey>,
    validity: Validity,
}

/// Why there is no certificate to serve.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// None of the pairs of files is there.
    #[error("{directory}: neither cert.pem and key.pem nor tls.crt and tls.key are there")]
    Missing {
        /// Where they were looked for.
        directory: PathBuf,
    },
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] PemFileError),
    /// There is no PEM block of the kind that is wanted.
    #[error("{origin}: no PEM block of {wanted}: {reason}")]
    Pem {
        /// The place of the text.
        origin: Origin,
        /// What was looked for.
        wanted: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// The first certificate of the chain cannot be parsed.
    #[error("{origin}: the first certificate cannot be parsed: {reason}")]
    Certificate {
        /// The place of the chain.
        origin: Origin,
        /// The error of the parser.
        reason: X509Error,
    },
    /// Key and certificate do not belong together, or the key is of an unknown kind.
    #[error("{key}: not a usable key for the certificate in {certificate}: {reason}")]
    Mismatch {
        /// The place of the key.
        key: Origin,
        /// The place of the certificate.
        certificate: Origin,
        /// The error of rustls.
        reason: Box<rustls::Error>,
    },
    /// A certificate could not be made.
    #[error("making a certificate: {0}")]
    Generate(#[from] rcgen::Error),
}

impl ServingCertificate {
    /// Reads the pair of files in `directory`.
    ///
    /// The kubelet exchanges all files of a volume at once, by the symbolic link `..data`; it is
    /// followed once, so that certificate and key are of one generation.
    ///
    /// # Errors
    /// When the files are not there, are no PEM, or do not belong together.
    pub fn read(directory: &Path) -> Result<Self, CertificateError> {
        let generation = fs::canonicalize(directory.join("..data"));
        let generation = generation.unwrap_or_else(|_| directory.to_owned());
        let pair = FILE_NAMES
            .map(|(certificate, key)| (generation.join(certificate), generation.join(key)))
            .into_iter()
            // One that is there but cannot be read, or lacks its other half, is an error below.
            .find(|(certificate, key)| !is_missing(certificate) || !is_missing(key));
        let Some((certificate_file, key_file)) = pair else {
            return Err(CertificateError::Missing { directory: directory.to_owned() });
        };
        let (certificate, key) = (read(&certificate_file)?, read(&key_file)?);
        Self::from_pem(&certificate, &key, Origin::File(certificate_file), Origin::File(key_file))
    }

    /// Reads a chain and its key from PEM. The origins are for errors.
    ///
    /// # Errors
    /// When they are no PEM, or do not belong together.
    pub fn from_pem(
        certificate: &[u8],
        key: &[u8],
        certificate_origin: Origin,
        key_origin: Origin,
    ) -> Result<Self, CertificateError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<_, _>>()
            .and_then(
                |chain: Vec<_>| {
                    if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) }
                },
            )
            .map_err(|error| CertificateError::Pem {
                origin: certificate_origin.clone(),
                wanted: "a certificate",
                reason: pem_reason(&error),
            })?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| CertificateError::Pem {
            origin: key_origin.clone(),
            wanted: "a private key",
            reason: pem_reason(&error),
        })?;
        Self::new(chain, key, certificate_origin, key_origin)
    }

    /// Checks that a chain and a key belong together. The origins are for errors.
    pub(super) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        certificate_origin: Origin,
        key_origin: Origin,
    ) -> Result<Self, CertificateError> {
        let validity = match X509Certificate::from_der(chain.first().map_or(&[], |der| der)) {
            Ok((_, certificate)) => Validity::of(&certificate),
            Err(reason) => {
                let reason = X509Error::from(reason);
                return Err(CertificateError::Certificate { origin: certificate_origin, reason });
            }
        };
        let key =
            CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|reason| {
                CertificateError::Mismatch {
                    key: key_origin,
                    certificate: certificate_origin,
                    reason: Box::new(reason),
                }
            })?;
        Ok(Self { key: Arc::new(key), validity })
    }

    /// Describes the certificate that was loaded from `origin`.
    #[must_use]
    pub fn load(&self, origin: Origin) -> Load {
        Load::new(origin, Summary::Certificate { not_after: self.validity.not_after })
    }

    /// Returns the time in which the certificate is valid.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Returns true if `other` is the same chain.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.key.cert == other.key.cert
    }

    /// Returns the certificate chain in DER.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.key.cert
    }

    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        self.key.clone()
    }
}

fn is_missing(file: &Path) -> bool {
    fs::metadata(file).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn pem_pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
        (parameters.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn each_error_names_the_file_and_what_was_wanted() {
        let ((certificate, key), (other, _)) = (pem_pair(), pem_pair());
        let too_large = "x".repeat(usize::try_from(super::super::pem::MAX_PEM_BYTES).unwrap() + 1);
        let one_line = key.replace('\n', " ");
        let cut = one_line.replace("-----END PRIVATE KEY-----", "");
        let no_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (certificate, key, expected) in [
            ("garbage", &*key, "cert.pem: no PEM block of a certificate"),
            (&*certificate, "garbage", "key.pem: no PEM block of a private key"),
            (&*certificate, &*certificate, "key.pem: no PEM block of a private key"),
            (no_der, &*key, "cert.pem: the first certificate cannot be parsed"),
            (&*other, &*key, "key.pem: not a usable key for the certificate in "),
            (&*too_large, &*key, "cert.pem: larger than 1048576 bytes"),
            (
                &*certificate,
                &*one_line,
                "key.pem: no PEM block of a private key: a block has no end",
            ),
            (
                &*certificate,
                &*cut,
                "a line begins as the first of a block, and does not end as one",
            ),
        ] {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join("cert.pem"), certificate).unwrap();
            fs::write(directory.path().join("key.pem"), key).unwrap();
            let error = ServingCertificate::read(directory.path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(error.len() < 300, "a part of the file is in it: {error}");
        }
        let empty = tempfile::tempdir().unwrap();
        let error = ServingCertificate::read(empty.path()).unwrap_err().to_string();
        assert!(error.ends_with("neither cert.pem and key.pem nor tls.crt and tls.key are there"));
    }

    #[test]
    fn a_good_pair_is_read_under_either_pair_of_names() {
        let (certificate, key) = pem_pair();
        for (certificate_name, key_name) in FILE_NAMES {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join(certificate_name), &certificate).unwrap();
            fs::write(directory.path().join(key_name), &key).unwrap();
            let read = ServingCertificate::read(directory.path()).unwrap();
            assert_eq!(read.chain().len(), 1);
            assert!(read.is_same(&ServingCertificate::read(directory.path()).unwrap()));
        }
    }
}
