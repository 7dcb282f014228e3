//! TLS connections of a client that accepts any server certificate.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        self, ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion,
        client::{
            WebPkiServerVerifier,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        },
        crypto::{
            CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature,
            verify_tls13_signature,
        },
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
    },
};

use crate::wait::DEADLINE;

/// The versions of TLS that a client can speak.
pub use rustls::ALL_VERSIONS;

/// The HTTP version that a connection agrees on by ALPN.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Both protocols.
pub const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

/// Connects and completes a handshake for `protocol`.
pub async fn tls(address: SocketAddr, protocol: Protocol) -> io::Result<TlsStream<TcpStream>> {
    tls_over(TcpStream::connect(address).await?, config(protocol, None, ALL_VERSIONS).into()).await
}

/// Certificate and key of a client.
pub struct Identity {
    /// The certificate of the client, then those of its issuers.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key of the first certificate.
    pub key: PrivateKeyDer<'static>,
}

/// Returns the configuration of a client that accepts any server certificate.
pub fn config(
    protocol: Protocol,
    identity: Option<&Identity>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    config_with(ring::default_provider(), protocol, identity, versions)
}

/// Returns the same configuration with a cryptography provider, which limits what the client can negotiate.
pub fn config_with(
    provider: CryptoProvider,
    protocol: Protocol,
    identity: Option<&Identity>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting::new(None)));
    let mut config = match identity {
        Some(Identity { chain, key }) => {
            config.with_client_auth_cert(chain.clone(), key.clone_key()).unwrap()
        }
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = match protocol {
        Protocol::Http1 => vec![b"http/1.1".to_vec()],
        Protocol::Http2 => vec![b"h2".to_vec()],
    };
    config
}

/// Completes a handshake over an open connection.
pub(crate) async fn tls_over(
    stream: TcpStream,
    config: Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    // Otherwise a request in two packets waits 40 ms for a delayed acknowledgement.
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").unwrap();
    let handshake = TlsConnector::from(config).connect(name, stream);
    timeout(DEADLINE, handshake).await.unwrap()
}

/// A verifier that accepts any certificate, but checks that the server has the key.
#[derive(Debug)]
pub struct Trusting {
    judge: Option<Arc<WebPkiServerVerifier>>,
    /// Error of the judge about the last certificate; `None` if it accepted it.
    pub refusal: Mutex<Option<rustls::Error>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Trusting {
    /// Creates a verifier. If there is a `judge`, its answer is only recorded.
    pub fn new(judge: Option<Arc<WebPkiServerVerifier>>) -> Self {
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
