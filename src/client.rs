//! A client for one HTTPS request: a review that is posted to a running webhook.
//!
//! It deliberately uses no proxies and client certificates, follows no redirects, and keeps no connections.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Request, StatusCode,
    client::conn::http1,
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::client::TlsStream;

use crate::{
    https_url::HttpsUrl,
    tls::{Roots, ServerName, connector},
};

/// Timeout for everything from the look-up of the name to the end of the answer. The API server has the same default.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum size of an answer in bytes. The patch of a pod has a few kilobytes.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

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
    let name = ServerName::try_from(url.host().to_owned()).map_err(|error| tls(&error))?;
    let stream =
        TcpStream::connect((url.host(), url.port())).await.map_err(ClientError::Connect)?;
    connector.connect(name, stream).await.map_err(|error| tls(&error))
}

async fn exchange(
    stream: TlsStream<TcpStream>,
    url: &HttpsUrl,
    body: String,
) -> Result<HttpAnswer, ClientError> {
    let request = Request::post(url.path_and_query())
        .header(HOST, url.authority())
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
