//! Reads the kubeconfig. Its errors do not quote the content, which has tokens and keys, but for the names in it.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use super::context::Context;
use crate::innermost::innermost;

/// Name of the kubeconfig with an error if there are several. kube does not tell which it is.
const ONE_OF_SEVERAL: &str = "one of the files in KUBECONFIG";

/// Reads the kubeconfig `file`; `None` for the one that `KUBECONFIG` names, or that of the user. `context` is one of its
/// contexts; `None` for the current one.
///
/// # Errors
/// If it cannot be read, or does not describe how to reach a cluster. The text names the kubeconfig.
pub(super) async fn read(
    file: Option<&Path>,
    context: Option<&str>,
) -> Result<(Config, Context), String> {
    let (kubeconfig, files) = match file {
        Some(file) => (Kubeconfig::read_from(file), vec![file.to_owned()]),
        None => (Kubeconfig::read(), files(env::var_os("KUBECONFIG"))),
    };
    let kubeconfig = kubeconfig.map_err(|error| unreadable(&error, &files))?;
    let name = named(&files);
    let context = Context::find(&kubeconfig, context, name.clone())
        .map_err(|problem| format!("{name}: {problem}"))?;
    let options = KubeConfigOptions { context: Some(context.name.clone()), ..Default::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config.map_err(|error| context.describe_config(&error))?;
    config.proxy_url = match proxy(&config.cluster_url, context.proxy()) {
        Some(proxy) => Some(with_scheme(&proxy).ok_or_else(|| context.invalid_proxy())?),
        None => None,
    };
    Ok((config, context))
}

/// Returns the proxy for an API server, as kubectl chooses it: that of the kubeconfig, or that of the environment unless
/// `NO_PROXY` excludes the server. kube compares `NO_PROXY` with the proxy instead.
fn proxy(server: &Uri, of_kubeconfig: Option<&str>) -> Option<String> {
    if let Some(proxy) = of_kubeconfig {
        return Some(proxy.to_owned());
    }
    Matcher::from_env().intercept(server)?;
    let names = match server.scheme_str() {
        Some("http") => ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
        _ => ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
    };
    names.into_iter().filter_map(|name| env::var(name).ok()).find(|proxy| !proxy.is_empty())
}

/// Returns the URL of a proxy, which is an HTTP proxy if it has no scheme. `None` if it is not a URL.
fn with_scheme(proxy: &str) -> Option<Uri> {
    let url = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
    url.parse().ok().filter(|url: &Uri| url.authority().is_some())
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

/// Describes the error of a kubeconfig that cannot be read.
fn unreadable(error: &KubeconfigError, files: &[PathBuf]) -> String {
    match error {
        KubeconfigError::Parse(error) => {
            let place = error.location().map_or_else(String::new, |place| {
                format!("line {}, column {}: ", place.line(), place.column())
            });
            format!("{}: {place}not valid YAML, or not a kubeconfig", named(files))
        }
        KubeconfigError::ReadConfig(error, file) => {
            format!("the kubeconfig {}: {error}", file.display())
        }
        error => format!("{}: {}", named(files), innermost(error)),
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
