//! The limits of the server in time and memory.

use std::time::Duration;

/// Limits for peers, in time and memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum size of a request body in bytes. Larger requests are rejected with 413.
    pub max_body_bytes: usize,
    /// Maximum total size in bytes of large bodies of requests and answers, over all connections. Beyond it, requests
    /// are rejected with 503.
    pub max_buffered_bytes: usize,
    /// Maximum number of requests that wait for their bodies, over all connections. Beyond it, each connection may have
    /// a few, and other requests are rejected with 503.
    pub max_waiting: usize,
    /// Maximum total size in bytes of reviews that wait for registries. Beyond it, reviews are answered without
    /// waiting.
    pub max_asking_bytes: usize,
    /// Maximum number of connections of the webhook port. Beyond it, new ones wait in the listen queue of the system.
    pub max_connections: usize,
    /// Maximum number of connections of the admin port. Beyond it, new ones wait in the listen queue of the system.
    pub max_admin_connections: usize,
    /// Timeout for a TLS handshake.
    pub handshake_timeout: Duration,
    /// Timeout for the headers of the first request of a connection.
    pub header_timeout: Duration,
    /// Timeout for a body. Slower requests are rejected with 408.
    pub body_timeout: Duration,
    /// Idle timeout of a connection after its first request. For HTTP/1.1 it is also the timeout for the headers of the
    /// next request, because the server cannot distinguish the two.
    pub idle_timeout: Duration,
    /// Timeout for the graceful close of a connection.
    pub close_timeout: Duration,
    /// Maximum time for which the startup probe waits for readiness.
    pub startup_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // The API server limits objects to 3 MiB and sends two of them on an update, with some other fields.
            max_body_bytes: 8 * 1024 * 1024,
            // Thirty-two bodies of the maximum size; pods of usual size never need that much.
            max_buffered_bytes: 256 * 1024 * 1024,
            // These take some 140 MB. An API server sends a body together with its headers, so its requests rarely
            // wait.
            max_waiting: 16_384,
            // Some 2,700 reviews of usual size.
            max_asking_bytes: 64 * 1024 * 1024,
            // An API server uses HTTP/1.1 for a Service, so it needs a connection for each concurrent call, and keeps
            // 25 of them. The maximum also bounds attackers: their connections take some 40 MB if they send nothing,
            // and some 330 MB if they read nothing (docs/reliability.md), which is less than the 512 Mi of the
            // Deployment.
            max_connections: 1024,
            // The kubelet and Prometheus need a few.
            max_admin_connections: 1024,
            // The API server's timeout for a webhook is at most 30 s, and 10 s by default, so a slower peer no longer
            // waits for an answer.
            handshake_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(10),
            // Longer than the API server keeps an idle connection (90 s in Go's client), so that the client closes it,
            // and no request is lost in a close by the server: Go does not repeat a POST that may have arrived.
            idle_timeout: Duration::from_mins(3),
            close_timeout: Duration::from_secs(10),
            // Less than the timeout of the startup probe in `deploy/manifests` (10 s), and longer than a start with
            // a slow API server.
            startup_wait: Duration::from_secs(8),
        }
    }
}
