//! A proxy between a webhook and the API server. It answers some requests itself, as an overloaded API server
//! would, or as one rarely does.

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

/// What becomes of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// It is forwarded.
    Forward,
    /// It is never answered.
    Silence,
    /// It is refused with this status and reason.
    Refuse(u16, &'static str),
}

type Judge = Box<dyn FnMut(&Method, &str) -> Fate + Send>;

/// A proxy, until it is dropped.
pub(crate) struct Proxy {
    kubeconfig: PathBuf,
    judge: Arc<Mutex<Judge>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Forwards everything as the account of a kubeconfig.
    pub(crate) fn start(cluster: &Cluster, account: &Path) -> Self {
        let judge: Judge = Box::new(|_, _| Fate::Forward);
        let judge = Arc::new(Mutex::new(judge));
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
        let accepting = runtime.spawn(accept(listener, client, judge.clone()));
        Self { kubeconfig, judge, accepting }
    }

    /// How a webhook comes to it.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig.clone()
    }

    /// Decides what becomes of requests from now on, by method and path.
    pub(crate) fn judge_by(&self, judge: impl FnMut(&Method, &str) -> Fate + Send + 'static) {
        *self.judge.lock().unwrap() = Box::new(judge);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, client: Client, judge: Arc<Mutex<Judge>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (client, judge) = (client.clone(), judge.clone());
        let service = service_fn(move |request| answer(request, client.clone(), judge.clone()));
        // How it ends is for the webhook to notice.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(
    mut request: Request<Incoming>,
    client: Client,
    judge: Arc<Mutex<Judge>>,
) -> Result<Response<Either<Body, Full<hyper::body::Bytes>>>, Infallible> {
    let fate = judge.lock().unwrap()(request.method(), request.uri().path());
    match fate {
        Fate::Forward => {
            request.headers_mut().remove(HOST);
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes().to_vec();
            let answer = client.send(Request::from_parts(head, Body::from(body))).await.unwrap();
            Ok(answer.map(Either::Left))
        }
        Fate::Silence => std::future::pending().await,
        Fate::Refuse(code, reason) => {
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
