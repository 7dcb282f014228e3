//! The webhook configuration: what makes the API server call.
//!
//! It is written by server-side apply, so that the API server says what differs from the template,
//! and fields that the template does not have stay whoever's they are:
//! <https://kubernetes.io/docs/reference/using-api/server-side-apply/>.

use std::{collections::BTreeSet, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::api::{
    admissionregistration::v1::MutatingWebhookConfiguration, rbac::v1::ClusterRole,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, ValidationDirective},
};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tracing::{info, warn};

use super::{
    ClusterError, FIELD_MANAGER, SERVICE,
    call::call,
    template::{Template, TemplateSlot},
    trust::Configured,
};
use crate::{
    certs::Roots,
    metrics::{Metrics, WriteResult},
};

/// The name of the configuration.
pub(super) const NAME: &str = "imageswap-webhook";

/// The ClusterRole that owns the configuration: it goes when the webhook's rights go, so that an
/// uninstallation leaves nothing behind that would stop pods.
const OWNER: &str = "imageswap-write";

/// Where the API server calls.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Destination {
    /// The Service in this namespace.
    Service(String),
    /// A URL, for a webhook outside the cluster.
    Url(String),
}

/// Whether the configuration may be created.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Permission {
    /// It may.
    Create,
    /// Not yet: nobody would answer the API server's calls.
    NotYet,
}

/// Keeps the configuration as the template says.
#[derive(Debug)]
pub(super) struct Configuration {
    api: Api<MutatingWebhookConfiguration>,
    cluster_roles: Api<ClusterRole>,
    template: TemplateSlot,
    destination: Destination,
    /// Whether the configuration is somebody else's.
    is_foreign: bool,
    metrics: Arc<Metrics>,
    presence: Presence,
    /// Whether something was put right since that was asked last.
    is_repaired: bool,
    /// What was applied last, and the version of the configuration after that.
    applied: Option<(Value, Option<String>)>,
}

/// What this process knows of the configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Presence {
    /// It was there, and was deleted: the operator has pulled the emergency brake.
    Deleted,
    Seen,
    Unknown,
}

impl Configuration {
    /// Will keep the configuration of `client`'s cluster. With `is_foreign` it is only looked at.
    #[must_use]
    pub(super) fn new(
        client: &Client,
        template: TemplateSlot,
        destination: Destination,
        is_foreign: bool,
        metrics: Arc<Metrics>,
    ) -> Self {
        if is_foreign {
            info!(name = NAME, "the webhook configuration is left alone, as it is set");
        }
        Self {
            api: Api::all(client.clone()),
            cluster_roles: Api::all(client.clone()),
            template,
            destination,
            is_foreign,
            metrics,
            presence: Presence::Unknown,
            is_repaired: false,
            applied: None,
        }
    }

    /// The interface, for watching.
    #[must_use]
    pub(super) fn api(&self) -> Api<MutatingWebhookConfiguration> {
        self.api.clone()
    }

    /// Whether it is missing, and will be created as soon as it may be.
    #[must_use]
    pub(super) fn is_awaited(&self) -> bool {
        self.presence == Presence::Unknown && !self.is_foreign && self.template.load().is_some()
    }

    /// Whether it is somebody else's.
    pub(super) fn is_foreign(&self) -> bool {
        self.is_foreign
    }

    /// Whether the last look has put something right that another had changed.
    pub(super) fn take_repaired(&mut self) -> bool {
        std::mem::take(&mut self.is_repaired)
    }

    /// Whether there is no template to go by.
    pub(super) fn lacks_template(&self) -> bool {
        !self.is_foreign && self.template.load().is_none()
    }

    /// What the API server trusts now.
    pub(super) async fn look(&self) -> Result<Configured, ClusterError> {
        let live = self.get().await?;
        Ok(self.configured(live.as_ref()))
    }

    async fn get(&self) -> Result<Option<MutatingWebhookConfiguration>, ClusterError> {
        let get = self.api.get_opt(NAME);
        call(format!("get the webhook configuration {NAME}"), get).await
    }

