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

/// Forwards connections to the endpoints in turn. As in a cluster, open connections stay with their endpoint.
pub(crate) struct Service {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    endpoints: Mutex<Vec<SocketAddr>>,
    forwarded: AtomicUsize,
    /// Cancelled to close the open connections.
    connections: Mutex<CancellationToken>,
}

impl Service {
    /// Starts to accept connections on a port of loopback, without endpoints.
    pub(crate) fn start(runtime: &Handle) -> Self {
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let shared = Arc::new(Shared::default());
        Self {
            address: listener.local_addr().unwrap(),
            shared: shared.clone(),
            accepting: runtime.spawn(accept(listener, shared)),
        }
    }

    /// Returns the address on which it accepts connections.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of the service.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Replaces the endpoints.
    pub(crate) fn set_endpoints(&self, webhooks: &[&Webhook]) {
        *self.shared.endpoints.lock().unwrap() =
            webhooks.iter().map(|webhook| webhook.address()).collect();
    }

    /// Returns the number of connections so far.
    pub(crate) fn forwarded(&self) -> usize {
        self.shared.forwarded.load(Ordering::SeqCst)
    }

    /// Closes the open connections. The next request needs a new one.
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

/// Forwards a connection to the next endpoint that accepts it. Closes it if there is none.
async fn forward(mut client: TcpStream, shared: &Shared) {
    let mut endpoints = shared.endpoints.lock().unwrap().clone();
    let number = shared.forwarded.fetch_add(1, Ordering::SeqCst);
    let first = number % endpoints.len().max(1);
    endpoints.rotate_left(first);
    for endpoint in endpoints {
        if let Ok(mut server) = TcpStream::connect(endpoint).await {
            // Both sides notice an error of the connection themselves.
            let _ = copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}
