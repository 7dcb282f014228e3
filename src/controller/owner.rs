//! The owner of the webhook configuration: the ClusterRole that permits the webhook to write it.
//!
//! The garbage collector deletes the configuration with its owner. So an uninstallation leaves no configuration behind
//! that would block pods: <https://kubernetes.io/docs/concepts/architecture/garbage-collection/#owners-dependents>.
//! This is a convenience: a problem with the owner causes a warning, and the configuration is written without it.
//!
//! The garbage collector would also delete a configuration whose owner does not exist. So a reference is written only
//! if its uid was just read, or if the configuration already has it.

use std::time::Duration;

use k8s_openapi::api::{
    admissionregistration::v1::MutatingWebhookConfiguration, rbac::v1::ClusterRole,
};
use kube::{Api, Client};
use serde_json::{Value, json};
use tracing::warn;

use super::template::CONFIGURATION_NAME;
use crate::{
    kubernetes::{ClusterError, call_within},
    log_once::LogOnce,
};

/// Name of the ClusterRole.
const NAME: &str = "imageswap-write";

const API_VERSION: &str = "rbac.authorization.k8s.io/v1";
const KIND: &str = "ClusterRole";

/// Timeout for the lookup of the owner. The lookup precedes a write that may repair the caBundle, and calls fail until
/// then. The API server answers from memory within milliseconds.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(1);

/// Finds the owner of the webhook configuration.
#[derive(Debug)]
pub(super) struct Owner {
    api: Api<ClusterRole>,
    /// The uid that the last successful lookup found.
    uid: Option<String>,
    log_once: LogOnce,
}

impl Owner {
    /// Creates an owner lookup in the cluster of `client`.
    #[must_use]
    pub(super) fn new(client: &Client) -> Self {
        Self { api: Api::all(client.clone()), uid: None, log_once: LogOnce::default() }
    }

    /// Returns the owner reference to write into the configuration; `live` is the version that was read. `None` if the
    /// configuration is to be written without an owner.
    pub(super) async fn reference(
        &mut self,
        live: Option<&MutatingWebhookConfiguration>,
    ) -> Option<Value> {
        let carried = carried(live);
        if let (Some(carried), Some(uid)) = (&carried, &self.uid)
            && carried["uid"] == **uid
        {
            // Writing the same reference again changes nothing, so it needs no new lookup.
            return Some(carried.clone());
        }
        let action = format!("get {KIND} {NAME}");
        let found = call_within(LOOKUP_TIMEOUT, action, self.api.get_metadata_opt(NAME)).await;
        self.uid = found.as_ref().ok().and_then(|owner| owner.as_ref()?.metadata.uid.clone());
        match found {
            Ok(None) => {
                self.warn(&format!("there is no {KIND} {NAME}"), None);
                None
            }
            Ok(Some(_)) => self.uid.as_ref().map(|uid| reference_to(uid)),
            Err(error) => {
                self.warn(&error.to_string(), carried.as_ref());
                carried
            }
        }
    }

    /// Records that the configuration was written with the reference.
    pub(super) fn accepted(&mut self) {
        if self.uid.is_some() {
            self.log_once.reset();
        }
    }

    /// Returns true if the API server refused a write because it changes the owner.
    ///
    /// Only the message shows this, because admission plugins and the authorizer refuse with the same status:
    /// `cannot set an ownerRef on a resource you can't delete`.
    pub(super) fn is_cause_of(error: &ClusterError) -> bool {
        match error {
            ClusterError::Call { status: Some(403), reason, .. } => {
                reason.to_lowercase().contains("ownerref") || reason.contains("blockOwnerDeletion")
            }
            _ => false,
        }
    }

    /// Records that the API server refused the reference, and accepted the configuration with `carried`.
    pub(super) fn refused(&mut self, error: &ClusterError, carried: Option<&Value>) {
        self.warn(&error.to_string(), carried);
    }

    /// Logs the reason why the owner is not set, the same reason once.
    fn warn(&mut self, reason: &str, carried: Option<&Value>) {
        if !self.log_once.is_new(reason) {
            return;
        }
        let consequence = if carried.is_some() {
            "the existing owner is kept"
        } else {
            "delete it by hand after an uninstallation"
        };
        warn!(
            name = CONFIGURATION_NAME,
            owner = NAME,
            error = reason,
            consequence,
            "owner of the webhook configuration not set"
        );
    }
}

/// Returns the existing reference to the ClusterRole in a configuration, unchanged.
pub(super) fn carried(live: Option<&MutatingWebhookConfiguration>) -> Option<Value> {
    let owners = live?.metadata.owner_references.iter().flatten();
    let mut ours = owners.filter(|owner| {
        owner.api_version == API_VERSION && owner.kind == KIND && owner.name == NAME
    });
    serde_json::to_value(ours.next()?).ok()
}

fn reference_to(uid: &str) -> Value {
    json!({ "apiVersion": API_VERSION, "kind": KIND, "name": NAME, "uid": uid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_the_owner_is_distinguished_from_a_missing_permission() {
        let refusal = |status, reason: &str| ClusterError::Call {
            action: "apply it".to_owned(),
            status,
            reason: reason.to_owned(),
        };
        let plugin = "\"imageswap-webhook\" is forbidden: cannot set an ownerRef on a resource you can't delete";
        let permission = "\"imageswap-webhook\" is forbidden: User \"a\" cannot patch resource";
        for (error, expected) in [
            (refusal(Some(403), plugin), true),
            (refusal(Some(403), permission), false),
            (refusal(Some(422), plugin), false),
            (refusal(None, plugin), false),
            (ClusterError::content("a", plugin), false),
        ] {
            assert_eq!(Owner::is_cause_of(&error), expected, "{error}");
        }
    }

    #[test]
    fn only_the_reference_to_the_cluster_role_is_carried_over() {
        let reference = |kind: &str, name: &str| {
            let mut reference = reference_to("1");
            reference["kind"] = kind.into();
            reference["name"] = name.into();
            reference
        };
        let ours = reference(KIND, NAME);
        for (owners, expected) in [
            (json!(null), None),
            (json!([]), None),
            (json!([reference(KIND, "other"), reference("Role", NAME)]), None),
            (json!([reference(KIND, "other"), ours]), Some(&ours)),
        ] {
            let live = json!({ "metadata": { "ownerReferences": owners } });
            let live: MutatingWebhookConfiguration = serde_json::from_value(live).unwrap();
            assert_eq!(carried(Some(&live)).as_ref(), expected);
        }
        assert_eq!(carried(None), None);
    }
}
