//! Accepting connections, as many as the limit allows, until told to stop.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rustix::{io::Errno, net::sockopt::set_ipv6_v6only};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::unconstrained,
    time::timeout,
};
use tokio_util::task::TaskTracker;
use tracing::{Level, debug, enabled, info, warn};

use super::{
    Port, Service, Shutdown,
    connection::{self, ConnectionError},
    log_limit::LogRateLimiter,
};
use crate::excerpt::{MAX_VALUE_BYTES, excerpt};

/// Maximum number of connections that the system accepts ahead of the program.
///
/// Tokio's 128 would turn clients away when a node with hundreds of pods starts at once; the system
/// may allow less (`net.core.somaxconn`).
const LISTEN_QUEUE: u32 = 1024;

/// Delay after an error of `accept`.
///
/// The usual one is that the process is out of file descriptors, and trying again at once would
/// only spin. Some connection ends in the meantime.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// A bound port whose connections are not served yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    port: Port,
}

impl Listener {
    /// Binds a port.
    ///
    /// `[::]` takes connections over IPv4 too, and stands for `0.0.0.0` where the system has no IPv6.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn bind(address: SocketAddr, port: Port) -> io::Result<Self> {
        let socket = match listen(address) {
            Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && is_without_ipv6(&error) => {
                let fallback = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
                let socket = listen(fallback)?;
                info!(%address, %fallback, %error, "IPv6 is not available, listening on IPv4");
                socket
            }
            listened => listened?,
        };
        let address = socket.local_addr()?;
        Ok(Self { socket, address, port })
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
        let maximum = match self.port {
            Port::Admin => limits.max_admin_connections,
            Port::Webhook { .. } => limits.max_connections,
        };
        let permits = Arc::new(Semaphore::new(maximum));
        let connections = TaskTracker::new();
        let port = self.port;
        let spawn = |stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit| {
            let (port, service, shutdown) = (port.clone(), service.clone(), shutdown.clone());
            connections.spawn(async move {
                let _counted = service.metrics.connection();
                let served = connection::serve(stream, port, service.clone(), shutdown).await;
                if let Err(error) = served {
                    report(&service, peer, &error);
                }
                drop(permit);
            });
        };
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.drain.cancelled() => break,
                accepted = accept(&self.socket, &permits, &service.log_limits.accept) => accepted,
            };
            if let Some(((stream, peer), permit)) = accepted {
                spawn(stream, peer, permit);
            } else {
                let backoff = tokio::time::sleep(ACCEPT_BACKOFF);
                let _ = shutdown.drain.run_until_cancelled(backoff).await;
            }
        }
        // Connections in the backlog were accepted by the kernel before the drain, so serve them. `unconstrained` keeps
        // Tokio's cooperative budget from ending this loop early.
        while let Ok(Some(((stream, peer), permit))) = unconstrained(timeout(
            Duration::ZERO,
            accept(&self.socket, &permits, &service.log_limits.accept),
        ))
        .await
        {
            spawn(stream, peer, permit);
        }
        drop(self.socket);
        connections.close();
        connections.wait().await;
    }
}

/// Counts a connection that failed in its handshake, and logs it; any other is logged for debugging only.
fn report(service: &Service, peer: SocketAddr, error: &ConnectionError) {
    let shown = || excerpt(&error.to_string(), MAX_VALUE_BYTES).into_owned();
    if matches!(error, ConnectionError::Handshake(_)) {
        service.metrics.handshake_failure();
        if let Some(suppressed) = service.log_limits.handshake.admit() {
            warn!(%peer, error = shown(), suppressed, "TLS handshake failed");
        }
    } else if enabled!(Level::DEBUG)
        && let Some(suppressed) = service.log_limits.ended.admit()
    {
        debug!(%peer, error = shown(), suppressed, "connection ended");
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        let socket = TcpSocket::new_v6()?;
        // Under `net.ipv6.bindv6only` the address would be without IPv4.
        set_ipv6_v6only(&socket, false)?;
        socket
    };
    // A restarted process takes over the port while old connections linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(LISTEN_QUEUE)
}

/// Returns true for the errors of a system without IPv6: it is not in the kernel, or no interface has it.
fn is_without_ipv6(error: &io::Error) -> bool {
    let without = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| without.contains(&code))
}

type Accepted = ((TcpStream, SocketAddr), OwnedSemaphorePermit);

/// Waits for a permit, then for a connection; returns `None` on an error, which is logged.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
    log_limit: &LogRateLimiter,
) -> Option<Accepted> {
    // The semaphore is never closed.
    let permit = permits.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok(accepted) => Some((accepted, permit)),
        Err(error) => {
            // The client left before it was accepted, which is not worth a warning.
            if error.kind() != io::ErrorKind::ConnectionAborted
                && let Some(suppressed) = log_limit.admit()
            {
                warn!(%error, suppressed, "cannot accept connections");
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn the_unspecified_address_takes_ipv4_too() {
        let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
        let port = Listener::bind(any, Port::Admin).unwrap();
        // Also under `net.ipv6.bindv6only`, and without IPv6.
        TcpStream::connect((Ipv4Addr::LOCALHOST, port.address().port())).unwrap();
    }

    #[test]
    fn a_system_without_ipv6_is_told_from_a_port_that_is_taken() {
        for (error, expected) in [
            (Errno::AFNOSUPPORT, true),
            (Errno::ADDRNOTAVAIL, true),
            (Errno::ADDRINUSE, false),
            (Errno::ACCESS, false),
        ] {
            assert_eq!(is_without_ipv6(&error.into()), expected, "{error}");
        }
    }
}
