//! The webhook's own certificate authority.

use std::fmt;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_parser::{certificate::X509Certificate, error::X509Error, prelude::FromDer};

use super::{
    CertificateError, Roots, Validity,
    key::{KeyError, check_private_key},
    key_id,
    own::AUTHORITY_PREFIX,
    pem::pem_reason,
};

/// Validity of an authority. It is replaced at half of that, which is rare in the life of a cluster and years before it
/// expires.
const AUTHORITY_VALIDITY: Duration = Duration::days(3650);

/// Validity of a certificate: 12 months, as in the original.
pub const CERTIFICATE_VALIDITY: Duration = Duration::days(365);

/// Time by which the validity of an authority starts in the past, for machines whose clock is behind that of this one.
const AUTHORITY_BACKDATING: Duration = Duration::days(30);

/// Time by which the validity of a certificate starts in the past. It is shorter than that of an authority, because a
/// clock that is days behind is rare, and a warning reports it.
const CERTIFICATE_BACKDATING: Duration = Duration::days(2);

/// A root certificate and its key.
#[derive(Debug)]
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    validity: Validity,
}

/// An error in a stored authority.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The certificate cannot be parsed.
    #[error("the certificate cannot be parsed: {0}")]
    Certificate(X509Error),
    /// The certificate cannot issue others.
    #[error("the certificate cannot issue others: {0}")]
    Issuer(rcgen::Error),
    /// There is no usable private key. The parser's own error may quote the key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key belongs to another certificate.
    #[error("the key does not belong to the certificate")]
    Mismatch,
    /// There is no certificate.
    #[error("no PEM block of a certificate: {0}")]
    Pem(&'static str),
}

/// A certificate and its key, both in PEM.
#[derive(Clone, Eq, PartialEq)]
pub struct PemPair {
    /// The certificate chain.
    pub certificate: String,
    /// The private key, in PKCS #8.
    pub key: String,
}

impl fmt::Debug for PemPair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the key, which is secret.
        formatter
            .debug_struct("PemPair")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Creates an authority with a new ECDSA P-256 key.
    ///
    /// # Errors
    /// If the system provides no randomness.
    pub fn generate(now: OffsetDateTime) -> Result<Self, CertificateError> {
        let key = KeyPair::generate()?;
        let mut parameters = CertificateParams::default();
        // Go distinguishes authorities by name, so each needs its own.
        let name = format!("{AUTHORITY_PREFIX}{}", key_id(key.public_key_raw()));
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        parameters.not_before = now - AUTHORITY_BACKDATING;
        parameters.not_after = now + AUTHORITY_VALIDITY;
        let validity =
            Validity { not_before: parameters.not_before, not_after: parameters.not_after };
        let certificate = parameters.self_signed(&key)?.der().clone();
        Ok(Self { certificate, issuer: Issuer::new(parameters, key), validity })
    }

    /// Reads an authority from its certificate and key, and checks that they belong together.
    ///
    /// # Errors
    /// If one of them is not valid PEM, or the key belongs to another certificate.
    pub fn from_pem(certificate: &[u8], key: &str) -> Result<Self, AuthorityError> {
        let certificate = CertificateDer::from_pem_slice(certificate)
            .map_err(|error| AuthorityError::Pem(pem_reason(&error)))?;
        check_private_key(key.as_bytes())?;
        let invalid = || KeyError::Pem("it cannot be read");
        let key = KeyPair::from_pem(key).map_err(|_| invalid())?;
        let (_, parsed) = X509Certificate::from_der(&certificate)
            .map_err(|error| AuthorityError::Certificate(error.into()))?;
        if parsed.public_key().subject_public_key.data != key.public_key_raw() {
            return Err(AuthorityError::Mismatch);
        }
        let validity = Validity::of(&parsed);
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(AuthorityError::Issuer)?;
        Ok(Self { certificate, issuer, validity })
    }

    /// Issues a certificate with a new key for a server with these names.
    ///
    /// # Errors
    /// If a name is not a valid host name or address.
    pub fn issue(
        &self,
        names: &[String],
        now: OffsetDateTime,
    ) -> Result<PemPair, CertificateError> {
        let key = KeyPair::generate()?;
        let mut parameters = CertificateParams::new(names)?;
        parameters.distinguished_name.push(DnType::CommonName, "imageswap");
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        // Not before its authority, whose start is later if the clock of this machine is behind.
        parameters.not_before = self.validity.not_before.max(now - CERTIFICATE_BACKDATING);
        // A certificate is not valid for longer than its authority.
        parameters.not_after = self.validity.not_after.min(now + CERTIFICATE_VALIDITY);
        let certificate = parameters.signed_by(&key, &self.issuer)?.pem();
        Ok(PemPair { certificate, key: key.serialize_pem() })
    }

    /// Returns the root certificate.
    #[must_use]
    pub fn root(&self) -> Roots {
        Roots::from(self.certificate.clone())
    }

    /// Returns the key of the root in PEM.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Returns the validity of the root.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_key_is_not_quoted() {
        let authority = Authority::generate(OffsetDateTime::now_utc()).unwrap();
        let (certificate, key) = (authority.root().to_pem(), authority.key_pem());
        let (begin, end) = key.split_at(60);
        for broken in [
            key.replace("END PRIVATE", "END"),
            // The parser takes the text before an empty line for headers.
            format!("{begin}\n\n{end}"),
            begin.to_owned(),
            String::new(),
        ] {
            let error = Authority::from_pem(certificate.as_bytes(), &broken).unwrap_err();
            assert!(error.to_string().starts_with("no PEM block of a private key: "), "{error}");
            assert!(error.to_string().len() < 120, "the error quotes a part of the key: {error}");
        }
        Authority::from_pem(certificate.as_bytes(), &key).unwrap();
    }
}
