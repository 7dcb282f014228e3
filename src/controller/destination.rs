//! The destination of the API server's calls: `clientConfig` of the webhooks, and the paths in it.

use std::path::Path;

use hyper::Uri;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use serde_json::{Value, json};
use tracing::warn;

use super::SERVICE;
use crate::{admission::ReviewPath, https_url::HttpsUrl};

/// The setting with the URL of a webhook outside the cluster.
const URL_SETTING: &str = "IMAGESWAP_WEBHOOK_URL";

/// Advice in the log on a path that is not answered. A proxy may rewrite the path, so it is not an error.
const PATH_ADVICE: &str = "ImageSwap answers reviews at `/` and `/mutate`, and other paths with 404; use one \
     of these unless a proxy rewrites the path";

/// A destination of the API server's calls.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Destination {
    /// The Service in this namespace.
    Service(String),
    /// A URL, for a webhook outside the cluster.
    Url(String),
}

/// A destination with the names under which it is called.
#[derive(Debug)]
pub(super) struct Address {
    /// The destination.
    pub(super) destination: Destination,
    /// Names of the server, for the certificate.
    pub(super) names: Vec<String>,
    /// The name or IP address that the API server calls.
    pub(super) host: String,
}

/// A field that names a path at which no reviews are answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct UnansweredPath {
    /// The field, such as `webhooks[0].clientConfig.url`.
    pub(crate) field: String,
    /// The path.
    pub(crate) path: String,
}

impl Address {
    /// Returns the address from the settings: `url`, or without it the Service in `namespace`.
    #[must_use]
    pub(super) fn new(url: Option<HttpsUrl>, namespace: &str) -> Self {
        let service = format!("{SERVICE}.{namespace}.svc");
        let mut names = vec![SERVICE.to_owned(), format!("{SERVICE}.{namespace}"), service.clone()];
        match url {
            Some(url) => {
                if let Some(path) = unanswered_url(url.as_str()) {
                    warn!(
                        setting = URL_SETTING,
                        path,
                        hint = PATH_ADVICE,
                        "webhook URL has a path that is not answered"
                    );
                }
                let host = url.host().to_owned();
                names.push(host.clone());
                Self { destination: Destination::Url(url.as_str().to_owned()), names, host }
            }
            None => {
                let destination = Destination::Service(namespace.to_owned());
                Self { destination, names, host: service }
            }
        }
    }
}

impl Destination {
    /// Fills in the destination of a webhook. A destination in the template has precedence over the default Service.
    pub(super) fn fill_in(&self, client: &mut Value) {
        match self {
            Self::Url(url) => *client = json!({ "url": url }),
            Self::Service(namespace) => {
                if client.get("service").is_none() && client.get("url").is_none() {
                    let service = json!({ "name": SERVICE, "namespace": namespace, "path": "/" });
                    *client = json!({ "service": service });
                }
            }
        }
    }
}

impl UnansweredPath {
    /// Logs that a field of the template of `file` names this path.
    pub(crate) fn warn(&self, file: &Path) {
        warn!(
            file = %file.display(), field = self.field, path = self.path, hint = PATH_ADVICE,
            "webhook template has a path that is not answered"
        );
    }
}

/// Returns the paths in the webhooks of a template at which no reviews are answered.
pub(super) fn unanswered_paths(template: &MutatingWebhookConfiguration) -> Vec<UnansweredPath> {
    let mut unanswered = Vec::new();
    for (index, webhook) in template.webhooks.iter().flatten().enumerate() {
        let client = &webhook.client_config;
        let service = client.service.as_ref().and_then(|service| service.path.clone());
        let service = service.filter(|path| ReviewPath::parse(path).is_none());
        let url = client.url.as_deref().and_then(unanswered_url);
        for (field, path) in [("service.path", service), ("url", url)] {
            let field = format!("webhooks[{index}].clientConfig.{field}");
            unanswered.extend(path.map(|path| UnansweredPath { field, path }));
        }
    }
    unanswered
}

/// Returns the path of a URL if no reviews are answered there. An invalid URL is ignored, because the API server
/// refuses it.
fn unanswered_url(url: &str) -> Option<String> {
    let url: Uri = url.parse().ok()?;
    ReviewPath::parse(url.path()).is_none().then(|| url.path().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_a_path_that_is_not_answered_is_found() {
        for (url, expected) in [
            ("https://10.0.0.5:5000", None),
            ("https://10.0.0.5:5000/", None),
            ("https://10.0.0.5:5000//mutate/", None),
            ("https://10.0.0.5:5000/webhook", Some("/webhook")),
            ("https://h.example/mutate/pods", Some("/mutate/pods")),
            ("https://h.example/metrics", Some("/metrics")),
            ("no url at all", None),
        ] {
            assert_eq!(unanswered_url(url).as_deref(), expected, "{url}");
        }
    }
}
