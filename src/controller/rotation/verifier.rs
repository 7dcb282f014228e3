//! The verification of serving certificates.

use std::fmt::Debug;

use time::OffsetDateTime;

use crate::tls::{Roots, ServerName, ServingCertificate, TrustError};

/// Verifies serving certificates like the API server.
pub trait Verifier: Debug + Sync {
    /// Verifies a certificate under `roots`; see [`Roots::verify`].
    ///
    /// # Errors
    /// If the API server would not accept the certificate.
    fn verify(
        &self,
        roots: &Roots,
        certificate: &ServingCertificate,
        now: OffsetDateTime,
    ) -> Result<(), TrustError>;

    /// Returns true if the API server accepts the certificate under `roots`, as far as this program can tell, at a time
    /// at which it is valid.
    fn may_accept(
        &self,
        roots: &Roots,
        certificate: &ServingCertificate,
        now: OffsetDateTime,
    ) -> bool {
        let verified = self.verify(roots, certificate, now);
        matches!(verified, Ok(()) | Err(TrustError::Unverifiable(_) | TrustError::Time(_)))
    }
}

/// Verifies as a client that calls the server by this name.
impl Verifier for ServerName<'static> {
    fn verify(
        &self,
        roots: &Roots,
        certificate: &ServingCertificate,
        now: OffsetDateTime,
    ) -> Result<(), TrustError> {
        roots.verify(certificate, self, now)
    }
}
