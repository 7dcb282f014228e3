//! A client over real TLS, for HTTP/1.1 and HTTP/2.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Method, Request, StatusCode,
    body::{Body, Frame, SizeHint},
    client::conn::{http1, http2},
    header::{CONTENT_TYPE, HOST, HeaderValue},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, task::JoinSet, time::timeout};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        self, ClientConfig, HandshakeKind, SupportedProtocolVersion,
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    },
};

use crate::trusting::Trusting;

/// The longest that any single step of a test may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The versions of TLS that a client can speak.
pub(crate) use rustls::ALL_VERSIONS;

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

pub(crate) const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

/// One connection to the webhook.
pub(crate) struct Client {
    sender: Sender,
    /// The certificate that the server showed.
    pub(crate) certificate: CertificateDer<'static>,
    /// Whether the handshake was a full one or went on with an old session.
    pub(crate) handshake: HandshakeKind,
    /// Ends when the connection has ended.
    pub(crate) ended: tokio::task::JoinHandle<hyper::Result<()>>,
}

enum Sender {
    Http1(http1::SendRequest<Pieces>),
    Http2(http2::SendRequest<Pieces>),
}

/// What the server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// The server went away in order, and says that it did not begin with the request: the client
    /// is to send it again elsewhere (RFC 9113, section 6.8).
    GivenUp,
    /// The connection was not there, or ended before the request was sent.
    NotSent(String),
    /// The request was sent and lost.
    Lost(String),
}

impl Client {
    /// Connects, and speaks `protocol`.
    pub(crate) async fn connect(address: SocketAddr, protocol: Protocol) -> Result<Self, NoAnswer> {
        match timeout(DEADLINE, TcpStream::connect(address)).await.unwrap() {
            Ok(stream) => Self::over(stream, protocol).await,
            Err(error) => Err(NoAnswer::NotSent(error.to_string())),
        }
    }

    /// Connects with these settings, and speaks what was agreed on.
    pub(crate) async fn with(
        address: SocketAddr,
        config: &Arc<ClientConfig>,
    ) -> Result<Self, NoAnswer> {
        let stream = timeout(DEADLINE, TcpStream::connect(address)).await.unwrap().unwrap();
        Self::over_tls(tls_over(stream, config.clone()).await).await
    }

    /// Speaks `protocol` over a connection that is there.
    pub(crate) async fn over(stream: TcpStream, protocol: Protocol) -> Result<Self, NoAnswer> {
        Self::over_tls(tls_over(stream, config(protocol, None, ALL_VERSIONS).into()).await).await
    }

    async fn over_tls(stream: std::io::Result<TlsStream<TcpStream>>) -> Result<Self, NoAnswer> {
        let not_sent = |error: String| NoAnswer::NotSent(error);
        let stream = stream.map_err(|error| not_sent(error.to_string()))?;
        let tls = stream.get_ref().1;
        let certificate = tls.peer_certificates().unwrap()[0].clone().into_owned();
        let handshake = tls.handshake_kind().unwrap();
        let protocol = match tls.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        let stream = TokioIo::new(stream);
        let (sender, ended) = match protocol {
            Protocol::Http1 => {
                let (sender, connection) =
                    http1::handshake(stream).await.map_err(|error| not_sent(error.to_string()))?;
                (Sender::Http1(sender), tokio::spawn(connection))
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream)
                    .await
                    .map_err(|error| not_sent(error.to_string()))?;
                (Sender::Http2(sender), tokio::spawn(connection))
            }
        };
        Ok(Self { sender, certificate, handshake, ended })
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: Pieces,
    ) -> Result<Answer, NoAnswer> {
        let mut request = Request::builder().method(method);
        if let Some(content_type) = content_type {
            // As bytes, which may be other than ASCII.
            request = request.header(CONTENT_TYPE, content_type.as_bytes());
        }
        let answer = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await.map_err(|error| NoAnswer::NotSent(error.to_string()))?;
                let request = request.uri(path).header(HOST, "localhost").body(body).unwrap();
                timeout(DEADLINE, sender.try_send_request(request)).await.unwrap()
            }
            Sender::Http2(sender) => {
                sender.ready().await.map_err(|error| NoAnswer::NotSent(error.to_string()))?;
                let uri = format!("https://localhost{path}");
                let request = request.uri(uri).body(body).unwrap();
                timeout(DEADLINE, sender.try_send_request(request)).await.unwrap()
            }
        };
        // A request that comes back with the error was never sent.
        let answer = answer.map_err(|mut error| match error.take_message() {
            Some(_) => NoAnswer::NotSent(error.into_error().to_string()),
            None => no_answer(&error.into_error()),
        })?;
        let (parts, body) = answer.into_parts();
        let body = timeout(DEADLINE, body.collect()).await.unwrap();
        let body = body.map_err(|error| NoAnswer::Lost(error.to_string()))?.to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    /// Posts a review.
    pub(crate) async fn post(&mut self, body: impl Into<Pieces>) -> Result<Answer, NoAnswer> {
        self.send(Method::POST, "/?timeout=10s", Some("application/json"), body.into()).await
    }

    /// Gets a page.
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, None, Pieces::default()).await.unwrap()
    }
}

