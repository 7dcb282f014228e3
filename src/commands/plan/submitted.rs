//! A pod as its creator submitted it, as far as its annotation tells.
//!
//! The webhook may record the images of a pod before it rewrites them. With them, a map is planned for what the pod is
//! made from, instead of for what an earlier map has made of it.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

/// A running pod without what only a running pod has.
#[derive(Debug)]
pub(super) struct PodTexts {
    /// The pod with the images that it has; `None` if the text of the API server is already that.
    pub(super) running: Option<Box<RawValue>>,
    /// The pod with its original images; `None` if none are recorded.
    pub(super) submitted: Option<Box<RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Head {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    annotations: Option<Annotations>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Annotations {
    #[serde(rename = "k8s.twr.io/imageswap-original")]
    original: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    #[serde(rename = "ephemeralContainers")]
    ephemeral_containers: Option<Vec<IgnoredAny>>,
}

impl PodTexts {
    /// Reads a running pod. An annotation that cannot be read counts as none, because anybody may write it.
    pub(super) fn of(pod: &RawValue) -> Self {
        let unchanged = Self { running: None, submitted: None };
        let Ok(head) = serde_json::from_str::<Head>(pod.get()) else { return unchanged };
        let original = head.metadata.annotations.unwrap_or_default().original;
        let originals: Option<BTreeMap<String, String>> =
            original.and_then(|text| serde_json::from_str(&text).ok());
        if originals.is_none() && head.spec.ephemeral_containers.is_none() {
            return unchanged;
        }
        let Ok(mut pod) = serde_json::from_str::<Value>(pod.get()) else { return unchanged };
        // No pod is created with ephemeral containers.
        if let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) {
            spec.remove("ephemeralContainers");
        }
        let running = to_raw_value(&pod).ok();
        let submitted = originals.and_then(|originals| {
            put_back(&mut pod, &originals);
            to_raw_value(&pod).ok()
        });
        Self { running, submitted }
    }
}

/// Sets the images of containers and volumes to their originals.
fn put_back(pod: &mut Value, originals: &BTreeMap<String, String>) {
    for (list, prefix, pointer) in [
        ("/spec/initContainers", "", "/image"),
        ("/spec/containers", "", "/image"),
        ("/spec/volumes", "volumes/", "/image/reference"),
    ] {
        let entries = pod.pointer_mut(list).and_then(Value::as_array_mut);
        for entry in entries.into_iter().flatten() {
            let name = entry.get("name").and_then(Value::as_str).unwrap_or_default();
            let original = originals.get(&format!("{prefix}{name}"));
            if let (Some(original), Some(image)) = (original, entry.pointer_mut(pointer)) {
                *image = Value::String(original.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::admission::ORIGINAL_ANNOTATION;

    #[test]
    fn the_annotation_of_the_webhook_is_read() {
        let head: Annotations =
            serde_json::from_value(json!({ ORIGINAL_ANNOTATION: "{}" })).unwrap();
        assert!(head.original.is_some());
    }

    #[test]
    fn recorded_images_are_put_back() {
        let originals = json!({ "web": "nginx:1", "volumes/web": "model:1", "gone": "x" });
        let pod = |web: &str, volume: &str| {
            json!({
                "metadata": { "annotations": { ORIGINAL_ANNOTATION: originals.to_string() } },
                "spec": {
                    "initContainers": [{ "name": "init", "image": "m.io/init:1" }],
                    "containers": [{ "name": "web", "image": web }],
                    "volumes": [{ "name": "web", "image": { "reference": volume } }, { "name": "a" }],
                },
            })
        };
        let mut running = pod("m.io/nginx:1", "m.io/model:1");
        running["spec"]["ephemeralContainers"] = json!([{ "name": "debug", "image": "sh" }]);
        let texts = PodTexts::of(&to_raw_value(&running).unwrap());
        let read = |text: Option<Box<RawValue>>| -> Value {
            serde_json::from_str(text.unwrap().get()).unwrap()
        };
        assert_eq!(read(texts.running), pod("m.io/nginx:1", "m.io/model:1"));
        assert_eq!(read(texts.submitted), pod("nginx:1", "model:1"));
    }

    #[test]
    fn a_pod_without_a_valid_record_stays_as_it_is() {
        for annotations in [
            json!(null),
            json!({}),
            json!({ ORIGINAL_ANNOTATION: "no JSON" }),
            json!({ ORIGINAL_ANNOTATION: "[1]" }),
        ] {
            let pod = json!({ "metadata": { "annotations": annotations }, "spec": {} });
            let texts = PodTexts::of(&to_raw_value(&pod).unwrap());
            assert!(texts.running.is_none() && texts.submitted.is_none(), "{annotations}");
        }
    }
}
