//! The HTTP server: the webhook over TLS, and the probes and metrics also over plain HTTP.
//!
//! One task accepts, one task serves a connection; what a connection needs is in [`Service`], which
//! holds no lock. Every wait on a peer ends by a timeout, and every buffer has a limit: see
//! [`Limits`].

mod accept;
mod access;
mod answer;
mod body;
mod connection;
mod routes;
mod throttle;
pub mod tls;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use tokio_util::sync::CancellationToken;

pub use self::{accept::Listener, routes::answers_reviews_at};
use self::{access::Access, body::BodyBudget, throttle::Complaints};
use crate::{admission::World, certs::ClientTrust, health::Health, metrics::Metrics};

/// The most bytes of metrics that peers have asked for on the port of the webhook and not read; some
/// hundred pages.
const MAX_PAGES_BYTES: usize = 4 * 1024 * 1024;

/// The slot with everything that decides about reviews; empty until the map is loaded.
pub type WorldSlot = Arc<ArcSwapOption<World>>;

/// What requests need, shared by all connections.
#[derive(Debug)]
pub struct Service {
    /// Everything that decides about reviews.
    pub world: WorldSlot,
    /// Who may ask for reviews; none for everybody.
    pub clients: Option<Arc<ClientTrust>>,
    /// The name of this pod, for `/healthz`.
    pub pod_name: Box<str>,
    /// Whether the process is ready.
    pub health: Arc<Health>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// What peers may ask of this server.
    pub limits: Limits,
    /// What bodies of reviews take now.
    bodies: BodyBudget,
    /// What pages of metrics take on the port of the webhook. They are far larger than the requests
    /// for them, so they must not take what reviews need.
    pages: BodyBudget,
    /// Keeps what peers do wrong from filling the log.
    complaints: Complaints,
}

impl Service {
    /// Puts together what requests need.
    #[must_use]
    pub fn new(
        world: WorldSlot,
        clients: Option<Arc<ClientTrust>>,
        pod_name: &str,
        health: Arc<Health>,
        metrics: Arc<Metrics>,
        limits: Limits,
    ) -> Self {
        Self {
            world,
            clients,
            pod_name: pod_name.into(),
            health,
            metrics,
            bodies: BodyBudget::new(limits.max_buffered_bytes, limits.max_waiting),
            pages: BodyBudget::new(MAX_PAGES_BYTES, 0),
            complaints: Complaints::default(),
            limits,
        }
    }
}

/// What a connection is for, by the port that it came to.
#[derive(Debug)]
enum Port {
    /// Probes and metrics, over plain HTTP.
    Admin,
    /// Everything, over TLS; reviews only for those who may.
    Webhook(Access),
}

/// What peers may ask of the server, in time and memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes of a request's body; a larger one is answered with 413.
    pub max_body_bytes: usize,
    /// The most bytes of large bodies at once, of requests and answers over all connections; beyond
    /// it requests are answered with 503.
    pub max_buffered_bytes: usize,
    /// The most requests that wait for their bodies at once, over all connections; beyond it each
    /// connection may have a few, and others are answered with 503.
    pub max_waiting: usize,
    /// The most connections of the webhook; beyond it new ones wait in the listen queue of the system.
    pub max_connections: usize,
    /// The most connections of the admin port; likewise.
    pub max_admin_connections: usize,
    /// The longest that a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// The longest that a connection may take to the headers of its first request.
    pub header_timeout: Duration,
    /// The longest that a body may take; a slower one is answered with 408.
    pub body_timeout: Duration,
    /// The longest that a connection may stay without a request after the first, and that the headers
    /// of the next one over HTTP/1.1 may take, which cannot be told apart.
    pub idle_timeout: Duration,
    /// The longest that a connection that is to end may take to do so.
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

/// How connections are told to end.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Accept no more, and end each connection after the requests that it has begun.
    pub drain: CancellationToken,
    /// Drop what is left.
    pub abort: CancellationToken,
}