/// What became of a request that was handed over and failed.
fn no_answer(error: &hyper::Error) -> NoAnswer {
    let error = format!("{error:?}");
    // Only the error of h2 tells the reason, and hyper shows it in no other way.
    if error.contains("GoAway(b\"\", NO_ERROR, Remote)") {
        NoAnswer::GivenUp
    } else {
        NoAnswer::Lost(error)
    }
}

/// Posts a review over HTTP/2 and takes no more of the answer than the smallest window lets in; the
/// rest stays with the server until the value is dropped.
pub(crate) async fn unread_answer(address: SocketAddr, review: String) -> impl Sized {
    const SMALLEST_WINDOW: u32 = 65_535;
    let stream = TokioIo::new(tls(address, Protocol::Http2).await.unwrap());
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(SMALLEST_WINDOW)
        .initial_connection_window_size(SMALLEST_WINDOW)
        .handshake(stream)
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::post("https://localhost/").header(CONTENT_TYPE, "application/json");
    let answer = sender.send_request(request.body(Pieces::from(review)).unwrap());
    let answer = timeout(DEADLINE, answer).await.unwrap().unwrap();
    (sender, answer)
}

/// Posts so many reviews over one connection that never end after their first piece; dropping the value
/// ends the connection.
pub(crate) async fn stalled_requests(
    address: SocketAddr,
    first: &'static str,
    count: usize,
) -> JoinSet<()> {
    let stream = TokioIo::new(tls(address, Protocol::Http2).await.unwrap());
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { drop(connection.await) });
    for _ in 0..count {
        let request = Request::post("https://localhost/").header(CONTENT_TYPE, "application/json");
        let answer = sender.send_request(request.body(Pieces::stalled(first)).unwrap());
        tasks.spawn(async move { drop(answer.await) });
    }
    tasks
}

/// Asks for many pages of metrics over one connection, and takes nothing of them until the value is
/// dropped.
pub(crate) async fn unread_pages(address: SocketAddr) -> impl Sized {
    const PAGES: usize = 100;
    let stream = TokioIo::new(tls(address, Protocol::Http2).await.unwrap());
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(0)
        .handshake(stream)
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut answers = Vec::new();
    for _ in 0..PAGES {
        let request = Request::get("https://localhost/metrics").body(Pieces::default()).unwrap();
        let answer = timeout(DEADLINE, sender.send_request(request)).await.unwrap();
        answers.push(answer.unwrap());
    }
    (sender, answers)
}

/// Opens a TLS connection, whatever certificate the server shows.
pub(crate) async fn tls(
    address: SocketAddr,
    protocol: Protocol,
) -> std::io::Result<TlsStream<TcpStream>> {
    tls_over(TcpStream::connect(address).await?, config(protocol, None, ALL_VERSIONS).into()).await
}

/// Who a client says it is: its certificate, those that vouch for it, and its key.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// The settings of a client that takes whatever certificate the server shows.
pub(crate) fn config(
    protocol: Protocol,
    identity: Option<&Identity>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    config_with(ring::default_provider(), protocol, identity, versions)
}

/// The same, of a client that can only do what a provider can.
pub(crate) fn config_with(
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

async fn tls_over(
    stream: TcpStream,
    config: Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    // Or a request in two packets takes the 40 ms of a delayed acknowledgement.
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").unwrap();
    let handshake = TlsConnector::from(config).connect(name, stream);
    timeout(DEADLINE, handshake).await.unwrap()
}

/// Gets a page of the admin server, over plain HTTP/1.1.
pub(crate) async fn admin_get(address: SocketAddr, path: &str) -> Answer {
    admin(address, Request::get(path).body(Pieces::default()).unwrap()).await
}

/// Posts JSON to the admin server.
pub(crate) async fn admin_post(address: SocketAddr, path: &str, body: String) -> Answer {
    let request = Request::post(path).header(CONTENT_TYPE, "application/json");
    admin(address, request.body(body.into()).unwrap()).await
}

async fn admin(address: SocketAddr, mut request: Request<Pieces>) -> Answer {
    request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = http1::handshake::<_, Pieces>(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let answer = timeout(DEADLINE, sender.send_request(request)).await.unwrap().unwrap();
    let (parts, body) = answer.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    connection.abort();
    Answer { status: parts.status, headers: parts.headers, body }
}

/// A body in pieces, of declared length or not, that ends or stalls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pieces {
    left: VecDeque<Bytes>,
    declares_length: bool,
    stalls: bool,
}

impl Pieces {
    /// A body whose length is not declared.
    pub(crate) fn chunked(pieces: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        let pieces = pieces.into_iter().map(Into::into).collect();
        Self { left: pieces, declares_length: false, stalls: false }
    }

    /// A body that never ends after its first piece.
    pub(crate) fn stalled(first: impl Into<Bytes>) -> Self {
        Self { left: [first.into()].into(), declares_length: false, stalls: true }
    }
}

impl<T: Into<Bytes>> From<T> for Pieces {
    fn from(body: T) -> Self {
        Self { left: [body.into()].into(), declares_length: true, stalls: false }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.left.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None if self.stalls => Poll::Pending,
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && !self.stalls
    }

    fn size_hint(&self) -> SizeHint {
        if self.declares_length {
            SizeHint::with_exact(self.left.iter().map(|piece| piece.len() as u64).sum())
        } else {
            SizeHint::default()
        }
    }
}
