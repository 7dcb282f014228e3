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
    key::{KeyError, private_key},
    pem::{PemFileError, check_encoding, pem_reason, read},
};
use crate::{
    origin::Origin,
    state::{Load, Summary},
};

/// Names of certificate and key, in files and in Secrets, in order of precedence: those of the original, then those of
/// a `kubernetes.io/tls` Secret, as cert-manager writes it.
pub const FILE_NAMES: [(&str, &str); 2] = [("cert.pem", "key.pem"), ("tls.crt", "tls.key")];

/// A certificate that is ready to be served.
#[derive(Clone, Debug)]
pub struct ServingCertificate {
    key: Arc<CertifiedKey>,
    validity: Validity,
}

/// An error in a serving certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// No pair of files exists.
    #[error("{directory}: neither cert.pem and key.pem nor tls.crt and tls.key are there")]
    Missing {
        /// The directory of the files.
        directory: PathBuf,
    },
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] PemFileError),
    /// The private key cannot be used.
    #[error("{origin}: {reason}")]
    Key {
        /// The origin of the key.
        origin: Origin,
        /// The error in the key.
        reason: KeyError,
    },
    /// There is no PEM block of a certificate.
    #[error("{origin}: no PEM block of a certificate: {reason}")]
    Pem {
        /// The origin of the chain.
        origin: Origin,
        /// The error of the parser, without a quotation.
        reason: &'static str,
    },
    /// The first certificate of the chain cannot be parsed.
    #[error("{origin}: the first certificate cannot be parsed: {reason}")]
    Certificate {
        /// The origin of the chain.
        origin: Origin,
        /// The error of the parser.
        reason: X509Error,
    },
    /// Key and certificate do not belong together.
    #[error("{key}: not the key of the certificate in {certificate}: {reason}")]
    Mismatch {
        /// The origin of the key.
        key: Origin,
        /// The origin of the certificate.
        certificate: Origin,
        /// The error of rustls.
        reason: Box<rustls::Error>,
    },
    /// A certificate could not be created.
    #[error("creating a certificate: {0}")]
    Generate(#[from] rcgen::Error),
}

impl ServingCertificate {
    /// Reads the pair of files in `directory`.
    ///
    /// The kubelet replaces all files of a volume at once, through the symbolic link `..data`. The link is resolved
    /// once, so certificate and key are of the same generation.
    ///
    /// # Errors
    /// If the files do not exist, are not valid PEM, or do not belong together.
    pub fn read(directory: &Path) -> Result<Self, CertificateError> {
        let generation = fs::canonicalize(directory.join("..data"));
        let generation = generation.unwrap_or_else(|_| directory.to_owned());
        let pair = FILE_NAMES
            .map(|(certificate, key)| (generation.join(certificate), generation.join(key)))
            .into_iter()
            // A pair that is unreadable or incomplete is chosen too, and causes an error below.
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
    /// If they are not valid PEM, or do not belong together.
    pub fn from_pem(
        certificate: &[u8],
        key: &[u8],
        certificate_origin: Origin,
        key_origin: Origin,
    ) -> Result<Self, CertificateError> {
        let chain = certificates(certificate).map_err(|reason| CertificateError::Pem {
            origin: certificate_origin.clone(),
            reason,
        })?;
        let key = private_key(key)
            .map_err(|reason| CertificateError::Key { origin: key_origin.clone(), reason })?;
        Self::new(chain, key, certificate_origin, key_origin)
    }

    /// Creates a serving certificate from a chain and its key. The origins are for errors.
    ///
    /// # Errors
    /// If the first certificate cannot be parsed, or chain and key do not belong together.
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

    /// Describes the certificate as loaded from `origin`.
    #[must_use]
    pub fn load(&self, origin: Origin) -> Load {
        let Validity { not_before, not_after } = self.validity;
        Load::new(origin, Summary::Certificate { not_before, not_after })
    }

    /// Returns the validity of the certificate.
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

/// Returns the certificates of a PEM text, at least one.
fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    check_encoding(text)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(pem_reason(&pem::Error::NoItemsFound)),
        Ok(chain) => Ok(chain),
        Err(error) => Err(pem_reason(&error)),
    }
}

fn is_missing(file: &Path) -> bool {
    fs::metadata(file).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    const ED448: &str = include_str!("../../tests/fixtures/keys/ed448.pem");

    fn pem_pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
        (parameters.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn each_error_names_the_file_and_the_expected_content() {
        let ((certificate, key), (other, _)) = (pem_pair(), pem_pair());
        let too_large = "x".repeat(usize::try_from(super::super::pem::MAX_PEM_BYTES).unwrap() + 1);
        let one_line = key.replace('\n', " ");
        let cut = one_line.replace("-----END PRIVATE KEY-----", "");
        let marked = format!("\u{feff}{certificate}{other}");
        let no_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (certificate, key, expected) in [
            ("garbage", &*key, "cert.pem: no PEM block of a certificate"),
            (&*certificate, "garbage", "key.pem: no PEM block of a private key"),
            (&*certificate, &*certificate, "key.pem: no PEM block of a private key"),
            (no_der, &*key, "cert.pem: the first certificate cannot be parsed"),
            (&*other, &*key, "key.pem: not the key of the certificate in "),
            (&*too_large, &*key, "cert.pem: larger than 1048576 bytes"),
            (
                &*certificate,
                &*one_line,
                "key.pem: no PEM block of a private key: a block has no END line",
            ),
            (&*certificate, &*cut, "a BEGIN line lacks its closing dashes"),
            (
                &*marked,
                &*key,
                "cert.pem: no PEM block of a certificate: the text begins with a byte-order mark",
            ),
            (&*certificate, ED448, "key.pem: the key is Ed448; use ECDSA on P-256"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join("cert.pem"), certificate).unwrap();
            fs::write(directory.path().join("key.pem"), key).unwrap();
            let error = ServingCertificate::read(directory.path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(error.len() < 300, "the error quotes a part of the file: {error}");
        }
        let empty = tempfile::tempdir().unwrap();
        let error = ServingCertificate::read(empty.path()).unwrap_err().to_string();
        assert!(error.ends_with("neither cert.pem and key.pem nor tls.crt and tls.key are there"));
    }

    #[test]
    fn a_valid_pair_is_read_under_either_pair_of_names() {
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
