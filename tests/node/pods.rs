//! Pods: objects to create, and waits until they run.

use serde_json::{Value, json};

use crate::{eventually, node::Node};

/// The label that enables namespaces.
pub(crate) const LABEL: &str = "k8s.twr.io/imageswap";

/// Returns a pod with one container.
pub(crate) fn pod(name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name },
        "spec": { "containers": [{ "name": "app", "image": image }] },
    })
}

/// Returns a Deployment with the image `nginx:1.27`.
pub(crate) fn deployment(name: &str, replicas: usize) -> Value {
    let labels = json!({ "app": name });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": "app", "image": "nginx:1.27" }] },
            },
        },
    })
}

/// Returns true if a condition of the status is met.
pub(crate) fn condition(object: &Value, kind: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|one| one["type"] == kind && one["status"] == "True")
}

/// Returns the image of the first container.
pub(crate) fn image(pod: &Value) -> &str {
    pod["spec"]["containers"][0]["image"].as_str().unwrap()
}

impl Node {
    /// Creates a namespace whose pods are swapped, or one without the label.
    pub(crate) fn create_namespace(&self, name: &str, is_swapped: bool) {
        let mut labels = json!({});
        if is_swapped {
            labels[LABEL] = json!("enabled");
        }
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": name, "labels": labels },
        });
        self.api().post("/api/v1/namespaces", &namespace);
        let account = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
        eventually("the default account", || self.api().get(&account).ok_or("missing"));
    }

    /// Returns the pods of a namespace, without those that are being deleted.
    pub(crate) fn pods(&self, namespace: &str) -> Vec<Value> {
        let list = self.api().get(&format!("/api/v1/namespaces/{namespace}/pods")).unwrap();
        let mut pods = list["items"].as_array().unwrap().clone();
        pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        pods
    }

    /// Waits until the pod is ready, and returns it.
    pub(crate) fn await_ready_pod(&self, namespace: &str, name: &str) -> Value {
        eventually(&format!("the pod {name}"), || {
            let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
            let pod = self.api().try_get(&path).map_err(|error| error.to_string())?;
            let pod = pod.ok_or("there is none")?;
            if condition(&pod, "Ready") { Ok(pod) } else { Err(pod["status"].to_string()) }
        })
    }

    /// Waits until a container of the pod waits for one of these reasons, and returns the reason.
    pub(crate) fn await_reason(&self, namespace: &str, name: &str, reasons: &[&str]) -> String {
        eventually(&format!("the pod {name} to be refused"), || {
            let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
            let pod = self.api().get(&path).ok_or("there is none")?;
            let reason = &pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"];
            let reason = reason.as_str().unwrap_or_default();
            if reasons.contains(&reason) { Ok(reason.to_owned()) } else { Err(pod.to_string()) }
        })
    }
}

/// Returns the name of an object.
pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

/// Returns the unique identifier of an object.
pub(crate) fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap()
}
