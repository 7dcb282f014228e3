//! The template of the webhook configuration: which requests the API server asks the webhook about.

use std::{io, path::Path, sync::Arc};

use arc_swap::ArcSwapOption;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use serde_json::{Value, json};
use tracing::warn;

use super::{TemplateFile, configuration, hints::Hints};
use crate::{
    file::read_regular_up_to,
    reload::{Freshness, Source},
};

/// The template that is built in.
const BUILT_IN: &str = include_str!("../../config/imageswap-mwc.yaml");

const API_VERSION: &str = "admissionregistration.k8s.io/v1";

/// The most bytes of a template: what a ConfigMap can hold.
const MAX_BYTES: u64 = 1024 * 1024;

/// A webhook configuration without what only the running webhook knows: where it is, and which roots
/// vouch for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    pub(super) value: Value,
    /// The names of its webhooks.
    pub(super) webhooks: Vec<String>,
}

/// The template in use; none as long as none could be loaded, and then the webhook configuration is
/// left as it is.
pub type TemplateSlot = Arc<ArcSwapOption<Template>>;

/// Why a text is no template.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// It is larger than a ConfigMap can be.
    #[error("larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// It is no YAML, or a field has another type than in Kubernetes.
    #[error("{0}")]
    Syntax(String),
    /// A field has a value that it must not have here.
    #[error("{field}: `{found}` where `{expected}` is expected")]
    Field {
        /// The path of the field.
        field: &'static str,
        /// What stands there.
        found: String,
        /// What has to stand there.
        expected: &'static str,
    },
    /// It has no webhook.
    #[error("webhooks: there is none")]
    Empty,
}

impl Template {
    /// The template that is built in.
    ///
    /// # Errors
    /// When it is broken, which a test rules out.
    pub fn built_in() -> Result<Self, TemplateError> {
        Self::parse(BUILT_IN)
    }

    /// Reads a template from YAML or JSON.
    ///
    /// # Errors
    /// When it is no `MutatingWebhookConfiguration` of `admissionregistration.k8s.io/v1` with the
    /// name that the webhook may write.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let syntax = |error: &dyn std::fmt::Display| TemplateError::Syntax(error.to_string());
        let mut value: Value = serde_saphyr::from_str(text).map_err(|error| syntax(&error))?;
        // The early templates of the original are of this version, which no API server has any more.
        if value["apiVersion"] == "admissionregistration.k8s.io/v1beta1" {
            value["apiVersion"] = API_VERSION.into();
        }
        for (field, pointer, expected) in [
            ("apiVersion", "/apiVersion", API_VERSION),
            ("kind", "/kind", "MutatingWebhookConfiguration"),
            ("metadata.name", "/metadata/name", configuration::NAME),
        ] {
            let found = value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            if found != expected {
                return Err(TemplateError::Field { field, found: found.to_owned(), expected });
            }
        }
        let webhooks = value.get_mut("webhooks").and_then(Value::as_array_mut);
        let webhooks = webhooks.into_iter().flatten().filter_map(Value::as_object_mut);
        for webhook in webhooks {
            // The templates of the original have a placeholder here.
            if let Some(client) = webhook.get_mut("clientConfig").and_then(Value::as_object_mut) {
                client.remove("caBundle");
            }
            // What v1 asks for, and v1beta1 did not; it is the same for every template.
            webhook.entry("sideEffects").or_insert_with(|| "None".into());
            webhook.entry("admissionReviewVersions").or_insert_with(|| json!(["v1"]));
        }
        let typed: MutatingWebhookConfiguration =
            serde_json::from_value(value.clone()).map_err(|error| syntax(&error))?;
        let webhooks: Vec<_> =
            typed.webhooks.into_iter().flatten().map(|webhook| webhook.name).collect();
        if webhooks.is_empty() {
            return Err(TemplateError::Empty);
        }
        Ok(Self { value, webhooks })
    }
}

/// Follows the file of a template.
#[derive(Debug)]
pub struct TemplateSource {
    file: TemplateFile,
    slot: TemplateSlot,
    hints: Hints,
    last_failure: Option<String>,
}

