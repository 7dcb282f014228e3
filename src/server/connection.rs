//! One connection: handshake, HTTP/1.1 or HTTP/2, and an orderly end.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response,
    body::Incoming,
    header::{CONNECTION, HeaderValue},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{Service, Shutdown, routes, tls::HTTP_2};

/// The most streams of one HTTP/2 connection that may be open at once.
///
/// It is what Go's client, and so the API server, assumes before the server says otherwise.
const MAX_CONCURRENT_STREAMS: u32 = 250;

/// The most bytes of a request's headers. The API server sends some 300.
const MAX_HEADER_BYTES: u32 = 16 * 1024;

/// How often an idle HTTP/2 peer is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// How long it may take to say so.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a new connection may still send its first request after the drain has begun.
const FIRST_REQUEST_GRACE: Duration = Duration::from_secs(1);

/// Why a connection ended other than by an orderly close.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error("TLS handshake: {0}")]
    Handshake(io::Error),
    #[error("TLS handshake: not done in time")]
    HandshakeTimeout,
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("did not end in time")]
    CloseTimeout,
    #[error("dropped by the shutdown")]
    Aborted,
}

/// Serves one connection to its end.
pub(super) async fn serve(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    service: Arc<Service>,
    shutdown: Shutdown,
) -> Result<(), ConnectionError> {
    // An answer is written whole, so there is nothing to gain by waiting for more.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return serve_http1(stream, service, shutdown).await };
    let handshake = tokio::select! {
        handshake = timeout(service.limits.handshake_timeout, tls.accept(stream)) => handshake,
        () = shutdown.abort.cancelled() => return Err(ConnectionError::Aborted),
    };
    let stream = handshake
        .map_err(|_| ConnectionError::HandshakeTimeout)?
        .map_err(ConnectionError::Handshake)?;
    if stream.get_ref().1.alpn_protocol() == Some(HTTP_2) {
        serve_http2(stream, service, shutdown).await
    } else {
        serve_http1(stream, service, shutdown).await
    }
}

async fn serve_http1(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    service: Arc<Service>,
    shutdown: Shutdown,
) -> Result<(), ConnectionError> {
    let limits = service.limits;
    let requests = Arc::new(Requests::default());
    let counted = requests.clone();
    let handler = service_fn(move |request| {
        let (service, requests) = (service.clone(), counted.clone());
        async move {
            let mut response = requests.count(routes::answer(&service, request)).await;
            if service.health.is_draining() {
                // The client takes its next request elsewhere instead of racing with the close.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(MAX_HEADER_BYTES as usize)
        .serve_connection(TokioIo::new(stream), handler);
    drive(pin!(connection), &requests, limits, shutdown).await
}

async fn serve_http2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    service: Arc<Service>,
    shutdown: Shutdown,
) -> Result<(), ConnectionError> {
    let limits = service.limits;
    let requests = Arc::new(Requests::default());
    let counted = requests.clone();
    let handler = service_fn(move |request| {
        let (service, requests) = (service.clone(), counted.clone());
        async move {
            let response = requests.count(routes::answer(&service, request)).await;
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), handler);
    drive(pin!(connection), &requests, limits, shutdown).await
}

/// What both kinds of connections of hyper can do.
trait Connection: Future<Output = hyper::Result<()>> {
    /// Ends the connection after the requests that have begun: by `Connection: close` or GOAWAY.
    fn graceful_shutdown(self: Pin<&mut Self>);
}

impl<I, S> Connection for http1::Connection<TokioIo<I>, S>
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    S: hyper::service::HttpService<Incoming, ResBody = Full<Bytes>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        http1::Connection::graceful_shutdown(self);
    }
}

impl<I, S> Connection for http2::Connection<TokioIo<I>, S, TokioExecutor>
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    S: hyper::service::HttpService<Incoming, ResBody = Full<Bytes>>,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        http2::Connection::graceful_shutdown(self);
    }
}

/// Serves until the connection ends, is idle for too long, or is told to end.
async fn drive(
    mut connection: Pin<&mut impl Connection>,
    requests: &Requests,
    limits: super::Limits,
    shutdown: Shutdown,
) -> Result<(), ConnectionError> {
    let mut seen = 0;
    loop {
        // A peer that has asked for nothing yet gets less patience than one that is known.
        let patience = if seen == 0 { limits.header_timeout } else { limits.idle_timeout };
        tokio::select! {
            result = connection.as_mut() => return Ok(result?),
            () = shutdown.abort.cancelled() => return Err(ConnectionError::Aborted),
            () = shutdown.drain.cancelled() => break,
            () = sleep(patience) => {
                let started = requests.started();
                if started == seen && requests.none_in_flight() {
                    break;
                }
                seen = started;
            }
        }
    }
    let mut deadline = Instant::now() + limits.close_timeout;
    if requests.started() == 0 {
        // The first request may be on its way; hyper would close without reading it.
        let grace = Instant::now() + FIRST_REQUEST_GRACE;
        deadline += FIRST_REQUEST_GRACE;
        tokio::select! {
            result = connection.as_mut() => return Ok(result?),
            () = requests.first() => {}
            () = sleep_until(grace) => {}
        }
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        result = connection => Ok(result?),
        () = shutdown.abort.cancelled() => Err(ConnectionError::Aborted),
        () = sleep_until(deadline) => Err(ConnectionError::CloseTimeout),
    }
}

/// Counts the requests of one connection.
#[derive(Default)]
struct Requests {
    started: AtomicU64,
    finished: AtomicU64,
    first: tokio::sync::Notify,
}

impl Requests {
    async fn count(
        &self,
        answer: impl Future<Output = Response<Full<Bytes>>>,
    ) -> Response<Full<Bytes>> {
        if self.started.fetch_add(1, Ordering::Relaxed) == 0 {
            self.first.notify_one();
        }
        let response = answer.await;
        self.finished.fetch_add(1, Ordering::Relaxed);
        response
    }

    fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    fn none_in_flight(&self) -> bool {
        self.started() == self.finished.load(Ordering::Relaxed)
    }

    /// Waits until the first request has begun.
    async fn first(&self) {
        self.first.notified().await;
    }
}
