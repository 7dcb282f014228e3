//! The destination of the API server's calls: `clientConfig` of the webhooks, and the paths in it.

use hyper::Uri;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use serde_json::{Value, json};
use tracing::warn;

use super::{SERVICE, WebhookUrl};
use crate::admission::ReviewPath;

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
    pub(super) fn new(url: Option<WebhookUrl>, namespace: &str) -> Self {
        let service = format!("{SERVICE}.{namespace}.svc");
        let mut names = vec![SERVICE.to_owned(), format!("{SERVICE}.{namespace}"), service.clone()];
        match url {
            Some(WebhookUrl { url, host }) => {
                if let Some(path) = unanswered_url(&url) {
                    warn!(
                        setting = URL_SETTING,
                        path,
                        hint = PATH_ADVICE,
                        "webhook URL has a path that is not answered"
                    );
                }
                names.push(host.clone());
                Self { destination: Destination::Url(url), names, host }
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
    pub(crate) fn warn(&self, file: &std::path::Path) {
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

/// Returns a strategic merge patch for the webhooks that have a `url` in `live` and a `service` in `desired`, or the
/// reverse. It gives them the destination of `desired`. `None` if there are no such webhooks.
///
/// A server-side apply sets the one field and keeps the other, which it does not own, and the API server refuses a
/// webhook with both. The patch carries the resource version that was read, so the API server refuses it as a conflict
/// if there is a newer one.
pub(super) fn switch(live: &MutatingWebhookConfiguration, desired: &Value) -> Option<Value> {
    let desired = desired["webhooks"].as_array().into_iter().flatten();
    let switched: Vec<_> = desired
        .filter_map(|desired| {
            let mut live = live.webhooks.iter().flatten();
            let live = live.find(|live| desired["name"] == *live.name)?;
            let mut client = desired["clientConfig"].clone();
            let is_there = |field: &Value| !field.is_null();
            if live.client_config.url.is_some() && is_there(&client["service"]) {
                client["url"] = Value::Null;
            } else if live.client_config.service.is_some() && is_there(&client["url"]) {
                client["service"] = Value::Null;
            } else {
                return None;
            }
            Some(json!({ "name": desired["name"], "clientConfig": client }))
        })
        .collect();
    (!switched.is_empty()).then(|| {
        json!({
            "metadata": { "resourceVersion": live.metadata.resource_version },
            "webhooks": switched,
        })
    })
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

    #[test]
    fn a_webhook_is_switched_between_service_and_url_with_its_ca_bundle() {
        let service = json!({ "service": { "name": "s", "namespace": "n" }, "caBundle": "Yg==" });
        let url = json!({ "url": "https://h.example", "caBundle": "Yg==" });
        let webhooks =
            |client: &Value| json!({ "webhooks": [{ "name": "w.x.y", "clientConfig": client }] });
        let live = |client: &Value| {
            let mut live = webhooks(client);
            live["metadata"] = json!({ "resourceVersion": "7" });
            serde_json::from_value::<MutatingWebhookConfiguration>(live).unwrap()
        };
        for (from, to, removed) in [(&service, &url, "service"), (&url, &service, "url")] {
            let patch = switch(&live(from), &webhooks(to)).unwrap();
            assert_eq!(patch["metadata"], json!({ "resourceVersion": "7" }));
            let mut client = to.clone();
            client[removed] = Value::Null;
            assert_eq!(patch["webhooks"], webhooks(&client)["webhooks"]);
            assert_eq!(switch(&live(to), &webhooks(to)), None);
        }
        let mut other = webhooks(&url);
        other["webhooks"][0]["name"] = json!("other.x.y");
        assert_eq!(switch(&live(&service), &other), None);
    }
}
