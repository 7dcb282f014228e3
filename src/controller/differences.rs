//! Differences between two versions of the webhook configuration, for the log.

use std::collections::BTreeSet;

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use serde_json::Value;

/// Returns the paths of the fields in which two versions differ, for the log.
pub(super) fn changed_fields(
    before: &MutatingWebhookConfiguration,
    after: &MutatingWebhookConfiguration,
) -> BTreeSet<String> {
    let mut changed = BTreeSet::new();
    let json = |of: &MutatingWebhookConfiguration| {
        let mut value = serde_json::to_value(of).unwrap_or_default();
        // The API server maintains the other fields itself.
        if let Some(metadata) = value["metadata"].as_object_mut() {
            metadata.retain(|key, _| {
                matches!(key.as_str(), "annotations" | "labels" | "ownerReferences")
            });
        }
        value
    };
    compare(&json(before), &json(after), "", &mut changed);
    changed
}

/// Gathers the paths of the fields that differ. It descends into objects, and into lists of equal length.
fn compare(before: &Value, after: &Value, path: &str, changed: &mut BTreeSet<String>) {
    match (before, after) {
        _ if before == after => {}
        (Value::Object(before), Value::Object(after)) => {
            for key in before.keys().chain(after.keys()) {
                let (before, after) = (before.get(key), after.get(key));
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(
                    before.unwrap_or(&Value::Null),
                    after.unwrap_or(&Value::Null),
                    &path,
                    changed,
                );
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                compare(before, after, &format!("{path}[{index}]"), changed);
            }
        }
        _ => {
            changed.insert(path.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_is_reported_by_its_path() {
        let before = json!({ "webhooks": [{ "a": 1, "b": [1], "c": { "d": 1 } }], "same": [1] });
        let after = json!({ "webhooks": [{ "a": 2, "b": [1, 2], "c": {} }], "same": [1] });
        let mut changed = BTreeSet::new();
        compare(&before, &after, "", &mut changed);
        let changed: Vec<_> = changed.into_iter().collect();
        assert_eq!(changed, ["webhooks[0].a", "webhooks[0].b", "webhooks[0].c.d"]);
    }
}
