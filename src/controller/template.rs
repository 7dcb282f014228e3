//! The template of the webhook configuration, which selects the requests that the API server sends to the webhook.

use std::{fmt::Display, io};

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use serde_json::{Value, json};

use super::{
    destination::{UnansweredPath, unanswered_paths},
    selector::PodSelector,
};

/// Name of the webhook configuration.
pub const CONFIGURATION_NAME: &str = "imageswap-webhook";

/// Annotation of the webhook configuration with the template from which it was made, in JSON.
pub(super) const TEMPLATE: &str = "k8s.twr.io/imageswap-template";

/// The built-in template.
const BUILT_IN: &str = include_str!("../../config/imageswap-mwc.yaml");

const API_VERSION: &str = "admissionregistration.k8s.io/v1";

/// Maximum size of a template in bytes: the maximum size of a ConfigMap.
pub const MAX_TEMPLATE_BYTES: u64 = 1024 * 1024;

/// Fields of `metadata` that are applied. The others belong to one stored object, and a template is often copied from
/// such an object. With its `resourceVersion` or `uid`, each apply would be a conflict.
const METADATA: [&str; 3] = ["annotations", "labels", "name"];

/// A webhook configuration without the fields that only the running webhook knows: its destination and its caBundle.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    pub(crate) value: Value,
    /// Names of its webhooks.
    pub(super) webhooks: Vec<String>,
    /// Fields of the text that are not applied.
    pub(crate) ignored: Vec<String>,
    /// Paths in it that are not answered.
    pub(crate) unanswered: Vec<UnansweredPath>,
    /// Fields of it that name `replicasets`.
    pub(crate) replica_sets: Vec<String>,
    /// Selectors of its webhooks that are called for pods.
    selectors: Vec<PodSelector>,
}

/// An error in a template.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file cannot be read.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// The template is larger than a ConfigMap can be.
    #[error("larger than {MAX_TEMPLATE_BYTES} bytes")]
    TooLarge,
    /// The text is not valid YAML, or a field has another type than in Kubernetes.
    #[error("{0}")]
    Syntax(String),
    /// A field has a wrong value.
    #[error("{field}: `{found}` where `{expected}` is expected")]
    Field {
        /// The path of the field.
        field: &'static str,
        /// The value in the text.
        found: String,
        /// The required value.
        expected: &'static str,
    },
    /// The template contains no webhook.
    #[error("webhooks: the list is empty or missing")]
    Empty,
}

impl Template {
    /// Returns the built-in template.
    ///
    /// # Errors
    /// If it is invalid, which a test rules out.
    pub fn built_in() -> Result<Self, TemplateError> {
        Self::parse(BUILT_IN)
    }

    /// Parses a template in YAML or JSON.
    ///
    /// # Errors
    /// If it is not a `MutatingWebhookConfiguration` of `admissionregistration.k8s.io/v1` with the name that the
    /// webhook may write.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let syntax = |error: &dyn Display| TemplateError::Syntax(error.to_string());
        let mut value: Value = serde_saphyr::from_str(text).map_err(|error| syntax(&error))?;
        // The early templates of the original have this version, which API servers no longer serve.
        if value["apiVersion"] == "admissionregistration.k8s.io/v1beta1" {
            value["apiVersion"] = API_VERSION.into();
        }
        for (field, pointer, expected) in [
            ("apiVersion", "/apiVersion", API_VERSION),
            ("kind", "/kind", "MutatingWebhookConfiguration"),
            ("metadata.name", "/metadata/name", CONFIGURATION_NAME),
        ] {
            let found = value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            if found != expected {
                return Err(TemplateError::Field { field, found: found.to_owned(), expected });
            }
        }
        let ignored = remove_ignored(&mut value);
        let webhooks = value.get_mut("webhooks").and_then(Value::as_array_mut);
        let webhooks = webhooks.into_iter().flatten().filter_map(Value::as_object_mut);
        for webhook in webhooks {
            // The templates of the original have a placeholder here.
            if let Some(client) = webhook.get_mut("clientConfig").and_then(Value::as_object_mut) {
                client.remove("caBundle");
            }
            // These fields are required in v1 and were not in v1beta1. Their values are the same for every template.
            webhook.entry("sideEffects").or_insert_with(|| "None".into());
            webhook.entry("admissionReviewVersions").or_insert_with(|| json!(["v1"]));
        }
        let typed: MutatingWebhookConfiguration =
            serde_json::from_value(value.clone()).map_err(|error| syntax(&error))?;
        let unanswered = unanswered_paths(&typed);
        let replica_sets = fields_with_replica_sets(&typed);
        let selectors = PodSelector::all(typed.webhooks.as_deref().unwrap_or_default());
        let webhooks: Vec<_> =
            typed.webhooks.into_iter().flatten().map(|webhook| webhook.name).collect();
        if webhooks.is_empty() {
            return Err(TemplateError::Empty);
        }
        Ok(Self { value, webhooks, ignored, unanswered, replica_sets, selectors })
    }

    /// Returns the paths of the selectors that do not exclude the pods of the webhook in `namespace` by name.
    pub(crate) fn fields_that_select(&self, namespace: &str) -> impl Iterator<Item = &str> {
        self.selectors.iter().filter_map(move |selector| selector.field_that_selects(namespace))
    }

    /// Returns the webhook configuration with this template in an annotation.
    pub(super) fn annotated(&self) -> Value {
        let mut configuration = self.value.clone();
        let annotations = &mut configuration["metadata"]["annotations"];
        if !annotations.is_object() {
            *annotations = json!({});
        }
        annotations[TEMPLATE] = self.value.to_string().into();
        configuration
    }
}

