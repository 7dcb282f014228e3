//! Accepts connections, up to the limit, until the shutdown.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use rustix::{io::Errno, net::sockopt::set_ipv6_v6only};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::unconstrained,
    time::timeout,
};
use tracing::{Level, debug, enabled, info, warn};

use super::{
    Port, Service, Shutdown, Workers,
    connection::{self, ConnectionError},
    log_limit::LogRateLimiter,
};
use crate::excerpt::{MAX_VALUE_BYTES, excerpt};

/// Maximum number of connections in the listen queue of the system.
///
/// With Tokio's default of 128, clients would be refused when a node with hundreds of pods starts. The system may allow
/// less (`net.core.somaxconn`).
const LISTEN_QUEUE: u32 = 1024;

/// Delay after an error of `accept`.
///
/// The usual error is that the process has no free file descriptor. An immediate retry would only spin; during the
/// delay a connection may close.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// A bound port that does not serve connections yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    port: Port,
}

impl Listener {
    /// Binds a port.
    ///
    /// `[::]` accepts connections over IPv4 too, and means `0.0.0.0` if the system has no IPv6.
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

    /// Returns the bound address. If the configured port is 0, it has the port that the system chose.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves connections until `shutdown` drains, and then until the last connection is closed. Returns earlier if a
    /// worker ends.
    ///
    /// Connections that the system accepted before the drain are still served.
    pub async fn serve(self, service: Arc<Service>, workers: Workers, shutdown: Shutdown) {
        let limits = service.limits;
        let maximum = match self.port {
            Port::Admin => limits.max_admin_connections,
            Port::Webhook { .. } => limits.max_connections,
        };
        let permits = Arc::new(Semaphore::new(maximum));
        let port = self.port;
        let spawn = |stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit| {
            let (port, service, shutdown) = (port.clone(), service.clone(), shutdown.clone());
            workers.spawn(async move {
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
                () = workers.ended() => return,
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
        workers.finish().await;
    }
}

/// Logs the error of a connection: a failed handshake, which is counted too, as a warning, and others for debugging.
fn report(service: &Service, peer: SocketAddr, error: &ConnectionError) {
    let shown = || excerpt(&error.to_string(), MAX_VALUE_BYTES).into_owned();
    if let Some(reason) = error.handshake_failure() {
        service.metrics.handshake_failure(reason);
        if let Some(suppressed) = service.log_limits.handshake(reason).admit() {
            let (reason, error) = (reason.as_str(), shown());
            warn!(%peer, reason, error, suppressed, "TLS handshake failed");
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
        // With `net.ipv6.bindv6only`, the socket would not accept IPv4.
        set_ipv6_v6only(&socket, false)?;
        socket
    };
    // A restarted process must be able to bind the port while old connections are in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(LISTEN_QUEUE)
}

/// Returns true if the system has no IPv6: the kernel does not support it, or no interface has an address.
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
    // Without the runtime of this task: a worker has its own.
    let accepted = listener.accept().await;
    match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
        Ok(accepted) => Some((accepted, permit)),
        Err(error) => {
            // The client closed the connection before it was accepted, which is not worth a warning.
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
    use super::*;

    #[tokio::test]
    async fn the_unspecified_address_accepts_ipv4_too() {
        let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
        let port = Listener::bind(any, Port::Admin).unwrap();
        // This also works with `net.ipv6.bindv6only`, and without IPv6.
        TcpStream::connect((Ipv4Addr::LOCALHOST, port.address().port())).unwrap();
    }

    #[test]
    fn a_system_without_ipv6_is_distinguished_from_a_port_in_use() {
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
