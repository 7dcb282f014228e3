//! The TLS settings of the webhook.

use std::sync::Arc;

use tokio_rustls::{
    TlsAcceptor,
    rustls::{self, ServerConfig, crypto::ring, server::NoServerSessionStorage},
};

use crate::tls::{CertificateResolver, ClientTrust};

/// The application protocols, in order of preference (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [HTTP_2, b"http/1.1"];

/// The name of HTTP/2 over TLS (RFC 9113, section 3.1).
pub(super) const HTTP_2: &[u8] = b"h2";

/// Creates an acceptor for TLS 1.2 and 1.3 with rustls' safe defaults, which serves the certificate in use.
///
/// With `clients`, the server requests a client certificate. A client may present none; a certificate that the
/// authorities have not signed fails the handshake.
///
/// # Errors
/// If the cryptography provider supports neither version; ring supports both.
pub fn acceptor(
    certificate: CertificateResolver,
    clients: Option<Arc<ClientTrust>>,
) -> Result<TlsAcceptor, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let mut config = match clients {
        Some(clients) => {
            let config = config.with_client_cert_verifier(clients);
            let mut config = config.with_cert_resolver(Arc::new(certificate));
            // rustls does not verify the client certificate of a resumed session again, so a client could be accepted
            // after its certificate has expired or its authority was removed. The API server keeps its connections, so
            // resumption would save little.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
            config
        }
        None => config.with_no_client_auth().with_cert_resolver(Arc::new(certificate)),
    };
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(TlsAcceptor::from(Arc::new(config)))
}
