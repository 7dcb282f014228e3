//! Finds the cluster and connects to its API server.

use std::{env, fmt, path::Path};

use hyper::{Uri, http::uri::Scheme};
use kube::{Client, Config, config::InClusterError};
use tracing::info;

use super::{
    ClusterError,
    call::reason,
    context::Context,
    kubeconfig::{self, KubeconfigProblem},
};
use crate::innermost::innermost;

/// Default namespace, as in the original. Used if neither the settings nor the files of the pod name one.
const DEFAULT_NAMESPACE: &str = "imageswap-system";

/// A client of the cluster's API server.
#[derive(Clone)]
pub struct Cluster {
    /// The client of the API server.
    pub client: Client,
    /// Namespace of this webhook.
    pub namespace: String,
}

impl Cluster {
    /// Finds the cluster from the kubeconfig that `KUBECONFIG` names, from that of the user, or, if there is none, from
    /// the service account of the pod. Does not call the API server yet. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// If neither is there, or the credentials of the kubeconfig cannot be used.
    pub async fn find(namespace: Option<&str>) -> Result<Self, ClusterError> {
        let Found { client, config, .. } = find(None, None).await?;
        let in_pod = env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        let namespace = match namespace {
            Some(namespace) => namespace.to_owned(),
            // The namespace of a kubeconfig is the one in which its user works, not that of the webhook.
            None if in_pod => config.default_namespace.clone(),
            None => DEFAULT_NAMESPACE.to_owned(),
        };
        info!(server = server(&config.cluster_url), namespace, "cluster found");
        Ok(Self { client, namespace })
    }
}

/// A client of an API server, and where that is.
pub struct Connection {
    /// The client.
    pub client: Client,
    /// Host and port of the API server, and the context that names it.
    pub server: String,
}

/// Returns a client of the cluster of a kubeconfig. `file` is `None` to find it as [`Cluster::find`] does, and `context`
/// is one of its contexts, or `None` for the current one. Must be called within a Tokio runtime.
///
/// # Errors
/// As [`Cluster::find`], and if there is no such file or context.
pub async fn connect(
    file: Option<&Path>,
    context: Option<&str>,
) -> Result<Connection, ClusterError> {
    let Found { client, config, context } = find(file, context).await?;
    let mut place = server(&config.cluster_url);
    if let Some(context) = context {
        place.push_str(", by ");
        place.push_str(&context.described());
    }
    if let Some(proxy) = &config.proxy_url {
        place.push_str(", through the proxy ");
        place.push_str(&server(proxy));
    }
    Ok(Connection { client, server: place })
}

/// A client, and how it was found.
struct Found {
    client: Client,
    config: Config,
    /// `None` for the service account of a pod.
    context: Option<Context>,
}

/// Finds the cluster in a thread that may wait: a command for credentials can take seconds.
async fn find(file: Option<&Path>, name: Option<&str>) -> Result<Found, ClusterError> {
    let (file, name) = (file.map(Path::to_owned), name.map(str::to_owned));
    let found = tokio::task::spawn_blocking(move || find_now(file.as_deref(), name.as_deref()));
    // A panic of the client is a bug, or a value that it does not expect.
    found.await.unwrap_or_else(|error| Err(ClusterError::Unreachable(error.to_string())))
}

fn find_now(file: Option<&Path>, name: Option<&str>) -> Result<Found, ClusterError> {
    let (config, context) = match kubeconfig::read(file, name) {
        Ok(context) => (context.config().map_err(ClusterError::Kubeconfig)?, Some(context)),
        // Only if there is no kubeconfig: a broken one must not lead to another cluster.
        Err(KubeconfigProblem::Missing(error)) if file.is_none() && name.is_none() => {
            let config = Config::incluster().map_err(|in_cluster| {
                let in_cluster = match in_cluster {
                    InClusterError::ReadEnvironmentVariable(_) => {
                        "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not both set"
                            .to_owned()
                    }
                    error => innermost(&error),
                };
                ClusterError::Unreachable(format!(
                    "{error}; the service account of a pod: {in_cluster}; outside of a cluster, set \
                     KUBECONFIG to a file that can be read"
                ))
            })?;
            (config, None)
        }
        Err(KubeconfigProblem::Missing(error) | KubeconfigProblem::Unusable(error)) => {
            return Err(ClusterError::Kubeconfig(error));
        }
    };
    let client = Client::try_from(config.clone()).map_err(|error| match &context {
        Some(context) => ClusterError::Kubeconfig(context.describe(&error)),
        None => ClusterError::Unreachable(reason(&error)),
    })?;
    Ok(Found { client, config, context })
}

/// Returns host and port of the API server, without the rest of the URL, which may contain a password.
fn server(url: &Uri) -> String {
    let default_port = if url.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 };
    let port = url.port_u16().unwrap_or(default_port);
    format!("{}:{port}", url.host().unwrap_or_default())
}

impl fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Cluster")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_the_api_server_is_named_even_if_the_url_does_not() {
        for (url, expected) in [
            ("https://10.96.0.1/", "10.96.0.1:443"),
            ("https://10.96.0.1:6443", "10.96.0.1:6443"),
            ("https://user:word@[fd00::1]/api", "[fd00::1]:443"),
            ("http://localhost/", "localhost:80"),
        ] {
            assert_eq!(server(&url.parse().unwrap()), expected, "{url}");
        }
    }
}
