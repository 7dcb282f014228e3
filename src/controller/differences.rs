//! Differences between two versions of the webhook configuration, by the paths of their fields.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use serde_json::Value;

/// The path of a field of the webhook configuration.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct FieldPath(Vec<Step>);

/// A step of a path.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Step {
    /// An element of a list whose elements have names.
    Element {
        /// The index, for the log.
        index: usize,
        /// The name.
        name: String,
    },
    /// A field of an object.
    Field(String),
    /// An element of another list.
    Index(usize),
}

impl FieldPath {
    /// Returns the path of an annotation.
    pub(super) fn annotation(name: &str) -> Self {
        Self(["metadata", "annotations", name].map(|field| Step::Field(field.to_owned())).into())
    }

    /// Returns the steps from the configuration to the field.
    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Returns the value of the field in a configuration; `None` if it is missing there.
    pub(super) fn value<'a>(&self, configuration: &'a Value) -> Option<&'a Value> {
        let value = self.0.iter().try_fold(configuration, |value, step| match step {
            Step::Element { name, .. } => {
                value.as_array()?.iter().find(|element| element["name"] == **name)
            }
            Step::Field(field) => value.get(field),
            Step::Index(index) => value.get(index),
        });
        value.filter(|value| !value.is_null())
    }

    /// Sets the field in a configuration, or removes it. Does nothing if there is no place for the field.
    pub(super) fn set(&self, configuration: &mut Value, value: Option<Value>) {
        let Some((last, parents)) = self.0.split_last() else { return };
        let Some(parent) = place(configuration, parents) else { return };
        match (last, parent) {
            (Step::Field(field), Value::Object(parent)) => match value {
                Some(value) => drop(parent.insert(field.clone(), value)),
                None => drop(parent.remove(field)),
            },
            (Step::Element { name, .. }, Value::Array(parent)) => {
                parent.retain(|element| element["name"] != **name);
                parent.extend(value);
            }
            (Step::Index(index), Value::Array(parent)) => {
                if let (Some(place), Some(value)) = (parent.get_mut(*index), value) {
                    *place = value;
                }
            }
            _ => {}
        }
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Element { index, .. } | Step::Index(index) => write!(formatter, "[{index}]")?,
                Step::Field(field) if position == 0 => formatter.write_str(field)?,
                Step::Field(field) => write!(formatter, ".{field}")?,
            }
        }
        Ok(())
    }
}

/// Returns the place of the value at the end of `steps`.
fn place<'a>(configuration: &'a mut Value, steps: &[Step]) -> Option<&'a mut Value> {
    steps.iter().try_fold(configuration, |value, step| match step {
        Step::Element { name, .. } => {
            value.as_array_mut()?.iter_mut().find(|element| element["name"] == **name)
        }
        Step::Field(field) => value.get_mut(field),
        Step::Index(index) => value.get_mut(index),
    })
}

/// Returns a configuration as a value, without the fields that the API server maintains itself.
pub(super) fn comparable(configuration: &MutatingWebhookConfiguration) -> Value {
    let mut value = serde_json::to_value(configuration).unwrap_or_default();
    if let Some(metadata) = value["metadata"].as_object_mut() {
        metadata
            .retain(|key, _| matches!(key.as_str(), "annotations" | "labels" | "ownerReferences"));
    }
    value
}

/// Returns the paths of the fields in which two versions differ.
pub(super) fn changed_fields(
    before: &MutatingWebhookConfiguration,
    after: &MutatingWebhookConfiguration,
) -> BTreeSet<FieldPath> {
    differences(&comparable(before), &comparable(after))
}

/// Returns the paths at which two values differ.
pub(super) fn differences(before: &Value, after: &Value) -> BTreeSet<FieldPath> {
    let mut changed = BTreeSet::new();
    compare(Some(before), Some(after), &FieldPath::default(), &mut changed);
    changed
}

