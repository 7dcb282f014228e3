//! A registry that has every image, over plain HTTP.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Response, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinHandle};

/// A server that answers each request with 200. Dropping it stops it.
pub(crate) struct Registry {
    task: JoinHandle<()>,
    address: SocketAddr,
}

impl Registry {
    /// Starts it on a free port.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service =
                    service_fn(async |_| Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { task, address }
    }

    /// Returns the host and port, as in an image.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.task.abort();
    }
}
