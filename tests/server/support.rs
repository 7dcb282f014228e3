//! What tests of a running server share: settings, reviews, and waiting with a deadline.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use imageswap::{
    admission::Scope,
    app::App,
    server::Limits,
    settings::{CertificateOrigin, LogFormat, LogSettings, RuleSource, ServeSettings},
};
use serde_json::Value;
use tracing::level_filters::LevelFilter;

use crate::client::{self, Answer, DEADLINE};

/// Settings for a server in this process, on ports that the system chooses.
pub(crate) fn settings(rules: RuleSource) -> ServeSettings {
    let any_port: SocketAddr = "127.0.0.1:0".parse().unwrap();
    ServeSettings {
        rules,
        strict_maps: false,
        maps_optional: false,
        listen: any_port,
        admin_listen: any_port,
        certificate: CertificateOrigin::SelfSigned(vec!["localhost".into()]),
        client_ca_file: None,
        scope: Scope::default(),
        pod_name: Some("imageswap-0".into()),
        limits: Limits::default(),
        shutdown_delay: Duration::ZERO,
        shutdown_timeout: DEADLINE,
        log: LogSettings { level: LevelFilter::OFF, format: LogFormat::Text },
    }
}

/// A server in this process with the map `default::d.io`.
pub(crate) async fn started(limits: Limits) -> App {
    let settings = settings(RuleSource::BuiltIn("default::d.io"));
    App::start(ServeSettings { limits, ..settings }).await.unwrap()
}

pub(crate) fn fixture(name: &str) -> String {
    let path = format!("{}/tests/fixtures/reviews/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// The image that the first operation of an answer's patch sets.
pub(crate) fn first_image(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let patch = STANDARD.decode(body["response"]["patch"].as_str().unwrap()).unwrap();
    let patch: Value = serde_json::from_slice(&patch).unwrap();
    patch[0]["value"].as_str().unwrap().to_owned()
}

/// Tries until `probe` gives something, or the deadline has passed.
pub(crate) async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(begun.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until the server is ready.
pub(crate) async fn ready(admin: SocketAddr) {
    eventually("ready", async || {
        (client::admin_get(admin, "/readyz").await.status == 200).then_some(())
    })
    .await;
}

/// The value of a metric, given with its labels.
pub(crate) async fn metric(admin: SocketAddr, name: &str) -> Option<f64> {
    let page = client::admin_get(admin, "/metrics").await.body;
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(line.parse().unwrap())
}
