//! A proxy between a webhook and the API server. It answers some requests itself, to simulate an overloaded API server
//! and rare errors.

use std::{
    convert::Infallible,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use http_body_util::{BodyExt, Either, Full};
use hyper::{
    Method, Request, Response, body::Incoming, header::HOST, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use kube::{Client, Config, client::Body, config::KubeConfigOptions, config::Kubeconfig};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::Cluster;

/// The handling of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Handling {
    /// The request is forwarded.
    Forward,
    /// The request is never answered.
    Ignore,
    /// The request is refused with this status and reason.
    Refuse(u16, &'static str),
}

type Handler = Box<dyn FnMut(&Method, &str) -> Handling + Send>;

/// A proxy, until it is dropped.
pub(crate) struct Proxy {
    kubeconfig: PathBuf,
    handler: Arc<Mutex<Handler>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy that forwards all requests as the account of a kubeconfig.
    pub(crate) fn start(cluster: &Cluster, account: &Path) -> Self {
        let handler: Handler = Box::new(|_, _| Handling::Forward);
        let handler = Arc::new(Mutex::new(handler));
        let runtime = cluster.api.runtime();
        let (listener, client) = runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let account = Kubeconfig::read_from(account).unwrap();
            let options = KubeConfigOptions::default();
            let config = Config::from_custom_kubeconfig(account, &options).await.unwrap();
            (listener, Client::try_from(config).unwrap())
        });
        let port = listener.local_addr().unwrap().port();
        let kubeconfig = cluster.control_plane.identities().write_proxy_kubeconfig(port);
        let accepting = runtime.spawn(accept(listener, client, handler.clone()));
        Self { kubeconfig, handler, accepting }
    }

    /// Returns the kubeconfig with which a webhook calls the proxy.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig.clone()
    }

    /// Sets the handler that decides about requests by method and path.
    pub(crate) fn handle_by(
        &self,
        handler: impl FnMut(&Method, &str) -> Handling + Send + 'static,
    ) {
        *self.handler.lock().unwrap() = Box::new(handler);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, client: Client, handler: Arc<Mutex<Handler>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (client, handler) = (client.clone(), handler.clone());
        let service = service_fn(move |request| answer(request, client.clone(), handler.clone()));
        // The webhook notices an error of the connection itself.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(
    mut request: Request<Incoming>,
    client: Client,
    handler: Arc<Mutex<Handler>>,
) -> Result<Response<Either<Body, Full<hyper::body::Bytes>>>, Infallible> {
    let handling = handler.lock().unwrap()(request.method(), request.uri().path());
    match handling {
        Handling::Forward => {
            request.headers_mut().remove(HOST);
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes().to_vec();
            let answer = client.send(Request::from_parts(head, Body::from(body))).await.unwrap();
            Ok(answer.map(Either::Left))
        }
        Handling::Ignore => std::future::pending().await,
        Handling::Refuse(code, reason) => {
            let status = json!({
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "message": format!("the proxy says {reason}"),
                "reason": reason,
                "code": code,
            });
            let body = Either::Right(Full::from(status.to_string()));
            let answer =
                Response::builder().status(code).header("content-type", "application/json");
            Ok(answer.body(body).unwrap())
        }
    }
}
