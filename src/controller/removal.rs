//! Removes what the webhook has created in the cluster: the step before its manifests are deleted.
//!
//! The order keeps the creation of pods working. The configuration makes the API server call the webhook, so it goes
//! while the replicas still answer. A replica that starts would create it again, so the rights to do so go before it. The
//! other objects belong to the manifests, and are not touched.

use std::{fmt::Debug, time::Duration};

use k8s_openapi::api::{
    admissionregistration::v1::MutatingWebhookConfiguration,
    rbac::v1::{ClusterRoleBinding, RoleBinding},
};
use kube::{
    Api, Resource,
    api::{DeleteParams, Preconditions},
};
use serde::de::DeserializeOwned;
use tokio::time::sleep;
use tracing::{info, warn};

use super::{
    configuration::NAME,
    managed_fields::last_manager,
    secrets::{AUTHORITY, CERTIFICATE, Secrets},
};
use crate::kubernetes::{Cluster, ClusterError, call};

/// Name of the binding that permits replicas to write the configuration.
const CLUSTER_BINDING: &str = "imageswap-write-crb";

/// Name of the binding that permits replicas to write the Secrets.
const BINDING: &str = "imageswap-ops-rb";

/// Time after which all API servers act on a deletion.
///
/// Each API server watches bindings and configurations, and usually knows of a change within a second. A busy one may
/// take some times as long. A replica whose right it has not yet withdrawn could create the configuration again, and pods
/// for which it still calls the webhook need the webhook.
const PROPAGATION_DELAY: Duration = Duration::from_secs(5);

/// Maximum number of deletions of the configuration.
///
/// While an API server still grants a replica the right, the replica can create it once more. Whoever creates it more
/// often is another client.
const MAX_DELETIONS: usize = 4;

/// The Secrets that the webhook has created, or none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OwnSecrets {
    /// The Secrets hold the certificate of the webhook, which has created them.
    Certificate,
    /// The webhook stores no certificate, so Secrets of these names belong to somebody else.
    None,
}

/// Removes what the webhook has created.
#[derive(Debug)]
pub struct Removal {
    cluster_bindings: Api<ClusterRoleBinding>,
    bindings: Api<RoleBinding>,
    configurations: Api<MutatingWebhookConfiguration>,
    secrets: Secrets,
}

impl Removal {
    /// Finds the cluster, but does not call it yet. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// If no cluster can be found.
    pub async fn connect(namespace: Option<&str>) -> Result<Self, ClusterError> {
        let Cluster { client, namespace } = Cluster::find(namespace).await?;
        Ok(Self {
            cluster_bindings: Api::all(client.clone()),
            bindings: Api::namespaced(client.clone(), &namespace),
            configurations: Api::all(client.clone()),
            secrets: Secrets::new(client, &namespace),
        })
    }

    /// Deletes the rights of the webhook, its configuration and its Secrets, in this order. Objects that do not exist are
    /// no error, so that it can be repeated.
    ///
    /// # Errors
    /// If a call fails, or another client keeps creating the configuration.
    pub async fn remove(&self, secrets: OwnSecrets) -> Result<(), ClusterError> {
        let parameters = DeleteParams::default();
        delete(&self.cluster_bindings, CLUSTER_BINDING, &parameters).await?;
        delete(&self.bindings, BINDING, &parameters).await?;
        self.remove_configuration().await?;
        match secrets {
            OwnSecrets::Certificate => self.remove_secrets().await,
            OwnSecrets::None => Ok(()),
        }
    }

    /// Deletes the configuration until it stays absent.
    async fn remove_configuration(&self) -> Result<(), ClusterError> {
        let mut manager = None;
        for _ in 0..MAX_DELETIONS {
            delete(&self.configurations, NAME, &DeleteParams::default()).await?;
            sleep(PROPAGATION_DELAY).await;
            let get = self.configurations.get_opt(NAME);
            let found = call(format!("get the webhook configuration {NAME}"), get).await?;
            let Some(found) = found else { return Ok(()) };
            manager = last_manager(&found).map(str::to_owned);
            warn!(name = NAME, manager, "webhook configuration created again, deleting it");
        }
        let manager = manager.unwrap_or_else(|| "another client".to_owned());
        let reason = format!("{manager} creates it again each time it is deleted; stop that first");
        Err(ClusterError::content(format_args!("the webhook configuration {NAME}"), reason))
    }

    /// Deletes the Secrets, unless they hold a user-provided certificate.
    async fn remove_secrets(&self) -> Result<(), ClusterError> {
        let certificate = self.secrets.read(CERTIFICATE).await?;
        if certificate.is_user_provided() {
            info!(secret = CERTIFICATE, "user-provided certificate kept");
            return Ok(());
        }
        let api = self.secrets.api();
        // Only the version that was read, which was not user-provided.
        let resource_version = certificate.resource_version().map(str::to_owned);
        if resource_version.is_some() {
            let preconditions = Some(Preconditions { resource_version, uid: None });
            let parameters = DeleteParams { preconditions, ..DeleteParams::default() };
            delete(&api, CERTIFICATE, &parameters).await?;
        }
        delete(&api, AUTHORITY, &DeleteParams::default()).await
    }
}

/// Deletes an object if it exists.
async fn delete<K>(api: &Api<K>, name: &str, parameters: &DeleteParams) -> Result<(), ClusterError>
where
    K: Clone + Debug + DeserializeOwned + Resource<DynamicType = ()>,
{
    let kind = K::kind(&());
    match call(format!("delete {kind} {name}"), api.delete(name, parameters)).await {
        Ok(_) => info!(%kind, name, "object deleted"),
        Err(ClusterError::Call { status: Some(404), .. }) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
