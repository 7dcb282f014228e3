//! Refused reviews: the API server returns the message of the webhook to the client that creates the pod.

use serde_json::json;

use crate::{
    Cluster, MAP, PODS, Step, eventually,
    objects::pod_of,
    webhook::{Files, Webhook},
};

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("a body over the limit is refused with the limit", over_the_limit),
    ("a pod with too many containers is refused with their number", too_many_containers),
    ("without a map a pod is refused with the reason", without_map),
];

impl Cluster {
    /// Creates a pod until this webhook refuses it, and returns the message of the refusal.
    fn refusal(&self, webhook: &Webhook, pod: &serde_json::Value, words: &str) -> String {
        self.service.set_endpoints(&[webhook]);
        self.service.cut();
        eventually(words, || {
            let answer = self.api.try_post(&format!("{PODS}?dryRun=All"), pod);
            let message = answer.err().map(|error| error.to_string()).unwrap_or_default();
            if message.contains(words) { Ok(message) } else { Err(message) }
        })
    }
}

fn over_the_limit(cluster: &Cluster) {
    let files = Files::new(MAP);
    let webhook = cluster.managed(&files).with("IMAGESWAP_MAX_BODY_BYTES", "4096").start_ready();
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_configuration();
    let mut pod = pod_of("large", &["nginx:1.27"]);
    pod["metadata"]["annotations"] = json!({ "note": "x".repeat(8000) });
    let words = "the body is larger than 4096 bytes (IMAGESWAP_MAX_BODY_BYTES); raise the limit";
    eprintln!("      {}", cluster.refusal(&webhook, &pod, words));
}

fn too_many_containers(cluster: &Cluster) {
    let files = Files::new(MAP);
    // With the defaults that the API server fills in, so many containers exceed the default limit.
    let launch = cluster.managed(&files).with("IMAGESWAP_MAX_BODY_BYTES", "67108864");
    let webhook = launch.start_ready();
    let mut pod = pod_of("many", &["nginx:1.27"]);
    pod["spec"]["containers"] = json!(vec![json!({ "name": "a", "image": "b" }); 33_000]);
    let words = "more than 32768 containers, volumes and pull secrets";
    eprintln!("      {}", cluster.refusal(&webhook, &pod, words));
}

fn without_map(cluster: &Cluster) {
    let files = Files::new("");
    let webhook = cluster.managed(&files).start();
    webhook.await_log("certificate loaded");
    let pod = pod_of("early", &["nginx:1.27"]);
    let words = "no map is loaded yet; GET /readyz says what is missing";
    eprintln!("      {}", cluster.refusal(&webhook, &pod, words));
}
