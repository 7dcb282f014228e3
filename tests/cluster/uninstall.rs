//! `imageswap uninstall`, which the Helm chart runs before Helm deletes anything.

use serde_json::json;

use crate::{
    Cluster, MAP, Step,
    certificates::server_pair,
    eventually,
    install::{AUTHORITY, CERTIFICATE, CONFIGURATION, CONFIGURATIONS, secret},
    installation::configuration_of_the_original,
    service::HOST,
    stream::Stream,
    webhook::{Files, Launch},
};

/// The bindings that permit replicas to write.
const BINDINGS: [&str; 2] = [
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/imageswap-write-crb",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/imageswap-system/rolebindings/imageswap-ops-rb",
];

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("no creation fails during `uninstall`, and no replica undoes it", command),
    ("`uninstall` keeps Secrets that the webhook has not created", foreign_secrets),
    ("`uninstall` names the client that creates the configuration again", contested),
];

fn command(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let webhook = cluster.managed(&files).start_ready();
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_probe("app=one.example.com/probe:1");
    cluster.assert_permitted();
    let stream = Stream::start_early(cluster, "uninstall");
    stream.await_creates(20);
    run(cluster, &[], 0);
    let late = cluster.managed(&files).start();
    late.await_log("reconciliation failed; retrying");
    stream.await_creates(20);
    stream.end();
    // A second time there is nothing to do.
    run(cluster, &[], 0);
    for path in [&[CONFIGURATION, CERTIFICATE, AUTHORITY][..], &BINDINGS].concat() {
        assert_eq!(cluster.api.get(path), None);
    }
    drop(late);
    restore(cluster);
}

fn foreign_secrets(cluster: &Cluster) {
    let (certificate, key) = server_pair(cluster.control_plane.authority(), &[HOST]);
    let content = [("cert.pem", &*certificate), ("key.pem", &*key)];
    let root = [("rootca.pem", &*cluster.control_plane.authority().pem())];
    for (annotations, settings) in [
        (json!({ "imageswap-byoc": "true" }), &[][..]),
        (json!({}), &[("IMAGESWAP_TLS_MODE", "files")]),
    ] {
        cluster.clear_state();
        cluster.store(CERTIFICATE, &secret("imageswap-tls", &annotations, &content));
        cluster.store(AUTHORITY, &secret("imageswap-tls-ca", &json!({}), &root));
        run(cluster, settings, 0);
        for path in [CERTIFICATE, AUTHORITY] {
            assert!(cluster.api.get(path).is_some(), "{settings:?} {annotations}");
        }
        restore(cluster);
    }
    cluster.clear_state();
}

fn contested(cluster: &Cluster) {
    cluster.clear_state();
    let configuration = configuration_of_the_original(cluster);
    let mut uninstall = launch(cluster, &[]).spawn();
    let status = eventually("the end of `uninstall`", || {
        if cluster.api.get(CONFIGURATION).is_none() {
            cluster.api.post(CONFIGURATIONS, &configuration);
        }
        uninstall.ended().ok_or("it runs")
    });
    assert_eq!(status.code(), Some(1));
    uninstall.await_log("creates it again each time it is deleted; stop that first");
    restore(cluster);
}

/// Runs the command with these settings, and checks its exit code.
fn run(cluster: &Cluster, settings: &[(&'static str, &'static str)], code: i32) {
    let mut uninstall = launch(cluster, settings).spawn();
    assert_eq!(uninstall.await_end().code(), Some(code), "{:#?}", uninstall.log());
}

fn launch(cluster: &Cluster, settings: &[(&'static str, &'static str)]) -> Launch {
    let kubeconfig = cluster.control_plane.file("token.kubeconfig");
    let launch = Launch::new("uninstall").with_path("KUBECONFIG", kubeconfig);
    settings.iter().fold(launch, |launch, (variable, value)| launch.with(variable, *value))
}

/// Grants the webhook its rights again.
fn restore(cluster: &Cluster) {
    cluster.clear_state();
    cluster.control_plane.install();
    // Replicas were refused in the meantime.
    cluster.control_plane.clear_audit();
}
