//! Exclusions by annotation, and the records of changes: audit log, warnings, annotations, shadow mode.

use serde_json::{Value, json};

use crate::{
    Cluster, MAP, PLAIN, PODS, SWAPPED, Step, eventually, expect,
    identities::RECORDED,
    objects::{LABEL, images, pod_of},
    other_webhooks::{Other, named},
    webhook::{Files, Launch, Webhook},
};

const SKIP: &str = "k8s.twr.io/imageswap-skip";

const ORIGINAL: &str = "k8s.twr.io/imageswap-original";

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("an annotation excludes containers", exclusions),
    ("the audit log of the API server has each change", audit),
    ("kubectl shows each change as a warning", warnings),
    ("the annotation with the original images survives updates", original),
    ("the annotation is right if another webhook changes the image back", changed_back),
    ("shadow mode changes no pod of its namespaces", shadow),
];

/// Starts the webhook with additional settings.
fn start(cluster: &Cluster, files: &Files, with: impl Fn(Launch) -> Launch) -> Webhook {
    cluster.clear_state();
    let webhook = with(cluster.managed(files)).start_ready();
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_probe("app=one.example.com/probe:1");
    webhook
}

fn exclusions(cluster: &Cluster) {
    let files = Files::new(MAP);
    let webhook = start(cluster, &files, |launch| launch);
    let mut pod = pod_of("excluded", &["web:1", "sidecar:1"]);
    pod["metadata"]["annotations"] = json!({ SKIP: "app1" });
    assert_eq!(images(&cluster.create(&pod)), ["app=one.example.com/web:1", "app1=sidecar:1"]);
    let mut typing_error = pod_of("typing-error", &["web:1"]);
    typing_error["metadata"]["annotations"] = json!({ SKIP: "ap" });
    let create = ["create", "--dry-run=server", "--warnings-as-errors", "-f=-"];
    let refusal = cluster.control_plane.try_kubectl(&create, Some(&typing_error)).unwrap_err();
    let warning = format!("Warning: imageswap: annotation {SKIP}: there is no container ap");
    assert!(refusal.contains(&warning), "{refusal}");
    webhook.assert_no_warnings();
}

fn audit(cluster: &Cluster) {
    let files = Files::new(MAP);
    let webhook = start(cluster, &files, |launch| launch);
    cluster.control_plane.create_namespace(RECORDED, &json!({ LABEL: "enabled" }));
    let mut pod = pod_of("audited", &["nginx:1.27", "quay.io/a/b:2"]);
    pod["metadata"]["namespace"] = json!(RECORDED);
    let path = format!("/api/v1/namespaces/{RECORDED}/pods");
    // The API server may learn of the namespace's label a moment later.
    eventually("a swapped pod", || {
        let stored = cluster.api.try_post(&format!("{path}?dryRun=All"), &pod).unwrap();
        if images(&stored)[0].contains("one.example.com") { Ok(()) } else { Err(stored) }
    });
    cluster.api.post(&path, &pod);
    let line = files.path("maps.conf").display().to_string();
    let expected = format!(
        "app: nginx:1.27 -> one.example.com/nginx:1.27 ({line}:1); \
         app1: quay.io/a/b:2 -> one.example.com/a/b:2 ({line}:1)"
    );
    let annotations = eventually("the audit of the pod", || {
        let events = cluster.control_plane.audit();
        let is_creation =
            |event: &Value| event["objectRef"]["name"] == "audited" && event["requestURI"] == *path;
        let event = events.into_iter().find(is_creation).ok_or("no event")?;
        Ok::<_, &str>(event["annotations"].clone())
    });
    let prefix = "imageswap.webhook.k8s.twr.io/images-";
    let annotations = annotations.as_object().unwrap().iter();
    let found: Vec<_> = annotations.filter(|(key, _)| key.starts_with(prefix)).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(*found[0].1, json!(expected));
    cluster.control_plane.clear_audit();
    webhook.assert_no_warnings();
}

fn warnings(cluster: &Cluster) {
    let files = Files::new(MAP);
    let webhook = start(cluster, &files, |launch| launch.with("IMAGESWAP_WARNINGS", "true"));
    let create = ["create", "--dry-run=server", "--warnings-as-errors", "-f=-"];
    let pod = pod_of("warned", &["nginx:1.27"]);
    let printed = cluster.control_plane.try_kubectl(&create, Some(&pod)).unwrap_err();
    let line = files.path("maps.conf").display().to_string();
    let warning = format!("imageswap: app: nginx:1.27 -> one.example.com/nginx:1.27 ({line}:1)");
    assert!(printed.contains(&format!("Warning: {warning}")), "{printed}");
    webhook.assert_no_warnings();
}

