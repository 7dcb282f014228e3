//! A client over real TLS, for HTTP/1.1 and HTTP/2.

use std::{io, net::SocketAddr, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Method, Request, StatusCode,
    client::conn::{http1, http2},
    header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::{
    net::TcpStream,
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_rustls::{
    client::TlsStream,
    rustls::{ClientConfig, HandshakeKind, pki_types::CertificateDer},
};

use crate::{
    body::Pieces,
    tls::{ALL_VERSIONS, Protocol, config, tls, tls_over},
    wait::DEADLINE,
};

/// A connection to the webhook.
pub struct Client {
    sender: Sender,
    /// The certificate of the server.
    pub certificate: CertificateDer<'static>,
    /// The kind of handshake: full, or resumed from an earlier session.
    pub handshake: HandshakeKind,
    /// The task of the connection, which ends together with it.
    pub ended: JoinHandle<hyper::Result<()>>,
}

enum Sender {
    Http1(http1::SendRequest<Pieces>),
    Http2(http2::SendRequest<Pieces>),
}

/// A complete answer.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, which is UTF-8.
    pub body: String,
}

/// The reason for a missing answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// The server closed the connection with GOAWAY before it processed the request. The client may send the request
    /// again elsewhere (RFC 9113, section 6.8).
    GivenUp,
    /// There was no connection, or it was closed before the request was sent.
    NotSent(String),
    /// The request was sent, but not answered.
    Lost(String),
}

impl Client {
    /// Connects with `protocol`.
    pub async fn connect(address: SocketAddr, protocol: Protocol) -> Result<Self, NoAnswer> {
        match timeout(DEADLINE, TcpStream::connect(address)).await.unwrap() {
            Ok(stream) => Self::over(stream, protocol).await,
            Err(error) => Err(NoAnswer::NotSent(error.to_string())),
        }
    }

    /// Connects with a TLS configuration; ALPN chooses the protocol.
    pub async fn with(address: SocketAddr, config: &Arc<ClientConfig>) -> Result<Self, NoAnswer> {
        let stream = timeout(DEADLINE, TcpStream::connect(address)).await.unwrap().unwrap();
        Self::over_tls(tls_over(stream, config.clone()).await).await
    }

    /// Uses an open TCP connection with `protocol`.
    pub async fn over(stream: TcpStream, protocol: Protocol) -> Result<Self, NoAnswer> {
        Self::over_tls(tls_over(stream, config(protocol, None, ALL_VERSIONS).into()).await).await
    }

    async fn over_tls(stream: io::Result<TlsStream<TcpStream>>) -> Result<Self, NoAnswer> {
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

    /// Sends a request, and reads the complete answer.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: Pieces,
    ) -> Result<Answer, NoAnswer> {
        let mut request = Request::builder().method(method);
        if let Some(content_type) = content_type {
            // As bytes, because some tests send characters outside of ASCII.
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
        // If the error contains the request, it was never sent.
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
    pub async fn post(&mut self, body: impl Into<Pieces>) -> Result<Answer, NoAnswer> {
        self.send(Method::POST, "/?timeout=10s", Some("application/json"), body.into()).await
    }

    /// Gets a page.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, None, Pieces::default()).await.unwrap()
    }
}

/// Classifies the error of a request that was handed to the connection.
fn no_answer(error: &hyper::Error) -> NoAnswer {
    let error = format!("{error:?}");
    // The reason is in the error of h2, which hyper only shows with `Debug`.
    if error.contains("GoAway(b\"\", NO_ERROR, Remote)") {
        NoAnswer::GivenUp
    } else {
        NoAnswer::Lost(error)
    }
}

/// Posts a review over HTTP/2 and reads no more of the answer than the default window allows.
///
/// The server keeps the rest until the value is dropped.
pub async fn unread_answer(address: SocketAddr, review: String) -> impl Sized {
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

/// Posts `count` reviews over one connection, whose bodies stall after their first piece.
///
/// Dropping the value closes the connection.
pub async fn stalled_requests(
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

/// Requests many metrics pages over one connection and reads none of them.
///
/// The server keeps them until the value is dropped.
pub async fn unread_pages(address: SocketAddr) -> impl Sized {
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

/// Gets a page of the admin port, over plain HTTP/1.1.
pub async fn admin_get(address: SocketAddr, path: &str) -> Answer {
    admin(address, Request::get(path).body(Pieces::default()).unwrap()).await
}

/// Gets a page of the admin port in the form of JSON.
pub async fn admin_get_json(address: SocketAddr, path: &str) -> Value {
    let request = Request::get(path).header(ACCEPT, "application/json");
    let answer = admin(address, request.body(Pieces::default()).unwrap()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

/// Posts JSON to the admin port.
pub async fn admin_post(address: SocketAddr, path: &str, body: String) -> Answer {
    let request = Request::post(path).header(CONTENT_TYPE, "application/json");
    admin(address, request.body(body.into()).unwrap()).await
}

/// Sends a request to the admin server.
pub async fn admin_send(
    address: SocketAddr,
    method: Method,
    path: &str,
    content_type: Option<&str>,
    body: Pieces,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(content_type) = content_type {
        request = request.header(CONTENT_TYPE, content_type);
    }
    admin(address, request.body(body).unwrap()).await
}

/// Returns the image that the first operation of an answer's patch sets.
pub fn first_image(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let patch = STANDARD.decode(body["response"]["patch"].as_str().unwrap()).unwrap();
    let patch: Value = serde_json::from_slice(&patch).unwrap();
    patch[0]["value"].as_str().unwrap().to_owned()
}

/// Sends a request to the admin server. Without a host, it is `localhost`.
pub async fn admin(address: SocketAddr, mut request: Request<Pieces>) -> Answer {
    request.headers_mut().entry(HOST).or_insert(HeaderValue::from_static("localhost"));
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = http1::handshake::<_, Pieces>(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let answer = timeout(DEADLINE, sender.send_request(request)).await.unwrap().unwrap();
    let (parts, body) = answer.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    connection.abort();
    Answer { status: parts.status, headers: parts.headers, body }
}
