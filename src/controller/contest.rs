//! Fields of the webhook configuration that another client keeps changing.
//!
//! Two controllers that revert each other's changes would do so for ever. So after some repairs in a row a field is left
//! to the other client for a while. `clientConfig` is never left: with another caBundle or destination the API server
//! does not reach the webhook at all, and with `failurePolicy: Fail` no pod can be created.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use serde_json::Value;
use tracing::warn;

use super::{
    Template,
    differences::{FieldPath, Step, comparable},
    managed_fields::foreign_manager,
    template::{CONFIGURATION_NAME, TEMPLATE},
};

/// Number of repairs of a field within [`PERIOD`] after which it is left to the client that changes it. Somebody who
/// edits by hand, or a tool that is applied a few times, does not reach it.
const MAX_REPAIRS: u32 = 10;

/// Time in which repairs are counted. A field that was left is repaired again after it.
const PERIOD: Duration = Duration::from_hours(1);

/// The fields that other clients have changed lately.
///
/// An entry is dropped after [`PERIOD`], and the debounce of repairs limits the number of new ones in that time.
#[derive(Debug, Default)]
pub(super) struct Contests {
    /// The template that decides about the fields.
    template: Option<Arc<Template>>,
    fields: BTreeMap<(FieldPath, String), Contest>,
}

/// The repairs of one field that one client changes.
#[derive(Debug)]
struct Contest {
    /// Time of the first repair.
    since: Instant,
    repairs: u32,
}

impl Contest {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= PERIOD
    }

    fn is_lost(&self, now: Instant) -> bool {
        self.repairs >= MAX_REPAIRS && !self.is_over(now)
    }
}

impl Contests {
    /// Sets the template that decides about the fields. Returns true if it is another one; then all repairs are
    /// forgotten.
    pub(super) fn follow(&mut self, template: &Arc<Template>) -> bool {
        let is_same = self.template.as_ref().is_some_and(|last| last.value == template.value);
        if !is_same {
            *self = Self { template: Some(template.clone()), fields: BTreeMap::new() };
        }
        !is_same
    }

    /// Counts the repairs of the `changed` fields of `live`, the version before. Returns the number of fields that are
    /// left to another client from now on, and warns of them.
    pub(super) fn repaired(
        &mut self,
        live: &MutatingWebhookConfiguration,
        changed: &BTreeSet<FieldPath>,
        now: Instant,
    ) -> usize {
        self.fields.retain(|_, contest| !contest.is_over(now));
        let mut lost = 0;
        for path in changed.iter().filter(|path| may_be_left(path)) {
            let Some(manager) = foreign_manager(live, path) else { continue };
            let key = (path.clone(), manager.to_owned());
            let contest = self.fields.entry(key).or_insert(Contest { since: now, repairs: 0 });
            contest.repairs = contest.repairs.saturating_add(1);
            if contest.repairs == MAX_REPAIRS {
                lost += 1;
                warn!(
                    name = CONFIGURATION_NAME, field = %path, manager, repairs = MAX_REPAIRS,
                    hint = "set the field in the template, or stop the other client",
                    "webhook configuration field left to another client"
                );
            }
        }
        lost
    }

    /// Gives the fields of `desired` that are left to another client the values that they have in `live`.
    ///
    /// The fields are not just omitted, because an apply removes what this webhook owns and no longer applies, and
    /// another replica may have repaired a field in the meantime. For the same reason, `desired` then is right only for
    /// the version that was read.
    pub(super) fn leave(
        &self,
        desired: &mut Value,
        live: &MutatingWebhookConfiguration,
        now: Instant,
    ) {
        let value = comparable(live);
        for path in self.lost(live, now).filter(|path| !is_owner(path)) {
            path.set(desired, path.value(&value).cloned());
        }
    }

    /// Returns true if the owner reference in `live` is left to another client.
    pub(super) fn leaves_owner(&self, live: &MutatingWebhookConfiguration, now: Instant) -> bool {
        self.lost(live, now).any(is_owner)
    }

