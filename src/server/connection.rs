//! One connection: handshake, HTTP/1.1 or HTTP/2, and a graceful close.

use std::{
    convert::Infallible,
    error::Error,
    future::Future,
    io, net,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use http_body_util::Full;
use hyper::{
    Response,
    body::Incoming,
    header::{CONNECTION, HeaderValue},
    server::conn::{http1, http2},
    service::{HttpService, service_fn},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader},
    net::TcpStream,
    sync::Notify,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::{Level, debug, enabled};

use super::{
    Limits, Port, Service, Shutdown, acceptor::HTTP_2, access::Access, handshake::HandshakeFailure,
    port::Purpose, routes,
};
use crate::excerpt::{MAX_VALUE_BYTES, excerpt};

/// Maximum number of open streams of one HTTP/2 connection.
///
/// RFC 9113 recommends at least 100. Go's client, and so the API server, assumes 100 until it receives the setting, and
/// opens another connection for more streams. A stream that a peer never finishes costs the server some kilobytes.
const MAX_CONCURRENT_STREAMS: u32 = 100;

/// Maximum size of a request's headers in bytes. The API server sends some 300.
const MAX_HEADER_BYTES: u32 = 16 * 1024;

/// Size of a read from the network in bytes. rustls reads 4 KiB at a time, so a usual review would take a second system
/// call. Each connection has this much memory.
const READ_BYTES: usize = 8 * 1024;

/// Timeout for the close of a connection on which no request was received.
const UNUSED_CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Interval of pings to an idle HTTP/2 peer.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Timeout for the answer to a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout for the first request of a new connection after the drain has begun.
const FIRST_REQUEST_GRACE: Duration = Duration::from_secs(3);

/// The reason why a connection was not closed gracefully.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error("TLS handshake: {0}")]
    Handshake(io::Error),
    #[error("TLS handshake timed out")]
    HandshakeTimeout,
    #[error("closed before the first byte")]
    Unused,
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("close timed out")]
    CloseTimeout,
    #[error("dropped at shutdown")]
    Aborted,
    #[error("cannot wait for its events: {0}")]
    Unwatched(io::Error),
}

impl ConnectionError {
    /// Returns the kind of a failed handshake; `None` for other errors.
    pub(super) fn handshake_failure(&self) -> Option<HandshakeFailure> {
        match self {
            Self::Handshake(error) => Some(HandshakeFailure::of(error)),
            Self::HandshakeTimeout => Some(HandshakeFailure::Timeout),
            Self::Unused
            | Self::Http(_)
            | Self::CloseTimeout
            | Self::Aborted
            | Self::Unwatched(_) => None,
        }
    }
}

/// Serves a connection until it is closed. The stream is non-blocking, and belongs to no runtime yet.
pub(super) async fn serve(
    stream: net::TcpStream,
    port: Port,
    service: Arc<Service>,
    shutdown: Shutdown,
) -> Result<(), ConnectionError> {
    let stream = TcpStream::from_std(stream).map_err(ConnectionError::Unwatched)?;
    // An answer is written in one piece, so Nagle's algorithm would only add a delay.
    let _ = stream.set_nodelay(true);
    let Port::Webhook { tls, clients } = port else {
        return serve_http1(stream, Purpose::Admin, service, shutdown).await;
    };
    let stream = BufReader::with_capacity(READ_BYTES, stream);
    let handshake = tokio::select! {
        handshake = timeout(service.limits.handshake_timeout, handshake(stream, &tls)) => handshake,
        () = shutdown.abort.cancelled() => return Err(ConnectionError::Aborted),
    };
    let stream = handshake.map_err(|_| ConnectionError::HandshakeTimeout)??;
    let tls = stream.get_ref().1;
    let purpose = Purpose::Webhook(Access::of(clients.as_ref(), tls));
    let is_http2 = tls.alpn_protocol() == Some(HTTP_2);
    if enabled!(Level::DEBUG)
        && let Some(suppressed) = service.log_limits.established.admit()
    {
        let protocol = if is_http2 { "HTTP/2" } else { "HTTP/1.1" };
        let server_name = excerpt(tls.server_name().unwrap_or_default(), MAX_VALUE_BYTES);
        debug!(protocol, %server_name, suppressed, "connection established");
    }
    if is_http2 {
        serve_http2(stream, purpose, service, shutdown).await
    } else {
        serve_http1(stream, purpose, service, shutdown).await
    }
}

async fn handshake(
    stream: BufReader<TcpStream>,
    tls: &TlsAcceptor,
) -> Result<TlsStream<BufReader<TcpStream>>, ConnectionError> {
    // Health checks of load balancers connect and close, or reset, without a byte. They are not failed handshakes.
    if !matches!(stream.get_ref().peek(&mut [0]).await, Ok(1)) {
        return Err(ConnectionError::Unused);
    }
    tls.accept(stream).await.map_err(ConnectionError::Handshake)
}

