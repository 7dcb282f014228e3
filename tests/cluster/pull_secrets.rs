//! Pull secrets of pods, beside those of their service accounts.

use serde_json::{Value, json};

use crate::{
    Cluster, SWAPPED, Step, expect,
    objects::{pod_of, template_of, workload},
    stream::Stream,
    webhook::Files,
};

pub(crate) const STEPS: &[Step<Cluster>] =
    &[("a created pod gets the pull secrets of its images, and keeps those of its account", added)];

/// A map with pull secrets.
const MAP: &str = "\
default::one.example.com
quay.io::
[PULLSECRET]one.example.com::registry, mirror
[PULLSECRET]quay.io::quay
";

fn added(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let webhook = cluster.managed(&files).start_ready();
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_probe("app=one.example.com/probe:1");
    let stream = Stream::start(cluster, "pull-secrets");
    cluster.api.post(
        &format!("/api/v1/namespaces/{SWAPPED}/serviceaccounts"),
        &json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": { "name": "puller" },
            "imagePullSecrets": [{ "name": "account" }],
        }),
    );
    let create = |name: &str, image: &str, spec: &[(&str, Value)]| {
        let mut pod = pod_of(name, &[image]);
        for (field, value) in spec {
            pod["spec"][field] = value.clone();
        }
        cluster.create(&pod)
    };
    let account = ("serviceAccountName", json!("puller"));
    let own = ("imagePullSecrets", references(&["own", "mirror"]));
    let accounts_pod = create("of-account", "nginx:1.27", std::slice::from_ref(&account));
    for (stored, expected) in [
        (create("plain", "nginx:1.27", &[]), references(&["registry", "mirror"])),
        (accounts_pod.clone(), references(&["account", "registry", "mirror"])),
        // The admission plugin of service accounts leaves a list alone that is not empty.
        (create("own", "quay.io/a/b:1", &[account, own]), references(&["own", "mirror", "quay"])),
    ] {
        expect(stored["spec"]["imagePullSecrets"].clone(), &expected).unwrap();
    }
    // An update may not change the list, so it has to pass without a change.
    let name = accounts_pod["metadata"]["name"].as_str().unwrap();
    let path = format!("/api/v1/namespaces/{SWAPPED}/pods/{name}");
    let mut changed = accounts_pod.clone();
    changed["spec"]["containers"][0]["image"] = json!("redis:7");
    let updated = cluster.api.put(&path, &changed);
    assert_eq!(updated["spec"]["containers"][0]["image"], "one.example.com/redis:7");
    assert_eq!(updated["spec"]["imagePullSecrets"], accounts_pod["spec"]["imagePullSecrets"]);
    let deployment = cluster.control_plane.create(&workload("apps/v1", "Deployment", "puller"));
    assert_eq!(template_of(&deployment)["spec"].get("imagePullSecrets"), None);
    stream.await_creates(10);
    stream.end();
    webhook.assert_no_warnings();
}

fn references(names: &[&str]) -> Value {
    names.iter().map(|name| json!({ "name": name })).collect()
}
