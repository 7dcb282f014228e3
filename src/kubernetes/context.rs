//! The context of a kubeconfig: a cluster and a user. Its errors name what is wrong, and quote only names and files.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::Uri;
use kube::{
    client::{AuthError, RustlsTlsError},
    config::{AuthInfo, Cluster, Kubeconfig, KubeconfigError, LoadDataError},
};

use super::call::{reason, shorten};
use crate::{
    bounded_read::read_regular_up_to,
    excerpt::{MAX_VALUE_BYTES, excerpt},
    innermost::innermost,
    tls::check_private_key,
};

/// Maximum size of a key file in bytes that is read again, to name the kind of its key.
const MAX_KEY_BYTES: u64 = 1024 * 1024;

/// Maximum number of contexts that an error lists.
const MAX_LISTED: usize = 10;

/// A context of a kubeconfig.
pub(super) struct Context {
    /// The name of the context.
    pub(super) name: String,
    /// Names the kubeconfig.
    kubeconfig: String,
    cluster_name: String,
    cluster: Cluster,
    /// The name of the user; empty if the context names none.
    user: String,
    authentication: AuthInfo,
}

impl Context {
    /// Returns a context of a kubeconfig that is named `kubeconfig` in errors; `None` for the current one. A user that is
    /// missing counts as one without credentials, as for kubectl.
    ///
    /// # Errors
    /// If there is no such context, or its cluster is missing or has no usable `server`.
    pub(super) fn find(
        content: &Kubeconfig,
        name: Option<&str>,
        kubeconfig: String,
    ) -> Result<Self, String> {
        let name = name.or(content.current_context.as_deref()).filter(|name| !name.is_empty());
        let name = name.ok_or("there is no `current-context`; is it a kubeconfig?")?;
        let found = content.contexts.iter().find(|context| context.name == name);
        let found = found.and_then(|found| found.context.as_ref());
        let found = found.ok_or_else(|| no_context(content, name))?;
        let cluster = content.clusters.iter().find(|cluster| cluster.name == found.cluster);
        let cluster = cluster.and_then(|cluster| cluster.cluster.clone()).ok_or_else(|| {
            format!(
                "there is no cluster {}, which the context {} names",
                quoted(&found.cluster),
                quoted(name)
            )
        })?;
        let server: Option<Uri> = cluster.server.as_ref().and_then(|server| server.parse().ok());
        let is_usable = |server: &Uri| {
            matches!(server.scheme_str(), Some("http" | "https")) && server.authority().is_some()
        };
        if !server.as_ref().is_some_and(is_usable) {
            return Err(format!(
                "the `server` of the cluster {} is not a URL that begins with https://",
                quoted(&found.cluster)
            ));
        }
        let user = found.user.clone().unwrap_or_default();
        let authentication = content.auth_infos.iter().find(|candidate| candidate.name == user);
        Ok(Self {
            name: name.to_owned(),
            kubeconfig,
            cluster_name: found.cluster.clone(),
            cluster,
            authentication: authentication
                .and_then(|user| user.auth_info.clone())
                .unwrap_or_default(),
            user,
        })
    }

    /// Returns the proxy of the cluster, if the kubeconfig has one.
    pub(super) fn proxy(&self) -> Option<&str> {
        self.cluster.proxy_url.as_deref().filter(|proxy| !proxy.is_empty())
    }

    /// Names the context and its kubeconfig.
    pub(super) fn described(&self) -> String {
        format!("the context {} of {}", quoted(&self.name), self.kubeconfig)
    }

    /// Describes an error in the description of the cluster.
    pub(super) fn describe_config(&self, error: &KubeconfigError) -> String {
        let reason = match error {
            KubeconfigError::ParseCertificates(_) => {
                format!("{}: not valid PEM", self.authority())
            }
            KubeconfigError::LoadCertificateAuthority(error) => {
                format!("{}: {}", self.authority(), unquoted_data(error))
            }
            KubeconfigError::ParseProxyUrl(_) => return self.invalid_proxy(),
            KubeconfigError::ParseNoProxy(error) => return format!("NO_PROXY: {error}"),
            error => innermost(error),
        };
        format!("{}: {reason}", self.kubeconfig)
    }

    /// Describes the error of a client that was made for this context.
    pub(super) fn describe(&self, error: &kube::Error) -> String {
        let reason = match error {
            kube::Error::InferKubeconfig(KubeconfigError::LoadClientCertificate(error)) => {
                format!("{}: {}", self.certificate(), unquoted_data(error))
            }
            kube::Error::InferKubeconfig(KubeconfigError::LoadClientKey(error)) => {
                format!("{}: {}", self.key(), unquoted_data(error))
            }
            kube::Error::RustlsTls(tls) => self.describe_tls(tls, error),
            kube::Error::Auth(error) => self.describe_authentication(error),
            kube::Error::ProxyProtocolUnsupported { .. }
            | kube::Error::ProxyProtocolDisabled { .. } => return self.invalid_proxy(),
            error => reason(error),
        };
        format!("{}: {reason}", self.kubeconfig)
    }

