//! Client authentication: only clients of the configured authorities may post reviews.

use std::{net::SocketAddr, path::Path, sync::Arc};

use hyper::Method;
use imageswap::{
    app::App,
    settings::{RuleSource, ServeSettings},
};
use serde_json::Value;
use support::{
    body::Pieces,
    certificates::Authority,
    client::{Answer, Client, NoAnswer, admin_get, first_image},
    program::Program,
    reviews::fixture,
    server::{metric, settings},
    tls::{ALL_VERSIONS, Identity, PROTOCOLS, Protocol, config},
    volume::Volume,
    wait::eventually,
};
use tokio_rustls::rustls::{ClientConfig, HandshakeKind, version::TLS12, version::TLS13};

const PAGES: [&str; 5] = ["/healthz", "/livez", "/readyz", "/startupz", "/metrics"];

/// Starts a server in this process that accepts the clients of the authorities in a file.
async fn started(file: &Path) -> App {
    let client_ca_file = Some(file.to_owned());
    let settings = settings(RuleSource::BuiltIn("default::d.io"));
    App::start(ServeSettings { client_ca_file, ..settings }).await.unwrap()
}

fn config_of(identity: Option<&Identity>) -> Arc<ClientConfig> {
    config(Protocol::Http2, identity, ALL_VERSIONS).into()
}

/// Posts a review over a new connection.
async fn post(address: SocketAddr, identity: Option<&Identity>) -> Result<Answer, NoAnswer> {
    Client::with(address, &config_of(identity)).await?.post(fixture("00-create-pod")).await
}

#[track_caller]
fn assert_swapped(answer: &Answer) {
    assert_eq!(first_image(answer), "d.io/library/busybox:1.36");
}

#[track_caller]
fn assert_refused(answer: &Answer, reason: &str) {
    assert_eq!(answer.status, 403, "{answer:?}");
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    // The API server passes the message of such a refusal on.
    for (field, value) in [("apiVersion", "v1"), ("kind", "Status"), ("status", "Failure")] {
        assert_eq!(body[field], value, "{answer:?}");
    }
    assert_eq!((&body["code"], &body["reason"]), (&403.into(), &"Forbidden".into()));
    let message = body["message"].as_str().unwrap();
    assert!(message.contains(reason), "{message}");
    assert!(message.contains("an authority in IMAGESWAP_CLIENT_CA_FILE"), "{message}");
}

#[tokio::test]
async fn only_known_clients_get_reviews_and_all_clients_get_pages() {
    let mut volume = Volume::new();
    let (authority, other) = (Authority::new("clients"), Authority::new("other clients"));
    volume.write(&[("ca.pem", [authority.pem(), other.pem()].concat().as_bytes())]);
    let file = volume.directory().join("ca.pem");
    let program = Program::start(&["--dev", "--client-ca-file", file.to_str().unwrap()]);
    let intermediate = authority.intermediate("intermediate").client_with_chain();
    let known = [authority.client(), other.client(), intermediate];
    let mut refused = 0.0;
    for version in [&TLS12, &TLS13] {
        for protocol in PROTOCOLS {
            for identity in &known {
                let config = config(protocol, Some(identity), &[version]).into();
                let mut client = Client::with(program.address, &config).await.unwrap();
                let answer = client.post(fixture("00-create-pod")).await.unwrap();
                assert_eq!(answer.status, 200, "{version:?} {protocol:?}: {answer:?}");
                assert_eq!(client.get("/livez").await.status, 200);
            }
            let config = config(protocol, None, &[version]).into();
            let mut client = Client::with(program.address, &config).await.unwrap();
            for path in ["/", "/?timeout=10s", "/mutate"] {
                // An unknown client gets no other error of its request.
                for (content_type, body) in [(Some("application/json"), "{}"), (None, "")] {
                    let body = Pieces::from(body);
                    let answer = client.send(Method::POST, path, content_type, body).await.unwrap();
                    assert_refused(&answer, "this client has shown no certificate");
                    refused += 1.0;
                }
            }
            for page in PAGES {
                assert_eq!(client.get(page).await.status, 200, "{page}");
            }
        }
    }
    for page in PAGES {
        assert_eq!(admin_get(program.admin_address, page).await.status, 200, "{page}");
    }
    let counted = "imageswap_http_request_total{method=\"POST\",status=\"403\"}";
    assert_eq!(metric(program.admin_address, counted).await, Some(refused));
    // At most one line a second, not one for each request.
    assert!(program.logged("review refused"));
    let failures = "imageswap_tls_handshake_failures_total{reason=\"client-certificate\"}";
    assert_eq!(metric(program.admin_address, failures).await, Some(0.0));
}

