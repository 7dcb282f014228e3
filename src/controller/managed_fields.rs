//! The managers of the fields of the webhook configuration, as the API server records them in `managedFields`:
//! <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>.

use k8s_openapi::{
    api::admissionregistration::v1::MutatingWebhookConfiguration,
    apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry,
};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::differences::{FieldPath, Step};
use crate::kubernetes::FIELD_MANAGER;

/// Manager of a field that nobody owns, because a client has removed it. The API server does not record who removes a
/// field.
const UNKNOWN: &str = "unknown";

/// Returns true if only this webhook, in any of its replicas, has set the value of a field.
pub(super) fn is_own(live: &MutatingWebhookConfiguration, path: &FieldPath) -> bool {
    let mut owners = owners(live, path).peekable();
    owners.peek().is_some() && owners.all(|owner| owner == FIELD_MANAGER)
}

/// Returns the manager that has set or removed a field, if it is not this webhook.
pub(super) fn foreign_manager<'a>(
    live: &'a MutatingWebhookConfiguration,
    path: &FieldPath,
) -> Option<&'a str> {
    if let Some(owner) = owners(live, path).find(|owner| *owner != FIELD_MANAGER) {
        return Some(owner);
    }
    if owners(live, path).next().is_some() { None } else { Some(UNKNOWN) }
}

/// Returns the time of the last write of a configuration. `None` if it has not changed since it was created, apart from
/// its metadata, which the generation does not count.
///
/// The API server records the time of each manager's last change:
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>.
pub(super) fn last_change(live: &MutatingWebhookConfiguration) -> Option<OffsetDateTime> {
    if live.metadata.generation == Some(1) {
        return None;
    }
    let entries = live.metadata.managed_fields.iter().flatten();
    let last = entries.filter_map(|entry| entry.time.as_ref()).map(|time| time.0.as_second()).max();
    // Without a time, assume that it was just written.
    let last = last.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    last.or_else(|| Some(OffsetDateTime::now_utc()))
}

/// Returns the manager that was the last to change a configuration.
pub(super) fn last_manager(live: &MutatingWebhookConfiguration) -> Option<&str> {
    let last = entries(live).max_by_key(|(_, entry)| entry.time.as_ref().map(|time| time.0));
    last.map(|(manager, _)| manager)
}

fn owners<'a>(
    live: &'a MutatingWebhookConfiguration,
    path: &FieldPath,
) -> impl Iterator<Item = &'a str> {
    entries(live).filter_map(|(manager, entry)| {
        let fields = &entry.fields_v1.as_ref()?.0;
        owns(fields, path.steps()).then_some(manager)
    })
}

fn entries(
    live: &MutatingWebhookConfiguration,
) -> impl Iterator<Item = (&str, &ManagedFieldsEntry)> {
    let entries = live.metadata.managed_fields.iter().flatten();
    entries.filter_map(|entry| Some((entry.manager.as_deref()?, entry)))
}

/// Returns true if a manager with these fields owns the field at the end of `steps`.
fn owns(fields: &Value, steps: &[Step]) -> bool {
    let mut fields = fields;
    for step in steps {
        let key = match step {
            Step::Element { name, .. } => format!("k:{}", json!({ "name": name })),
            Step::Field(field) => format!("f:{field}"),
            // Lists whose elements have no names are owned as a whole.
            Step::Index(_) => return true,
        };
        let Some(next) = fields.get(key) else { return false };
        if next.as_object().is_none_or(serde_json::Map::is_empty) {
            // A field without recorded parts is owned as a whole.
            return true;
        }
        fields = next;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{super::differences::differences, *};

    #[test]
    fn the_foreign_manager_of_a_field_is_found() {
        let entry = |manager: &str, minute: u8, fields: &Value| {
            json!({
                "manager": manager,
                "time": format!("2026-01-01T00:{minute:02}:00Z"),
                "fieldsV1": fields,
            })
        };
        let webhook =
            |fields: &Value| json!({ "f:webhooks": { "k:{\"name\":\"w.x.y\"}": fields } });
        let live = |entries: &[Value]| -> MutatingWebhookConfiguration {
            let live = json!({ "metadata": { "managedFields": entries } });
            serde_json::from_value(live).unwrap()
        };
        let path = |fields: &[&str]| {
            let mut value = json!({ "name": "w.x.y" });
            let inner = fields.iter().rev().fold(json!(1), |inner, field| json!({ *field: inner }));
            value.as_object_mut().unwrap().extend(inner.as_object().unwrap().clone());
            let configuration = |webhook: &Value| json!({ "webhooks": [webhook] });
            let (before, after) =
                (configuration(&value), configuration(&json!({ "name": "w.x.y" })));
            differences(&before, &after).pop_first().unwrap()
        };
        let ours = webhook(&json!({ ".": {}, "f:name": {}, "f:failurePolicy": {} }));
        let ours = entry(FIELD_MANAGER, 3, &ours);
        let selector = webhook(&json!({ "f:namespaceSelector": {} }));
        let live = live(&[
            ours,
            entry("enforcer", 1, &selector),
            entry("labels", 2, &json!({ "f:metadata": { "f:labels": { "f:a": {} } } })),
        ]);
        for (fields, is_ours, foreign) in [
            (&["failurePolicy"][..], true, None),
            (&["namespaceSelector"], false, Some("enforcer")),
            (&["namespaceSelector", "matchExpressions"], false, Some("enforcer")),
            (&["timeoutSeconds"], false, Some(UNKNOWN)),
        ] {
            let path = path(fields);
            let found = (is_own(&live, &path), foreign_manager(&live, &path));
            assert_eq!(found, (is_ours, foreign), "{path}");
        }
    }

    #[test]
    fn the_last_change_of_any_manager_counts() {
        let written = |generation, times: &[&str]| {
            let entries = times.iter().map(|time| json!({ "manager": "of a field", "time": time }));
            let metadata = json!({
                "generation": generation,
                "managedFields": entries.collect::<Vec<_>>(),
            });
            let live = json!({ "metadata": metadata });
            last_change(&serde_json::from_value(live).unwrap()).map(OffsetDateTime::unix_timestamp)
        };
        let times = ["2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", "2025-01-01T00:00:00Z"];
        assert_eq!(written(2, &times), Some(1_767_225_660));
        assert_eq!(written(1, &times), None);
        let before = OffsetDateTime::now_utc().unix_timestamp();
        assert!(written(2, &[]).unwrap() >= before);
    }
}
