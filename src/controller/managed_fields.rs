//! The managers of the fields of the webhook configuration, as the API server records them in `managedFields`:
//! <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>.

use k8s_openapi::{
    api::admissionregistration::v1::MutatingWebhookConfiguration,
    apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry,
};
use serde_json::{Value, json};

use super::differences::{FieldPath, Step};
use crate::kubernetes::FIELD_MANAGER;

/// Returns true if only this webhook, in any of its replicas, has set the value of a field.
pub(super) fn is_own(live: &MutatingWebhookConfiguration, path: &FieldPath) -> bool {
    let mut owners = owners(live, path).peekable();
    owners.peek().is_some() && owners.all(|owner| owner == FIELD_MANAGER)
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
    use super::*;

    #[test]
    fn a_field_is_own_if_no_other_manager_owns_it() {
        let entry = |manager: &str, annotation: &str| {
            let mut annotations = json!({});
            annotations[format!("f:{annotation}")] = json!({});
            let fields = json!({ "f:metadata": { "f:annotations": annotations } });
            json!({ "manager": manager, "fieldsV1": fields })
        };
        let live = json!({ "metadata": { "managedFields": [
            entry(FIELD_MANAGER, "ours"),
            entry(FIELD_MANAGER, "shared"),
            entry("other", "shared"),
            entry("other", "theirs"),
        ] } });
        let live: MutatingWebhookConfiguration = serde_json::from_value(live).unwrap();
        let own = ["ours", "shared", "theirs", "missing"]
            .map(|name| is_own(&live, &FieldPath::annotation(name)));
        assert_eq!(own, [true, false, false, false]);
    }
}
