//! A registry over plain HTTP whose answers depend on the names of repositories.

use std::{
    future::pending,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, body::Incoming, header, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

/// The password of the private repositories.
pub(super) const PASSWORD: &str = "correct-horse-battery-staple";

/// A registry in this process.
///
/// Repositories have the word in their name that says what they do: `present`, `absent`, `broken` (500), `silent` (no
/// answer) and `private` (Basic authentication). Others are present.
pub(super) struct Registry {
    pub(super) address: SocketAddr,
    state: Arc<State>,
    /// `None` while it is stopped.
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    /// Paths of HEAD requests.
    paths: Mutex<Vec<String>>,
    /// True if no image is present any more.
    is_empty: AtomicBool,
    refusals: AtomicUsize,
}

impl Registry {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<State>::default();
        Self { address, accepting: Some(accept(listener, state.clone())), state }
    }

    /// Closes the port and all connections.
    pub(super) async fn stop(&mut self) {
        let accepting = self.accepting.take().unwrap();
        accepting.abort();
        // The listener is closed when the task has ended.
        let _ = accepting.await;
    }

    /// Opens the port again.
    pub(super) async fn restart(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.accepting = Some(accept(listener, self.state.clone()));
    }

    /// Deletes all images.
    pub(super) fn delete_all(&self) {
        self.state.is_empty.store(true, Ordering::Relaxed);
    }

    /// Returns the paths of the HEAD requests so far.
    pub(super) fn paths(&self) -> Vec<String> {
        self.state.paths.lock().unwrap().clone()
    }

    /// Returns the number of requests that were refused.
    pub(super) fn refusals(&self) -> usize {
        self.state.refusals.load(Ordering::Relaxed)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

/// Accepts connections, and serves them until the task is aborted.
fn accept(listener: TcpListener, shared: Arc<State>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let state = shared.clone();
            let answer = service_fn(move |request| {
                let state = state.clone();
                async move { state.answer(&request).await }
            });
            connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    })
}

impl State {
    async fn answer(
        &self,
        request: &Request<Incoming>,
    ) -> hyper::http::Result<Response<Full<Bytes>>> {
        let path = request.uri().path().to_owned();
        if request.method() == Method::HEAD {
            self.paths.lock().unwrap().push(path.clone());
        }
        if path.contains("silent") {
            pending::<()>().await;
        }
        let expected = format!("Basic {}", STANDARD.encode(format!("user:{PASSWORD}")));
        let given = request.headers().get(header::AUTHORIZATION);
        if path.contains("private")
            && given.is_none_or(|given| given.as_bytes() != expected.as_bytes())
        {
            self.refusals.fetch_add(1, Ordering::Relaxed);
            let challenge = "Basic realm=\"registry\"";
            return Response::builder()
                .status(401)
                .header(header::WWW_AUTHENTICATE, challenge)
                .body(Full::default());
        }
        let (status, body) = match () {
            () if path.contains("absent") || self.is_empty.load(Ordering::Relaxed) => {
                (404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#)
            }
            () if path.contains("broken") => (500, ""),
            () => (200, "{}"),
        };
        let body = if request.method() == Method::HEAD { "" } else { body };
        Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body))
    }
}
