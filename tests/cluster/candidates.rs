//! A candidate map beside the map in use.

use crate::{
    Cluster, MAP, Step, eventually,
    objects::{images, pod_of},
    webhook::{Files, Webhook},
};

pub(crate) const STEPS: &[Step<Cluster>] =
    &[("a candidate map is compared with the map in use, and changes nothing", compared)];

/// Returns the number of images with a result.
fn count(webhook: &Webhook, result: &str) -> u64 {
    let series = format!("imageswap_candidate_images_total{{result=\"{result}\"}} ");
    let page = webhook.page("/metrics");
    let line = page.lines().find_map(|line| line.strip_prefix(&series));
    line.unwrap().parse().unwrap()
}

fn compared(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let launch = cluster.managed(&files);
    // The file does not exist yet, so the first loads fail.
    let webhook = launch
        .with_path("IMAGESWAP_CANDIDATE_MAPS_FILE", files.path("candidate.conf"))
        .start_ready();
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_probe("app=one.example.com/probe:1");
    assert_eq!(count(&webhook, "differs"), 0);
    files.write("candidate.conf", &format!("{MAP}\nquay.io::quay.example.com"));
    webhook.await_log("candidate map loaded");
    let create = |name: &str| {
        let pod = pod_of(name, &["nginx:1.27", "quay.io/a/b:2"]);
        let expected = ["app=one.example.com/nginx:1.27", "app1=one.example.com/a/b:2"];
        assert_eq!(images(&cluster.create(&pod)), expected);
    };
    let mut number = 0;
    // The log line comes a moment after the map is in use.
    eventually("a difference", || {
        number += 1;
        create(&format!("compared-{number}"));
        let counts = ["same", "differs"].map(|result| count(&webhook, result));
        if counts.contains(&0) { Err(counts) } else { Ok(()) }
    });
}
