//! Objects to create, and the images of stored objects.

use serde_json::{Value, json};

use crate::SWAPPED;

/// The label that enables namespaces, and that disables objects.
pub(crate) const LABEL: &str = "k8s.twr.io/imageswap";

/// Returns a pod in the namespace that is swapped, with the containers `app`, `app1`, and so on.
pub(crate) fn pod_of(name: &str, images: &[&str]) -> Value {
    let containers = images.iter().enumerate().map(|(index, image)| {
        let number = if index == 0 { String::new() } else { index.to_string() };
        json!({ "name": format!("app{number}"), "image": image })
    });
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "namespace": SWAPPED },
        "spec": { "containers": containers.collect::<Vec<_>>() },
    })
}

/// Returns a workload with the image `nginx:1.27`, in the namespace that is swapped.
pub(crate) fn workload(api_version: &str, kind: &str, name: &str) -> Value {
    let labels = json!({ "app": name });
    let mut template = json!({
        "metadata": { "labels": labels },
        "spec": { "containers": [{ "name": "app", "image": "nginx:1.27" }] },
    });
    let spec = match kind {
        "CronJob" | "Job" => {
            template["spec"]["restartPolicy"] = json!("Never");
            let job = json!({ "template": template });
            match kind {
                "Job" => job,
                _ => json!({ "schedule": "@yearly", "jobTemplate": { "spec": job } }),
            }
        }
        "DaemonSet" => json!({ "selector": { "matchLabels": labels }, "template": template }),
        _ => json!({
            "replicas": 2,
            "selector": { "matchLabels": labels },
            "template": template,
        }),
    };
    json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": { "name": name, "namespace": SWAPPED },
        "spec": spec,
    })
}

/// Returns the pod template of a workload, or the pod itself.
pub(crate) fn template_of(object: &Value) -> &Value {
    match object["kind"].as_str() {
        Some("CronJob") => &object["spec"]["jobTemplate"]["spec"]["template"],
        Some("Pod") => object,
        _ => &object["spec"]["template"],
    }
}

/// Returns the images of a pod or of a template, each as `name=image`, image volumes last.
pub(crate) fn images(pod: &Value) -> Vec<String> {
    let entries = |list: &'static str| pod["spec"][list].as_array().into_iter().flatten();
    let containers = ["initContainers", "containers", "ephemeralContainers"]
        .into_iter()
        .flat_map(entries)
        .map(|container| (container, &container["image"]));
    let volumes = entries("volumes").map(|volume| (volume, &volume["image"]["reference"]));
    containers
        .chain(volumes)
        .filter_map(|(entry, image)| {
            Some(format!("{}={}", entry["name"].as_str()?, image.as_str()?))
        })
        .collect()
}
