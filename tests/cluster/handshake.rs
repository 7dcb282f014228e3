//! TLS connections to the webhook that do not come from the API server: the certificate it serves, and the roots that
//! verify it.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use support::tls::Trusting;
use time::format_description::well_known::Rfc3339;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        client::WebPkiServerVerifier,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};
use x509_parser::certificate::X509Certificate;

use crate::service::HOST;

/// Timeout for one connection.
const DEADLINE: Duration = Duration::from_secs(10);

/// A certificate, which is displayed as its serial number.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Certificate(Vec<u8>);

impl Certificate {
    /// Returns all certificates of a PEM text.
    pub(crate) fn all(pem: &[u8]) -> Vec<Self> {
        let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().unwrap();
        all.into_iter().map(|der| Self(der.to_vec())).collect()
    }

    /// Returns the first certificate of a PEM text.
    pub(crate) fn first(pem: &[u8]) -> Self {
        Self::all(pem).remove(0)
    }

    /// Returns the expiry time in seconds since 1970.
    pub(crate) fn expiry(&self) -> f64 {
        let expiry = self.parsed().validity().not_after.timestamp();
        f64::from(u32::try_from(expiry).unwrap())
    }

    /// Returns the expiry time, formatted according to RFC 3339.
    pub(crate) fn not_after(&self) -> String {
        self.parsed().validity().not_after.to_datetime().format(&Rfc3339).unwrap()
    }

    fn parsed(&self) -> X509Certificate<'_> {
        x509_parser::parse_x509_certificate(&self.0).unwrap().1
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.parsed().raw_serial_as_string())
    }
}

/// Returns the certificate of a server. Fails if a client with these roots, in PEM, does not accept it.
///
/// The server does not notice a refusal, so it does not log one.
pub(crate) async fn served(address: SocketAddr, roots: &[u8]) -> Result<Certificate, String> {
    let stream = connect(address, roots).await?;
    Ok(Certificate(stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()))
}

/// Gets a page from the port of the webhook, with these roots and without a client certificate. Returns the status
/// line, headers and body.
pub(crate) async fn page(address: SocketAddr, roots: &[u8], path: &str) -> Result<String, String> {
    let mut stream = connect(address, roots).await?;
    let exchange = async {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = timeout(DEADLINE, exchange).await.map_err(|_| "no answer in time")?;
    answer.map_err(|error| error.to_string())
}

async fn connect(address: SocketAddr, roots: &[u8]) -> Result<TlsStream<TcpStream>, String> {
    let mut store = RootCertStore::empty();
    // Invalid certificates are skipped, as in the API server.
    store.add_parsable_certificates(Certificate::all(roots).into_iter().map(|root| root.0.into()));
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(store.into(), provider.clone());
    let verifier = verifier.build().map_err(|error| error.to_string())?;
    let trusting = Arc::new(Trusting::new(Some(verifier)));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(trusting.clone())
        .with_no_client_auth();
    let handshake = async {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from(HOST).unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    let stream = timeout(DEADLINE, handshake).await.map_err(|_| "no handshake in time")?;
    let stream = stream.map_err(|error| error.to_string())?;
    match trusting.refusal.lock().unwrap().take() {
        Some(refusal) => Err(refusal.to_string()),
        None => Ok(stream),
    }
}
