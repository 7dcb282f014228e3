//! Container registries, which serve one image under several names.
//!
//! They answer what containerd requests to pull an image by tag, and what ImageSwap asks, and nothing else of the protocol.

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
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use support::certificates::Pair;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    runtime::Handle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

/// The host of the mirror, as in the sample map.
pub(crate) const MIRROR: &str = "registry.example.com";

/// The port at which containerd pulls from the mirror, which machine/mirror.toml names.
const MIRROR_PORT: u16 = 5000;

/// The port of HTTPS.
const HTTPS: u16 = 443;

/// The port at which containerd pulls from the original registry, which machine/origin.toml names.
const ORIGIN_PORT: u16 = 5001;

/// The answer for an image that the registry does not have (section "Error Codes" of the OCI specification).
const MANIFEST_UNKNOWN: &str =
    r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;

/// A registry, until its runtime ends.
#[derive(Clone)]
pub(crate) struct Registry {
    /// The folder with the image.
    layout: PathBuf,
    repositories: &'static [&'static str],
    /// The repositories of the manifests that were requested.
    pulled: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    /// Serves the image in a folder as the mirror: over plain HTTP for containerd, and over HTTPS for ImageSwap.
    pub(crate) fn mirror(layout: &Path, pair: &Pair, runtime: &Handle) -> Self {
        let repositories =
            &["official/busybox", "official/nginx", "other/acme/model", "second/nginx"];
        let mirror = Self::new(layout, repositories);
        runtime.spawn(mirror.clone().listen(MIRROR_PORT, None));
        runtime.spawn(mirror.clone().listen(HTTPS, Some(acceptor(pair))));
        mirror
    }

    /// Serves the image in a folder as a registry of which the mirror has no image.
    pub(crate) fn origin(layout: &Path, runtime: &Handle) -> Self {
        let origin = Self::new(layout, &["acme/tool"]);
        runtime.spawn(origin.clone().listen(ORIGIN_PORT, None));
        origin
    }

    fn new(layout: &Path, repositories: &'static [&'static str]) -> Self {
        Self { layout: layout.to_owned(), repositories, pulled: Arc::default() }
    }

    /// Returns true if the manifest of an image of the repository was requested, and found.
    pub(crate) fn has_served(&self, repository: &str) -> bool {
        self.pulled.lock().unwrap().iter().any(|pulled| pulled == repository)
    }

    async fn listen(self, port: u16, tls: Option<TlsAcceptor>) {
        // On all addresses, because the link of the node goes with its power.
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await.unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (registry, tls) = (self.clone(), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => registry.serve(stream).await,
                    // A client that gives up ends only its own connection.
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => registry.serve(stream).await,
                        Err(error) => eprintln!("      the mirror: {error}"),
                    },
                }
            });
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(|request| {
            let answer = self.answer(&request);
            async { Ok::<_, Infallible>(answer) }
        });
        // Its result is that of the client.
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let mut response = Response::new(Full::default());
        let (media_type, content) = match self.content(path) {
            Some(found) => {
                if let Some((repository, _)) =
                    path.trim_start_matches("/v2/").split_once("/manifests/")
                {
                    self.pulled.lock().unwrap().push(repository.to_owned());
                }
                found
            }
            None => {
                *response.status_mut() = StatusCode::NOT_FOUND;
                ("application/json".to_owned(), MANIFEST_UNKNOWN.into())
            }
        };
        response.headers_mut().insert(CONTENT_TYPE, media_type.parse().unwrap());
        if request.method() == Method::HEAD {
            response.headers_mut().insert(CONTENT_LENGTH, content.len().into());
        } else {
            *response.body_mut() = content.into();
        }
        response
    }

    /// Returns the media type and the bytes of a manifest or of a blob of the repositories.
    fn content(&self, path: &str) -> Option<(String, Vec<u8>)> {
        let blob = |digest: &str| -> Option<PathBuf> {
            Some(self.layout.join("blobs/sha256").join(digest.strip_prefix("sha256:")?))
        };
        let path = path.strip_prefix("/v2/")?;
        let served = |repository: &str| self.repositories.contains(&repository).then_some(());
        if let Some((repository, digest)) = path.split_once("/blobs/") {
            served(repository)?;
            return Some(("application/octet-stream".to_owned(), fs::read(blob(digest)?).ok()?));
        }
        let (repository, reference) = path.split_once("/manifests/")?;
        served(repository)?;
        let index = fs::read(self.layout.join("index.json")).ok()?;
        let index: Value = serde_json::from_slice(&index).ok()?;
        let manifest = &index["manifests"][0];
        let digest = if reference.starts_with("sha256:") {
            reference
        } else {
            manifest["digest"].as_str()?
        };
        Some((manifest["mediaType"].as_str()?.to_owned(), fs::read(blob(digest)?).ok()?))
    }
}

fn acceptor(pair: &Pair) -> TlsAcceptor {
    let key = pem::parse(&pair.key).unwrap().into_contents();
    let key = PrivateKeyDer::try_from(key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pair.der.clone().into()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
