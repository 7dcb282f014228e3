//! The template in force, which all replicas apply.
//!
//! Replicas have different templates for a while: the kubelets update a ConfigMap at different times, and a rollout may
//! bring another built-in template. So the configuration carries the template that it was made from, in an annotation,
//! and every replica keeps the configuration equal to that template. A replica puts its own template into force only if
//! that is the newer one:
//!
//! - at once, when its own template changes;
//! - after [`START_DELAY`], if it has found another template at its start. Until then, its own may be an old one, from
//!   the cache of the kubelet or in an old pod that was restarted during a rollout.
//!
//! A template that arrives later is newer, and stays in force. There is deliberately no order of the templates
//! themselves: a change back to an earlier text is a change like any other.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use tracing::info;

use super::{
    Creation, Template,
    differences::FieldPath,
    managed_fields::is_own,
    template::{CONFIGURATION_NAME, TEMPLATE},
};
use crate::state::Live;

/// Time from the start of the process after which its template counts as newer than one that it has found in force.
///
/// A kubelet updates a ConfigMap within 90 seconds, or a minute later if its `configMapAndSecretChangeDetectionStrategy`
/// is `Cache`:
/// <https://kubernetes.io/docs/tasks/configure-pod-container/configure-pod-configmap/#mounted-configmaps-are-updated-automatically>.
/// An old pod that is restarted during a rollout is rarely left after this time.
const START_DELAY: Duration = Duration::from_mins(3);

/// Chooses the template in force.
#[derive(Debug)]
pub(super) struct TemplateInForce {
    /// The template of this replica.
    own: Arc<Live<Template>>,
    /// Its last state.
    last_own: Option<Arc<Template>>,
    /// The last choice.
    in_force: Option<Arc<Template>>,
    claim: Claim,
}

/// The claim of the own template to replace another one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Claim {
    /// It has one, because it is the newest.
    Newest,
    /// It has none, because it has been in force before.
    None,
    /// It has one after this time, if it has not been in force by then.
    Since(Instant),
}

impl TemplateInForce {
    /// Creates the choice for a process that starts at the time `now`, with the template `own`.
    pub(super) fn new(own: Arc<Live<Template>>, creation: Creation, now: Instant) -> Self {
        let claim = match creation {
            // `init` does not stay until a later time.
            Creation::AtOnce => Claim::Newest,
            Creation::WhenReady => Claim::Since(now + START_DELAY),
        };
        Self { own, last_own: None, in_force: None, claim }
    }

    /// Returns the template of this replica; `None` if it is not usable.
    pub(super) fn own(&self) -> Option<Arc<Template>> {
        self.own.load_full()
    }

    /// Returns the template of a configuration: that in its annotation, or that which is applied next.
    pub(super) fn of(&self, live: &MutatingWebhookConfiguration) -> Option<Arc<Template>> {
        let last = || self.in_force.clone().or_else(|| self.own.load_full());
        carried(live).map(Arc::new).or_else(last)
    }

    /// Chooses the template to apply to the configuration `live`; `None` if this replica has none.
    pub(super) fn choose(
        &mut self,
        live: Option<&MutatingWebhookConfiguration>,
        now: Instant,
    ) -> Option<Arc<Template>> {
        let own = self.own.load_full()?;
        if self.last_own.as_ref().is_some_and(|last| !is_same(last, &own)) {
            self.claim = Claim::Newest;
        }
        self.last_own = Some(own.clone());
        // Another client may have removed or replaced the annotation. Then the last choice is still right.
        let found = live.and_then(carried).map(Arc::new);
        let other = found.or_else(|| self.in_force.clone()).filter(|other| !is_same(other, &own));
        let has_claim = match self.claim {
            Claim::Newest => true,
            Claim::None => false,
            Claim::Since(time) => time <= now,
        };
        let is_new =
            |other: &Arc<Template>| self.in_force.as_ref().is_none_or(|last| !is_same(last, other));
        if let Some(other) = other.filter(|_| !has_claim) {
            if is_new(&other) {
                info!(
                    name = CONFIGURATION_NAME,
                    "following the webhook template of another replica"
                );
            }
            self.in_force = Some(other);
        } else {
            self.in_force = Some(own);
        }
        self.in_force.clone()
    }

    /// Records that the last choice was written, or found in the configuration.
    pub(super) fn applied(&mut self) {
        if self.is_own() {
            self.claim = Claim::None;
        }
    }

    /// Returns the time after which the own template replaces another one; `None` if it does not.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        match self.claim {
            Claim::Since(time) if !self.is_own() => Some(time.saturating_duration_since(now)),
            _ => None,
        }
    }

    fn is_own(&self) -> bool {
        let (Some(own), Some(in_force)) = (&self.last_own, &self.in_force) else { return true };
        is_same(own, in_force)
    }
}

/// Returns the template in the annotation of a configuration, if this webhook has written the annotation.
pub(super) fn carried(live: &MutatingWebhookConfiguration) -> Option<Template> {
    let text = live.metadata.annotations.as_ref()?.get(TEMPLATE)?;
    if !is_own(live, &FieldPath::annotation(TEMPLATE)) {
        return None;
    }
    Template::parse(text).ok()
}

