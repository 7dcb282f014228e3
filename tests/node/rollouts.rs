//! Replicas that come and go while pods are created: no creation fails.

use serde_json::json;

use crate::{
    Part, Step, eventually,
    hello::{Capture, Hello},
    installation::{DEPLOYMENT, NAMESPACE},
    node::Node,
    pods::{name, uid},
    stream::Stream,
};

pub(crate) const STEPS: &[Step] = &[
    ("no creation fails during a rolling restart", restart, Part::Smoke),
    ("no creation fails when a replica is deleted", deletion, Part::Full),
    ("no creation fails when a replica is evicted", eviction, Part::Full),
    ("no creation fails while the number of replicas changes", scaling, Part::Full),
];

fn restart(node: &Node) {
    let before = node.await_replicas(2);
    let stream = Stream::start(node, "rolling restart");
    let capture = Capture::start();
    roll(node);
    stream.end();
    assert_calls_of_the_service(capture);
    let after = node.await_replicas(2);
    assert!(after.iter().all(|new| before.iter().all(|old| uid(old) != uid(new))));
}

/// Checks how the API server has opened its connections to the new replicas: by the name of the Service, and for
/// HTTP/1.1 only, which spreads calls over connections and so over replicas.
fn assert_calls_of_the_service(capture: Capture) {
    let (connections, hellos) = capture.end();
    eprintln!("      {connections} connections of the API server: {hellos:?}");
    let expected = Hello {
        server_name: Some("imageswap.imageswap-system.svc".to_owned()),
        protocols: vec!["http/1.1".to_owned()],
    };
    assert_eq!(hellos, [expected].into());
}

fn deletion(node: &Node) {
    let replicas = node.await_replicas(2);
    let stream = Stream::start(node, "deletion");
    node.api().delete(&format!("/api/v1/namespaces/{NAMESPACE}/pods/{}", name(&replicas[0])));
    await_replacement(node, uid(&replicas[0]));
    stream.end();
}

fn eviction(node: &Node) {
    let replicas = node.await_replicas(2);
    let stream = Stream::start(node, "eviction");
    let eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": { "name": name(&replicas[0]), "namespace": NAMESPACE },
    });
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{}/eviction", name(&replicas[0]));
    node.api().post(&path, &eviction);
    await_replacement(node, uid(&replicas[0]));
    stream.end();
}

fn scaling(node: &Node) {
    node.await_replicas(2);
    let stream = Stream::start(node, "scaling");
    for replicas in [4, 2] {
        node.api().patch(DEPLOYMENT, &json!({ "spec": { "replicas": replicas } }));
        node.await_replicas(replicas);
        stream.await_creates(20);
    }
    stream.end();
}

/// Waits until the replica is gone and another one is ready.
fn await_replacement(node: &Node, replica: &str) {
    eventually("another replica", || {
        let replicas = node.await_replicas(2);
        if replicas.iter().all(|pod| uid(pod) != replica) { Ok(()) } else { Err("it is there") }
    });
}

/// Replaces all replicas.
pub(crate) fn roll(node: &Node) {
    node.documented(
        "kubectl rollout restart deployment/imageswap --namespace imageswap-system",
        &[],
    );
    node.await_replicas(2);
}
