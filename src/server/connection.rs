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
use futures_util::{StreamExt, stream::FuturesUnordered};
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
    sync::Notify,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    Limits, Port, Service, Shutdown, acceptor::HTTP_2, access::Access, port::Purpose, routes,
};

/// Maximum number of open streams of one HTTP/2 connection.
///
/// RFC 9113 recommends no less, and Go's client, and so the API server, assumes it before the server says
/// otherwise; beyond it that client takes another connection. A peer that lets its streams hang makes the
/// server hold some kilobytes for each.
const MAX_CONCURRENT_STREAMS: u32 = 100;

/// Maximum size of a request's headers in bytes. The API server sends some 300.
const MAX_HEADER_BYTES: u32 = 16 * 1024;

/// Timeout for the end of a connection that has not sent the headers of a request in time.
const HEADER_SLACK: Duration = Duration::from_secs(1);

/// Interval of pings to an idle HTTP/2 peer.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Timeout for the answer to a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout for the first request of a new connection after the drain has begun.
const FIRST_REQUEST_GRACE: Duration = Duration::from_secs(3);

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
    port: Port,
    service: Arc<Service>,
    shutdown: Shutdown,
) -> Result<(), ConnectionError> {
    // An answer is written whole, so there is nothing to gain by waiting for more.
    let _ = stream.set_nodelay(true);
    let Port::Webhook { tls, clients } = port else {
        return serve_http1(stream, Purpose::Admin, service, shutdown).await;
    };
    let handshake = tokio::select! {
        handshake = timeout(service.limits.handshake_timeout, tls.accept(stream)) => handshake,
        () = shutdown.abort.cancelled() => return Err(ConnectionError::Aborted),
    };
    let stream = handshake
        .map_err(|_| ConnectionError::HandshakeTimeout)?
        .map_err(ConnectionError::Handshake)?;
    let tls = stream.get_ref().1;
    let purpose = Purpose::Webhook(Access::of(clients.as_ref(), tls));
    if tls.alpn_protocol() == Some(HTTP_2) {
        serve_http2(stream, purpose, service, shutdown).await
    } else {
        serve_http1(stream, purpose, service, shutdown).await
    }
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
                // The client takes its next request elsewhere instead of racing with the close.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    // To hyper the time between two requests is a part of the time for the second one's headers, and
    // it ends that with an error. So an idle connection is closed by `drive` first, in order; as is one
    // without the headers of its first request, whose time is shorter.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle_timeout.max(limits.header_timeout) + HEADER_SLACK)
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
        // hyper moves the future of a stream several times; a pointer is less to move.
        Box::pin(async move {
            let others = requests.in_flight();
            let answer = routes::answer(&service, &requests.purpose, request, others);
            let response = requests.count(answer).await;
            Ok::<_, std::convert::Infallible>(response)
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
    limits: Limits,
    shutdown: Shutdown,
) -> Result<(), ConnectionError> {
    // Polling the cancellation token takes a lock that all connections share, and this task wakes for every packet.
    // `FuturesUnordered` polls the future only when the future itself was woken.
    let mut told_to_close = FuturesUnordered::new();
    told_to_close.push(time_to_close(requests, limits, &shutdown));
    tokio::select! {
        biased;
        result = connection.as_mut() => return Ok(result?),
        Some(told) = told_to_close.next() => told?,
    }
    connection.as_mut().graceful_shutdown();
    let time = if requests.started() == 0 { HEADER_SLACK } else { limits.close_timeout };
    tokio::select! {
        result = connection => Ok(result?),
        () = shutdown.abort.cancelled() => Err(ConnectionError::Aborted),
        () = sleep(time) => Err(ConnectionError::CloseTimeout),
    }
}

/// Waits until a connection is to be closed: it has been idle for too long, or the server drains.
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
            // There may have been requests meanwhile.
            () = sleep_until(idle_until) => {}
            () = requests.first(), if requests.started() == 0 => {}
            () = shutdown.drain.cancelled() => break,
        }
    }
    if requests.started() == 0 {
        // The first request may be on its way; hyper would close without reading it.
        tokio::select! {
            () = shutdown.abort.cancelled() => return Err(ConnectionError::Aborted),
            () = requests.first() => {}
            () = sleep(FIRST_REQUEST_GRACE) => {}
        }
    }
    Ok(())
}

/// Counts the requests of one connection.
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
        // Counts a request that is dropped, as when a client resets its stream, as finished too.
        let _finished = Finished(self);
        answer.await
    }

    fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    /// Returns the number of requests that have begun and not ended.
    fn in_flight(&self) -> u64 {
        // In this order, or one that ends in between would be missing.
        let finished = self.finished.load(Ordering::Relaxed);
        self.started().saturating_sub(finished)
    }

    /// Returns the time at which the connection will have been idle for too long; `None` while a request is in flight.
    ///
    /// The timeout is shorter for a peer that has asked for nothing yet.
    fn idle_until(&self, limits: Limits) -> Option<Instant> {
        let started = self.started();
        let is_idle = self.finished.load(Ordering::Relaxed) == started;
        let last = Duration::from_millis(self.last_finished.load(Ordering::Relaxed));
        let timeout = if started == 0 { limits.header_timeout } else { limits.idle_timeout };
        is_idle.then(|| self.opened + last + timeout)
    }

    /// Waits until the first request has begun.
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
