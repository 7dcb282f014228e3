//! The HTTP server: the webhook over TLS, and the probes and metrics also over plain HTTP.
//!
//! One task accepts, one task serves a connection; what a connection needs is in [`Service`], which holds no lock. Every
//! wait on a peer has a timeout, and every buffer has a limit: see [`Limits`].

mod accept;
mod acceptor;
mod access;
mod answer;
mod body;
mod connection;
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

/// Maximum size in bytes of pages of metrics that were requested on the port of the webhook and not read yet: about a
/// hundred pages.
const MAX_PAGES_BYTES: usize = 4 * 1024 * 1024;

/// Everything that requests need, shared by all connections.
#[derive(Debug)]
pub struct Service {
    world: Arc<CurrentWorld>,
    /// The name of this pod, for `/healthz`.
    pod_name: Box<str>,
    readiness: Arc<Readiness>,
    metrics: ServerMetrics,
    registry: Registry,
    limits: Limits,
    /// Memory that the bodies of reviews take now.
    bodies: BodyBudget,
    /// Memory that pages of metrics take on the port of the webhook. They are far larger than the requests for them, so
    /// they must not take what reviews need.
    pages: BodyBudget,
    /// Keeps faults of peers from filling the log.
    log_limits: LogLimits,
}

impl Service {
    /// Puts together what requests need.
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

/// How connections are told to end.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Accept no more, and end each connection after the requests that it has begun.
    pub drain: CancellationToken,
    /// Drop what is left.
    pub abort: CancellationToken,
}
