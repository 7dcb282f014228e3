//! Maps of namespaces.

use serde_json::json;
use support::volume::Volume;

use crate::{
    Cluster, MAP, PODS, Step, eventually, expect,
    objects::{LABEL, images, pod_of},
    stream::Stream,
    webhook::Files,
};

pub(crate) const STEPS: &[Step<Cluster>] =
    &[("no creation fails while the map of a namespace comes, changes and goes", changes)];

/// The image of the stream's pods, with each of the maps.
const IMAGES: [&str; 3] =
    ["one.example.com/nginx:1.27", "first.example.com/nginx:1.27", "second.example.com/nginx:1.27"];

fn changes(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let mut volume = Volume::new();
    let launch = cluster.managed(&files);
    let webhook = launch
        .with_path("IMAGESWAP_NAMESPACE_MAPS_DIR", volume.directory().to_owned())
        .start_ready();
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_probe("app=one.example.com/probe:1");
    cluster.control_plane.create_namespace("neighbour", &json!({ LABEL: "enabled" }));
    let await_host = |host: &str| {
        let expected = format!("app={host}.example.com/probe:1");
        eventually(&format!("images from {host}"), || expect(cluster.probe(), &[&*expected]));
    };
    let stream = Stream::start_with(cluster, "namespaces", &IMAGES);
    stream.await_creates(20);
    for (map, host) in [
        (Some("docker.io::first.example.com"), "first"),
        (Some("default::second.example.com"), "second"),
        // Without a rule for this registry, the map of the cluster decides.
        (Some("quay.io::quay.example.com"), "one"),
        (Some("default::first.example.com\nbroken"), "first"),
        // A map that cannot be used leaves the last one in use.
        (Some("broken"), "first"),
        (None, "one"),
    ] {
        let files: Vec<_> = map.map(|map| ("swapped.conf", map.as_bytes())).into_iter().collect();
        volume.write(&files);
        await_host(host);
        stream.await_creates(10);
    }
    stream.end();
    let mut other = pod_of("other", &["nginx:1.27"]);
    other["metadata"]["namespace"] = json!("neighbour");
    let stored = cluster.api.post(&PODS.replace("swapped", "neighbour"), &other);
    assert_eq!(images(&stored), ["app=one.example.com/nginx:1.27"]);
}
