//! Label selectors of the webhook configuration.

use k8s_openapi::{
    api::admissionregistration::v1::MutatingWebhook,
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
};

/// Label of a namespace with its name, which the API server sets.
const NAME: &str = "kubernetes.io/metadata.name";

/// Labels of the pods of the webhook, as in `deploy/manifests`.
const POD_LABELS: [(&str, &str); 1] = [("app", "imageswap")];

/// The selectors of a webhook that is called for pods.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PodSelector {
    /// Path of the selector of namespaces.
    field: String,
    namespaces: Option<LabelSelector>,
    objects: Option<LabelSelector>,
}

impl PodSelector {
    /// Returns the selectors of the webhooks that are called for pods.
    pub(super) fn all(webhooks: &[MutatingWebhook]) -> Vec<Self> {
        let pods = webhooks.iter().enumerate().filter(|(_, webhook)| {
            let rules = webhook.rules.iter().flatten();
            let mut resources = rules.flat_map(|rule| rule.resources.iter().flatten());
            resources.any(|resource| matches!(resource.as_str(), "*" | "*/*" | "pods" | "pods/*"))
        });
        pods.map(|(index, webhook)| Self {
            field: format!("webhooks[{index}].namespaceSelector"),
            namespaces: webhook.namespace_selector.clone(),
            objects: webhook.object_selector.clone(),
        })
        .collect()
    }

    /// Returns the path of the selector if it selects the pods of the webhook in a namespace without other labels.
    pub(super) fn field_that_selects(&self, namespace: &str) -> Option<&str> {
        let selects = matches(self.namespaces.as_ref(), &[(NAME, namespace)])
            && matches(self.objects.as_ref(), &POD_LABELS);
        selects.then_some(&*self.field)
    }
}

/// Returns true if a selector matches an object with these labels. A missing selector matches all objects.
fn matches(selector: Option<&LabelSelector>, labels: &[(&str, &str)]) -> bool {
    let Some(selector) = selector else { return true };
    let value = |key: &str| labels.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
    let has_labels = selector
        .match_labels
        .iter()
        .flatten()
        .all(|(key, expected)| value(key) == Some(expected.as_str()));
    let fulfils = |requirement: &LabelSelectorRequirement| {
        let value = value(&requirement.key);
        let mut values = requirement.values.iter().flatten();
        let is_listed = values.any(|listed| value == Some(listed.as_str()));
        match requirement.operator.as_str() {
            "In" => is_listed,
            "NotIn" => !is_listed,
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            // The API server refuses any other operator.
            _ => false,
        }
    };
    has_labels && selector.match_expressions.iter().flatten().all(fulfils)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_selector_matches_as_in_the_api_server() {
        let labels = [("a", "1"), ("b", "2")];
        for (selector, expected) in [
            (json!({}), true),
            (json!({ "matchLabels": { "a": "1" } }), true),
            (json!({ "matchLabels": { "a": "1", "c": "3" } }), false),
            (
                json!({ "matchExpressions": [{ "key": "a", "operator": "In", "values": ["0", "1"] }] }),
                true,
            ),
            (
                json!({ "matchExpressions": [{ "key": "a", "operator": "NotIn", "values": ["1"] }] }),
                false,
            ),
            (
                json!({ "matchExpressions": [{ "key": "c", "operator": "NotIn", "values": ["1"] }] }),
                true,
            ),
            (json!({ "matchExpressions": [{ "key": "c", "operator": "Exists" }] }), false),
            (json!({ "matchExpressions": [{ "key": "b", "operator": "DoesNotExist" }] }), false),
        ] {
            let parsed: LabelSelector = serde_json::from_value(selector.clone()).unwrap();
            assert_eq!(matches(Some(&parsed), &labels), expected, "{selector}");
        }
        assert!(matches(None, &labels));
    }

    #[test]
    fn webhooks_that_select_the_pods_of_their_own_namespace_are_found() {
        let by_name = json!({ "matchExpressions": [
            { "key": NAME, "operator": "NotIn", "values": ["own", "kube-system"] },
        ] });
        let by_pod = json!({ "matchExpressions": [
            { "key": "app", "operator": "NotIn", "values": ["imageswap"] },
        ] });
        for (fields, expected) in [
            (json!({ "rules": [{ "resources": ["pods"] }] }), true),
            (json!({ "rules": [{ "resources": ["*"] }] }), true),
            (json!({ "rules": [{ "resources": ["deployments"] }] }), false),
            (json!({ "rules": [{ "resources": ["pods"] }], "namespaceSelector": by_name }), false),
            (json!({ "rules": [{ "resources": ["pods"] }], "objectSelector": by_pod }), false),
        ] {
            let mut webhook = json!({
                "name": "w", "clientConfig": {}, "sideEffects": "None", "admissionReviewVersions": [],
            });
            webhook.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            let webhook: MutatingWebhook = serde_json::from_value(webhook).unwrap();
            let selectors = PodSelector::all(&[webhook]);
            let found = selectors.iter().find_map(|selector| selector.field_that_selects("own"));
            assert_eq!(found, expected.then_some("webhooks[0].namespaceSelector"), "{fields}");
        }
    }
}