async fn serve_http1(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    purpose: Purpose,
    service: Arc<Service>,
    shutdown: Shutdown,
) -> Result<(), ConnectionError> {
    let limits = service.limits;
    let requests = Arc::new(Requests::new(purpose));
    let counted = requests.clone();
    let handler = service_fn(move |request| {
        let (service, requests) = (service.clone(), counted.clone());
        async move {
            let others = requests.in_flight();
            let answer = routes::answer(&service, &requests.purpose, request, others);
            let mut response = requests.count(answer).await;
            if service.readiness.is_draining() {
                // The client sends its next request elsewhere, and does not race with the close.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    // hyper's header timeout is off: it needs a timer for each request, and includes the idle time before it, so it could
    // only repeat what `drive` does. `drive` closes a connection that has sent no whole headers for too long.
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_header_size(MAX_HEADER_BYTES as usize)
        .serve_connection(TokioIo::new(stream), handler);
    drive(pin!(connection), &requests, limits, shutdown).await
}

async fn serve_http2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    purpose: Purpose,
    service: Arc<Service>,
    shutdown: Shutdown,
) -> Result<(), ConnectionError> {
    let limits = service.limits;
    let requests = Arc::new(Requests::new(purpose));
    let counted = requests.clone();
    let handler = service_fn(move |request| {
        let (service, requests) = (service.clone(), counted.clone());
        // hyper moves the future of a stream several times, and a pointer is cheaper to move.
        Box::pin(async move {
            let others = requests.in_flight();
            let answer = routes::answer(&service, &requests.purpose, request, others);
            let response = requests.count(answer).await;
            Ok::<_, Infallible>(response)
        })
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

/// The common methods of hyper's HTTP/1.1 and HTTP/2 connections.
trait Connection: Future<Output = hyper::Result<()>> {
    /// Closes the connection after the requests in flight, with `Connection: close` or GOAWAY.
    fn graceful_shutdown(self: Pin<&mut Self>);
}

impl<I, S> Connection for http1::Connection<TokioIo<I>, S>
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    S: HttpService<Incoming, ResBody = Full<Bytes>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        http1::Connection::graceful_shutdown(self);
    }
}

impl<I, S> Connection for http2::Connection<TokioIo<I>, S, TokioExecutor>
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    S: HttpService<Incoming, ResBody = Full<Bytes>>,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        http2::Connection::graceful_shutdown(self);
    }
}

/// Serves a connection until the peer closes it, it has been idle for too long, or the server shuts down.
async fn drive(
    mut connection: Pin<&mut impl Connection>,
    requests: &Requests,
    limits: Limits,
    shutdown: Shutdown,
) -> Result<(), ConnectionError> {
    // Polling the cancellation token takes a lock that all connections share, and this task wakes for every packet.
    // `FuturesUnordered` polls the future only when the future itself was woken.
    let mut close_signal = FuturesUnordered::new();
    close_signal.push(time_to_close(requests, limits, &shutdown));
    tokio::select! {
        biased;
        result = connection.as_mut() => return Ok(result?),
        Some(signal) = close_signal.next() => signal?,
    }
    connection.as_mut().graceful_shutdown();
    let time = if requests.started() == 0 { UNUSED_CLOSE_TIMEOUT } else { limits.close_timeout };
    tokio::select! {
        result = connection => Ok(result?),
        () = shutdown.abort.cancelled() => Err(ConnectionError::Aborted),
        () = sleep(time) => Err(ConnectionError::CloseTimeout),
    }
}

/// Waits until it is time to close a connection: it has been idle for too long, or the server drains.
async fn time_to_close(
    requests: &Requests,
    limits: Limits,
    shutdown: &Shutdown,
) -> Result<(), ConnectionError> {
    loop {
        let idle_until = requests.idle_until(limits);
        if idle_until.is_some_and(|until| until <= Instant::now()) {
            return Ok(());
        }
        let idle_until = idle_until.unwrap_or_else(|| Instant::now() + limits.idle_timeout);
        tokio::select! {
            () = shutdown.abort.cancelled() => return Err(ConnectionError::Aborted),
            // The connection may have had requests in the meantime.
            () = sleep_until(idle_until) => {}
            () = requests.first(), if requests.started() == 0 => {}
            () = shutdown.drain.cancelled() => break,
        }
    }
    if requests.started() == 0 {
        // The first request may be in transit; hyper would close the connection without reading it.
        tokio::select! {
            () = shutdown.abort.cancelled() => return Err(ConnectionError::Aborted),
            () = requests.first() => {}
            () = sleep(FIRST_REQUEST_GRACE) => {}
        }
    }
    Ok(())
}

/// Counts the requests of a connection.
struct Requests {
    purpose: Purpose,
    opened: Instant,
    started: AtomicU64,
    finished: AtomicU64,
    /// Time of the last answer, in milliseconds after the connection was opened.
    last_finished: AtomicU64,
    first: Notify,
}

impl Requests {
    fn new(purpose: Purpose) -> Self {
        Self {
            purpose,
            opened: Instant::now(),
            started: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            last_finished: AtomicU64::new(0),
            first: Notify::new(),
        }
    }

    async fn count(
        &self,
        answer: impl Future<Output = Response<Full<Bytes>>>,
    ) -> Response<Full<Bytes>> {
        if self.started.fetch_add(1, Ordering::Relaxed) == 0 {
            self.first.notify_one();
        }
        // A dropped request counts as finished too, for example if the client resets its stream.
        let _finished = Finished(self);
        answer.await
    }

    fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    /// Returns the number of requests in flight.
    fn in_flight(&self) -> u64 {
        // `finished` is read first. Otherwise a request that finishes in between would not be counted.
        let finished = self.finished.load(Ordering::Relaxed);
        self.started().saturating_sub(finished)
    }

    /// Returns the time at which the idle timeout expires; `None` while a request is in flight.
    ///
    /// The timeout is shorter for a peer that has sent no request yet.
    fn idle_until(&self, limits: Limits) -> Option<Instant> {
        let started = self.started();
        let is_idle = self.finished.load(Ordering::Relaxed) == started;
        let last = Duration::from_millis(self.last_finished.load(Ordering::Relaxed));
        let timeout = if started == 0 { limits.header_timeout } else { limits.idle_timeout };
        is_idle.then(|| self.opened + last + timeout)
    }

    /// Waits for the first request.
    async fn first(&self) {
        self.first.notified().await;
    }
}

struct Finished<'a>(&'a Requests);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        let after = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last_finished.store(after, Ordering::Relaxed);
        self.0.finished.fetch_add(1, Ordering::Relaxed);
    }
}
