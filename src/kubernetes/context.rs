//! The context of a kubeconfig: a cluster and a user. Its errors name what is wrong. They quote only names, files, and
//! what a command for credentials writes to its standard error.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::Uri;
use kube::{
    Config,
    client::{AuthError, RustlsTlsError},
    config::{AuthInfo, Cluster, Kubeconfig, KubeconfigError, LoadDataError},
};

use super::{
    call::{reason, shorten},
    proxy,
};
use crate::{
    bounded_read::read_regular_up_to,
    excerpt::{MAX_VALUE_BYTES, excerpt},
    innermost::innermost,
    tls::check_private_key,
};

/// Maximum size of a key file in bytes that is read again, to name the kind of its key.
const MAX_KEY_BYTES: u64 = 1024 * 1024;

/// Maximum size in bytes of a file with CA certificates. All public ones have 220 KB.
const MAX_AUTHORITY_BYTES: u64 = 1024 * 1024;

/// Maximum number of contexts that an error lists.
const MAX_LISTED: usize = 10;

/// A context of a kubeconfig.
pub(super) struct Context {
    name: String,
    /// Names the kubeconfig.
    kubeconfig: String,
    /// The URL of the API server.
    server: Uri,
    /// Namespace in which the user works.
    namespace: Option<String>,
    cluster_name: String,
    cluster: Cluster,
    /// The name of the user; empty if the context names none.
    user: String,
    authentication: AuthInfo,
}

impl Context {
    /// Returns a context of a kubeconfig that is named `kubeconfig` in errors; `None` for the current one. A user that
    /// is missing counts as one without credentials.
    ///
    /// # Errors
    /// If there is no such context, its cluster is missing or has no usable `server`, or the token cannot be sent.
    pub(super) fn find(
        content: &Kubeconfig,
        name: Option<&str>,
        kubeconfig: &str,
    ) -> Result<Self, String> {
        Self::of(content, name, kubeconfig).map_err(|problem| format!("{kubeconfig}: {problem}"))
    }

    fn of(content: &Kubeconfig, name: Option<&str>, kubeconfig: &str) -> Result<Self, String> {
        let name = name.or(content.current_context.as_deref()).filter(|name| !name.is_empty());
        let name = name.ok_or("there is no `current-context`; is it a kubeconfig?")?;
        let found = content.contexts.iter().find(|context| context.name == name);
        let found = found.and_then(|found| found.context.as_ref());
        let found = found.ok_or_else(|| no_context(content, name))?;
        let cluster_name = &found.cluster;
        let cluster = content.clusters.iter().find(|cluster| cluster.name == *cluster_name);
        let cluster = cluster.and_then(|cluster| cluster.cluster.clone()).ok_or_else(|| {
            let (missing, by) = (quoted(cluster_name), quoted(name));
            format!("there is no cluster {missing}, which the context {by} names")
        })?;
        let server: Option<Uri> = cluster.server.as_ref().and_then(|server| server.parse().ok());
        let is_usable = |server: &Uri| {
            matches!(server.scheme_str(), Some("http" | "https")) && server.authority().is_some()
        };
        let server = server.filter(is_usable).ok_or_else(|| {
            let cluster = quoted(cluster_name);
            format!("the `server` of the cluster {cluster} is not a URL that begins with http:// or https://")
        })?;
        let user = found.user.clone().unwrap_or_default();
        let authentication = content.auth_infos.iter().find(|candidate| candidate.name == user);
        let authentication = authentication.and_then(|user| user.auth_info.clone());
        let chosen = Self {
            name: name.to_owned(),
            kubeconfig: kubeconfig.to_owned(),
            server,
            namespace: found.namespace.clone(),
            cluster_name: cluster_name.clone(),
            cluster,
            user,
            authentication: authentication.unwrap_or_default(),
        };
        chosen.check_token()?;
        Ok(chosen)
    }

