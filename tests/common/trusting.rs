//! A TLS client that goes on whatever certificate the server has.

use std::sync::{Arc, Mutex};

use tokio_rustls::rustls::{
    self, DigitallySignedStruct, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

/// Takes every certificate, but checks that the server has its key.
#[derive(Debug)]
pub(crate) struct Trusting {
    judge: Option<Arc<WebPkiServerVerifier>>,
    /// Why the judge would have refused the last certificate, if so.
    pub(crate) refusal: Mutex<Option<rustls::Error>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Trusting {
    /// With a judge it remembers why that one would have refused it.
    pub(crate) fn new(judge: Option<Arc<WebPkiServerVerifier>>) -> Self {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        Self { judge, refusal: Mutex::default(), algorithms }
    }
}

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(judge) = &self.judge {
            let verdict = judge.verify_server_cert(end_entity, intermediates, name, ocsp, now);
            *self.refusal.lock().unwrap() = verdict.err();
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
