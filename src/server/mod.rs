//! The HTTP server: the webhook over TLS, and the probes and metrics also over plain HTTP.
//!
//! Each port has a task that accepts, and each connection a task that serves it. All connections share a [`Service`],
//! which contains no lock. Every wait on a peer has a timeout, and every buffer has a limit: see [`Limits`].
//!
//! This module does not decide about images, which is for `admission`, and loads neither maps nor certificates.

mod accept;
mod acceptor;
mod access;
mod answer;
mod body;
mod connection;
mod handshake;
mod limits;
mod log_limit;
mod metrics;
pub mod open_files;
mod port;
mod review;
mod routes;
mod vocabulary;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use self::{
    accept::Listener,
    acceptor::acceptor,
    limits::Limits,
    metrics::ServerMetrics,
    port::Port,
    vocabulary::{Method, Path, Status},
};
use self::{body::BodyBudget, log_limit::LogLimits};
use crate::{
    metrics::Registry,
    state::{CurrentWorld, Readiness},
};

/// Maximum size in bytes of all metrics pages that clients have requested on the webhook port and not read yet: about a
/// hundred pages.
const MAX_PAGES_BYTES: usize = 4 * 1024 * 1024;

/// The state that all connections share.
#[derive(Debug)]
pub struct Service {
    world: Arc<CurrentWorld>,
    /// The name of this pod, for `/healthz`.
    pod_name: Box<str>,
    readiness: Arc<Readiness>,
    metrics: ServerMetrics,
    registry: Registry,
    limits: Limits,
    /// Budget for the bodies of reviews.
    bodies: BodyBudget,
    /// Budget for metrics pages on the webhook port. They are far larger than the requests for them, so they must not
    /// use the budget of reviews.
    pages: BodyBudget,
    /// Rate limiters for log lines about errors of peers.
    log_limits: LogLimits,
}

impl Service {
    /// Creates a service and registers its metrics.
    #[must_use]
    pub fn new(
        world: Arc<CurrentWorld>,
        pod_name: &str,
        readiness: Arc<Readiness>,
        registry: Registry,
        limits: Limits,
    ) -> Self {
        Self {
            world,
            pod_name: pod_name.into(),
            readiness,
            metrics: ServerMetrics::new(&registry),
            registry,
            bodies: BodyBudget::new(limits.max_buffered_bytes, limits.max_waiting),
            pages: BodyBudget::new(MAX_PAGES_BYTES, 0),
            log_limits: LogLimits::default(),
            limits,
        }
    }
}

/// Signals that end connections.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Stop accepting, and close each connection after its requests in flight.
    pub drain: CancellationToken,
    /// Drop the remaining connections.
    pub abort: CancellationToken,
}
