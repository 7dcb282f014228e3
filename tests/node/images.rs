//! Images that run because they were swapped: the node can pull from the mirror only.

use std::time::Instant;

use serde_json::{Value, json};

use crate::{
    Part, Step, eventually,
    installation::{APPLY_MAP_NOW, NAMESPACE},
    node::Node,
    pods::{image, name, pod},
    print_time,
};

/// The ConfigMap with the map.
const MAP: &str = "/api/v1/namespaces/imageswap-system/configmaps/imageswap-maps";

/// Metric that counts the maps that a replica has applied.
const APPLIED: &str = "imageswap_map_reloads_total{result=\"applied\"}";

/// Reasons of the kubelet for a container whose image it cannot pull.
const NOT_PULLED: &[&str] = &["ErrImagePull", "ImagePullBackOff"];

pub(crate) const STEPS: &[Step] = &[
    ("an image runs where it is swapped, and not elsewhere", mirrored, Part::Smoke),
    ("the image of an ephemeral container is swapped and runs", ephemeral, Part::Smoke),
    ("an image volume is swapped and mounted", volume, Part::Smoke),
    ("an edit of the map applies to new pods", edit, Part::Full),
];

fn mirrored(node: &Node) {
    node.create_namespace("plain", false);
    node.api().post("/api/v1/namespaces/plain/pods", &pod("plain", "nginx:1.27"));
    let reason = node.await_reason("plain", "plain", NOT_PULLED);
    eprintln!("      nginx:1.27 without the label: {reason}");
    // The installation has created the other one.
    let swapped = node.await_ready_pod("test1", "web");
    let status = &swapped["status"]["containerStatuses"][0];
    eprintln!("      with the label: {} is {}", status["image"], status["imageID"]);
    assert!(node.mirror().has_served("official/nginx"));
    node.await_reason("plain", "plain", NOT_PULLED);
    node.api().delete("/api/v1/namespaces/plain/pods/plain");
}

fn ephemeral(node: &Node) {
    let begun = Instant::now();
    node.kubectl(&[
        "debug",
        "web",
        "--namespace=test1",
        "--image=busybox:1.36",
        "--container=debugger",
        "--profile=general",
    ]);
    let path = "/api/v1/namespaces/test1/pods/web";
    let web = eventually("a running ephemeral container", || {
        let web = node.api().get(path).unwrap();
        let state = &web["status"]["ephemeralContainerStatuses"][0]["state"];
        if state["running"].is_object() { Ok(web) } else { Err(state.clone()) }
    });
    let debugger = &web["spec"]["ephemeralContainers"][0];
    assert_eq!(debugger["image"], "registry.example.com/official/busybox:1.36");
    assert!(node.mirror().has_served("official/busybox"));
    print_time("it runs", begun);
}

fn volume(node: &Node) {
    let begun = Instant::now();
    let mut pod = pod("volume", "nginx:1.27");
    pod["spec"]["volumes"] =
        json!([{ "name": "model", "image": { "reference": "ghcr.io/acme/model:v3" } }]);
    pod["spec"]["containers"][0]["volumeMounts"] =
        json!([{ "name": "model", "mountPath": "/model" }]);
    node.api().post("/api/v1/namespaces/test1/pods", &pod);
    let pod = node.await_ready_pod("test1", "volume");
    let reference = &pod["spec"]["volumes"][0]["image"]["reference"];
    assert_eq!(reference, "registry.example.com/other/acme/model:v3");
    assert!(node.mirror().has_served("other/acme/model"));
    print_time("the pod is ready", begun);
    node.api().delete("/api/v1/namespaces/test1/pods/volume");
}

fn edit(node: &Node) {
    let before = node.api().get(MAP).unwrap()["data"]["maps"].clone();
    let edited = "default::registry.example.com/other\n\
                  docker.io/library::registry.example.com/second\n";
    let begun = Instant::now();
    replace_map(node, &json!(edited), || {});
    let pod = pod("edited", "nginx:1.27");
    let created = node.api().post("/api/v1/namespaces/test1/pods", &pod);
    assert_eq!(image(&created), "registry.example.com/second/nginx:1.27");
    node.await_ready_pod("test1", "edited");
    assert!(node.mirror().has_served("second/nginx"));
    print_time("a pod with the image of the new map is ready", begun);
    node.api().delete("/api/v1/namespaces/test1/pods/edited");
    replace_map(node, &before, || drop(node.documented(APPLY_MAP_NOW, &[])));
}

/// Replaces the map, then calls `afterwards`, and waits until all replicas have applied the map.
fn replace_map(node: &Node, map: &Value, afterwards: impl Fn()) {
    let begun = Instant::now();
    let applied: Vec<_> = node
        .pods(NAMESPACE)
        .iter()
        .map(|pod| (name(pod).to_owned(), node.metric(name(pod), APPLIED)))
        .collect();
    node.api().patch(MAP, &json!({ "data": { "maps": map } }));
    afterwards();
    for (replica, before) in applied {
        eventually("the map to be applied", || {
            let now = node.metric(&replica, APPLIED);
            if now > before { Ok(()) } else { Err(now) }
        });
        print_time(&format!("{replica} has applied the map"), begun);
    }
}

impl Node {
    /// Returns the value of a metric of a replica; 0 if it is missing.
    pub(crate) fn metric(&self, replica: &str, series: &str) -> f64 {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{replica}:8080/proxy/metrics");
        let page = self.kubectl(&["get", "--raw", &path]);
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }
}
