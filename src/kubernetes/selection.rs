//! The selection of pods by the selectors of a webhook configuration.

use k8s_openapi::api::admissionregistration::v1::{MutatingWebhook, MutatingWebhookConfiguration};
use kube::{
    Client,
    api::Api,
    core::{ParseExpressionError, Selector, SelectorExt},
};

use super::{ClusterError, Labels, call};

/// The selectors of the webhooks that are called for new pods.
#[derive(Clone, Debug)]
pub struct PodSelection {
    /// The selectors of namespaces and of pods, for each webhook.
    webhooks: Vec<(Selector, Selector)>,
    /// True if a webhook has `matchConditions`, which are not evaluated.
    pub has_conditions: bool,
}

impl PodSelection {
    /// Reads the webhook configuration `name`; `None` if there is none.
    ///
    /// # Errors
    /// If the API server refuses the call or does not answer, or a selector is not valid.
    pub async fn read(client: &Client, name: &str) -> Result<Option<Self>, ClusterError> {
        let api: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
        let object = format!("MutatingWebhookConfiguration {name}");
        let found = call(format!("get {object}"), api.get_opt(name)).await?;
        let selection = found.map(|found| Self::of(found.webhooks.unwrap_or_default()));
        selection.transpose().map_err(|error| ClusterError::content(object, error))
    }

    fn of(webhooks: Vec<MutatingWebhook>) -> Result<Self, ParseExpressionError> {
        let mut selection = Self { webhooks: Vec::new(), has_conditions: false };
        for webhook in webhooks.into_iter().filter(is_called_for_new_pods) {
            let namespaces = webhook.namespace_selector.unwrap_or_default();
            let pods = webhook.object_selector.unwrap_or_default();
            selection.webhooks.push((namespaces.try_into()?, pods.try_into()?));
            selection.has_conditions |=
                webhook.match_conditions.is_some_and(|list| !list.is_empty());
        }
        Ok(selection)
    }

    /// Returns true if a webhook is called for a pod with these labels, in a namespace with those.
    #[must_use]
    pub fn contains(&self, namespace: &Labels, pod: &Labels) -> bool {
        let mut webhooks = self.webhooks.iter();
        webhooks.any(|(namespaces, pods)| namespaces.matches(namespace) && pods.matches(pod))
    }
}

/// Returns true if a rule of the webhook matches the creation of a pod
/// (<https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#matching-requests-rules>).
fn is_called_for_new_pods(webhook: &MutatingWebhook) -> bool {
    fn has(list: Option<&Vec<String>>, values: &[&str]) -> bool {
        list.into_iter().flatten().any(|value| values.contains(&value.as_str()))
    }
    webhook.rules.iter().flatten().any(|rule| {
        has(rule.operations.as_ref(), &["CREATE", "*"])
            && has(rule.api_groups.as_ref(), &["", "*"])
            && has(rule.api_versions.as_ref(), &["v1", "*"])
            // After a slash, `*` matches the resource itself too.
            && has(rule.resources.as_ref(), &["pods", "pods/*", "*", "*/*"])
            && rule.scope.as_deref() != Some("Cluster")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn selection(webhook: &Value) -> PodSelection {
        PodSelection::of(vec![serde_json::from_value(webhook.clone()).unwrap()]).unwrap()
    }

    fn webhook(resources: &[&str], operations: &[&str]) -> Value {
        json!({
            "name": "a.b.c",
            "admissionReviewVersions": ["v1"],
            "clientConfig": {},
            "sideEffects": "None",
            "rules": [{
                "operations": operations,
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "resources": resources,
            }],
        })
    }

    #[test]
    fn only_webhooks_that_are_called_for_new_pods_select() {
        let none = Labels::new();
        for (resources, operations, expected) in [
            (&["pods"][..], &["CREATE"][..], true),
            (&["pods/*"], &["CREATE"], true),
            (&["*"], &["*"], true),
            (&["*/*"], &["UPDATE", "CREATE"], true),
            (&["pods"], &["UPDATE"], false),
            (&["pods/ephemeralcontainers"], &["CREATE"], false),
            (&["deployments"], &["CREATE"], false),
        ] {
            let found = selection(&webhook(resources, operations)).contains(&none, &none);
            assert_eq!(found, expected, "{resources:?} {operations:?}");
        }
    }

    #[test]
    fn selectors_of_namespace_and_pod_have_to_match() {
        let mut webhook = webhook(&["pods"], &["CREATE"]);
        webhook["namespaceSelector"] = json!({ "matchLabels": { "swap": "on" } });
        webhook["objectSelector"] = json!({ "matchExpressions": [{ "key": "app", "operator": "NotIn", "values": ["db"] }] });
        webhook["matchConditions"] = json!([{ "name": "a", "expression": "true" }]);
        let selection = selection(&webhook);
        let labels = |key: &str, value: &str| Labels::from([(key.to_owned(), value.to_owned())]);
        let (on, off) = (labels("swap", "on"), labels("swap", "off"));
        assert!(selection.has_conditions);
        assert!(selection.contains(&on, &Labels::new()));
        assert!(selection.contains(&on, &labels("app", "web")));
        assert!(!selection.contains(&on, &labels("app", "db")));
        assert!(!selection.contains(&off, &Labels::new()));
    }
}
