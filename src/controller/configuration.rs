//! The webhook configuration, which makes the API server call the webhook.
//!
//! It is written by server-side apply. The API server compares it with the template, and fields outside the template
//! keep their current owner: <https://kubernetes.io/docs/reference/using-api/server-side-apply/>.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, ValidationDirective},
};
use serde_json::{Value, json};
use tracing::{info, warn};

pub(super) use super::template::CONFIGURATION_NAME as NAME;
use super::{
    ControllerMetrics, Template,
    contest::Contests,
    destination::Destination,
    differences::changed_fields,
    managed_fields::last_change,
    metrics::WriteResult,
    owner::{self, Owner},
    patch::prerequisite,
    rotation::Configured,
    template_in_force::{TemplateInForce, carried},
};
use crate::{
    kubernetes::{ClusterError, FIELD_MANAGER, call},
    tls::Roots,
};

/// Maximum age of an observation by which the configuration is created. In the meantime, another replica may have created
/// it with newer roots, and an apply to a configuration that was absent overwrites them.
const MAX_AGE: Duration = Duration::from_secs(10);

/// The permission to create the configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Permission {
    /// The configuration may be created.
    Create,
    /// The configuration may not be created yet, because nothing would answer the API server's calls.
    NotYet,
}

/// Keeps the configuration equal to the template in force.
#[derive(Debug)]
pub(super) struct Configuration {
    api: Api<MutatingWebhookConfiguration>,
    owner: Owner,
    template: TemplateInForce,
    destination: Destination,
    /// True if another party manages the configuration.
    is_foreign: bool,
    metrics: Arc<ControllerMetrics>,
    presence: Presence,
    /// Time of the last observation.
    observed: Instant,
    /// True if an external change was reverted since the last [`take_repaired`](Self::take_repaired).
    is_repaired: bool,
    contests: Contests,
    /// The last configuration that was applied, and its resource version after the write.
    applied: Option<(Value, Option<String>)>,
}

/// The configuration as it was read; it holds `None` if there is no configuration.
#[derive(Debug)]
pub(super) struct LiveConfiguration(Option<MutatingWebhookConfiguration>);

/// The presence of the configuration, as far as this process knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Presence {
    /// It was deleted while this process ran. This is the emergency stop, so it is not created again.
    Deleted,
    /// It exists.
    Seen,
    /// It has not been seen yet.
    Unknown,
}

impl Configuration {
    /// Creates the handle of the configuration in `client`'s cluster. With `is_foreign` it only reads the
    /// configuration.
    #[must_use]
    pub(super) fn new(
        client: &Client,
        template: TemplateInForce,
        destination: Destination,
        is_foreign: bool,
        metrics: Arc<ControllerMetrics>,
    ) -> Self {
        if is_foreign {
            info!(name = NAME, "webhook configuration is not managed, as configured");
        }
        Self {
            api: Api::all(client.clone()),
            owner: Owner::new(client),
            template,
            destination,
            is_foreign,
            metrics,
            presence: Presence::Unknown,
            observed: Instant::now(),
            is_repaired: false,
            contests: Contests::default(),
            applied: None,
        }
    }

    /// Returns the API of webhook configurations, for watching.
    #[must_use]
    pub(super) fn api(&self) -> Api<MutatingWebhookConfiguration> {
        self.api.clone()
    }

    /// Returns true if the configuration is missing, and will be created as soon as that is permitted.
    #[must_use]
    pub(super) fn is_awaited(&self) -> bool {
        self.presence == Presence::Unknown && !self.is_foreign && self.template.own().is_some()
    }

    /// Returns the time after which this replica's template replaces another one; `None` if it does not.
    pub(super) fn claim_left(&self) -> Option<Duration> {
        self.template.left(Instant::now()).filter(|_| self.presence == Presence::Seen)
    }

    /// Returns true if the configuration that would be created makes the API server call the Service.
    pub(super) fn names_service(&self) -> bool {
        let Some(template) = self.template.own() else { return false };
        let rendered = self.render(&template, &Roots::default());
        let mut webhooks = rendered["webhooks"].as_array().into_iter().flatten();
        webhooks.any(|webhook| webhook["clientConfig"].get("service").is_some())
    }

    /// Returns true if another party manages the configuration.
    pub(super) fn is_foreign(&self) -> bool {
        self.is_foreign
    }

    /// Returns true if an update has reverted an external change since the last call.
    pub(super) fn take_repaired(&mut self) -> bool {
        std::mem::take(&mut self.is_repaired)
    }