/// Removes the fields that belong to one stored object, and returns their paths.
fn remove_ignored(template: &mut Value) -> Vec<String> {
    let mut ignored = Vec::new();
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|field, _| {
            let is_applied = METADATA.contains(&field.as_str());
            if !is_applied {
                ignored.push(format!("metadata.{field}"));
            }
            is_applied
        });
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut)
            && annotations.remove(TEMPLATE).is_some()
        {
            ignored.push(format!("metadata.annotations.{TEMPLATE}"));
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
    }
    let status = template.as_object_mut().and_then(|template| template.remove("status"));
    ignored.extend(status.map(|_| "status".to_owned()));
    ignored
}

/// Returns the fields that name `replicasets` or a subresource of them.
///
/// A Deployment controls its replicas through such an object, and the webhook leaves controlled objects alone.
fn fields_with_replica_sets(template: &MutatingWebhookConfiguration) -> Vec<String> {
    let is_replica_sets =
        |resource: &String| resource.split('/').next().is_some_and(|name| name == "replicasets");
    let mut fields = Vec::new();
    for (index, webhook) in template.webhooks.iter().flatten().enumerate() {
        for (rule_index, rule) in webhook.rules.iter().flatten().enumerate() {
            if rule.resources.iter().flatten().any(is_replica_sets) {
                fields.push(format!("webhooks[{index}].rules[{rule_index}].resources"));
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_template_is_valid() {
        let template = Template::built_in().unwrap();
        assert_eq!(template.webhooks, ["imageswap.webhook.k8s.twr.io"]);
    }

    #[test]
    fn a_template_of_the_original_is_converted_to_v1() {
        let original = "
            apiVersion: admissionregistration.k8s.io/v1beta1
            kind: MutatingWebhookConfiguration
            metadata: { name: imageswap-webhook }
            webhooks:
              - name: imageswap.webhook.k8s.twr.io
                clientConfig: { service: { name: imageswap }, caBundle: $CA_BUNDLE }
        ";
        let template = Template::parse(original).unwrap();
        let expected = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": { "name": "imageswap-webhook" },
            "webhooks": [{
                "name": "imageswap.webhook.k8s.twr.io",
                "clientConfig": { "service": { "name": "imageswap" } },
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }],
        });
        assert_eq!(template.value, expected);
    }

    #[test]
    fn each_error_names_the_mistake() {
        let alpha = BUILT_IN.replace("k8s.io/v1\n", "k8s.io/v1alpha1\n");
        let other = BUILT_IN.replace("name: imageswap-webhook", "name: mine");
        let head = BUILT_IN.split("webhooks:").next().unwrap();
        let number = BUILT_IN.replace("timeoutSeconds: 5", "timeoutSeconds: five");
        for (text, expected) in [
            ("", "apiVersion: `` where `admissionregistration.k8s.io/v1` is expected"),
            (&*alpha, "apiVersion: `admissionregistration.k8s.io/v1alpha1` where "),
            (&*other, "metadata.name: `mine` where `imageswap-webhook` is expected"),
            (head, "webhooks: the list is empty or missing"),
            (&*number, "invalid type: string \"five\""),
            ("a: [", ""),
        ] {
            let error = Template::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_copy_of_the_live_object_equals_its_template() {
        let copied = BUILT_IN.replace(
            "  name: imageswap-webhook\n",
            "  name: imageswap-webhook
  annotations: { note: kept, k8s.twr.io/imageswap-template: '{}' }
  creationTimestamp: 2026-01-01T00:00:00Z
  generation: 3
  managedFields: [{ manager: imageswap, operation: Apply }]
  ownerReferences: [{ apiVersion: v1, kind: ClusterRole, name: imageswap-write, uid: a }]
  resourceVersion: '17'
  uid: 5c1ab5e4-6a7b-4b9d-8e3e-1d7f0a1b2c3d
",
        ) + "status: {}\n";
        let mut template = Template::parse(&copied).unwrap();
        assert_eq!(
            template.ignored,
            [
                "metadata.creationTimestamp",
                "metadata.generation",
                "metadata.managedFields",
                "metadata.ownerReferences",
                "metadata.resourceVersion",
                "metadata.uid",
                "metadata.annotations.k8s.twr.io/imageswap-template",
                "status"
            ]
        );
        assert_eq!(template.value["metadata"]["annotations"], json!({ "note": "kept" }));
        template.value["metadata"].as_object_mut().unwrap().remove("annotations");
        assert_eq!(template.value, Template::built_in().unwrap().value);
    }

    #[test]
    fn a_template_is_read_again_from_the_annotation() {
        for metadata in ["", "  annotations:\n", "  annotations: { note: kept }\n"] {
            let name = "  name: imageswap-webhook\n";
            let text = BUILT_IN.replace(name, &format!("{name}{metadata}"));
            let template = Template::parse(&text).unwrap();
            let annotated = template.annotated();
            let text = annotated["metadata"]["annotations"][TEMPLATE].as_str().unwrap();
            assert_eq!(Template::parse(text).unwrap(), template);
            // A copy of the whole configuration is the same template again.
            let copied = Template::parse(&annotated.to_string()).unwrap();
            assert_eq!(copied.value["webhooks"], template.value["webhooks"]);
            assert_eq!(copied.ignored, [format!("metadata.annotations.{TEMPLATE}")]);
        }
    }

    #[test]
    fn a_path_that_is_not_answered_is_reported_with_its_field() {
        let template = |first: &Value, second: &Value| {
            let webhook =
                |name: &str, client: &Value| json!({ "name": name, "clientConfig": client });
            let mut value = Template::built_in().unwrap().value;
            value["webhooks"] = json!([webhook("a.b.c", first), webhook("d.e.f", second)]);
            Template::parse(&value.to_string()).unwrap().unanswered
        };
        let service =
            |path: &str| json!({ "service": { "name": "s", "namespace": "n", "path": path } });
        let url = |path: &str| json!({ "url": format!("https://h.example{path}") });
        assert_eq!(template(&service("/mutate/"), &url("//")), []);
        let found = template(&service("/webhook"), &url("/mutate/pods"));
        let found: Vec<_> =
            found.into_iter().map(|UnansweredPath { field, path }| (field, path)).collect();
        let expected = [
            ("webhooks[0].clientConfig.service.path", "/webhook"),
            ("webhooks[1].clientConfig.url", "/mutate/pods"),
        ];
        assert_eq!(found, expected.map(|(field, path)| (field.to_owned(), path.to_owned())));
    }

    #[test]
    fn a_field_that_names_replica_sets_is_reported() {
        let with = |resources: &str| {
            let added = format!(
                "      - {{ operations: [CREATE], apiGroups: [apps], apiVersions: [v1], resources: {resources} }}\n"
            );
            let at = "    # Also send requests in another version";
            let text = BUILT_IN.replace(at, &(added + at));
            Template::parse(&text).unwrap().replica_sets
        };
        let field = ["webhooks[0].rules[1].resources"];
        assert_eq!(with("[deployments, replicasets]"), field);
        assert_eq!(with("[replicasets/scale]"), field);
        assert_eq!(with("[deployments, '*']"), [""; 0]);
    }
}