#[tokio::test]
async fn an_invalid_client_certificate_fails_the_handshake() {
    let mut volume = Volume::new();
    let authority = Authority::new("clients");
    volume.write(&[("ca.pem", authority.pem().as_bytes())]);
    let app = started(&volume.directory().join("ca.pem")).await;
    // It has the same name, but another key.
    let namesake = Authority::new("clients").client();
    let bad = [
        ("of another authority", Authority::new("others").client()),
        ("of a namesake", namesake),
        ("that has expired", authority.former_client()),
        ("of a server", authority.server()),
    ];
    let mut failures = 0.0;
    for (what, identity) in &bad {
        for version in [&TLS12, &TLS13] {
            let config = config(Protocol::Http2, Some(identity), &[version]).into();
            // With TLS 1.3 the client receives the alert with its first read.
            if let Ok(mut client) = Client::with(app.address(), &config).await {
                let answer = client.post(fixture("00-create-pod")).await;
                assert!(answer.is_err(), "a certificate {what}: {answer:?}");
            }
            failures += 1.0;
        }
    }
    let counted = "imageswap_tls_handshake_failures_total{reason=\"client-certificate\"}";
    eventually("the failures", async || {
        (metric(app.admin_address(), counted).await == Some(failures)).then_some(())
    })
    .await;
    assert_swapped(&post(app.address(), Some(&authority.client())).await.unwrap());
}

#[tokio::test]
async fn new_client_authorities_apply_at_once_and_invalid_ones_are_refused() {
    let mut volume = Volume::new();
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    volume.write(&[("ca.pem", first.pem().as_bytes())]);
    let app = started(&volume.directory().join("ca.pem")).await;
    let (address, admin) = (app.address(), app.admin_address());
    let reloads = |result: &'static str| async move {
        metric(admin, &format!("imageswap_client_ca_reloads_total{{result=\"{result}\"}}")).await
    };
    let [one, two] = [&first, &second].map(Authority::client);
    let session = config_of(Some(&one));
    let mut client = Client::with(address, &session).await.unwrap();
    assert_swapped(&client.post(fixture("00-create-pod")).await.unwrap());
    assert!(post(address, Some(&two)).await.is_err());
    assert_eq!(reloads("applied").await, Some(1.0));

    // Both authorities, as during a rotation: the open connection still works.
    volume.write(&[("ca.pem", [first.pem(), second.pem()].concat().as_bytes())]);
    eventually("both", async || (reloads("applied").await == Some(2.0)).then_some(())).await;
    assert_swapped(&client.post(fixture("00-create-pod")).await.unwrap());
    assert_swapped(&post(address, Some(&two)).await.unwrap());

    // The first authority is removed: for the open connection, for new ones, and for old sessions.
    volume.write(&[("ca.pem", second.pem().as_bytes())]);
    eventually("the second", async || (reloads("applied").await == Some(3.0)).then_some(())).await;
    let answer = client.post(fixture("00-create-pod")).await.unwrap();
    assert_refused(&answer, "its authority is no longer one of those in IMAGESWAP_CLIENT_CA_FILE");
    assert_eq!(client.get("/livez").await.status, 200);
    assert!(post(address, Some(&one)).await.is_err());
    if let Ok(mut resumed) = Client::with(address, &session).await {
        assert!(resumed.post(fixture("00-create-pod")).await.is_err());
    }

    let one_line = second.pem().replace('\n', " ");
    let no_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let half = [&*first.pem(), no_der].concat();
    // Each file has another error, because a repeated failure is counted once.
    let too_large = "x".repeat(2 << 20);
    let bad = ["garbage", &one_line, &half, &too_large];
    for (count, content) in (1_u8..).zip(bad) {
        volume.write(&[("ca.pem", content.as_bytes())]);
        eventually("a failure", async || {
            (reloads("failed").await == Some(f64::from(count))).then_some(())
        })
        .await;
        assert_swapped(&post(address, Some(&two)).await.unwrap());
        assert!(post(address, Some(&one)).await.is_err());
    }
    volume.replace();
    eventually("no file", async || (reloads("failed").await == Some(5.0)).then_some(())).await;
    assert_swapped(&post(address, Some(&two)).await.unwrap());
    volume.write(&[("ca.pem", first.pem().as_bytes())]);
    eventually("the first", async || (reloads("applied").await == Some(4.0)).then_some(())).await;
    assert_swapped(&client.post(fixture("00-create-pod")).await.unwrap());
    assert!(post(address, Some(&two)).await.is_err());
}

#[tokio::test]
async fn sessions_are_not_resumed_with_client_authentication() {
    let mut volume = Volume::new();
    let authority = Authority::new("clients");
    volume.write(&[("ca.pem", authority.pem().as_bytes())]);
    let known = started(&volume.directory().join("ca.pem")).await;
    let open = App::start(settings(RuleSource::BuiltIn("default::d.io"))).await.unwrap();
    let identity = authority.client();
    for version in [&TLS12, &TLS13] {
        for (app, second) in [(&known, HandshakeKind::Full), (&open, HandshakeKind::Resumed)] {
            let config = config(Protocol::Http2, Some(&identity), &[version]).into();
            let mut seen = Vec::new();
            for _ in 0..2 {
                let mut client = Client::with(app.address(), &config).await.unwrap();
                // The first answer came with a ticket of TLS 1.3.
                assert_swapped(&client.post(fixture("00-create-pod")).await.unwrap());
                seen.push(client.handshake);
            }
            assert_eq!(seen, [HandshakeKind::Full, second], "{version:?}");
        }
    }
}
