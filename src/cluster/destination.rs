//! The destination of the API server's calls: `clientConfig` of the webhooks.

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use serde_json::{Value, json};

use super::{SERVICE, WebhookUrl};

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
    /// The names of the server, for the certificate.
    pub(super) names: Vec<String>,
    /// The name or IP address that the API server calls.
    pub(super) host: String,
}

impl Address {
    /// Returns the address by the settings: of the Service in `namespace`, unless there is a URL.
    #[must_use]
    pub(super) fn new(url: Option<WebhookUrl>, namespace: &str) -> Self {
        let service = format!("{SERVICE}.{namespace}.svc");
        let mut names = vec![SERVICE.to_owned(), format!("{SERVICE}.{namespace}"), service.clone()];
        match url {
            Some(WebhookUrl { url, host }) => {
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
    /// Fills in the destination of a webhook, unless its template has one and the settings do not.
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

/// Returns the strategic merge patch that turns the webhooks of `live` which have a `url` where `desired`
/// has a `service`, or the reverse, to the latter; `None` if there are none.
///
/// A server-side apply sets the one and leaves the other, which it does not own, and the API server
/// refuses a webhook with both. With the version that was read, the patch is refused as a conflict if
/// there is a newer one.
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