    /// Returns the fields of `live` that are left to another client.
    fn lost(
        &self,
        live: &MutatingWebhookConfiguration,
        now: Instant,
    ) -> impl Iterator<Item = &FieldPath> {
        let lost = self.fields.iter().filter(move |((path, manager), contest)| {
            contest.is_lost(now) && foreign_manager(live, path) == Some(manager)
        });
        lost.map(|((path, _), _)| path)
    }
}

/// Returns true for the owner reference, which the template does not contain.
fn is_owner(path: &FieldPath) -> bool {
    matches!(path.steps(), [Step::Field(_), Step::Field(field), ..] if field == "ownerReferences")
}

/// Returns true if a field may be left to another client. Neither a webhook as a whole, which has a `clientConfig`, nor
/// the annotation with the template in force may.
fn may_be_left(path: &FieldPath) -> bool {
    match path.steps() {
        [Step::Field(list), rest @ ..] if list == "webhooks" => match rest {
            [Step::Element { .. }, Step::Field(field), ..] => field != "clientConfig",
            _ => false,
        },
        steps => !FieldPath::annotation(TEMPLATE).steps().starts_with(steps),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::differences::{changed_fields, differences},
        *,
    };
    use crate::kubernetes::FIELD_MANAGER;

    const MINUTE: Duration = Duration::from_mins(1);

    /// Returns a webhook configuration whose selector `manager` has set, and its caBundle too.
    fn live(selector: &Value, manager: &str) -> MutatingWebhookConfiguration {
        let fields = json!({ "f:clientConfig": { "f:caBundle": {} }, "f:namespaceSelector": {} });
        let fields = json!({ "f:webhooks": { "k:{\"name\":\"w.x.y\"}": fields } });
        let mut live = desired(selector);
        live["metadata"] = json!({
            "resourceVersion": "7",
            "managedFields": [{ "manager": manager, "fieldsV1": fields }],
        });
        serde_json::from_value(live).unwrap()
    }

    fn desired(selector: &Value) -> Value {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "webhooks": [{
                "name": "w.x.y",
                "clientConfig": { "caBundle": "" },
                "namespaceSelector": selector,
            }],
        })
    }

    /// A selector, and the same with an addition of another client.
    fn selectors() -> (Value, Value) {
        let ours = json!({ "matchLabels": { "a": "b" } });
        let theirs = json!({
            "matchLabels": { "a": "b" },
            "matchExpressions": [{ "key": "c", "operator": "Exists" }],
        });
        (ours, theirs)
    }

    /// Repairs the selector of `live` a number of times, and returns the number of fields that are left then.
    fn repair(
        contests: &mut Contests,
        live: &MutatingWebhookConfiguration,
        times: u32,
        now: Instant,
    ) -> usize {
        let changed = changed_fields(live, &self::live(&selectors().0, FIELD_MANAGER));
        (0..times).map(|_| contests.repaired(live, &changed, now)).sum()
    }

    fn left(contests: &Contests, live: &MutatingWebhookConfiguration, now: Instant) -> Value {
        let mut desired = desired(&selectors().0);
        contests.leave(&mut desired, live, now);
        desired
    }

    #[test]
    fn a_field_is_left_to_the_client_that_has_changed_it_ten_times_within_an_hour() {
        let (mut contests, begin) = (Contests::default(), Instant::now());
        let (ours, theirs) = selectors();
        let theirs_live = live(&theirs, "enforcer");
        assert_eq!(repair(&mut contests, &theirs_live, MAX_REPAIRS - 1, begin), 0);
        assert_eq!(left(&contests, &theirs_live, begin), desired(&ours));
        // Another client does not count, and is repaired afterwards as well.
        assert_eq!(repair(&mut contests, &live(&theirs, "kubectl-edit"), 1, begin), 0);
        assert_eq!(repair(&mut contests, &theirs_live, 1, begin + 59 * MINUTE), 1);
        let now = begin + 59 * MINUTE;
        assert_eq!(left(&contests, &theirs_live, now), desired(&theirs));
        assert_eq!(left(&contests, &live(&theirs, "kubectl-edit"), now), desired(&ours));
        // Another replica may have repaired it.
        assert_eq!(left(&contests, &live(&ours, FIELD_MANAGER), now), desired(&ours));
        assert_eq!(left(&contests, &theirs_live, begin + 60 * MINUTE), desired(&ours));
        assert_eq!(repair(&mut contests, &theirs_live, MAX_REPAIRS, begin + 60 * MINUTE), 1);
    }

    #[test]
    fn slow_changes_and_another_template_start_again() {
        let (mut contests, begin) = (Contests::default(), Instant::now());
        let theirs = live(&selectors().1, "enforcer");
        for minute in (0..600).step_by(7) {
            assert_eq!(repair(&mut contests, &theirs, 1, begin + MINUTE * minute), 0);
        }
        let template = |name: &str| {
            let mut template = Template::built_in().unwrap();
            template.value["metadata"]["labels"]["name"] = json!(name);
            Arc::new(template)
        };
        let now = begin + 600 * MINUTE;
        assert!(contests.follow(&template("a")));
        assert_eq!(repair(&mut contests, &theirs, MAX_REPAIRS, now), 1);
        assert!(!contests.follow(&template("a")));
        assert_ne!(left(&contests, &theirs, now), desired(&selectors().0));
        assert!(contests.follow(&template("b")));
        assert_eq!(left(&contests, &theirs, now), desired(&selectors().0));
    }

    #[test]
    fn an_owner_that_another_client_keeps_removing_is_left_out() {
        let (mut contests, now) = (Contests::default(), Instant::now());
        let ours = selectors().0;
        // A client that only removes fields owns none, and is not recorded.
        let removed = live(&ours, FIELD_MANAGER);
        let reference = json!([{ "apiVersion": "v1", "kind": "k", "name": "n", "uid": "u" }]);
        let mut owned = live(&ours, FIELD_MANAGER);
        owned.metadata.owner_references = serde_json::from_value(reference).unwrap();
        let changed = changed_fields(&removed, &owned);
        for repair in 1..=MAX_REPAIRS {
            assert!(!contests.leaves_owner(&removed, now));
            let lost = contests.repaired(&removed, &changed, now);
            assert_eq!(lost, usize::from(repair == MAX_REPAIRS));
        }
        assert!(contests.leaves_owner(&removed, now));
        assert!(!contests.leaves_owner(&removed, now + PERIOD));
        assert_eq!(left(&contests, &removed, now), desired(&ours));
    }

    #[test]
    fn the_destination_with_its_ca_bundle_is_never_left() {
        let paths = |before: &Value| differences(before, &desired(&json!({})));
        let mut other = desired(&json!({}));
        other["webhooks"][0]["clientConfig"] = json!({ "caBundle": "b", "url": "u" });
        let mut none = desired(&json!({}));
        none["webhooks"] = json!([]);
        for before in [other, none] {
            assert!(!paths(&before).is_empty());
            assert!(!paths(&before).iter().any(may_be_left), "{before}");
        }
        let mut rest = desired(&json!({ "matchLabels": {} }));
        rest["metadata"] = json!({ "name": "n", "labels": { "a": "b" } });
        let mut named = desired(&json!({}));
        named["metadata"] = json!({ "name": "n" });
        let paths = differences(&rest, &named);
        assert_eq!(paths.iter().filter(|path| may_be_left(path)).count(), 2);
    }

    #[test]
    fn the_template_in_force_is_never_left() {
        assert!(!may_be_left(&FieldPath::annotation(TEMPLATE)));
        assert!(may_be_left(&FieldPath::annotation("another")));
    }
}