    fn describe_tls(&self, tls: &RustlsTlsError, error: &kube::Error) -> String {
        let key = self.key_text().map(|text| check_private_key(&text));
        match (key, tls) {
            (Some(Err(error)), _) => format!("{}: {error}", self.key()),
            (_, RustlsTlsError::InvalidPrivateKey(_)) => {
                format!("{}: not the key of {}", self.key(), self.certificate())
            }
            // The error may quote the line that cannot be read.
            (_, RustlsTlsError::InvalidIdentityPem(_) | RustlsTlsError::MissingCertificate) => {
                format!("{}: no PEM block of a certificate", self.certificate())
            }
            _ => reason(error),
        }
    }

    /// Describes why there are no credentials. The output of a command may have some, so only its messages are quoted.
    fn describe_authentication(&self, error: &AuthError) -> String {
        let user = quoted(&self.user);
        let exec = self.authentication.exec.as_ref();
        let command = exec.and_then(|exec| exec.command.as_deref()).map(quoted).unwrap_or_default();
        let command = format!("the command {command} of the user {user}");
        match error {
            AuthError::AuthExecStart(error) => format!("{command}: {error}"),
            AuthError::AuthExecRun { out, .. } => {
                let messages = String::from_utf8_lossy(&out.stderr);
                format!("{command}: {}: {}", out.status, shorten(messages.trim()))
            }
            AuthError::AuthExecParse(_) => {
                format!("{command}: its output is not an ExecCredential in JSON")
            }
            AuthError::ReadTokenFile(error, file) => {
                format!("the token file {} of the user {user}: {error}", file.display())
            }
            error => format!("the user {user}: {}", innermost(error)),
        }
    }

    /// Describes a proxy that cannot be used. Its URL may have a password.
    pub(super) fn invalid_proxy(&self) -> String {
        let place = if self.proxy().is_some() {
            let cluster = quoted(&self.cluster_name);
            format!("{}: the `proxy-url` of the cluster {cluster}", self.kubeconfig)
        } else {
            "the proxy of the environment, such as HTTPS_PROXY".to_owned()
        };
        format!("{place}: not a URL that begins with http:// or https://")
    }

    /// Names the CA certificate of the cluster.
    fn authority(&self) -> String {
        let Cluster { certificate_authority, certificate_authority_data, .. } = &self.cluster;
        let file = certificate_authority.as_ref().filter(|_| certificate_authority_data.is_none());
        named("CA certificate", file, &format!("cluster {}", quoted(&self.cluster_name)))
    }

    /// Names the client certificate.
    fn certificate(&self) -> String {
        let AuthInfo { client_certificate, client_certificate_data, .. } = &self.authentication;
        let file = client_certificate.as_ref().filter(|_| client_certificate_data.is_none());
        named("client certificate", file, &format!("user {}", quoted(&self.user)))
    }

    /// Names the client key.
    fn key(&self) -> String {
        let AuthInfo { client_key, client_key_data, .. } = &self.authentication;
        let file = client_key.as_ref().filter(|_| client_key_data.is_none());
        named("client key", file, &format!("user {}", quoted(&self.user)))
    }

    /// Returns the client key in PEM; `None` if there is none, or it cannot be read.
    fn key_text(&self) -> Option<Vec<u8>> {
        if let Some(file) = self.authentication.client_key.as_ref()
            && self.authentication.client_key_data.is_none()
        {
            return read_regular_up_to(Path::new(file), MAX_KEY_BYTES).ok()?;
        }
        // kube gives access to the key only by way of the serialization.
        let fields = serde_json::to_value(&self.authentication).ok()?;
        STANDARD.decode(fields.get("client-key-data")?.as_str()?).ok()
    }
}

/// Names a certificate or key; `file` is `None` if it is within the kubeconfig.
fn named(what: &str, file: Option<&String>, owner: &str) -> String {
    let file = file.map_or_else(String::new, |file| format!(" {file}"));
    format!("the {what}{file} of the {owner}")
}

/// Says which contexts there are instead of `name`.
fn no_context(content: &Kubeconfig, name: &str) -> String {
    let names: Vec<_> =
        content.contexts.iter().take(MAX_LISTED).map(|context| quoted(&context.name)).collect();
    let more = if content.contexts.len() > MAX_LISTED { ", and more" } else { "" };
    let others = if names.is_empty() { "any other".to_owned() } else { names.join(", ") };
    let relation = if names.is_empty() { "nor" } else { "but" };
    format!("there is no context {}, {relation} {others}{more}", quoted(name))
}

/// Returns a name from a kubeconfig for an error.
fn quoted(name: &str) -> String {
    format!("`{}`", excerpt(name, MAX_VALUE_BYTES))
}

/// Returns the error in a certificate or key of a kubeconfig without quoting its content.
fn unquoted_data(error: &LoadDataError) -> String {
    match error {
        LoadDataError::DecodeBase64(_) => "not valid base64".to_owned(),
        error => innermost(error),
    }
}