impl TemplateSource {
    /// Loads `file`, and will do so again when it changes, and give a hint then.
    #[must_use]
    pub fn load(file: TemplateFile, hints: Hints) -> Self {
        let mut source = Self { file, slot: TemplateSlot::default(), hints, last_failure: None };
        source.reload();
        source
    }

    /// Where the template is found.
    #[must_use]
    pub fn slot(&self) -> TemplateSlot {
        self.slot.clone()
    }

    fn file(&self) -> &Path {
        match &self.file {
            TemplateFile::Default(file) | TemplateFile::Named(file) => file,
        }
    }

    fn read(&self) -> Result<Template, TemplateError> {
        match read_regular_up_to(self.file(), MAX_BYTES) {
            Ok(Some(text)) => {
                let text = String::from_utf8(text)
                    .map_err(|error| TemplateError::Syntax(error.to_string()))?;
                Template::parse(&text)
            }
            Ok(None) => Err(TemplateError::TooLarge),
            Err(error) => match &self.file {
                TemplateFile::Default(_) if error.kind() == io::ErrorKind::NotFound => {
                    Template::built_in()
                }
                _ => Err(error.into()),
            },
        }
    }
}

impl Source for TemplateSource {
    fn directory(&self) -> &Path {
        match self.file().parent() {
            Some(directory) if directory != Path::new("") => directory,
            _ => Path::new("."),
        }
    }

    fn reload(&mut self) -> Freshness {
        match self.read() {
            Ok(template) => {
                self.last_failure = None;
                if self.slot.load().as_deref() != Some(&template) {
                    self.slot.store(Some(Arc::new(template)));
                    self.hints.give();
                }
                Freshness::Fresh
            }
            Err(error) => {
                let failure = error.to_string();
                if self.last_failure.as_ref() != Some(&failure) {
                    let consequence = if self.slot.load().is_some() {
                        "the last good one stays in use"
                    } else {
                        "the configuration is left as it is"
                    };
                    warn!(
                        file = %self.file().display(), error = %failure,
                        "the template of the webhook configuration cannot be used; {consequence}"
                    );
                    self.last_failure = Some(failure);
                }
                Freshness::Stale
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_built_in_template_is_sound() {
        let template = Template::built_in().unwrap();
        assert_eq!(template.webhooks, ["imageswap.webhook.k8s.twr.io"]);
    }

    #[test]
    fn a_template_of_the_original_is_brought_up_to_date() {
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
    fn each_mistake_is_named() {
        let alpha = BUILT_IN.replace("k8s.io/v1\n", "k8s.io/v1alpha1\n");
        let other = BUILT_IN.replace("name: imageswap-webhook", "name: mine");
        let head = BUILT_IN.split("webhooks:").next().unwrap();
        let number = BUILT_IN.replace("timeoutSeconds: 5", "timeoutSeconds: five");
        for (text, expected) in [
            ("", "apiVersion: `` where `admissionregistration.k8s.io/v1` is expected"),
            (&*alpha, "apiVersion: `admissionregistration.k8s.io/v1alpha1` where "),
            (&*other, "metadata.name: `mine` where `imageswap-webhook` is expected"),
            (head, "webhooks: there is none"),
            (&*number, "invalid type: string \"five\""),
            ("a: [", ""),
        ] {
            let error = Template::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_bad_file_leaves_the_last_good_template() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("template.yaml");
        let named = TemplateSource::load(TemplateFile::Named(file.clone()), Hints::default());
        assert!(named.slot().load().is_none(), "a file that was named has to be there");
        let mut source =
            TemplateSource::load(TemplateFile::Default(file.clone()), Hints::default());
        let built_in = Template::built_in().unwrap();
        assert_eq!(source.slot().load().as_deref(), Some(&built_in));
        fs::write(&file, BUILT_IN.replace("timeoutSeconds: 5", "timeoutSeconds: 9")).unwrap();
        assert_eq!(source.reload(), Freshness::Fresh);
        assert_eq!(source.slot().load_full().unwrap().value["webhooks"][0]["timeoutSeconds"], 9);
        fs::write(&file, "broken: [").unwrap();
        assert_eq!(source.reload(), Freshness::Stale);
        assert_eq!(source.slot().load_full().unwrap().value["webhooks"][0]["timeoutSeconds"], 9);
    }
}
