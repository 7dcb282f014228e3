//! Rotation of the certificate and of the certificate authority while pods are created: no creation fails.

use std::time::Instant;

use serde_json::Value;

use crate::{
    Part, Step, eventually, installation::NAMESPACE, node::Node, pods::name, print_time,
    rollouts::roll, stream::Stream,
};

pub(crate) const STEPS: &[Step] = &[
    ("no creation fails while the certificate is rotated", certificate, Part::Smoke),
    ("no creation fails while the authority is rotated", authority, Part::Full),
];

/// Metric that counts the certificates that a replica has served.
const LOADED: &str = "imageswap_tls_reloads_total{result=\"applied\"}";

fn certificate(node: &Node) {
    rotate(
        node,
        "kubectl annotate secret imageswap-tls --namespace imageswap-system k8s.twr.io/imageswap-rotate=now",
    );
}

fn authority(node: &Node) {
    let root = secret(node, "imageswap-tls-ca")["data"]["rootca.pem"].clone();
    rotate(
        node,
        "kubectl annotate secret imageswap-tls-ca --namespace imageswap-system k8s.twr.io/imageswap-rotate=now",
    );
    assert_ne!(secret(node, "imageswap-tls-ca")["data"]["rootca.pem"], root);
}

/// Rotates by a command, until all replicas serve another certificate. Then replaces them, so that the API server has
/// to open new connections.
fn rotate(node: &Node, command: &str) {
    let replicas = node.await_replicas(2);
    let certificate = || secret(node, "imageswap-tls")["data"]["cert.pem"].clone();
    let before = certificate();
    let loaded: Vec<_> = replicas.iter().map(|pod| node.metric(name(pod), LOADED)).collect();
    let stream = Stream::start(node, "rotation");
    let begun = Instant::now();
    node.documented(command, &[]);
    eventually("another certificate", || {
        let now = certificate();
        if now == before { Err("the old one") } else { Ok(()) }
    });
    print_time("the certificate is issued", begun);
    for (replica, before) in replicas.iter().zip(loaded) {
        eventually("the new certificate to be loaded", || {
            let now = node.metric(name(replica), LOADED);
            if now > before { Ok(()) } else { Err(now) }
        });
    }
    print_time("all replicas serve it", begun);
    stream.await_creates(50);
    roll(node);
    stream.end();
}

fn secret(node: &Node, name: &str) -> Value {
    node.api().get(&format!("/api/v1/namespaces/{NAMESPACE}/secrets/{name}")).unwrap()
}