/// Gathers the paths of the fields that differ. It descends into objects, into lists whose elements have names, and into
/// other lists of equal length.
fn compare(
    before: Option<&Value>,
    after: Option<&Value>,
    path: &FieldPath,
    changed: &mut BTreeSet<FieldPath>,
) {
    match (before, after) {
        _ if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            for key in before.keys().chain(after.keys()) {
                let path = path.with(Step::Field(key.clone()));
                compare(before.get(key), after.get(key), &path, changed);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            if let (Some(before), Some(after)) = (by_name(before), by_name(after)) {
                for (&name, &(index, _)) in before.iter().chain(&after) {
                    // The later index wins, as the log shows the new version.
                    let index = after.get(name).map_or(index, |&(index, _)| index);
                    let path = path.with(Step::Element { index, name: name.to_owned() });
                    let value = |elements: &BTreeMap<_, (_, _)>| {
                        elements.get(name).map(|&(_, value)| value)
                    };
                    compare(value(&before), value(&after), &path, changed);
                }
            } else if before.len() == after.len() {
                for (index, (before, after)) in before.iter().zip(after).enumerate() {
                    compare(Some(before), Some(after), &path.with(Step::Index(index)), changed);
                }
            } else {
                changed.insert(path.clone());
            }
        }
        _ => {
            changed.insert(path.clone());
        }
    }
}

/// Returns the elements of a list with their indexes, by their names; `None` if an element has no name, or the list is
/// empty.
fn by_name(list: &[Value]) -> Option<BTreeMap<&str, (usize, &Value)>> {
    let named = list.iter().enumerate().map(|(index, element)| {
        let name = element.get("name")?.as_str()?;
        Some((name, (index, element)))
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use std::slice;

    use serde_json::json;

    use super::*;

    fn texts(before: &Value, after: &Value) -> Vec<String> {
        differences(before, after).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_difference_is_reported_by_its_path() {
        let before = json!({ "webhooks": [{ "a": 1, "b": [1], "c": { "d": 1 } }], "same": [1] });
        let after = json!({ "webhooks": [{ "a": 2, "b": [1, 2], "c": {} }], "same": [1] });
        assert_eq!(texts(&before, &after), ["webhooks[0].a", "webhooks[0].b", "webhooks[0].c.d"]);
    }

    #[test]
    fn elements_with_names_are_compared_with_their_namesakes() {
        let webhook = |name: &str, policy: &str| json!({ "name": name, "failurePolicy": policy });
        let list = |webhooks: &[Value]| json!({ "webhooks": webhooks });
        let (ours, other) = (webhook("ours", "Fail"), webhook("other", "Fail"));
        let before = list(&[other.clone(), webhook("ours", "Ignore")]);
        let after = list(&[ours.clone(), other.clone()]);
        assert_eq!(texts(&before, &after), ["webhooks[0].failurePolicy"]);
        assert_eq!(texts(&list(&[]), &list(slice::from_ref(&ours))), ["webhooks[0]"]);
        assert_eq!(texts(&list(&[ours, other]), &list(&[])), ["webhooks[0]", "webhooks[1]"]);
    }

    #[test]
    fn a_path_leads_to_the_same_field_in_another_version() {
        let webhook = |name: &str, field: Value| json!({ "name": name, "selector": field });
        let live = json!({ "webhooks": [
            webhook("other", json!({})),
            webhook("ours", json!({ "all": ["theirs"], "any": { "a": "b" } })),
        ] });
        let desired = json!({ "webhooks": [webhook("ours", json!({ "any": { "a": "b" } }))] });
        let expected = json!({ "webhooks": [live["webhooks"][1]] });
        let changed = differences(&live, &desired);
        let path = changed.iter().find(|path| path.to_string().ends_with("selector.all")).unwrap();
        assert_eq!(path.value(&live), Some(&json!(["theirs"])));
        assert_eq!(path.value(&desired), None);
        let mut left = desired.clone();
        path.set(&mut left, path.value(&live).cloned());
        assert_eq!(left, expected);
        path.set(&mut left, None);
        assert_eq!(left, desired);
        let webhook = differences(&live, &json!({ "webhooks": [] })).pop_last().unwrap();
        webhook.set(&mut left, webhook.value(&live).cloned());
        assert_eq!(left, expected);
        webhook.set(&mut left, None);
        assert_eq!(left, json!({ "webhooks": [] }));
        // There is no such webhook.
        let mut without = json!({ "webhooks": [] });
        path.set(&mut without, path.value(&live).cloned());
        assert_eq!(without, json!({ "webhooks": [] }));
    }
}
