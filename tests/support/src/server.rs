//! A server in this process, and the pages of its admin port.

use std::{net::SocketAddr, time::Duration};

use imageswap::{
    admission::AdmissionSettings,
    app::App,
    server::Limits,
    settings::{CertificateOrigin, LogFormat, LogSettings, RuleSource, ServeSettings},
    sources::FollowedFile,
};
use tracing::level_filters::LevelFilter;

use crate::{
    client::admin_get,
    wait::{DEADLINE, eventually},
};

/// Returns the settings of a server on loopback, on free ports.
pub fn settings(rules: RuleSource) -> ServeSettings {
    let any_port: SocketAddr = "127.0.0.1:0".parse().unwrap();
    ServeSettings {
        rules,
        strict_maps: false,
        maps_optional: false,
        namespace_maps: "/nonexistent".into(),
        candidate_map: FollowedFile::Default("/nonexistent/candidate.conf".into()),
        sites: FollowedFile::Default("/nonexistent/sites.conf".into()),
        listen: any_port,
        admin_listen: any_port,
        status_page: true,
        certificate: CertificateOrigin::SelfSigned(vec!["localhost".into()]),
        client_ca_file: None,
        verify: None,
        admission: AdmissionSettings::default(),
        pod_name: Some("imageswap-0".into()),
        limits: Limits::default(),
        shutdown_delay: Duration::ZERO,
        shutdown_timeout: DEADLINE,
        log: LogSettings { level: LevelFilter::OFF, format: LogFormat::Text },
    }
}

/// Starts a server with the map `default::d.io`.
pub async fn started(limits: Limits) -> App {
    let settings = settings(RuleSource::BuiltIn("default::d.io"));
    App::start(ServeSettings { limits, ..settings }).await.unwrap()
}

/// Waits until the server is ready.
pub async fn await_ready(admin: SocketAddr) {
    eventually("ready", async || (admin_get(admin, "/readyz").await.status == 200).then_some(()))
        .await;
}

/// Returns the value of a metric, given with its labels; `None` if the page does not contain it.
pub async fn metric(admin: SocketAddr, name: &str) -> Option<f64> {
    let page = admin_get(admin, "/metrics").await.body;
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(line.parse().unwrap())
}