    /// Brings the configuration in line with the template and `bundle`, and returns what the API
    /// server trusts then. One that was deleted while the process runs is not created again.
    ///
    /// # Errors
    /// When the API server refuses it or cannot be asked.
    pub(super) async fn keep(
        &mut self,
        bundle: &Roots,
        permission: Permission,
    ) -> Result<Configured, ClusterError> {
        let live = self.get().await?;
        if live.is_some() {
            self.presence = Presence::Seen;
        } else if self.presence == Presence::Seen {
            self.presence = Presence::Deleted;
            self.applied = None;
            let consequence = if self.is_foreign {
                "it is for its owner to create it again"
            } else {
                "a restart of any replica creates it again"
            };
            warn!(
                name = NAME,
                "the webhook configuration was deleted: no image is swapped from now on; \
                 {consequence}"
            );
        }
        let may_write = match self.presence {
            Presence::Seen => true,
            Presence::Deleted => false,
            Presence::Unknown => permission == Permission::Create,
        };
        let template = self.template.load_full();
        let live = match &template {
            Some(template) if may_write && !self.is_foreign && !bundle.is_empty() => {
                let written = self.write(template, live, bundle).await;
                if let Err(ClusterError::Call { .. }) = written {
                    self.metrics.configuration_write(WriteResult::Failed);
                }
                Some(written?)
            }
            _ => live,
        };
        Ok(self.configured(live.as_ref()))
    }

    /// What the API server trusts by a configuration, in the webhooks of the template.
    fn configured(&self, live: Option<&MutatingWebhookConfiguration>) -> Configured {
        let Some(live) = live else { return Configured::Absent };
        let template = self.template.load();
        let ours = live.webhooks.iter().flatten().filter(|webhook| {
            // One that is somebody else's may have other names.
            let is_named = |template: &Arc<Template>| template.webhooks.contains(&webhook.name);
            self.is_foreign || template.as_ref().is_none_or(is_named)
        });
        let bundles = ours.map(|webhook| {
            let bundle = webhook.client_config.ca_bundle.as_ref();
            bundle.map(|bundle| Roots::from_bundle(&bundle.0)).unwrap_or_default()
        });
        Configured::Present { bundles: bundles.collect(), changed: changed(live) }
    }

    /// Applies the template, unless that was done and nothing has changed since.
    async fn write(
        &mut self,
        template: &Template,
        live: Option<MutatingWebhookConfiguration>,
        bundle: &Roots,
    ) -> Result<MutatingWebhookConfiguration, ClusterError> {
        let mut desired = self.render(template, bundle);
        if let Some(live) = &live {
            // With the identity of the one that was read, an apply does not create another one
            // when this one is deleted meanwhile.
            desired["metadata"]["uid"] = json!(live.metadata.uid);
            let version = &live.metadata.resource_version;
            if self.applied.as_ref().is_some_and(|(last, at)| *last == desired && at == version) {
                return Ok(live.clone());
            }
        }
        let unowned = desired.clone();
        if let Some(owner) = self.owner().await? {
            desired["metadata"]["ownerReferences"] = json!([owner]);
        }
        let parameters = PatchParams {
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::apply(FIELD_MANAGER).force()
        };
        let patch = Patch::Apply(&desired);
        let action = format!("apply the webhook configuration {NAME}");
        let written = call(action, self.api.patch(NAME, &parameters, &patch)).await?;
        self.presence = Presence::Seen;
        // What is compared next time has no owner, which is only looked up to be written.
        let mut unowned = unowned;
        unowned["metadata"]["uid"] = json!(written.metadata.uid);
        self.applied = Some((unowned, written.metadata.resource_version.clone()));
        match live {
            None => {
                info!(name = NAME, "webhook configuration created");
                self.metrics.configuration_write(WriteResult::Created);
            }
            Some(live) if live.metadata.resource_version != written.metadata.resource_version => {
                let changed = Vec::from_iter(changed_fields(&live, &written)).join(", ");
                info!(name = NAME, changed, "webhook configuration brought in line");
                self.metrics.configuration_write(WriteResult::Repaired);
                self.is_repaired = true;
            }
            Some(_) => {}
        }
        Ok(written)
    }

