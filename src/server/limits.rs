//! The limits on what peers may ask of the server.

use std::time::Duration;

/// Limits on what peers may ask of the server, in time and memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum size of a request's body in bytes; a larger one is answered with 413.
    pub max_body_bytes: usize,
    /// Maximum size in bytes of large bodies at once, of requests and answers over all connections; beyond it requests are
    /// answered with 503.
    pub max_buffered_bytes: usize,
    /// Maximum number of requests that wait for their bodies at once, over all connections; beyond it each connection may
    /// have a few, and others are answered with 503.
    pub max_waiting: usize,
    /// Maximum number of connections of the webhook; beyond it new ones wait in the listen queue of the system.
    pub max_connections: usize,
    /// Maximum number of connections of the admin port; likewise.
    pub max_admin_connections: usize,
    /// Timeout for a TLS handshake.
    pub handshake_timeout: Duration,
    /// Timeout for the headers of the first request of a connection.
    pub header_timeout: Duration,
    /// Timeout for a body; a slower one is answered with 408.
    pub body_timeout: Duration,
    /// Idle timeout of a connection after its first request. Over HTTP/1.1 it is the timeout for the headers of the next
    /// request too, because the two cannot be told apart.
    pub idle_timeout: Duration,
    /// Timeout for the orderly end of a connection.
    pub close_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // The API server takes objects of 3 MiB; an update carries two, and some fields more.
            max_body_bytes: 8 * 1024 * 1024,
            // Thirty-two of the largest bodies at once; pods of common size never come near it.
            max_buffered_bytes: 256 * 1024 * 1024,
            // Some 100 MB. An API server sends a body together with its headers.
            max_waiting: 16_384,
            // An API server speaks HTTP/1.1 to a Service, so that it has one for each call at once, and keeps
            // 25 of them. The rest is for attackers, who then hold some 25 MB when they send nothing, and
            // some 320 MB when they read nothing (docs/reliability.md): less than the 512 Mi that the
            // Deployment allows.
            max_connections: 1024,
            // The kubelet and Prometheus hold a few.
            max_admin_connections: 1024,
            // The API server gives up on a webhook after at most 30 s, by default after 10 s, so a
            // slower peer waits for nothing.
            handshake_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(10),
            // Longer than the API server keeps an idle connection (90 s in Go's client), so that
            // it is the client who closes, and no request crosses with the closing: Go does not repeat a
            // POST that may have arrived.
            idle_timeout: Duration::from_mins(3),
            close_timeout: Duration::from_secs(10),
        }
    }
}
