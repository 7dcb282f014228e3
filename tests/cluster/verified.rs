//! Verified targets: images whose new registry does not have them keep their originals.

use serde_json::{Value, json};

use crate::{
    Cluster, Step, eventually, expect,
    identities::RECORDED,
    objects::{LABEL, images, pod_of},
    registry::Registry,
    webhook::{Files, Launch},
};

pub(crate) const STEPS: &[Step<Cluster>] =
    &[("an image that the mirror does not have keeps its original", kept)];

/// Metric that counts the images that keep their originals.
const ABSENT: &str =
    "imageswap_images_total{mode=\"enforce\",reason=\"target-absent\",swapped=\"false\"}";

fn kept(cluster: &Cluster) {
    let Some(registry) = Registry::start(cluster) else { return };
    cluster.clear_state();
    if cluster.api.get(&format!("/api/v1/namespaces/{RECORDED}")).is_none() {
        cluster.control_plane.create_namespace(RECORDED, &json!({ LABEL: "enabled" }));
    }
    for (repository, tag) in [("mirror/nginx", "1.27"), ("mirror/probe", "1")] {
        registry.store(repository, tag);
    }
    let mirror = format!("{}/mirror", registry.host());
    let files = Files::new(&format!("default::{mirror}"));
    files.write("config.json", &registry.credentials());
    files.write("registry-ca.crt", &cluster.control_plane.authority().pem());
    let webhook = with_fallback(cluster.managed(&files), &files).start_ready();
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_probe(&format!("app={mirror}/probe:1"));

    let path = format!("/api/v1/namespaces/{RECORDED}/pods");
    let mut pod = pod_of("verified", &["nginx:1.27", "redis:7"]);
    pod["metadata"]["namespace"] = json!(RECORDED);
    let expected = [format!("app={mirror}/nginx:1.27"), "app1=redis:7".to_owned()];
    // On a busy machine the registry may answer after the first review.
    eventually("a pod with the images of both registries", || {
        let would_be = cluster.api.try_post(&format!("{path}?dryRun=All"), &pod).unwrap();
        expect(images(&would_be), &expected)
    });
    assert_eq!(images(&cluster.api.post(&path, &pod)), expected);
    assert!(webhook.metric(ABSENT) >= 1.0);

    let line = files.path("maps.conf").display().to_string();
    let kept =
        format!("app1: redis:7 kept, the registry does not have {mirror}/redis:7 ({line}:1)");
    let audited = audited(cluster, &path);
    assert!(audited.contains(&kept), "{audited}");
    // The warning is sent by default, unlike those of other changes.
    let create = ["create", "--dry-run=server", "--warnings-as-errors", "-f=-"];
    let warnings = cluster.control_plane.try_kubectl(&create, Some(&pod)).unwrap_err();
    assert!(warnings.contains(&format!("Warning: imageswap: {kept}")), "{warnings}");
    assert!(!warnings.contains("nginx"), "{warnings}");

    // A registry that is down says nothing about its images.
    drop(registry);
    let other = cluster.create(&pod_of("unverified", &["httpd:2"]));
    assert_eq!(images(&other), [format!("app={mirror}/httpd:2")]);
    webhook.assert_no_warnings();
}

/// Adds the settings with which the registry is asked.
fn with_fallback(launch: Launch, files: &Files) -> Launch {
    launch
        .with("IMAGESWAP_VERIFY_TARGET", "fallback")
        // For a busy machine. The API server gives the webhook 5 s, of which half counts.
        .with("IMAGESWAP_VERIFY_TIMEOUT", "2s")
        .with_path("IMAGESWAP_REGISTRY_CONFIG", files.path("config.json"))
        .with_path("IMAGESWAP_REGISTRY_CA_FILE", files.path("registry-ca.crt"))
}

/// Returns what the audit log of the API server has about the images of the pod.
fn audited(cluster: &Cluster, path: &str) -> String {
    let annotations = eventually("the audit of the pod", || {
        let events = cluster.control_plane.audit();
        let is_creation = |event: &Value| {
            event["objectRef"]["name"] == "verified" && event["requestURI"] == *path
        };
        let event = events.into_iter().find(is_creation).ok_or("no event")?;
        Ok::<_, &str>(event["annotations"].clone())
    });
    cluster.control_plane.clear_audit();
    let annotations = annotations.as_object().unwrap().iter();
    let prefix = "imageswap.webhook.k8s.twr.io/images-";
    let found = annotations.filter(|(key, _)| key.starts_with(prefix));
    found.map(|(_, value)| value.as_str().unwrap()).collect()
}
