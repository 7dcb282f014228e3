//! Accepting connections, as many as the limit allows, until told to stop.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::unconstrained,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::{
    Service, Shutdown,
    connection::{self, ConnectionError},
    throttle::Throttle,
};

/// The most connections that the system accepts ahead of the program.
///
/// Tokio's 128 would turn clients away when a node with hundreds of pods starts at once; the system
/// may allow less (`net.core.somaxconn`).
const LISTEN_QUEUE: u32 = 1024;

/// How long to wait after an error of `accept`.
///
/// The usual one is that the process is out of file descriptors, and trying again at once would
/// only spin. Some connection ends in the meantime.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// A bound port whose connections are not served yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptorDebug>,
}

/// [`TlsAcceptor`] holds keys and shows nothing of itself.
struct TlsAcceptorDebug(TlsAcceptor);

impl std::fmt::Debug for TlsAcceptorDebug {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TlsAcceptor")
    }
}

impl Listener {
    /// Binds a port, with TLS when an acceptor is given.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn bind(address: SocketAddr, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A restarted process takes over the port while old connections linger.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(LISTEN_QUEUE)?;
        let address = listener.local_addr()?;
        Ok(Self { socket: listener, address, tls: tls.map(TlsAcceptorDebug) })
    }

    /// The address that was bound, with the port that the system chose for port 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves connections until `shutdown` drains, and then until the last one has ended.
    ///
    /// Connections that the system has accepted before the drain are still served.
    pub async fn serve(self, service: Arc<Service>, shutdown: Shutdown) {
        let limits = service.limits;
        let places =
            if self.tls.is_some() { limits.max_connections } else { limits.max_admin_connections };
        let places = Arc::new(Semaphore::new(places));
        let connections = TaskTracker::new();
        let tls = self.tls.map(|tls| tls.0);
        let spawn = |stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit| {
            let (tls, service, shutdown) = (tls.clone(), service.clone(), shutdown.clone());
            connections.spawn(async move {
                let _counted = service.metrics.connection();
                match connection::serve(stream, tls, service.clone(), shutdown).await {
                    Ok(()) => {}
                    Err(error @ ConnectionError::Handshake(_)) => {
                        service.metrics.handshake_failure();
                        if let Some(suppressed) = service.complaints.pass() {
                            warn!(%peer, %error, suppressed, "a client could not connect");
                        }
                    }
                    Err(error) => debug!(%peer, %error, "connection ended"),
                }
                drop(place);
            });
        };
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.drain.cancelled() => break,
                accepted = accept(&self.socket, &places, &service.complaints) => accepted,
            };
            if let Some(((stream, peer), place)) = accepted {
                spawn(stream, peer, place);
            } else {
                let backoff = tokio::time::sleep(ACCEPT_BACKOFF);
                let _ = shutdown.drain.run_until_cancelled(backoff).await;
            }
        }
        // Those in the listen queue have sent their request to a server that was there. Tokio's
        // budget for a task would end the loop after 128 of them.
        while let Ok(Some(((stream, peer), place))) = unconstrained(timeout(
            Duration::ZERO,
            accept(&self.socket, &places, &service.complaints),
        ))
        .await
        {
            spawn(stream, peer, place);
        }
        drop(self.socket);
        connections.close();
        connections.wait().await;
    }
}

type Accepted = ((TcpStream, SocketAddr), OwnedSemaphorePermit);

/// Waits for a free place, then for a connection; none on an error, which is logged.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    complaints: &Throttle,
) -> Option<Accepted> {
    // The semaphore is never closed.
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok(accepted) => Some((accepted, place)),
        Err(error) => {
            // A peer that went away before it was accepted is no fault of this side.
            if error.kind() != io::ErrorKind::ConnectionAborted
                && let Some(suppressed) = complaints.pass()
            {
                warn!(%error, suppressed, "cannot accept connections");
            }
            None
        }
    }
}
