//! A stable address in front of changing processes, like a Kubernetes Service.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    runtime::Handle,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::webhook::Webhook;

/// Forwards connections to the endpoints, each to the next one. Like in a cluster, connections that
/// are there stay with their endpoint.
pub(crate) struct Service {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    endpoints: Mutex<Vec<SocketAddr>>,
    forwarded: AtomicUsize,
    /// Cancelled when the connections that are there are to end.
    connections: Mutex<CancellationToken>,
}

impl Service {
    /// Takes connections on a port of loopback; there are no endpoints yet.
    pub(crate) fn start(runtime: &Handle) -> Self {
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let shared = Arc::new(Shared::default());
        Self {
            address: listener.local_addr().unwrap(),
            shared: shared.clone(),
            accepting: runtime.spawn(accept(listener, shared)),
        }
    }

    /// Where it takes connections.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is called.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Makes these the endpoints.
    pub(crate) fn set_endpoints(&self, webhooks: &[&Webhook]) {
        *self.shared.endpoints.lock().unwrap() =
            webhooks.iter().map(|webhook| webhook.address()).collect();
    }

    /// How many connections have been forwarded so far.
    pub(crate) fn forwarded(&self) -> usize {
        self.shared.forwarded.load(Ordering::SeqCst)
    }

    /// Cuts the connections that are there, so that the next request has to come over a new one.
    pub(crate) fn cut(&self) {
        std::mem::take(&mut *self.shared.connections.lock().unwrap()).cancel();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let shared = shared.clone();
        tokio::spawn(async move {
            let end = shared.connections.lock().unwrap().clone();
            end.run_until_cancelled(forward(client, &shared)).await;
        });
    }
}

/// Forwards a connection to the next endpoint that takes it; closes it when there is none.
async fn forward(mut client: TcpStream, shared: &Shared) {
    let mut endpoints = shared.endpoints.lock().unwrap().clone();
    let number = shared.forwarded.fetch_add(1, Ordering::SeqCst);
    let first = number % endpoints.len().max(1);
    endpoints.rotate_left(first);
    for endpoint in endpoints {
        if let Ok(mut server) = TcpStream::connect(endpoint).await {
            // How it ends is for the two sides to notice.
            let _ = copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}
