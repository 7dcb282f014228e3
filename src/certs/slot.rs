//! The place of the serving certificate, from which every handshake takes it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio_rustls::rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::pair::ServingCertificate;

/// Holds the certificate in use; exchanging it takes effect with the next handshake.
#[derive(Debug, Default)]
pub struct CertificateSlot(ArcSwapOption<CertifiedKey>);

impl CertificateSlot {
    /// Serves `certificate` from now on.
    pub fn store(&self, certificate: &ServingCertificate) {
        self.0.store(Some(certificate.key()));
    }
}

impl ResolvesServerCert for CertificateSlot {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}
