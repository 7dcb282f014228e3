//! Other mutating webhooks, such as those of a service mesh or of another tool that rewrites images.
//!
//! The program with another map stands for the other webhook. The API server calls webhooks in the order of the names
//! of their configurations.

use serde_json::{Value, json};
use support::certificates::Authority;

use crate::{
    Cluster, PODS, SWAPPED, Step,
    certificates::server_pair,
    eventually, expect,
    modes::from_files,
    objects::{LABEL, images, pod_of},
    stream::encoded,
    swapping::Swapping,
    webhook::{Files, Webhook},
};

pub(crate) const STEPS: &[Step<Swapping>] = &[
    ("an image that another webhook adds later is swapped", added_later),
    ("an image that another webhook changes back is swapped again", changed_back),
    ("the label hands a namespace over from another webhook", handover),
];

/// Checks what the injector of Istio does: it puts its proxy in place of the image `auto`.
fn added_later(swapping: &Swapping) {
    let map = "[EXACT]auto::docker.io/istio/proxyv2:1.23.0\ndefault::";
    let _other = Other::start(&swapping.cluster, "istio-sidecar-injector", map, &named(SWAPPED));
    let pod = pod_of("gateway", &["auto", "nginx:1.27"]);
    let expected = ["app=one.example.com/istio/proxyv2:1.23.0", "app1=one.example.com/nginx:1.27"];
    await_images(swapping, &pod, &expected);
}

/// Checks what happens to a tool that falls back to the source of an image.
fn changed_back(swapping: &Swapping) {
    let map = "[EXACT]one.example.com/fallback:1::docker.io/library/fallback:1\ndefault::";
    let name = "kube-image-keeper-mutating-webhook";
    let _other = Other::start(&swapping.cluster, name, map, &named(SWAPPED));
    // The path shows that the other webhook was called in between.
    let expected = ["app=one.example.com/library/fallback:1"];
    await_images(swapping, &pod_of("changed-back", &["fallback:1"]), &expected);
}

/// Checks the way from another tool: each pod is rewritten by one of the two.
fn handover(swapping: &Swapping) {
    const NAMESPACE: &str = "handover";
    const PATH: &str = "/api/v1/namespaces/handover/pods";

    let control_plane = &swapping.cluster.control_plane;
    control_plane.create_namespace(NAMESPACE, &json!({}));
    let mut selector = named(NAMESPACE);
    selector["matchExpressions"] =
        json!([{ "key": LABEL, "operator": "NotIn", "values": ["enabled"] }]);
    let map = "default::other.example.com";
    let _other = Other::start(&swapping.cluster, "k8s-image-swapper-webhook", map, &selector);
    let mut number = 0;
    let mut create = || {
        number += 1;
        let mut pod = pod_of(&format!("handover-{number}"), &["nginx:1.27"]);
        pod["metadata"]["namespace"] = json!(NAMESPACE);
        images(&swapping.cluster.api.post(PATH, &pod)).remove(0)
    };
    let [old, new] = ["other", "one"].map(|host| format!("app={host}.example.com/nginx:1.27"));
    eventually("the other webhook", || expect(create(), &old));
    control_plane.kubectl(&["label", "namespace", NAMESPACE, &format!("{LABEL}=enabled")]);
    eventually("the handover", || {
        let image = create();
        assert!(image == old || image == new, "{image}");
        expect(image, &new)
    });
}

/// Waits until a pod would be stored with these images, and creates it.
fn await_images(swapping: &Swapping, pod: &Value, expected: &[&str]) {
    eventually("the images of both webhooks", || {
        let would_be = swapping.cluster.api.try_post(&format!("{PODS}?dryRun=All"), pod).unwrap();
        expect(images(&would_be), &expected)
    });
    assert_eq!(images(&swapping.cluster.create(pod)), expected);
}

/// Returns the selector of a namespace by its name.
pub(crate) fn named(namespace: &str) -> Value {
    json!({ "matchLabels": { "kubernetes.io/metadata.name": namespace } })
}

/// Another webhook, until it is dropped.
pub(crate) struct Other<'a> {
    cluster: &'a Cluster,
    /// Name of its configuration.
    name: &'static str,
    _webhook: Webhook,
    _files: Files,
}

impl<'a> Other<'a> {
    /// Starts another webhook that is called for the pods of the selected namespaces.
    pub(crate) fn start(
        cluster: &'a Cluster,
        name: &'static str,
        map: &str,
        selector: &Value,
    ) -> Self {
        let authority = Authority::new("other");
        let (certificate, key) = server_pair(&authority, &["127.0.0.1"]);
        let files = Files::new(map);
        files.write("cert.pem", &certificate);
        files.write("key.pem", &key);
        let webhook = from_files(&files).start_ready();
        cluster.control_plane.create(&json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": { "name": name },
            "webhooks": [{
                "name": "other.example.com",
                "clientConfig": {
                    "url": format!("https://{}/", webhook.address()),
                    "caBundle": encoded(authority.pem().as_bytes()),
                },
                "rules": [{
                    "operations": ["CREATE"],
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "resources": ["pods"],
                }],
                "failurePolicy": "Ignore",
                "reinvocationPolicy": "IfNeeded",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "namespaceSelector": selector,
            }],
        }));
        Self { cluster, name, _webhook: webhook, _files: files }
    }
}

impl Drop for Other<'_> {
    fn drop(&mut self) {
        let delete = ["delete", "mutatingwebhookconfiguration", self.name];
        // A panic here would hide the first one.
        let _ = self.cluster.control_plane.try_kubectl(&delete, None);
    }
}
