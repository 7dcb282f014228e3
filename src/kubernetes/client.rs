//! Finds the cluster and connects to its API server.

use kube::{
    Client, Config,
    client::RustlsTlsError,
    config::{InClusterError, KubeConfigOptions, KubeconfigError},
};
use tracing::info;

use super::{
    ClusterError,
    call::{innermost, reason},
};

/// The namespace if neither the settings nor the cluster's files name one, as in the original.
const DEFAULT_NAMESPACE: &str = "imageswap-system";

/// A client of the cluster's API server.
#[derive(Clone)]
pub struct Cluster {
    /// The client.
    pub client: Client,
    /// The namespace of this webhook.
    pub namespace: String,
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
