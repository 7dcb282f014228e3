//! An API server that has no object and refuses to create one, so that a controller fails.

use std::{fs, net::SocketAddr, path::PathBuf};

use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A server that answers each request with 404. Dropping it stops it.
pub(crate) struct EmptyApiServer {
    task: JoinHandle<()>,
    address: SocketAddr,
    directory: TempDir,
}

impl EmptyApiServer {
    /// Starts it on a free port.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(refuse(stream));
            }
        });
        Self { task, address, directory: tempfile::tempdir().unwrap() }
    }

    /// Writes a kubeconfig for it, and returns its path.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "empty", "cluster": { "server": format!("http://{}", self.address) } }],
            "users": [{ "name": "test", "user": {} }],
            "contexts": [{ "name": "test", "context": { "cluster": "empty", "user": "test" } }],
            "current-context": "test",
        });
        let file = self.directory.path().join("kubeconfig");
        fs::write(&file, kubeconfig.to_string()).unwrap();
        file
    }
}

impl Drop for EmptyApiServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers one request. A client that goes away is of no interest.
async fn refuse(mut stream: TcpStream) {
    let mut request = vec![0; 64 * 1024];
    let mut length = 0;
    while !request[..length].windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut request[length..]).await {
            Ok(read) if read > 0 => length += read,
            _ => return,
        }
    }
    let status = json!({
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "reason": "NotFound",
        "message": "there is nothing",
        "code": 404,
    })
    .to_string();
    let answer = format!(
        "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{status}",
        status.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
}