    /// Returns true if the configuration cannot be written for lack of a template.
    pub(super) fn lacks_template(&self) -> bool {
        !self.is_foreign && self.template.own().is_none()
    }

    /// Reads the configuration. One that was deleted while the process runs is not created again.
    ///
    /// # Errors
    /// If the API server cannot be reached.
    pub(super) async fn observe(&mut self) -> Result<LiveConfiguration, ClusterError> {
        self.observed = Instant::now();
        let get = self.api.get_opt(NAME);
        let live = call(format!("get the webhook configuration {NAME}"), get).await?;
        self.metrics.configuration_presence(live.is_some());
        if live.is_some() {
            self.presence = Presence::Seen;
        } else if self.presence == Presence::Seen {
            self.presence = Presence::Deleted;
            self.applied = None;
            let hint = if self.is_foreign {
                "its owner has to create it again"
            } else {
                "restart any replica to create it again"
            };
            warn!(name = NAME, hint, "webhook configuration deleted, no image is swapped");
        }
        Ok(LiveConfiguration(live))
    }

    /// Updates the configuration to the template and `bundle`, and returns the roots that the API server trusts
    /// afterwards. The argument is the version that was read.
    ///
    /// # Errors
    /// If the API server refuses the update or cannot be reached.
    pub(super) async fn update(
        &mut self,
        LiveConfiguration(live): LiveConfiguration,
        bundle: &Roots,
        permission: Permission,
    ) -> Result<Configured, ClusterError> {
        let may_write = match self.presence {
            Presence::Seen => true,
            Presence::Deleted => false,
            Presence::Unknown => {
                permission == Permission::Create && self.observed.elapsed() < MAX_AGE
            }
        };
        if !may_write || self.is_foreign || bundle.is_empty() {
            return Ok(self.configured(&LiveConfiguration(live)));
        }
        let live = match self.template.choose(live.as_ref(), Instant::now()) {
            Some(template) => {
                let written = self.write(&template, live, bundle).await?;
                self.template.applied();
                Some(written)
            }
            None => live,
        };
        Ok(self.configured(&LiveConfiguration(live)))
    }

    /// Updates the configuration to the template that it carries, because the API server refuses the one of this
    /// replica. Otherwise nobody would repair the caBundle. Returns the roots that the API server trusts afterwards.
    ///
    /// # Errors
    /// If the API server refuses this update too, or cannot be reached.
    pub(super) async fn update_carried(
        &mut self,
        LiveConfiguration(live): LiveConfiguration,
        bundle: &Roots,
    ) -> Result<Configured, ClusterError> {
        let live = match live.as_ref().and_then(carried).map(Arc::new) {
            Some(template) => Some(self.write(&template, live, bundle).await?),
            None => live,
        };
        Ok(self.configured(&LiveConfiguration(live)))
    }

    /// Returns the roots that a configuration makes the API server trust, for the webhooks of the template.
    #[must_use]
    pub(super) fn configured(&self, LiveConfiguration(live): &LiveConfiguration) -> Configured {
        let Some(live) = live else { return Configured::Absent };
        let template = self.template.of(live);
        let ours = live.webhooks.iter().flatten().filter(|webhook| {
            // The webhooks of an unmanaged configuration may have other names.
            let is_named = |template: &Arc<Template>| template.webhooks.contains(&webhook.name);
            self.is_foreign || template.as_ref().is_none_or(is_named)
        });
        let bundles = ours.map(|webhook| {
            let bundle = webhook.client_config.ca_bundle.as_ref();
            bundle.map(|bundle| Roots::from_bundle(&bundle.0)).unwrap_or_default()
        });
        Configured::Present {
            bundles: bundles.collect(),
            generation: live.metadata.generation,
            changed: last_change(live),
        }
    }