/// Returns true if two templates have the same content.
fn is_same(left: &Template, right: &Template) -> bool {
    left.value == right.value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        kubernetes::FIELD_MANAGER,
        origin::Origin,
        state::{Load, Subject, Summary},
    };

    const SECOND: Duration = Duration::from_secs(1);

    /// Returns a template with this number.
    fn template(number: u32) -> Template {
        let mut template = Template::built_in().unwrap().value;
        template["webhooks"][0]["timeoutSeconds"] = json!(number);
        Template::parse(&template.to_string()).unwrap()
    }

    /// Returns a configuration that `manager` has made from a template.
    fn live(number: u32, manager: &str) -> MutatingWebhookConfiguration {
        let mut live = template(number).annotated();
        let mut annotations = json!({});
        annotations[format!("f:{TEMPLATE}")] = json!({});
        live["metadata"]["managedFields"] = json!([{ "manager": manager, "fieldsV1": { "f:metadata": { "f:annotations": annotations } } }]);
        serde_json::from_value(live).unwrap()
    }

    /// A replica, at a number of seconds after its start.
    struct Replica {
        begin: Instant,
        in_force: TemplateInForce,
    }

    impl Replica {
        fn start(own: u32, creation: Creation) -> Self {
            let begin = Instant::now();
            let live = Arc::new(Live::new(Subject::WebhookTemplate, Arc::default()));
            let replica = Self { begin, in_force: TemplateInForce::new(live, creation, begin) };
            replica.load(own);
            replica
        }

        fn load(&self, own: u32) {
            let load = Load::new(Origin::BuiltIn, Summary::WebhookTemplate);
            self.in_force.own.publish(template(own), load);
        }

        /// Returns the number of the template that the replica applies to a configuration.
        fn applies(&mut self, live: Option<&MutatingWebhookConfiguration>, second: u32) -> u32 {
            let now = self.begin + SECOND * second;
            let chosen = self.in_force.choose(live, now).unwrap();
            self.in_force.applied();
            let number = chosen.value["webhooks"][0]["timeoutSeconds"].as_u64().unwrap();
            number.try_into().unwrap()
        }

        /// Returns the number of the template that the replica applies over that of another one.
        fn over(&mut self, other: u32, second: u32) -> u32 {
            self.applies(Some(&live(other, FIELD_MANAGER)), second)
        }
    }

    #[test]
    fn a_template_that_changes_is_applied_at_once_and_others_follow() {
        let mut quick = Replica::start(1, Creation::WhenReady);
        let mut slow = Replica::start(1, Creation::WhenReady);
        assert_eq!((quick.applies(None, 0), slow.over(1, 0)), (1, 1));
        quick.load(2);
        assert_eq!((quick.over(1, 1000), slow.over(2, 1000)), (2, 2));
        // An hour later it still follows. Its own change then changes nothing.
        assert_eq!(slow.over(2, 4600), 2);
        slow.load(2);
        assert_eq!((slow.over(2, 4700), quick.over(2, 4700)), (2, 2));
        // The way back is a change as well.
        slow.load(1);
        assert_eq!((slow.over(2, 5000), quick.over(1, 5000)), (1, 1));
        assert_eq!(quick.over(1, 9000), 1);
        quick.load(1);
        assert_eq!((quick.over(1, 9100), slow.over(1, 9100)), (1, 1));
    }

    #[test]
    fn a_change_that_could_not_be_written_is_still_due() {
        let mut replica = Replica::start(1, Creation::WhenReady);
        assert_eq!(replica.over(1, 0), 1);
        replica.load(2);
        for second in 1000..1003 {
            let now = replica.begin + SECOND * second;
            let chosen = replica.in_force.choose(Some(&live(1, FIELD_MANAGER)), now).unwrap();
            assert_eq!(chosen.value, template(2).value);
        }
        replica.in_force.applied();
        assert_eq!(replica.over(3, 1004), 3);
    }

    #[test]
    fn a_template_at_the_start_waits_if_there_is_another() {
        let mut started = Replica::start(2, Creation::WhenReady);
        let left =
            |replica: &Replica, second| replica.in_force.left(replica.begin + SECOND * second);
        assert_eq!(started.over(1, 0), 1);
        assert_eq!(left(&started, 60), Some(120 * SECOND));
        assert_eq!((started.over(1, 179), started.over(1, 180)), (1, 2));
        assert_eq!(left(&started, 180), None);
        // An old pod that is restarted does not undo it later.
        assert_eq!(started.over(1, 200), 1);
        // A kubelet may bring an old file first.
        let mut stale = Replica::start(1, Creation::WhenReady);
        assert_eq!(stale.over(2, 0), 2);
        stale.load(2);
        assert_eq!((stale.over(2, 90), stale.over(2, 180)), (2, 2));
        assert_eq!(stale.over(3, 200), 3);
        // Without another template there is nothing to wait for.
        assert_eq!(Replica::start(1, Creation::WhenReady).applies(None, 0), 1);
        assert_eq!(Replica::start(2, Creation::AtOnce).over(1, 0), 2);
    }

    #[test]
    fn an_annotation_of_another_client_does_not_count() {
        let mut replica = Replica::start(1, Creation::WhenReady);
        let mut without = live(2, FIELD_MANAGER);
        without.metadata.annotations = None;
        let broken = |text: &str| {
            let mut live = live(2, FIELD_MANAGER);
            live.metadata.annotations = Some([(TEMPLATE.to_owned(), text.to_owned())].into());
            live
        };
        let found = [without, broken(""), broken("{}"), live(2, "kubectl-annotate")];
        for live in &found {
            assert_eq!(replica.applies(Some(live), 0), 1);
        }
        // A replica that follows another one restores what it has followed.
        assert_eq!(replica.over(3, 10), 3);
        for live in &found {
            assert_eq!(replica.applies(Some(live), 20), 3);
        }
    }
}
