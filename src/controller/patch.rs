//! Changes of the webhook configuration that a server-side apply cannot make.

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use serde_json::{Value, json};

use super::template_in_force::carried;

/// Returns a strategic merge patch that has to precede the apply of `desired`; `None` if none is necessary.
///
/// An apply removes only what no other client owns. So the patch removes
///
/// - the `url` of a webhook that gets a `service`, or the reverse, because the API server refuses a webhook with both;
/// - the webhooks of the template that the configuration carries, if they have another name in `desired`. With their
///   caBundle gone, they would refuse everything that they select.
///
/// The patch carries the resource version that was read, so the API server refuses it as a conflict if there is a newer
/// one.
pub(super) fn prerequisite(live: &MutatingWebhookConfiguration, desired: &Value) -> Option<Value> {
    let webhooks: Vec<_> = switched(live, desired).chain(renamed(live, desired)).collect();
    (!webhooks.is_empty()).then(|| {
        json!({
            "metadata": { "resourceVersion": live.metadata.resource_version },
            "webhooks": webhooks,
        })
    })
}

/// Returns patches of the webhooks that have a `url` in `live` and a `service` in `desired`, or the reverse. Each gives
/// a webhook the destination of `desired`.
fn switched<'a>(
    live: &'a MutatingWebhookConfiguration,
    desired: &'a Value,
) -> impl Iterator<Item = Value> + 'a {
    webhooks(desired).filter_map(|desired| {
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
}

/// Returns patches that remove the webhooks of the carried template that are not in `desired`.
fn renamed(live: &MutatingWebhookConfiguration, desired: &Value) -> impl Iterator<Item = Value> {
    let mut former = carried(live).map(|template| template.webhooks).unwrap_or_default();
    former.retain(|name| {
        let is_there = live.webhooks.iter().flatten().any(|webhook| webhook.name == *name);
        is_there && !webhooks(desired).any(|webhook| webhook["name"] == **name)
    });
    former.into_iter().map(|name| json!({ "name": name, "$patch": "delete" }))
}

fn webhooks(configuration: &Value) -> impl Iterator<Item = &Value> {
    configuration["webhooks"].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Template, template::TEMPLATE},
        *,
    };
    use crate::kubernetes::FIELD_MANAGER;

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
            let patch = prerequisite(&live(from), &webhooks(to)).unwrap();
            assert_eq!(patch["metadata"], json!({ "resourceVersion": "7" }));
            let mut client = to.clone();
            client[removed] = Value::Null;
            assert_eq!(patch["webhooks"], webhooks(&client)["webhooks"]);
            assert_eq!(prerequisite(&live(to), &webhooks(to)), None);
        }
        let mut other = webhooks(&url);
        other["webhooks"][0]["name"] = json!("other.x.y");
        assert_eq!(prerequisite(&live(&service), &other), None);
    }

    #[test]
    fn a_webhook_of_the_carried_template_with_another_name_is_removed() {
        let built_in = Template::built_in().unwrap();
        let mut live = built_in.annotated();
        let annotation = json!({ format!("f:{TEMPLATE}"): {} });
        live["metadata"]["managedFields"] = json!([
            { "manager": FIELD_MANAGER, "fieldsV1": { "f:metadata": { "f:annotations": annotation } } },
        ]);
        live["webhooks"].as_array_mut().unwrap().push(json!({ "name": "foreign.x.y" }));
        let parsed = |live: &Value| serde_json::from_value(live.clone()).unwrap();
        let mut desired = built_in.annotated();
        assert_eq!(prerequisite(&parsed(&live), &desired), None);
        desired["webhooks"][0]["name"] = json!("other.x.y");
        let patch = prerequisite(&parsed(&live), &desired).unwrap();
        let removed = json!({ "name": built_in.webhooks[0], "$patch": "delete" });
        assert_eq!(patch["webhooks"], json!([removed]));
        live["webhooks"].as_array_mut().unwrap().remove(0);
        assert_eq!(prerequisite(&parsed(&live), &desired), None);
    }
}
