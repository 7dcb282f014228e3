//! The part of kube-proxy: forwards connections to the cluster IP of the Service to changing processes.

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

/// The name of the server that the API server verifies.
pub(crate) const HOST: &str = "imageswap.imageswap-system.svc";

/// The port of the Service.
const PORT: u16 = 443;

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
    /// Starts to accept connections on the cluster IP and port of the Service, without endpoints.
    ///
    /// # Panics
    ///
    /// If the address is not local. It is in the network namespace that `tests/cluster/network` makes.
    pub(crate) fn start(runtime: &Handle, cluster_ip: Ipv4Addr) -> Self {
        let address = SocketAddr::from((cluster_ip, PORT));
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap_or_else(|error| {
            panic!("cannot listen on {address}: {error}; run the tests by tests/cluster/network")
        });
        let shared = Arc::new(Shared::default());
        Self { address, shared: shared.clone(), accepting: runtime.spawn(accept(listener, shared)) }
    }

    /// Returns the address on which it accepts connections.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns a URL with the cluster IP, for the API server.
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
