//! The selection of objects by the rules and selectors of a webhook configuration.

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations,
};
use kube::{
    Client,
    api::Api,
    core::{ParseExpressionError, Selector, SelectorExt},
};

use super::{ClusterError, Labels, Resource, call};

/// The rules and selectors of the webhooks in a configuration.
#[derive(Clone, Debug)]
pub struct Selection {
    webhooks: Vec<Webhook>,
}

/// The answer to the question whether a webhook is called for a new object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Selected {
    /// No webhook has a rule for the resource.
    NoRule,
    /// A webhook has a rule for the resource, but its selectors do not match the labels.
    NotByLabels,
    /// A webhook is called.
    Yes,
}

#[derive(Clone, Debug)]
struct Webhook {
    rules: Vec<RuleWithOperations>,
    /// True if rules for other versions of a resource match too.
    ignores_versions: bool,
    namespaces: Selector,
    objects: Selector,
    has_conditions: bool,
}

impl Selection {
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
        let webhooks = webhooks.into_iter().map(|webhook| {
            Ok(Webhook {
                rules: webhook.rules.unwrap_or_default(),
                ignores_versions: webhook.match_policy.as_deref() != Some("Exact"),
                namespaces: webhook.namespace_selector.unwrap_or_default().try_into()?,
                objects: webhook.object_selector.unwrap_or_default().try_into()?,
                has_conditions: webhook.match_conditions.is_some_and(|list| !list.is_empty()),
            })
        });
        Ok(Self { webhooks: webhooks.collect::<Result<_, _>>()? })
    }

    /// Returns whether a webhook is called for a new object of `resource` with the labels `object`, in a namespace with
    /// the labels `namespace`.
    #[must_use]
    pub fn selects(&self, resource: &Resource, namespace: &Labels, object: &Labels) -> Selected {
        let mut selected = Selected::NoRule;
        for webhook in self.webhooks.iter().filter(|webhook| webhook.has_rule_for(resource)) {
            if webhook.namespaces.matches(namespace) && webhook.objects.matches(object) {
                return Selected::Yes;
            }
            selected = Selected::NotByLabels;
        }
        selected
    }

    /// Returns true if a webhook with a rule for one of the resources has `matchConditions`, which are not evaluated.
    #[must_use]
    pub fn has_conditions_for(&self, resources: &[Resource]) -> bool {
        self.webhooks.iter().any(|webhook| {
            webhook.has_conditions
                && resources.iter().any(|resource| webhook.has_rule_for(resource))
        })
    }
}

impl Webhook {
    /// Returns true if a rule matches the creation of an object of the resource
    /// (<https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#matching-requests-rules>).
    fn has_rule_for(&self, resource: &Resource) -> bool {
        let has = |list: Option<&Vec<String>>, values: &[&str]| {
            list.into_iter().flatten().any(|value| values.contains(&value.as_str()))
        };
        let Resource { group, version, plural, .. } = resource;
        self.rules.iter().any(|rule| {
            has(rule.operations.as_ref(), &["CREATE", "*"])
                && has(rule.api_groups.as_ref(), &[group, "*"])
                && (self.ignores_versions || has(rule.api_versions.as_ref(), &[version, "*"]))
                // After a slash, `*` matches the resource itself too.
                && has(rule.resources.as_ref(), &[plural, &format!("{plural}/*"), "*", "*/*"])
                && rule.scope.as_deref() != Some("Cluster")
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn selection(webhook: &Value) -> Selection {
        Selection::of(vec![serde_json::from_value(webhook.clone()).unwrap()]).unwrap()
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
            let selection = selection(&webhook(resources, operations));
            let found = selection.selects(&Resource::pods(), &none, &none);
            let expected = if expected { Selected::Yes } else { Selected::NoRule };
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
        assert!(selection.has_conditions_for(&[Resource::pods()]));
        assert!(!selection.has_conditions_for(&Resource::workloads()));
        for (namespace, pod, expected) in [
            (&on, Labels::new(), Selected::Yes),
            (&on, labels("app", "web"), Selected::Yes),
            (&on, labels("app", "db"), Selected::NotByLabels),
            (&off, Labels::new(), Selected::NotByLabels),
        ] {
            let found = selection.selects(&Resource::pods(), namespace, &pod);
            assert_eq!(found, expected, "{namespace:?} {pod:?}");
        }
    }

    #[test]
    fn a_rule_is_for_a_resource_of_its_group_and_version() {
        let mut webhook = webhook(&["deployments"], &["CREATE"]);
        webhook["rules"][0]["apiGroups"] = json!(["apps"]);
        webhook["rules"][0]["apiVersions"] = json!(["v1beta1"]);
        let none = Labels::new();
        let found = |webhook: &Value, kind: &str| {
            let workloads = Resource::workloads();
            let resource = workloads.iter().find(|resource| resource.kind == kind).unwrap();
            selection(webhook).selects(resource, &none, &none)
        };
        assert_eq!(found(&webhook, "Deployment"), Selected::Yes);
        assert_eq!(found(&webhook, "DaemonSet"), Selected::NoRule);
        webhook["matchPolicy"] = json!("Exact");
        assert_eq!(found(&webhook, "Deployment"), Selected::NoRule);
    }
}