fn original(cluster: &Cluster) {
    let files = Files::new(MAP);
    let webhook = start(cluster, &files, |launch| launch.with("IMAGESWAP_ANNOTATE", "true"));
    let found = |name: &str| {
        let stored = cluster.api.get(&format!("{PODS}/{name}")).unwrap();
        let text = stored["metadata"]["annotations"][ORIGINAL].as_str().unwrap().to_owned();
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let mut pod = pod_of("annotated", &["nginx:1.27", "redis:7"]);
    pod["metadata"]["annotations"] = json!({ "kept": "yes" });
    let stored = cluster.create(&pod);
    assert_eq!(stored["metadata"]["annotations"]["kept"], "yes");
    assert_eq!(found("annotated"), json!({ "app": "nginx:1.27", "app1": "redis:7" }));
    let control_plane = &cluster.control_plane;
    control_plane.kubectl(&["label", "pod", "annotated", "-n", SWAPPED, "stage=test"]);
    assert_eq!(found("annotated"), json!({ "app": "nginx:1.27", "app1": "redis:7" }));
    control_plane.kubectl(&["set", "image", "pod/annotated", "app=nginx:1.28", "-n", SWAPPED]);
    assert_eq!(found("annotated"), json!({ "app": "nginx:1.28", "app1": "redis:7" }));
    // The API server takes no other change together with an ephemeral container.
    let containers = json!([{ "name": "debugger", "image": "tool:1" }]);
    let debug = json!({ "spec": { "ephemeralContainers": containers } });
    let debugged = cluster.api.patch(&format!("{PODS}/annotated/ephemeralcontainers"), &debug);
    assert!(images(&debugged).contains(&"debugger=one.example.com/tool:1".to_owned()));
    // A copy of a stored pod has the swapped images, and the annotation.
    let mut copy = cluster.api.get(&format!("{PODS}/annotated")).unwrap();
    let spec = json!({ "containers": copy["spec"]["containers"].take() });
    let annotations = copy["metadata"]["annotations"].take();
    let mut copy = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "copied", "namespace": SWAPPED, "annotations": annotations },
        "spec": spec,
    });
    for container in copy["spec"]["containers"].as_array_mut().unwrap() {
        container.as_object_mut().unwrap().remove("volumeMounts");
    }
    cluster.create(&copy);
    assert_eq!(found("copied"), json!({ "app": "nginx:1.28", "app1": "redis:7" }));
    webhook.assert_no_warnings();
}

/// Checks that the annotation has the image before the last swap, and that the two webhooks come to rest.
fn changed_back(cluster: &Cluster) {
    let files = Files::new(MAP);
    let webhook = start(cluster, &files, |launch| launch.with("IMAGESWAP_ANNOTATE", "true"));
    let map = "[EXACT]one.example.com/back:1::docker.io/library/back:1\ndefault::";
    let name = "kube-image-keeper-mutating-webhook";
    let _other = Other::start(cluster, name, map, &named(SWAPPED));
    let mut pod = pod_of("changed-back-annotated", &["back:1", "nginx:1.27"]);
    pod["metadata"]["annotations"] = json!({ "kept": "yes" });
    let expected = ["app=one.example.com/library/back:1", "app1=one.example.com/nginx:1.27"];
    eventually("the images of both webhooks", || {
        let would_be = cluster.api.try_post(&format!("{PODS}?dryRun=All"), &pod).unwrap();
        expect(images(&would_be), &expected)
    });
    let stored = cluster.create(&pod);
    assert_eq!(images(&stored), expected);
    let annotations = &stored["metadata"]["annotations"];
    let original: Value = serde_json::from_str(annotations[ORIGINAL].as_str().unwrap()).unwrap();
    assert_eq!(original, json!({ "app": "docker.io/library/back:1", "app1": "nginx:1.27" }));
    assert_eq!(annotations["kept"], "yes");
    webhook.assert_no_warnings();
}

fn shadow(cluster: &Cluster) {
    const NAMESPACE: &str = "shadowed";

    let files = Files::new(MAP);
    let namespaces = format!("{NAMESPACE},{PLAIN}");
    let webhook = start(cluster, &files, |launch| {
        launch.with("IMAGESWAP_SHADOW_NAMESPACES", namespaces.clone())
    });
    cluster.control_plane.create_namespace(NAMESPACE, &json!({ LABEL: "enabled" }));
    let mut pod = pod_of("shadowed", &["nginx:1.27"]);
    pod["metadata"]["namespace"] = json!(NAMESPACE);
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods");
    let series = "imageswap_images_total{mode=\"shadow\",reason=\"default\",swapped=\"true\"}";
    eventually("a decision in shadow mode", || {
        let stored = cluster.api.try_post(&format!("{path}?dryRun=All"), &pod).unwrap();
        assert_eq!(images(&stored), ["app=nginx:1.27"]);
        let page = webhook.page("/metrics");
        if page.contains(series) { Ok(()) } else { Err(page) }
    });
    let other = cluster.create(&pod_of("enforced", &["nginx:1.27"]));
    assert_eq!(images(&other), ["app=one.example.com/nginx:1.27"]);
    webhook.assert_no_warnings_except(&["shadow mode; no object in these namespaces is changed"]);
}