    /// The reference to the owner; none when there is no such ClusterRole.
    async fn owner(&self) -> Result<Option<Value>, ClusterError> {
        let get = self.cluster_roles.get_metadata_opt(OWNER);
        let owner = call(format!("get ClusterRole {OWNER}"), get).await?;
        if owner.is_none() {
            warn!(
                "there is no ClusterRole {OWNER} to own the webhook configuration, which will \
                 have to be deleted by hand"
            );
        }
        Ok(owner.map(|owner| {
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "name": OWNER,
                "uid": owner.metadata.uid,
            })
        }))
    }

    /// The template with what only the running webhook knows.
    fn render(&self, template: &Template, bundle: &Roots) -> Value {
        let mut desired = template.value.clone();
        let bundle = STANDARD.encode(bundle.to_pem());
        for webhook in desired["webhooks"].as_array_mut().into_iter().flatten() {
            let client = &mut webhook["clientConfig"];
            match &self.destination {
                Destination::Url(url) => *client = json!({ "url": url }),
                Destination::Service(namespace) => {
                    if client.get("service").is_none() && client.get("url").is_none() {
                        let service =
                            json!({ "name": SERVICE, "namespace": namespace, "path": "/" });
                        *client = json!({ "service": service });
                    }
                }
            }
            client["caBundle"] = json!(bundle);
        }
        desired
    }
}

/// When a configuration was last written; none if it is as it was created, apart from its metadata,
/// which its generation does not count.
///
/// The API server notes the time of each manager's last change:
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>.
fn changed(live: &MutatingWebhookConfiguration) -> Option<OffsetDateTime> {
    if live.metadata.generation == Some(1) {
        return None;
    }
    let entries = live.metadata.managed_fields.iter().flatten();
    let last = entries.filter_map(|entry| entry.time.as_ref()).map(|time| time.0.as_second()).max();
    // One that does not say is taken for just written.
    let last = last.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    last.or_else(|| Some(OffsetDateTime::now_utc()))
}

/// The fields in which two versions differ, for the log.
fn changed_fields(
    before: &MutatingWebhookConfiguration,
    after: &MutatingWebhookConfiguration,
) -> BTreeSet<String> {
    let mut changed = BTreeSet::new();
    let json = |of: &MutatingWebhookConfiguration| {
        let mut value = serde_json::to_value(of).unwrap_or_default();
        // The API server's own bookkeeping.
        if let Some(metadata) = value["metadata"].as_object_mut() {
            metadata.retain(|key, _| {
                matches!(key.as_str(), "annotations" | "labels" | "ownerReferences")
            });
        }
        value
    };
    compare(&json(before), &json(after), "", &mut changed);
    changed
}

/// Gathers the paths of the fields that differ, down to lists of another length and to single values.
fn compare(before: &Value, after: &Value, path: &str, changed: &mut BTreeSet<String>) {
    match (before, after) {
        _ if before == after => {}
        (Value::Object(before), Value::Object(after)) => {
            for key in before.keys().chain(after.keys()) {
                let (before, after) = (before.get(key), after.get(key));
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(
                    before.unwrap_or(&Value::Null),
                    after.unwrap_or(&Value::Null),
                    &path,
                    changed,
                );
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                compare(before, after, &format!("{path}[{index}]"), changed);
            }
        }
        _ => {
            changed.insert(path.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_change_is_that_of_any_manager() {
        let written = |generation, times: &[&str]| {
            let entries = times.iter().map(|time| json!({ "manager": "of a field", "time": time }));
            let metadata = json!({
                "generation": generation,
                "managedFields": entries.collect::<Vec<_>>(),
            });
            let live = json!({ "metadata": metadata });
            changed(&serde_json::from_value(live).unwrap()).map(OffsetDateTime::unix_timestamp)
        };
        let times = ["2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", "2025-01-01T00:00:00Z"];
        assert_eq!(written(2, &times), Some(1_767_225_660));
        assert_eq!(written(1, &times), None);
        let before = OffsetDateTime::now_utc().unix_timestamp();
        assert!(written(2, &[]).unwrap() >= before);
    }

    #[test]
    fn what_differs_is_told_by_its_path() {
        let before = json!({ "webhooks": [{ "a": 1, "b": [1], "c": { "d": 1 } }], "same": [1] });
        let after = json!({ "webhooks": [{ "a": 2, "b": [1, 2], "c": {} }], "same": [1] });
        let mut changed = BTreeSet::new();
        compare(&before, &after, "", &mut changed);
        let changed: Vec<_> = changed.into_iter().collect();
        assert_eq!(changed, ["webhooks[0].a", "webhooks[0].b", "webhooks[0].c.d"]);
    }
}
