//! A power cut: the node stops at once and starts cold, with everything that runs on it.

use std::{fs, time::Instant};

use serde_json::{Value, json};

use crate::{
    Part, Step, eventually,
    node::Node,
    pods::{condition, deployment, pod, uid},
    print_time,
};

/// The Deployments in the namespace whose pods are swapped.
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/test1/deployments";

pub(crate) const STEPS: &[Step] = &[
    ("everything runs again after a power cut", cold_start, Part::Full),
    ("everything runs again with the overlay cluster-wide", cluster_wide, Part::Full),
];

fn cold_start(node: &Node) {
    restart(node);
}

/// With this overlay the API server also calls the webhook for the pod that the kubelet creates for a manifest on its
/// disk.
fn cluster_wide(node: &Node) {
    node.kubectl(&["apply", "--server-side", "--kustomize", "deploy/overlays/cluster-wide"]);
    node.create_namespace("static", false);
    node.await_swaps_in("static");
    let mut manifest = pod("manifest", "registry.example.com/official/nginx:1.27");
    manifest["metadata"]["namespace"] = json!("static");
    let file = node.disk("lib/manifests/manifest.json");
    fs::write(&file, manifest.to_string()).unwrap();
    node.await_ready_pod("static", "manifest-node");
    restart(node);
    fs::remove_file(&file).unwrap();
    eventually("the deletion of the mirror pod", || {
        let left = node.pods("static").len();
        if left == 0 { Ok(()) } else { Err(left) }
    });
}

/// Cuts the power and starts the node, with a Deployment from before and one that is created as soon as the API server
/// serves. Waits until all pods run again.
fn restart(node: &Node) {
    node.await_replicas(2);
    node.api().post(DEPLOYMENTS, &deployment("before", 3));
    eventually("the Deployment `before`", || available(node, "before"));
    let before = running(node);
    node.cut_power();
    let begun = Instant::now();
    node.switch_on();
    eventually("the API server", || node.api().try_post(DEPLOYMENTS, &deployment("after", 2)));
    print_time("the API server serves", begun);
    node.await_ready();
    print_time("the node is ready", begun);
    eventually("the Deployment `after`", || available(node, "after"));
    print_time("pods that were created meanwhile are ready", begun);
    for pod in &before {
        let name = pod["metadata"]["name"].as_str().unwrap();
        eventually(&format!("the pod {name}"), || {
            let now = running(node);
            let now = now.iter().find(|now| uid(now) == uid(pod)).ok_or("it is gone")?;
            if container(now) == container(pod) { Err("it has not been restarted") } else { Ok(()) }
        });
    }
    print_time(&format!("all {} pods from before are ready again", before.len()), begun);
    node.await_replicas(2);
    for name in ["before", "after"] {
        node.api().delete(&format!("{DEPLOYMENTS}/{name}"));
    }
}

/// Returns an error unless the Deployment is available.
fn available(node: &Node, name: &str) -> Result<(), String> {
    let found = node.api().try_get(&format!("{DEPLOYMENTS}/{name}"));
    let found = found.map_err(|error| error.to_string())?.ok_or("there is none")?;
    if condition(&found, "Available") { Ok(()) } else { Err(found["status"].to_string()) }
}

/// Returns the pods of all namespaces that are ready.
fn running(node: &Node) -> Vec<Value> {
    let mut pods = node.api().get("/api/v1/pods").unwrap()["items"].as_array().unwrap().clone();
    pods.retain(|pod| condition(pod, "Ready") && pod["metadata"]["deletionTimestamp"].is_null());
    pods
}

/// Returns the identifier of the container of a pod, which is another one after a restart.
fn container(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]["containerID"]
}