    /// Returns the configuration of a client.
    ///
    /// # Errors
    /// If the CA certificate or the proxy cannot be used.
    pub(super) fn config(&self) -> Result<Config, String> {
        let mut config = Config::new(self.server.clone());
        if let Some(namespace) = &self.namespace {
            config.default_namespace.clone_from(namespace);
        }
        config.root_cert = self.authorities().map_err(|reason| {
            let file = self.authority_file();
            let place = named("CA certificate", file, "cluster", &self.cluster_name);
            format!("{}: {place}: {reason}", self.kubeconfig)
        })?;
        config.accept_invalid_certs = self.cluster.insecure_skip_tls_verify.unwrap_or_default();
        config.tls_server_name.clone_from(&self.cluster.tls_server_name);
        config.auth_info = self.authentication.clone();
        if let Some(exec) = config.auth_info.exec.as_mut().filter(|exec| exec.provide_cluster_info)
        {
            exec.cluster = (&self.cluster).try_into().ok();
        }
        let own = self.cluster.proxy_url.clone().filter(|proxy| !proxy.is_empty());
        let proxy = match own {
            Some(proxy) => Some((self.proxy_field(), proxy)),
            None => proxy::of_environment(&self.server)
                .map(|(variable, proxy)| (variable.to_owned(), proxy)),
        };
        if let Some((place, proxy)) = proxy {
            let problem = || format!("{place}: not a URL that begins with http:// or https://");
            config.proxy_url = Some(proxy::url(&proxy).ok_or_else(problem)?);
        }
        Ok(config)
    }

    /// Names the context and its kubeconfig.
    pub(super) fn described(&self) -> String {
        format!("the context {} of {}", quoted(&self.name), self.kubeconfig)
    }

    /// Checks that a token can be sent. kube would panic.
    fn check_token(&self) -> Result<(), String> {
        // kube gives access to the token only by way of the serialization.
        let fields = serde_json::to_value(&self.authentication).unwrap_or_default();
        let token = fields.get("token").and_then(|token| token.as_str()).unwrap_or_default();
        if token.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Ok(());
        }
        let user = quoted(&self.user);
        Err(format!(
            "the token of the user {user} has a character that cannot be sent, such as a line break"
        ))
    }

    /// Returns the CA certificates of the cluster in DER; `None` for those of the system.
    fn authorities(&self) -> Result<Option<Vec<Vec<u8>>>, String> {
        let text = match (&self.cluster.certificate_authority_data, self.authority_file()) {
            (Some(data), _) => STANDARD.decode(data).map_err(|_| "not valid base64".to_owned())?,
            (None, Some(file)) => read_regular_up_to(Path::new(file), MAX_AUTHORITY_BYTES)
                .map_err(|error| error.to_string())?
                .ok_or_else(|| format!("larger than {MAX_AUTHORITY_BYTES} bytes"))?,
            (None, None) => return Ok(None),
        };
        let blocks = pem::parse_many(text).map_err(|_| "not valid PEM".to_owned())?;
        let certificates = blocks.into_iter().filter(|block| block.tag() == "CERTIFICATE");
        Ok(Some(certificates.map(pem::Pem::into_contents).collect()))
    }

    /// Returns the file with the CA certificates, unless they are within the kubeconfig.
    fn authority_file(&self) -> Option<&String> {
        let Cluster { certificate_authority, certificate_authority_data, .. } = &self.cluster;
        certificate_authority.as_ref().filter(|_| certificate_authority_data.is_none())
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
                let messages = shorten(messages.trim());
                let separator = if messages.is_empty() { "" } else { ": " };
                format!("{command}: {}{separator}{messages}", out.status)
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
    /// Names the proxy of the kubeconfig.
    fn proxy_field(&self) -> String {
        let cluster = quoted(&self.cluster_name);
        format!("{}: the `proxy-url` of the cluster {cluster}", self.kubeconfig)
    }

    /// Names the client certificate.
    fn certificate(&self) -> String {
        let AuthInfo { client_certificate, client_certificate_data, .. } = &self.authentication;
        let file = client_certificate.as_ref().filter(|_| client_certificate_data.is_none());
        named("client certificate", file, "user", &self.user)
    }

    /// Names the client key.
    fn key(&self) -> String {
        let AuthInfo { client_key, client_key_data, .. } = &self.authentication;
        let file = client_key.as_ref().filter(|_| client_key_data.is_none());
        named("client key", file, "user", &self.user)
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

/// Names a certificate or key of a user or a cluster; `file` is `None` if it is within the kubeconfig.
fn named(what: &str, file: Option<&String>, kind: &str, owner: &str) -> String {
    let file = file.map_or_else(String::new, |file| format!(" {file}"));
    format!("the {what}{file} of the {kind} {}", quoted(owner))
}

/// Says which contexts there are instead of `name`.
fn no_context(content: &Kubeconfig, name: &str) -> String {
    let names: Vec<_> =
        content.contexts.iter().take(MAX_LISTED).map(|context| quoted(&context.name)).collect();
    let more = if content.contexts.len() > MAX_LISTED { ", and more" } else { "" };
    let name = quoted(name);
    if names.is_empty() {
        return format!("there is no context {name}; the kubeconfig has no contexts");
    }
    format!("there is no context {name}; the contexts are {}{more}", names.join(", "))
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
