//! The webhook in its cluster: certificate, authority and webhook configuration, kept right by
//! whichever replica is first.
//!
//! This is the only module that knows `kube`. What is to be done is decided in [`trust`], which is
//! pure; [`Keeper`] does it, one write at a time, each on condition that nobody was faster. There is
//! deliberately no leader: a replica that dies leaves a state from which any other goes on.

mod call;
mod configuration;
mod destination;
mod differences;
mod hints;
mod keeper;
mod owner;
mod pace;
mod secrets;
mod signing;
mod template;
pub mod trust;

use std::path::PathBuf;

use kube::{
    Client, Config,
    client::RustlsTlsError,
    config::{InClusterError, KubeConfigOptions, KubeconfigError},
};
use tracing::info;

use self::call::{innermost, reason};
pub use self::{
    call::ClusterError,
    hints::Hints,
    keeper::{Creation, Keeper, Kept, Shared},
    template::{Template, TemplateError, TemplateSlot, TemplateSource},
};

/// The name under which this program writes: <https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers>.
const FIELD_MANAGER: &str = "imageswap";

/// The name of the Service through which the API server calls.
const SERVICE: &str = "imageswap";

/// The namespace when neither the settings nor the cluster's files name one, as in the original.
const DEFAULT_NAMESPACE: &str = "imageswap-system";

/// What the webhook does in its cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClusterSettings {
    /// The namespace of Service and Secrets; none for that of the pod.
    pub namespace: Option<String>,
    /// The signer of the certificate; none for an authority of the webhook's own.
    pub signer: Option<String>,
    /// Whether the webhook configuration is somebody else's.
    pub is_configuration_foreign: bool,
    /// The template of the webhook configuration.
    pub template: TemplateFile,
    /// Where the API server calls; none for the Service.
    pub url: Option<WebhookUrl>,
}

/// The file with the template of the webhook configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TemplateFile {
    /// Where it is by default; the built-in template when it is not there.
    Default(PathBuf),
    /// A file that was named, and has to be there.
    Named(PathBuf),
}

/// Where the API server calls a webhook outside the cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebhookUrl {
    /// The URL.
    pub url: String,
    /// Its host: a name or an address, without brackets.
    pub host: String,
}

/// A way to reach the cluster.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    /// The namespace of this webhook.
    namespace: String,
}

impl Cluster {
    /// Finds the cluster: by the kubeconfig that `KUBECONFIG` names or that of the user, and else by
    /// the service account of the pod. Must be called within a runtime.
    ///
    /// # Errors
    /// When there is neither, or one that cannot be used. The cluster itself is not asked yet.
    pub async fn find(namespace: Option<&str>) -> Result<Self, ClusterError> {
        let config = match Config::from_kubeconfig(&KubeConfigOptions::default()).await {
            Ok(config) => config,
            Err(kubeconfig) => Config::incluster().map_err(|in_cluster| {
                let in_cluster = match in_cluster {
                    InClusterError::ReadEnvironmentVariable(_) => {
                        "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not both set"
                            .to_owned()
                    }
                    error => innermost(&error),
                };
                ClusterError::Unreachable(format!(
                    "the kubeconfig: {}; the service account of a pod: {in_cluster}; outside of a \
                     cluster, set KUBECONFIG to a file that can be read",
                    unquoted(&kubeconfig)
                ))
            })?,
        };
        let in_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        let namespace = match namespace {
            Some(namespace) => namespace.to_owned(),
            // A kubeconfig's namespace is where its user works, not where the webhook is.
            None if in_pod => config.default_namespace.clone(),
            None => DEFAULT_NAMESPACE.to_owned(),
        };
        let url = config.cluster_url.clone();
        let client = Client::try_from(config).map_err(|error| {
            ClusterError::Unreachable(match error {
                // It quotes the line that it cannot read, which may be the key.
                kube::Error::RustlsTls(RustlsTlsError::InvalidIdentityPem(_)) => {
                    "the kubeconfig: client certificate and key are not as PEM has them".to_owned()
                }
                error => reason(&error),
            })
        })?;
        // Without what else a URL may hold, such as a password.
        let host = url.host().unwrap_or_default();
        let port = url.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        info!(server = format_args!("{host}{port}"), namespace, "cluster found");
        Ok(Self { client, namespace })
    }

    /// The namespace of this webhook.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Cluster")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// What is wrong with a kubeconfig, without what is in it: tokens and keys.
fn unquoted(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::Parse(error) => {
            let place = error.location().map_or_else(String::new, |place| {
                format!("line {}, column {}: ", place.line(), place.column())
            });
            format!("{place}not as YAML or a kubeconfig has it")
        }
        KubeconfigError::ParseCertificates(_) => {
            "the certificate of the authority is not as PEM has it".to_owned()
        }
        KubeconfigError::ReadConfig(error, file) => format!("{}: {error}", file.display()),
        error => innermost(error),
    }
}
