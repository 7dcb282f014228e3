//! A client for one HTTPS request: a review that is posted to a running webhook.
//!
//! It deliberately knows no proxies, redirects and client certificates, and keeps no connections.

use std::{str::FromStr, time::Duration};

use bytes::Bytes;
use futures_util::future::join;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Request, StatusCode, Uri,
    client::conn::http1,
    header::{CONTENT_TYPE, HOST},
    http::uri::Scheme,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::client::TlsStream;

use crate::tls::{Roots, ServerName, connector};

/// Timeout for everything from the look-up of the name to the end of the answer. It is the default of the API server.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum size of an answer in bytes. The patch of a pod has a few kilobytes.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// The URL of a webhook.
#[derive(Clone, Debug)]
pub struct HttpsUrl {
    /// Host and port as they are written.
    authority: String,
    /// The host, without brackets.
    host: String,
    port: u16,
    /// Path and query.
    path: String,
}

/// A URL that is not that of a webhook.
#[derive(Debug, thiserror::Error)]
#[error("expected an https URL, such as https://imageswap.imageswap-system.svc/")]
pub struct UrlError;

/// The reason for a missing answer. The caller names the URL.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no connection.
    #[error("cannot connect: {0}")]
    Connect(#[source] std::io::Error),
    /// The request could not be sent, or the answer not be read.
    #[error("no answer: {0}")]
    Http(#[from] hyper::Error),
    /// The answer is too large, or was cut.
    #[error("the answer cannot be read: {0}")]
    Body(String),
    /// The URL cannot be used in a request.
    #[error("the request cannot be made: {0}")]
    Request(String),
    /// The handshake failed, for example because none of the roots signed the certificate.
    #[error("TLS handshake failed: {0}")]
    Tls(String),
    /// The answer did not arrive in time.
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    TimedOut,
}

/// An answer.
#[derive(Debug)]
pub struct HttpAnswer {
    /// The status.
    pub status: StatusCode,
    /// The whole body.
    pub body: Bytes,
}

impl FromStr for HttpsUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let url: Uri = text.parse().map_err(|_| UrlError)?;
        let authority = url.authority().ok_or(UrlError)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if url.scheme() != Some(&Scheme::HTTPS)
            || host.is_empty()
            || authority.as_str().contains('@')
        {
            return Err(UrlError);
        }
        Ok(Self {
            authority: authority.as_str().to_owned(),
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(443),
            path: url.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        })
    }
}

/// Posts JSON to a server whose certificate one of `roots` has signed, and returns its answer.
///
/// # Errors
/// If there is no complete answer in time.
pub async fn post_json(
    url: &HttpsUrl,
    roots: &Roots,
    body: String,
) -> Result<HttpAnswer, ClientError> {
    let exchange = async { exchange(connect(url, roots).await?, url, body).await };
    timeout(TIMEOUT, exchange).await.map_err(|_| ClientError::TimedOut)?
}

async fn connect(url: &HttpsUrl, roots: &Roots) -> Result<TlsStream<TcpStream>, ClientError> {
    let tls = |error: &dyn ToString| ClientError::Tls(error.to_string());
    let connector = connector(roots).map_err(|error| tls(&error))?;
    let name = ServerName::try_from(url.host.clone()).map_err(|error| tls(&error))?;
    let stream = TcpStream::connect((&*url.host, url.port)).await.map_err(ClientError::Connect)?;
    connector.connect(name, stream).await.map_err(|error| tls(&error))
}

async fn exchange(
    stream: TlsStream<TcpStream>,
    url: &HttpsUrl,
    body: String,
) -> Result<HttpAnswer, ClientError> {
    let request = Request::post(&url.path)
        .header(HOST, &url.authority)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| ClientError::Request(error.to_string()))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async move {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|error| {
            ClientError::Body(match error.downcast_ref::<LengthLimitError>() {
                Some(_) => format!("it is larger than {MAX_ANSWER_BYTES} bytes"),
                None => error.to_string(),
            })
        })?;
        Ok(HttpAnswer { status: parts.status, body: body.to_bytes() })
    };
    // The connection ends when its sender is dropped. Its own error shows in the exchange.
    let (answer, _) = join(exchange, connection).await;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_urls_with_a_host_are_read() {
        for (text, expected) in [
            (
                "https://imageswap.imageswap-system.svc",
                Some(("imageswap.imageswap-system.svc", 443, "/")),
            ),
            (
                "https://10.0.0.5:5000/mutate?timeout=5s",
                Some(("10.0.0.5", 5000, "/mutate?timeout=5s")),
            ),
            ("https://[fd00::1]:5000/", Some(("fd00::1", 5000, "/"))),
            ("http://10.0.0.5:5000/", None),
            ("10.0.0.5:5000", None),
            ("/mutate", None),
            ("https://user:word@host/", None),
            ("https:///", None),
        ] {
            let url = text.parse::<HttpsUrl>().ok();
            let found = url.as_ref().map(|url| (&*url.host, url.port, &*url.path));
            assert_eq!(found, expected, "{text}");
        }
    }
}
