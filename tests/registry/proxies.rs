//! Registries behind a proxy.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use imageswap::registry::{CheckResult, Proxies};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::TcpStream,
};

use crate::{
    fixture::{PROXY_PASSWORD, Pki, expect},
    scripted::{RawServer, Server, answer},
};

/// Starts a proxy that connects to `address`, whatever the client names, and records the requests.
pub(crate) async fn proxy(
    address: SocketAddr,
    status: &'static str,
) -> (RawServer, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = seen.clone();
    let server = RawServer::start(move |mut stream: TcpStream| {
        let seen = record.clone();
        async move {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            seen.lock().unwrap().push(String::from_utf8(request).unwrap());
            let mut registry = TcpStream::connect(address).await.unwrap();
            let answer = format!("HTTP/1.1 {status}\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut registry).await;
        }
    })
    .await;
    (server, seen)
}

#[tokio::test]
async fn a_registry_is_asked_through_the_proxy() {
    let pki = Pki::new();
    let server = Server::start(&pki, |_| answer(200, &[], "")).await;
    let (proxy, seen) = proxy(server.address, "200 OK").await;
    let url = format!("http://user:{PROXY_PASSWORD}@{}", proxy.address);
    let client = pki.client_with(&json!({}), &[], &[], Proxies::new(&url, "", ""));
    // Only the proxy knows this name.
    let present = (CheckResult::Present, "");
    expect("through a proxy", &client, "registry.test/a:1", present).await;
    let request = seen.lock().unwrap().pop().unwrap();
    assert!(request.starts_with("CONNECT registry.test:443 HTTP/1.1\r\n"), "{request}");
    let expected = STANDARD.encode(format!("user:{PROXY_PASSWORD}"));
    assert!(request.contains(&format!("Proxy-Authorization: Basic {expected}\r\n")), "{request}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_registry_over_plain_http_is_asked_through_the_proxy() {
    let pki = Pki::new();
    let server = Server::plain(|_| answer(200, &[], "")).await;
    let (proxy, seen) = proxy(server.address, "200 OK").await;
    let proxies = Proxies::new("", &format!("http://{}", proxy.address), "");
    let client = pki.client_with(&json!({}), &[], &["registry.test"], proxies);
    let present = (CheckResult::Present, "");
    expect("plain HTTP through a proxy", &client, "registry.test/a:1", present).await;
    let request = seen.lock().unwrap().pop().unwrap();
    assert!(request.starts_with("CONNECT registry.test:80 HTTP/1.1\r\n"), "{request}");
}

#[tokio::test]
async fn exempt_registries_are_asked_directly() {
    let pki = Pki::new();
    let server = Server::start(&pki, |_| answer(200, &[], "")).await;
    let (proxy, seen) = proxy(server.address, "200 OK").await;
    let proxies = Proxies::new(&format!("http://{}", proxy.address), "", "localhost,.svc");
    let client = pki.client_with(&json!({}), &[], &[], proxies);
    let image = format!("{}/a:1", server.registry());
    expect("exempt from the proxy", &client, &image, (CheckResult::Present, "")).await;
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_without_its_password() {
    let pki = Pki::new();
    let server = Server::start(&pki, |_| answer(200, &[], "")).await;
    for (case, scheme, status, detail) in [
        ("proxy wants credentials", "http", "407 No", "proxy authorization required"),
        ("proxy refuses", "http", "403 No", "unsuccessful"),
        ("proxy by SOCKS", "socks5", "200 OK", "is not one of http:// or https://"),
    ] {
        let (proxy, _) = proxy(server.address, status).await;
        let url = format!("{scheme}://user:{PROXY_PASSWORD}@{}", proxy.address);
        let client = pki.client_with(&json!({}), &[], &[], Proxies::new(&url, "", ""));
        let unreachable = (CheckResult::Unreachable, detail);
        let checked = expect(case, &client, "registry.test/a:1", unreachable).await;
        assert!(checked.detail.contains(&proxy.address.to_string()), "{checked:?}");
        assert!(server.seen().is_empty(), "{case}");
    }
}
