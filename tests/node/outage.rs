//! A power cut: the node stops at once and starts cold, with everything that runs on it.

use std::{fs, time::Instant};

use serde_json::json;

use crate::{
    Part, Step, eventually,
    installation::NAMESPACE,
    node::Node,
    pods::{condition, deployment, pod},
    print_time,
};

/// The Deployments in the namespace whose pods are swapped.
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/test1/deployments";

pub(crate) const STEPS: &[Step] = &[
    ("everything runs again after a power cut", cold_start, Part::Full),
    ("everything runs again with the overlay cluster-wide", cluster_wide, Part::Full),
];

fn cold_start(node: &Node) {
    node.api().delete("/api/v1/namespaces/test1/pods/web");
    node.api().post(DEPLOYMENTS, &deployment("before", 3));
    node.await_ready_pods("test1", 3);
    restart(node, "during");
    node.await_ready_pods("test1", 5);
    node.api().delete(&format!("{DEPLOYMENTS}/before"));
    node.api().delete(&format!("{DEPLOYMENTS}/during"));
    node.await_ready_pods("test1", 0);
}

fn cluster_wide(node: &Node) {
    node.kubectl(&["apply", "--server-side", "--kustomize", "deploy/overlays/cluster-wide"]);
    node.create_namespace("static", false);
    // The API server calls the webhook for a namespace without the label.
    eventually("the configuration for all namespaces", || {
        let path = "/api/v1/namespaces/static/pods?dryRun=All";
        let image =
            crate::pods::image(&node.api().post(path, &pod("probe", "nginx:1.27"))).to_owned();
        if image.starts_with("registry.example.com/") { Ok(()) } else { Err(image) }
    });
    node.await_replicas(2);
    let mut manifest = pod("manifest", "registry.example.com/official/nginx:1.27");
    manifest["metadata"]["namespace"] = json!("static");
    let file = node.disk("lib/manifests/manifest.json");
    fs::write(&file, manifest.to_string()).unwrap();
    node.await_ready_pod("static", "manifest-node");
    node.api().post(DEPLOYMENTS, &deployment("before", 3));
    node.await_ready_pods("test1", 3);
    restart(node, "during");
    node.await_ready_pods("test1", 5);
    let begun = Instant::now();
    node.await_ready_pod("static", "manifest-node");
    print_time("the mirror pod is ready", begun);
    fs::remove_file(&file).unwrap();
    node.await_ready_pods("static", 0);
    node.api().delete(&format!("{DEPLOYMENTS}/before"));
    node.api().delete(&format!("{DEPLOYMENTS}/during"));
    node.await_ready_pods("test1", 0);
}

/// Cuts the power, starts the node, and creates a Deployment as soon as the API server serves. Waits until the webhook
/// and the Deployment run.
fn restart(node: &Node, name: &str) {
    node.cut_power();
    let begun = Instant::now();
    node.switch_on();
    eventually("the API server", || node.api().try_post(DEPLOYMENTS, &deployment(name, 2)));
    print_time("the API server serves", begun);
    node.await_ready();
    print_time("the node is ready", begun);
    let path = format!("{DEPLOYMENTS}/{name}");
    let is_available = || node.api().get(&path).is_some_and(|found| condition(&found, "Available"));
    eventually("the Deployment", || if is_available() { Ok(()) } else { Err("not available") });
    print_time("pods that were created meanwhile are ready", begun);
    node.await_replicas(2);
    print_time("the replicas are available", begun);
    let restarted = node.pods(NAMESPACE).len();
    assert_eq!(restarted, 2);
}
