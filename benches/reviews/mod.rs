//! Reviews for the benchmarks: captured from an API server, or derived from captured ones.

use serde_json::{Value, json};

/// Returns a review that was captured from an API server, byte for byte.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/reviews/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

/// Returns the captured creation of a pod, without `managedFields`.
pub(crate) fn minimal() -> Vec<u8> {
    let mut review: Value = serde_json::from_slice(&fixture("00-create-pod")).unwrap();
    let metadata = review["request"]["object"]["metadata"].as_object_mut().unwrap();
    metadata.remove("managedFields").unwrap();
    let body = review.to_string().into_bytes();
    assert!((2000..2500).contains(&body.len()), "{} bytes", body.len());
    body
}

/// Returns the captured creation of a pod, with `count` containers of different images.
pub(crate) fn with_containers(count: usize) -> Vec<u8> {
    let mut review: Value = serde_json::from_slice(&fixture("00-create-pod")).unwrap();
    let spec = review["request"]["object"]["spec"].as_object_mut().unwrap();
    spec.retain(|field, _| !field.ends_with("ontainers") && field != "volumes");
    let container =
        |number: usize| json!({ "name": format!("c{number}"), "image": format!("nginx:{number}") });
    spec.insert("containers".to_owned(), (0..count).map(container).collect());
    review.to_string().into_bytes()
}

/// Returns the captured update of a pod, padded to `bytes`.
///
/// Both objects get environment variables with values of `value_bytes`, and the annotation in which kubectl stores the
/// last object as JSON within JSON.
pub(crate) fn padded(bytes: usize, value_bytes: usize) -> Vec<u8> {
    let mut review: Value = serde_json::from_slice(&fixture("02-update-pod")).unwrap();
    for object in ["object", "oldObject"] {
        let object = &mut review["request"][object];
        let last_applied = object["spec"].to_string();
        object["metadata"]["annotations"] =
            json!({ "kubectl.kubernetes.io/last-applied-configuration": last_applied });
    }
    let value = "x".repeat(value_bytes);
    let variable =
        |number: usize| json!({ "name": format!("VARIABLE_{number:05}"), "value": value });
    // Each variable occurs in both objects, with a comma.
    let pair_bytes = 2 * (variable(0).to_string().len() + 1);
    let missing_bytes = bytes - review.to_string().len();
    for object in ["object", "oldObject"] {
        let variables = &mut review["request"][object]["spec"]["containers"][0]["env"];
        variables.as_array_mut().unwrap().extend((0..missing_bytes / pair_bytes).map(variable));
    }
    let body = review.to_string().into_bytes();
    assert!(body.len() > bytes * 95 / 100 && body.len() <= bytes, "{} bytes", body.len());
    body
}
