//! A server that answers as a script says, and records the requests.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{ACCEPT, AUTHORIZATION, HeaderName, USER_AGENT},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use crate::fixture::Pki;

/// A request as the server has seen it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) accept: String,
    pub(crate) authorization: Option<String>,
    pub(crate) user_agent: String,
    pub(crate) body: String,
}

/// An answer.
pub(crate) type Answer = Response<Full<Bytes>>;

type Script = dyn Fn(&Seen) -> Answer + Send + Sync;

/// A running server. Dropping it closes its connections.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts a server with TLS on the loopback address.
    pub(crate) async fn start(
        pki: &Pki,
        script: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::serve(listener, Some(acceptor(pki)), Arc::new(script))
    }

    /// Starts a server without TLS.
    pub(crate) async fn plain(script: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::serve(listener, None, Arc::new(script))
    }

    /// Starts a server on a socket.
    pub(crate) fn serve(
        listener: TcpListener,
        acceptor: Option<TlsAcceptor>,
        script: Arc<Script>,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = seen.clone();
        let task = tokio::spawn(async move {
            // Dropping the set ends its tasks.
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, script, seen) = (acceptor.clone(), script.clone(), record.clone());
                connections.spawn(async move {
                    match acceptor {
                        None => connection(stream, script, seen).await,
                        // A client that does not trust the certificate ends the handshake.
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                connection(stream, script, seen).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, seen, task }
    }

    /// Returns the registry in images, by name.
    pub(crate) fn registry(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    /// Returns the requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Returns methods and paths of the requests so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(|seen| format!("{} {}", seen.method, seen.uri)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A server that passes each connection to a function, which reads and writes as it likes.
pub(crate) struct RawServer {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl RawServer {
    pub(crate) async fn start<F>(serve: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream));
            }
        });
        Self { address, task }
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns the TLS of a server.
pub(crate) fn acceptor(pki: &Pki) -> TlsAcceptor {
    let certificate = CertificateDer::from(pki.pair.der.clone());
    let key = PrivateKeyDer::from_pem_slice(pki.pair.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Creates an answer.
pub(crate) fn answer(status: u16, headers: &[(HeaderName, &str)], body: &str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_owned())));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        answer.headers_mut().append(name, value.parse().unwrap());
    }
    answer
}

async fn connection<S>(stream: S, script: Arc<Script>, seen: Arc<Mutex<Vec<Seen>>>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request: Request<Incoming>| {
        let (script, seen) = (script.clone(), seen.clone());
        async move {
            let request = read(request).await?;
            seen.lock().unwrap().push(request.clone());
            Ok::<_, hyper::Error>(script(&request))
        }
    });
    // The client may close the connection at any time.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn read(request: Request<Incoming>) -> Result<Seen, hyper::Error> {
    let (parts, body) = request.into_parts();
    let header = |name| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    Ok(Seen {
        method: parts.method.to_string(),
        uri: parts.uri.to_string(),
        accept: header(ACCEPT).unwrap_or_default(),
        authorization: header(AUTHORIZATION),
        user_agent: header(USER_AGENT).unwrap_or_default(),
        body: String::from_utf8(body.collect().await?.to_bytes().into()).unwrap(),
    })
}