    /// Applies the template, unless it was applied before and nothing has changed since.
    async fn write(
        &mut self,
        template: &Arc<Template>,
        live: Option<MutatingWebhookConfiguration>,
        bundle: &Roots,
    ) -> Result<MutatingWebhookConfiguration, ClusterError> {
        let is_new_template = self.contests.follow(template);
        let mut desired = self.render(template, bundle);
        if let Some(live) = &live {
            // The uid of the version that was read keeps the apply from creating the configuration again if it was
            // deleted in the meantime.
            desired["metadata"]["uid"] = json!(live.metadata.uid);
            self.contests.leave(&mut desired, live, Instant::now());
            let version = &live.metadata.resource_version;
            if self.applied.as_ref().is_some_and(|(last, at)| *last == desired && at == version) {
                return Ok(live.clone());
            }
        }
        let written = self.apply(&desired, live.as_ref()).await?;
        self.presence = Presence::Seen;
        self.metrics.configuration_presence(true);
        desired["metadata"]["uid"] = json!(written.metadata.uid);
        self.applied = Some((desired, written.metadata.resource_version.clone()));
        match live {
            None => {
                info!(name = NAME, "webhook configuration created");
                self.metrics.configuration_write(WriteResult::Created);
            }
            Some(live) => self.report_changes(&live, &written, is_new_template),
        }
        Ok(written)
    }

    /// Logs and counts the changes of a write.
    fn report_changes(
        &mut self,
        live: &MutatingWebhookConfiguration,
        written: &MutatingWebhookConfiguration,
        is_new_template: bool,
    ) {
        let changed = changed_fields(live, written);
        // A write may have changed the managers of the fields only.
        if changed.is_empty() {
            return;
        }
        let paths: Vec<_> = changed.iter().map(ToString::to_string).collect();
        let paths = paths.join(", ");
        info!(name = NAME, changed = paths, "webhook configuration updated");
        self.metrics.configuration_write(WriteResult::Repaired);
        self.is_repaired = true;
        if !is_new_template {
            for _ in 0..self.contests.repaired(live, &changed, Instant::now()) {
                self.metrics.configuration_write(WriteResult::Left);
            }
        }
    }

    /// Applies `desired` with its owner. If the API server refuses a change of the owner, applies it with the existing
    /// owner. The plugin `OwnerReferencesPermissionEnforcement` refuses such changes:
    /// <https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#ownerreferencespermissionenforcement>.
    async fn apply(
        &mut self,
        desired: &Value,
        live: Option<&MutatingWebhookConfiguration>,
    ) -> Result<MutatingWebhookConfiguration, ClusterError> {
        let mut version = live.and_then(|live| live.metadata.resource_version.clone());
        if let Some(patch) = live.and_then(|live| prerequisite(live, desired)) {
            let parameters = PatchParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            };
            let patch = Patch::Strategic(&patch);
            let action = format!("change the webhooks in the webhook configuration {NAME}");
            let patched = call(action, self.api.patch(NAME, &parameters, &patch)).await?;
            version = patched.metadata.resource_version;
        }
        let carried = owner::carried(live);
        let reference = match live {
            Some(live) if self.contests.leaves_owner(live, Instant::now()) => carried.clone(),
            _ => self.owner.reference(live).await,
        };
        match self.apply_with(desired, version.as_deref(), reference.as_ref()).await {
            Err(error) if Owner::is_cause_of(&error) && reference != carried => {
                let written =
                    self.apply_with(desired, version.as_deref(), carried.as_ref()).await?;
                self.owner.refused(&error, carried.as_ref());
                Ok(written)
            }
            written => {
                if written.is_ok() {
                    self.owner.accepted();
                }
                written
            }
        }
    }

    /// Applies `desired` with the owner reference `owner`. If the configuration is not at `version` any more, that is a
    /// conflict: a replica that was stopped for a while must not take away what another has added since.
    async fn apply_with(
        &self,
        desired: &Value,
        version: Option<&str>,
        owner: Option<&Value>,
    ) -> Result<MutatingWebhookConfiguration, ClusterError> {
        let mut desired = desired.clone();
        if let Some(version) = version {
            desired["metadata"]["resourceVersion"] = json!(version);
        }
        if let Some(owner) = owner {
            desired["metadata"]["ownerReferences"] = json!([owner]);
        }
        let parameters = PatchParams {
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::apply(FIELD_MANAGER).force()
        };
        let patch = Patch::Apply(&desired);
        let action = format!("apply the webhook configuration {NAME}");
        call(action, self.api.patch(NAME, &parameters, &patch)).await
    }

    /// Returns the template with the destination and the caBundle filled in, and with the template as it is in an
    /// annotation.
    fn render(&self, template: &Template, bundle: &Roots) -> Value {
        let mut desired = template.annotated();
        let bundle = STANDARD.encode(bundle.to_pem());
        for webhook in desired["webhooks"].as_array_mut().into_iter().flatten() {
            let client = &mut webhook["clientConfig"];
            self.destination.fill_in(client);
            client["caBundle"] = json!(bundle);
        }
        desired
    }
}
