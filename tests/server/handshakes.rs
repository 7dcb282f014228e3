//! Failed TLS handshakes: counted and logged by their reasons.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use imageswap::{
    app::App,
    server::Limits,
    settings::{CertificateOrigin, RuleSource, ServeSettings},
};
use support::{
    client::Client,
    program::Program,
    server::{metric, settings, started},
    tls::{ALL_VERSIONS, Protocol, config},
    wait::eventually,
};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion, crypto::ring, version::TLS12,
    version::TLS13,
};

use crate::{
    hello::{Hello, TLS_1_1},
    logs::await_log_with,
};

const REASONS: [&str; 6] =
    ["alert", "client-certificate", "closed", "other", "protocol", "timeout"];

/// Returns the number of failures by their reasons, in the order of [`REASONS`].
async fn failures(admin: SocketAddr) -> [Option<f64>; 6] {
    let mut counts = [None; REASONS.len()];
    for (count, reason) in counts.iter_mut().zip(REASONS) {
        let series = format!("imageswap_tls_handshake_failures_total{{reason=\"{reason}\"}}");
        *count = metric(admin, &series).await;
    }
    counts
}

/// Waits until there were `count` failures for `reason`, and none for others.
async fn await_failures(admin: SocketAddr, reason: &str, count: f64) {
    let expected = REASONS.map(|other| Some(if other == reason { count } else { 0.0 }));
    eventually(&format!("{count} {reason}"), async || {
        (failures(admin).await == expected).then_some(())
    })
    .await;
}

/// Returns the configuration of a client that trusts no certificate.
fn client_that_trusts_nothing(version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap();
    config.with_root_certificates(RootCertStore::empty()).with_no_client_auth().into()
}

/// Connects, sends `bytes`, and closes the connection, with a reset if `is_reset`.
async fn send_and_close(address: SocketAddr, bytes: &[u8], is_reset: bool) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    if is_reset {
        stream.set_zero_linger().unwrap();
    }
    stream.write_all(bytes).await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_certificate_is_counted_by_its_alert() {
    let program = Program::start(&["--dev"]);
    for (count, version) in [(1.0, &TLS12), (2.0, &TLS13)] {
        assert!(Client::with(program.address, &client_that_trusts_nothing(version)).await.is_err());
        await_failures(program.admin_address, "alert", count).await;
    }
    await_log_with(&program, "TLS handshake failed", "reason", "alert").await;
}

#[tokio::test]
async fn a_connection_that_ends_before_its_first_byte_is_no_failure() {
    let program = Program::start(&["--dev"]);
    let admin = program.admin_address;
    for is_reset in [false, true] {
        for _ in 0..20 {
            send_and_close(program.address, b"", is_reset).await;
        }
    }
    // All of them are accepted before this one.
    send_and_close(program.address, b"GET / HTTP/1.1\r\n\r\n", false).await;
    await_failures(admin, "protocol", 1.0).await;
    eventually("no connection but that of the metrics", async || {
        (metric(admin, "imageswap_connections").await == Some(1.0)).then_some(())
    })
    .await;
    await_failures(admin, "protocol", 1.0).await;
    await_log_with(&program, "TLS handshake failed", "reason", "protocol").await;
    let is_warning = |line: &&serde_json::Value| line["message"] == "TLS handshake failed";
    assert_eq!(program.lines().iter().filter(is_warning).count(), 1);
}

#[tokio::test]
async fn a_connection_that_ends_within_the_handshake_is_counted_as_closed() {
    let app = started(Limits::default()).await;
    let mut count = 0.0;
    for bytes in [&b"\x16"[..], b"\x16\x03\x01\x02\x00\x01"] {
        for is_reset in [false, true] {
            send_and_close(app.address(), bytes, is_reset).await;
            count += 1.0;
            await_failures(app.admin_address(), "closed", count).await;
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_speak_our_tls_is_counted_by_protocol() {
    let app = started(Limits::default()).await;
    send_and_close(app.address(), b"GET / HTTP/1.1\r\n\r\n", false).await;
    await_failures(app.admin_address(), "protocol", 1.0).await;
    Hello { version: TLS_1_1, ..Hello::tls12(&[0xc02b]) }.send(app.address()).await;
    await_failures(app.admin_address(), "protocol", 2.0).await;
}

#[tokio::test]
async fn a_handshake_timeout_is_counted_and_logged() {
    let handshake_timeout = Duration::from_millis(300);
    let app = started(Limits { handshake_timeout, ..Limits::default() }).await;
    let mut silent = Vec::new();
    for (count, bytes) in [(1.0, &b""[..]), (2.0, b"\x16\x03\x01")] {
        let mut stream = TcpStream::connect(app.address()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        silent.push(stream);
        await_failures(app.admin_address(), "timeout", count).await;
    }
    // The program has the timeout of five seconds.
    let program = Program::start(&["--dev"]);
    let _silent = TcpStream::connect(program.address).await.unwrap();
    let message = "TLS handshake failed";
    await_log_with(&program, message, "reason", "timeout").await;
    await_log_with(&program, message, "error", "TLS handshake timed out").await;
}

#[tokio::test]
async fn a_handshake_without_a_certificate_to_serve_is_counted_as_other() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = CertificateOrigin::Files(directory.path().to_owned());
    let settings = settings(RuleSource::BuiltIn("default::d.io"));
    let app = App::start(ServeSettings { certificate, ..settings }).await.unwrap();
    let config = config(Protocol::Http2, None, ALL_VERSIONS).into();
    assert!(Client::with(app.address(), &config).await.is_err());
    await_failures(app.admin_address(), "other", 1.0).await;
}
