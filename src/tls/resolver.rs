//! Provides the certificate in use to each TLS handshake.

use std::sync::Arc;

use tokio_rustls::rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::ServingCertificate;
use crate::state::Live;

/// Serves the certificate that is in use at the start of a handshake.
#[derive(Debug)]
pub struct CertificateResolver(Arc<Live<ServingCertificate>>);

impl CertificateResolver {
    /// Creates a resolver of `certificate`. Handshakes fail while it is empty.
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
