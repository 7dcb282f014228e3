//! Pushes images without layers, and deletes them.

use std::{fmt::Write as _, net::SocketAddr};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request, StatusCode,
    client::conn::http1,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION},
};
use hyper_util::rt::TokioIo;
use ring::digest::{SHA256, digest};
use serde_json::json;
use support::tls::{Protocol, tls};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A client that pushes to a registry.
pub(crate) struct Pusher {
    address: SocketAddr,
    authorization: Option<String>,
}

impl Pusher {
    pub(crate) fn new(address: SocketAddr, authorization: Option<String>) -> Self {
        Self { address, authorization }
    }

    /// Pushes an image, and returns the digest of its manifest.
    pub(crate) async fn push(&self, repository: &str, tag: &str) -> String {
        let config = format!(r#"{{"architecture":"amd64","os":"linux","comment":"{repository}"}}"#);
        let config_digest = sha256(&config);
        let (status, headers) =
            self.send("POST", &format!("/v2/{repository}/blobs/uploads/"), "", "").await;
        assert_eq!(status, StatusCode::ACCEPTED);
        let upload = headers[LOCATION].to_str().unwrap();
        let path = &upload[upload.find("/v2/").unwrap()..];
        let upload = format!("{path}&digest={config_digest}");
        let (status, _) = self.send("PUT", &upload, "application/octet-stream", &config).await;
        assert_eq!(status, StatusCode::CREATED);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": config_digest,
                "size": config.len(),
            },
            "layers": [],
        })
        .to_string();
        let path = format!("/v2/{repository}/manifests/{tag}");
        let (status, _) = self.send("PUT", &path, MANIFEST, &manifest).await;
        assert_eq!(status, StatusCode::CREATED);
        sha256(&manifest)
    }

    /// Deletes the image with this digest, and its tags.
    pub(crate) async fn delete(&self, repository: &str, digest: &str) {
        let path = format!("/v2/{repository}/manifests/{digest}");
        let (status, _) = self.send("DELETE", &path, "", "").await;
        assert_eq!(status, StatusCode::ACCEPTED);
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &str,
    ) -> (StatusCode, HeaderMap) {
        let stream = tls(self.address, Protocol::Http1).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.address.to_string())
            .header(CONTENT_TYPE, content_type);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let body = Full::new(Bytes::from(body.to_owned()));
        let answer = sender.send_request(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        body.collect().await.unwrap();
        drop(sender);
        connection.await.unwrap().unwrap();
        (parts.status, parts.headers)
    }
}

/// Returns the digest of a text as registries write it.
fn sha256(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().fold("sha256:".to_owned(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
