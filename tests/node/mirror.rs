//! The mirror: a container registry that serves one image under several names, over plain HTTP.
//!
//! It answers what containerd requests to pull an image by tag, and nothing else of the protocol.

use std::{
    convert::Infallible,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, body::Incoming, header::CONTENT_TYPE, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpListener, runtime::Handle};

/// The port of the registry, which machine/mirror.toml names.
const PORT: u16 = 5000;

/// The repositories of the registry.
const REPOSITORIES: [&str; 4] =
    ["official/busybox", "official/nginx", "other/acme/model", "second/nginx"];

/// The registry, until its runtime ends.
pub(crate) struct Mirror {
    /// The repositories of the manifests that were requested.
    pulled: Arc<Mutex<Vec<String>>>,
}

impl Mirror {
    /// Serves the image in a folder.
    pub(crate) fn start(layout: &Path, runtime: &Handle) -> Self {
        let pulled = Arc::new(Mutex::new(Vec::new()));
        let layout = layout.to_owned();
        let mirror = Self { pulled: pulled.clone() };
        runtime.spawn(async move {
            // On all addresses, because the link of the node goes with its power.
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await.unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (layout, pulled) = (layout.clone(), pulled.clone());
                let service = service_fn(move |request| {
                    let answer = answer(&layout, &pulled, &request);
                    async { Ok::<_, Infallible>(answer) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        mirror
    }

    /// Returns true if an image of the repository has been pulled.
    pub(crate) fn has_served(&self, repository: &str) -> bool {
        self.pulled.lock().unwrap().iter().any(|pulled| pulled == repository)
    }
}

fn answer(
    layout: &Path,
    pulled: &Mutex<Vec<String>>,
    request: &Request<Incoming>,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let found = content(layout, path);
    let mut response = Response::new(Full::default());
    match found {
        Some((media_type, content)) => {
            if let Some((repository, _)) = path.trim_start_matches("/v2/").split_once("/manifests/")
            {
                pulled.lock().unwrap().push(repository.to_owned());
            }
            response.headers_mut().insert(CONTENT_TYPE, media_type.parse().unwrap());
            if request.method() == Method::HEAD {
                response.headers_mut().insert("content-length", content.len().into());
            } else {
                *response.body_mut() = content.into();
            }
        }
        None => *response.status_mut() = hyper::StatusCode::NOT_FOUND,
    }
    response
}

/// Returns the media type and the bytes of a manifest or of a blob of the repositories.
fn content(layout: &Path, path: &str) -> Option<(String, Vec<u8>)> {
    let blob = |digest: &str| -> Option<PathBuf> {
        Some(layout.join("blobs/sha256").join(digest.strip_prefix("sha256:")?))
    };
    let path = path.strip_prefix("/v2/")?;
    let served = |repository: &str| REPOSITORIES.contains(&repository).then_some(());
    if let Some((repository, digest)) = path.split_once("/blobs/") {
        served(repository)?;
        return Some(("application/octet-stream".to_owned(), fs::read(blob(digest)?).ok()?));
    }
    let (repository, reference) = path.split_once("/manifests/")?;
    served(repository)?;
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).ok()?).ok()?;
    let manifest = &index["manifests"][0];
    let digest =
        if reference.starts_with("sha256:") { reference } else { manifest["digest"].as_str()? };
    Some((manifest["mediaType"].as_str()?.to_owned(), fs::read(blob(digest)?).ok()?))
}
