//! The expected result of a review, by a walk over the whole document.

use imageswap::{
    excerpt::{MAX_VALUE_BYTES, excerpt},
    rules::Policy,
};
use serde_json::Value;

/// The reason why a document is refused.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    NoRequest,
    NoUid,
    UnsupportedVersion(String),
}

/// The expected result of a review.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) kind: &'static str,
    pub(crate) operation: &'static str,
    /// `None` if the images decide between `swapped` and `unchanged`.
    outcome: Option<&'static str>,
    /// The images of the object to swap, in the order of the patch.
    images: Vec<Image>,
}

/// An image of the object that must change if the request introduces it.
#[derive(Debug)]
struct Image {
    pointer: String,
    swapped: String,
    is_introduced: Introduced,
}

/// The introduction of an image by a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Introduced {
    No,
    /// Several old containers have the name, which the API server never allows, and some had the image.
    Perhaps,
    Yes,
}

const KINDS: [&str; 9] = [
    "CronJob",
    "DaemonSet",
    "Deployment",
    "Job",
    "Pod",
    "PodTemplate",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
];

const OPERATIONS: [&str; 4] = ["CONNECT", "CREATE", "DELETE", "UPDATE"];

/// The lists of a pod with images: the list, the pointers to image and pull policy in an element, and the group of
/// lists in which names are unique.
const LISTS: [(&str, &str, &str, &str); 4] = [
    ("initContainers", "/image", "/imagePullPolicy", "containers"),
    ("containers", "/image", "/imagePullPolicy", "containers"),
    ("ephemeralContainers", "/image", "/imagePullPolicy", "ephemeral containers"),
    ("volumes", "/image/reference", "/image/pullPolicy", "volumes"),
];

pub(crate) fn expected(review: &Value, label: &str, policy: &Policy) -> Result<Expected, Refusal> {
    if !review.is_object() {
        return Err(Refusal::NoRequest);
    }
    if let Some(version) = review["apiVersion"].as_str()
        && !["admission.k8s.io/v1", "admission.k8s.io/v1beta1"].contains(&version)
    {
        // The error contains an excerpt of the version.
        return Err(Refusal::UnsupportedVersion(excerpt(version, MAX_VALUE_BYTES).into_owned()));
    }
    let request = &review["request"];
    if !request.is_object() {
        return Err(Refusal::NoRequest);
    }
    if request["uid"].as_str().is_none_or(str::is_empty) {
        return Err(Refusal::NoUid);
    }
    let known = |names: &[&'static str], name: &Value| {
        names.iter().copied().find(|known| *known == *name).unwrap_or("other")
    };
    let kind = known(&KINDS, &request["kind"]["kind"]);
    let operation = known(&OPERATIONS, &request["operation"]);
    let (outcome, images) = outcome(request, kind, operation, label, policy);
    Ok(Expected { kind, operation, outcome, images })
}

fn outcome(
    request: &Value,
    kind: &str,
    operation: &str,
    label: &str,
    policy: &Policy,
) -> (Option<&'static str>, Vec<Image>) {
    let (object, pod_parent) = (&request["object"], pod_pointer(kind));
    let spec = format!("{pod_parent}/spec");
    let Some(pod) = object.pointer(&spec).filter(|pod| pod.is_object()) else {
        return (Some("no-images"), Vec::new());
    };
    if !["CREATE", "UPDATE"].contains(&operation) {
        return (Some("no-images"), Vec::new());
    }
    let template = object.pointer(pod_parent).unwrap_or(&Value::Null);
    let job = if kind == "CronJob" { &object["spec"]["jobTemplate"] } else { &Value::Null };
    let is_disabled = |object: &&Value| object["metadata"]["labels"][label] == "disabled";
    if [object, template, job].iter().any(is_disabled) {
        return (Some("disabled"), Vec::new());
    }
    let owners = object["metadata"]["ownerReferences"].as_array();
    if kind != "Pod" && owners.into_iter().flatten().any(|owner| owner["controller"] == true) {
        return (Some("owned"), Vec::new());
    }
    let annotations = &object["metadata"]["annotations"];
    if kind == "Pod" && annotations.get("kubernetes.io/config.mirror").is_some() {
        return (Some("mirror-pod"), Vec::new());
    }
    let old = request["oldObject"].pointer(&spec).filter(|_| operation == "UPDATE");
    let old: Vec<_> = old.into_iter().flat_map(images_of).collect();
    let mut images = Vec::new();
    for (pointer, group, name, image, is_never_pulled) in images_of(pod) {
        let same_name: Vec<_> =
            old.iter().filter(|old| (old.1, old.2) == (group, name)).map(|old| old.3).collect();
        let has_it = |old: &&str| *old == image || group == "ephemeral containers";
        let is_introduced = match same_name.iter().filter(|old| has_it(old)).count() {
            0 => Introduced::Yes,
            count if count == same_name.len() => Introduced::No,
            _ => Introduced::Perhaps,
        };
        let swapped = policy.decide(image).result(image);
        if swapped != image && !is_never_pulled {
            images.push(Image { pointer: format!("{spec}{pointer}"), swapped, is_introduced });
        }
    }
    (None, images)
}

/// Returns the JSON Pointer to the object that contains the `spec` of the pod.
fn pod_pointer(kind: &str) -> &'static str {
    match kind {
        "CronJob" => "/spec/jobTemplate/spec/template",
        "Pod" => "",
        "PodTemplate" => "/template",
        _ => "/spec/template",
    }
}

/// Returns the images of a pod spec: pointer, group, name, text, and true if the pull policy is `Never`.
fn images_of(pod: &Value) -> Vec<(String, &'static str, &str, &str, bool)> {
    let mut images = Vec::new();
    for (list, image, policy, group) in LISTS {
        for (index, element) in pod[list].as_array().into_iter().flatten().enumerate() {
            // A pointer may also lead through an array, which contains no image.
            let is_object =
                element.is_object() && (list != "volumes" || element["image"].is_object());
            if let Some(text) = element.pointer(image).and_then(Value::as_str).filter(|_| is_object)
            {
                let name = element["name"].as_str().unwrap_or_default();
                let is_never_pulled =
                    element.pointer(policy).is_some_and(|policy| policy == "Never");
                images.push((
                    format!("/{list}/{index}{image}"),
                    group,
                    name,
                    text,
                    is_never_pulled,
                ));
            }
        }
    }
    images
}

impl Expected {
    /// Returns the expected outcome of a review with these changes.
    pub(crate) fn outcome(&self, changes: &[(String, String)]) -> &'static str {
        self.outcome.unwrap_or(if changes.is_empty() { "unchanged" } else { "swapped" })
    }

    /// Returns true if these changes, as pairs of pointer and image, are expected.
    pub(crate) fn allows(&self, changes: &[(String, String)]) -> bool {
        let mut changes = changes.iter();
        let mut change = changes.next();
        for image in &self.images {
            let is_change = change.is_some_and(|(pointer, swapped)| {
                (pointer, swapped) == (&image.pointer, &image.swapped)
            });
            match (is_change, image.is_introduced) {
                (true, Introduced::No) | (false, Introduced::Yes) => return false,
                (true, _) => change = changes.next(),
                (false, _) => {}
            }
        }
        change.is_none()
    }
}
