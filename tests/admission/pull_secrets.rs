//! Pull secrets of created pods.

use base64::{Engine, engine::general_purpose::STANDARD};
use imageswap::admission::{Review, Shadow, plan};
use serde_json::{Value, json};

use super::{edited, world};

const MAP: &str = "\
default::d.io
quay.io::
[PULLSECRET]d.io::hub, mirror
[PULLSECRET]d.io/team::team
[PULLSECRET]quay.io::quay
[PULLSECRET]d.io/acme/app::acme
";

/// Returns a created pod with this image and these pull secrets.
fn created(image: &str, present: Option<Value>) -> Value {
    let mut review = edited(
        "00-create-pod",
        &[
            ("/request/object/spec/containers", json!([{ "name": "a", "image": image }])),
            ("/request/object/spec/initContainers", json!([])),
            ("/request/object/spec/volumes", json!([])),
        ],
    );
    let spec = review["request"]["object"]["spec"].as_object_mut().unwrap();
    spec.remove("imagePullSecrets");
    if let Some(present) = present {
        spec.insert("imagePullSecrets".into(), present);
    }
    review
}

/// Returns the object after the patch of the answer.
fn patched(review: &Value, map: &str, shadow: Shadow) -> Value {
    let mut world = world(map);
    world.settings.shadow = shadow;
    let body = review.to_string();
    let parsed = Review::from_slice(body.as_bytes()).unwrap();
    let answer = plan(&parsed, &world).settle().to_json(&parsed);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let mut object = review["request"]["object"].clone();
    if let Some(patch) = answer["response"]["patch"].as_str() {
        let patch: json_patch::Patch =
            serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
        json_patch::patch(&mut object, &patch).unwrap();
    }
    object
}

fn references(names: &[&str]) -> Value {
    names.iter().map(|name| json!({ "name": name })).collect()
}

#[test]
fn a_created_pod_gets_the_pull_secrets_of_its_images_after_those_that_it_has() {
    for (image, present, expected) in [
        ("nginx", None, references(&["hub", "mirror"])),
        ("nginx", Some(json!([])), references(&["hub", "mirror"])),
        ("nginx", Some(Value::Null), references(&["hub", "mirror"])),
        ("nginx", Some(references(&["own"])), references(&["own", "hub", "mirror"])),
        ("nginx", Some(references(&["mirror", "own"])), references(&["mirror", "own", "hub"])),
        ("nginx", Some(references(&["mirror", "hub"])), references(&["mirror", "hub"])),
        ("team/app:1", None, references(&["hub", "mirror", "team"])),
        ("team-b/app:1", None, references(&["hub", "mirror"])),
        // They are already there, or left alone.
        ("d.io/team/app:1", None, references(&["hub", "mirror", "team"])),
        ("D.io:443/x", None, references(&["hub", "mirror"])),
        ("quay.io/a/b", None, references(&["quay"])),
        // The repository itself, and Docker Hub in its full form.
        ("d.io/team:1", None, references(&["hub", "mirror", "team"])),
        ("acme/app", Some(json!([])), references(&["hub", "mirror", "acme"])),
    ] {
        let review = created(image, present.clone());
        let once = patched(&review, MAP, Shadow::Nowhere);
        assert_eq!(once["spec"]["imagePullSecrets"], expected, "{image} {present:?}");
        // Nothing else of the pod changes but the image.
        let (mut restored, mut original) = (once.clone(), review["request"]["object"].clone());
        restored["spec"]["containers"][0]["image"] = json!(image);
        for object in [&mut restored, &mut original] {
            object["spec"].as_object_mut().unwrap().remove("imagePullSecrets");
        }
        assert_eq!(restored, original, "{image}");
        let mut again = review;
        again["request"]["object"].clone_from(&once);
        assert_eq!(patched(&again, MAP, Shadow::Nowhere), once, "{image}: a second pass");
        // A map without pull secrets removes none.
        let unswapped = patched(&again, "default::", Shadow::Nowhere);
        assert_eq!(unswapped, once);
    }
}

#[test]
fn only_the_creation_of_a_pod_adds_pull_secrets() {
    let has_none = |review: &Value, shadow| {
        let object = patched(review, MAP, shadow);
        assert!(!object.to_string().contains("imagePullSecrets"), "{object}");
    };
    let pod = created("nginx", None);
    has_none(&pod, Shadow::Everywhere);
    let mut disabled = pod.clone();
    disabled["request"]["object"]["metadata"]["labels"] =
        json!({ "k8s.twr.io/imageswap": "disabled" });
    has_none(&disabled, Shadow::Nowhere);
    let mut update = pod.clone();
    update["request"]["operation"] = json!("UPDATE");
    update["request"]["oldObject"] = pod["request"]["object"].clone();
    has_none(&update, Shadow::Nowhere);
    let mut deployment = pod;
    deployment["request"]["kind"]["kind"] = json!("Deployment");
    let spec = deployment["request"]["object"]["spec"].take();
    deployment["request"]["object"]["spec"] = json!({ "template": { "spec": spec } });
    has_none(&deployment, Shadow::Nowhere);
}

#[test]
fn the_audit_annotation_has_the_pull_secrets() {
    let mut world = world(MAP);
    world.settings.reporting.audits = true;
    let body = created("quay.io/a/b", None).to_string();
    let review = Review::from_slice(body.as_bytes()).unwrap();
    let plan = plan(&review, &world);
    let answer = plan.settle();
    let values: Vec<_> = answer.audit_annotations.iter().map(|(_, value)| &**value).collect();
    assert_eq!(values, ["imagePullSecrets: quay added (:5)"]);
}

#[test]
fn the_pull_secrets_of_namespace_and_cluster_add_up() {
    use std::sync::Arc;

    use imageswap::rules::{LoadedMap, MapScope, NamespaceMaps};

    let own = "docker.io::own.io\n[PULLSECRET]own.io::own\n[PULLSECRET]d.io::also, hub\n";
    let own = LoadedMap::from_file(MapScope::Namespace, "shop.conf", own).unwrap();
    let mut world = world(MAP);
    world.namespaces =
        Arc::new([(Box::from("shop"), Arc::new(own))].into_iter().collect::<NamespaceMaps>());
    for (image, expected) in [("nginx", vec!["own"]), ("ghcr.io/a", vec!["also", "hub", "mirror"])]
    {
        let mut review = created(image, None);
        review["request"]["namespace"] = json!("shop");
        let body = review.to_string();
        let review = Review::from_slice(body.as_bytes()).unwrap();
        let answer = plan(&review, &world).settle().to_json(&review);
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let patch = STANDARD.decode(answer["response"]["patch"].as_str().unwrap()).unwrap();
        let patch: Value = serde_json::from_slice(&patch).unwrap();
        assert_eq!(patch[1]["value"], references(&expected), "{patch}");
    }
}
