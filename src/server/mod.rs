//! The HTTP server: the webhook over TLS, the probes and metrics also over plain HTTP, and the status page.
//!
//! Each port has a task that accepts, and each connection a task that serves it, in one of the [`Workers`]. All
//! connections share a [`Service`], which contains no lock. Every wait on a peer has a timeout, and every buffer has a
//! limit: see [`Limits`].
//!
//! This module does not decide about images, which is for `admission`, and loads neither maps nor certificates.

mod accept;
mod acceptor;
mod access;
mod answer;
mod body;
mod connection;
mod handshake;
mod large_reviews;
mod limits;
mod log_limit;
mod metrics;
pub mod open_files;
mod port;
mod review;
mod routes;
mod status_page;
mod targets;
mod vocabulary;
mod workers;

use std::{io, sync::Arc};

use tokio_util::sync::CancellationToken;

pub use self::{
    accept::Listener,
    acceptor::acceptor,
    limits::Limits,
    metrics::ServerMetrics,
    port::Port,
    targets::Targets,
    vocabulary::{Method, Path, Status},
    workers::Workers,
};
use self::{
    body::BodyBudget, large_reviews::LargeReviews, log_limit::LogLimits, status_page::StatusPages,
};
use crate::{
    metrics::Registry,
    state::{CurrentWorld, Readiness},
    status_page::StatusPage,
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
    large_reviews: LargeReviews,
    /// The registries that are asked for new images; `None` if none is asked.
    targets: Option<Arc<Targets>>,
    /// Budget for reviews that wait for registries. They must not use the budget of bodies, without which reviews are
    /// refused; a review beyond this one is answered without waiting.
    waiting: BodyBudget,
    /// The page at `/` of the admin port; `None` if it is turned off.
    status: Option<StatusPages>,
    /// Rate limiters for log lines about errors of peers.
    log_limits: LogLimits,
}

impl Service {
    /// Creates a service and registers its metrics. Without `targets`, no registry is asked for new images. Without
    /// `status`, there is no status page.
    ///
    /// # Errors
    /// If the thread for large reviews cannot be started.
    pub fn new(
        world: Arc<CurrentWorld>,
        pod_name: &str,
        readiness: Arc<Readiness>,
        registry: Registry,
        limits: Limits,
        targets: Option<Arc<Targets>>,
        status: Option<StatusPage>,
    ) -> io::Result<Self> {
        let metrics = ServerMetrics::new(&registry);
        if targets.is_some() {
            metrics.expect_absent_targets();
        }
        Ok(Self {
            world,
            pod_name: pod_name.into(),
            readiness,
            metrics,
            registry,
            bodies: BodyBudget::new(limits.max_buffered_bytes, limits.max_waiting),
            pages: BodyBudget::new(MAX_PAGES_BYTES, 0),
            large_reviews: LargeReviews::start()?,
            targets,
            waiting: BodyBudget::new(limits.max_asking_bytes, 0),
            status: status.map(StatusPages::new),
            log_limits: LogLimits::default(),
            limits,
        })
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
