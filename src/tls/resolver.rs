//! Hands each TLS handshake the certificate in use.

use std::sync::Arc;

use tokio_rustls::rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::ServingCertificate;
use crate::state::Live;

/// Serves the certificate that is in use when a handshake begins.
#[derive(Debug)]
pub struct CertificateResolver(Arc<Live<ServingCertificate>>);

impl CertificateResolver {
    /// Serves what `certificate` holds; a handshake fails as long as it holds nothing.
    #[must_use]
    pub fn new(certificate: Arc<Live<ServingCertificate>>) -> Self {
        Self(certificate)
    }
}

impl ResolvesServerCert for CertificateResolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load().as_ref().map(|certificate| certificate.key())
    }
}
