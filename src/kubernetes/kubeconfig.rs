//! Reads the kubeconfig. Its errors do not quote the content, which has tokens and keys.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use kube::{
    Config,
    client::RustlsTlsError,
    config::{AuthInfo, KubeConfigOptions, Kubeconfig, KubeconfigError, LoadDataError},
};

use super::call::{innermost, reason};
use crate::{bounded_read::read_regular_up_to, tls::check_private_key};

/// Maximum size of a key file in bytes that is read again, to name the kind of its key.
const MAX_KEY_BYTES: u64 = 1024 * 1024;

/// Name of the kubeconfig with an error if there are several. kube does not tell which it is.
const ONE_OF_SEVERAL: &str = "one of the files in KUBECONFIG";

/// The user of the current context of a kubeconfig.
pub(super) struct User {
    /// Names the kubeconfig.
    kubeconfig: String,
    /// The name; empty if the context names no user.
    name: String,
    authentication: AuthInfo,
}

/// Reads the kubeconfig `file`; `None` for the one that `KUBECONFIG` names, or that of the user. `context` is one of its
/// contexts; `None` for the current one.
///
/// # Errors
/// If it cannot be read, or does not describe how to reach a cluster.
pub(super) async fn read(
    file: Option<&Path>,
    context: Option<&str>,
) -> Result<(Config, User), KubeconfigError> {
    let (mut kubeconfig, name) = match file {
        Some(file) => (Kubeconfig::read_from(file)?, named(&[file.to_owned()])),
        None => (Kubeconfig::read()?, named(&files(env::var_os("KUBECONFIG")))),
    };
    if let Some(context) = context {
        kubeconfig.current_context = Some(context.to_owned());
    }
    let user = User::of(&kubeconfig, name);
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok((config, user))
}

/// Returns the files in `KUBECONFIG`, whose value is `variable`.
fn files(variable: Option<OsString>) -> Vec<PathBuf> {
    let files = variable.unwrap_or_default();
    env::split_paths(&files).filter(|file| !file.as_os_str().is_empty()).collect()
}

/// Names the kubeconfig that kube reads if `KUBECONFIG` has these files.
fn named(files: &[PathBuf]) -> String {
    match files {
        [] => "the kubeconfig ~/.kube/config".to_owned(),
        [file] => format!("the kubeconfig {}", file.display()),
        _ => ONE_OF_SEVERAL.to_owned(),
    }
}

/// Returns the error in a kubeconfig without quoting its content. If `is_given`, it is not one of `KUBECONFIG`.
pub(super) fn unquoted(error: &KubeconfigError, is_given: bool) -> String {
    match error {
        KubeconfigError::Parse(error) => {
            let mut text = "not valid YAML, or not a kubeconfig".to_owned();
            if let Some(place) = error.location() {
                text = format!("line {}, column {}: {text}", place.line(), place.column());
            }
            match &files(env::var_os("KUBECONFIG"))[..] {
                [_, _, ..] if !is_given => format!("{ONE_OF_SEVERAL}: {text}"),
                _ => text,
            }
        }
        KubeconfigError::ParseCertificates(_) => "the CA certificate is not valid PEM".to_owned(),
        KubeconfigError::ReadConfig(error, file) => format!("{}: {error}", file.display()),
        error => innermost(error),
    }
}

impl User {
    fn of(kubeconfig: &Kubeconfig, file: String) -> Self {
        let context = kubeconfig.current_context.as_ref().and_then(|name| {
            let found = kubeconfig.contexts.iter().find(|context| context.name == *name)?;
            found.context.as_ref()
        });
        let name = context.and_then(|context| context.user.clone()).unwrap_or_default();
        let found = kubeconfig.auth_infos.iter().find(|user| user.name == name);
        let authentication = found.and_then(|user| user.auth_info.clone()).unwrap_or_default();
        Self { kubeconfig: file, name, authentication }
    }

    /// Describes the error of a client that was made for this user.
    pub(super) fn describe(&self, error: &kube::Error) -> String {
        let reason = match error {
            kube::Error::InferKubeconfig(KubeconfigError::LoadClientCertificate(error)) => {
                format!("{}: {}", self.certificate(), unquoted_data(error))
            }
            kube::Error::InferKubeconfig(KubeconfigError::LoadClientKey(error)) => {
                format!("{}: {}", self.key(), unquoted_data(error))
            }
            kube::Error::RustlsTls(tls) => {
                let key = self.key_text().map(|text| check_private_key(&text));
                match (key, tls) {
                    (Some(Err(error)), _) => format!("{}: {error}", self.key()),
                    (_, RustlsTlsError::InvalidPrivateKey(_)) => {
                        format!("{}: not the key of {}", self.key(), self.certificate())
                    }
                    // The error may quote the line that cannot be read.
                    (
                        _,
                        RustlsTlsError::InvalidIdentityPem(_) | RustlsTlsError::MissingCertificate,
                    ) => format!("{}: no PEM block of a certificate", self.certificate()),
                    _ => reason(error),
                }
            }
            error => reason(error),
        };
        format!("{}: {reason}", self.kubeconfig)
    }

    /// Names the client certificate.
    fn certificate(&self) -> String {
        let AuthInfo { client_certificate, client_certificate_data, .. } = &self.authentication;
        let file = client_certificate.as_ref().filter(|_| client_certificate_data.is_none());
        self.named("client certificate", file)
    }

    /// Names the client key.
    fn key(&self) -> String {
        let AuthInfo { client_key, client_key_data, .. } = &self.authentication;
        self.named("client key", client_key.as_ref().filter(|_| client_key_data.is_none()))
    }

    fn named(&self, what: &str, file: Option<&String>) -> String {
        let file = file.map_or_else(String::new, |file| format!(" {file}"));
        format!("the {what}{file} of the user `{}`", self.name)
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

/// Returns the error in a certificate or key of a kubeconfig without quoting its content.
fn unquoted_data(error: &LoadDataError) -> String {
    match error {
        LoadDataError::DecodeBase64(_) => "not valid base64".to_owned(),
        error => innermost(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_only_kubeconfig_or_says_that_there_are_several() {
        for (variable, expected) in [
            (None, "the kubeconfig ~/.kube/config"),
            (Some(""), "the kubeconfig ~/.kube/config"),
            (Some("config"), "the kubeconfig config"),
            (Some(":config:"), "the kubeconfig config"),
            (Some("config:/a/b"), "one of the files in KUBECONFIG"),
        ] {
            assert_eq!(named(&files(variable.map(OsString::from))), expected, "{variable:?}");
        }
    }
}
