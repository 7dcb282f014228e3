//! The tree of `hosts.toml` files of containerd
//! (<https://github.com/containerd/containerd/blob/main/docs/hosts.md>).
//!
//! A file is for a whole registry; `_default` is for all registries without a file. With `override_path`, the path of
//! the URL takes the place of `/v2`, so that a path of the mirror can follow it.

use super::{
    Exported, ExportedFile,
    redirects::{Features, Redirect, Redirects, Source},
    shown,
};
use crate::{
    image::{DOCKER_HUB, split_path, split_port},
    rules::RuleSet,
};

pub(super) const FEATURES: Features =
    Features { paths: false, domains: false, default: true, exceptions: false };

/// The host that serves the images of Docker Hub.
const DOCKER_HUB_SERVER: &str = "registry-1.docker.io";

/// Exports a map. `source` names it in comments.
#[must_use]
pub fn export(rules: &RuleSet, source: &str) -> Exported {
    let redirects = Redirects::of(rules, FEATURES);
    let mut files: Vec<_> = redirects.kept.iter().map(|redirect| file(redirect, source)).collect();
    for host in redirects.hosts_of_targets() {
        let comment =
            "The default leaves the images of this host alone, which is a target of the map.";
        files.push(hosts_file(&host, source, comment, &server(&host)));
    }
    Exported { files, left_out: redirects.left_out, notes: redirects.notes }
}

fn file(redirect: &Redirect<'_>, source: &str) -> ExportedFile {
    let directory = match &redirect.source {
        Source::Host { host, .. } => host,
        Source::Default | Source::Domain(_) => "_default",
    };
    let rule = format!("Line {}: {}", redirect.rule.line, shown(&redirect.rule.to_string()));
    let server = server(redirect.to.as_deref().unwrap_or(directory));
    hosts_file(directory, source, &rule, &server)
}

fn hosts_file(directory: &str, source: &str, comment: &str, server: &str) -> ExportedFile {
    let text = format!(
        "\
# Redirect of a registry as in the map {}, for containerd.
# Written by `imageswap export --to containerd`. Do not edit: export the map again.
#
# There is no fallback: if the mirror does not have an image or does not answer, the pull fails.
# {comment}
{server}",
        shown(source)
    );
    ExportedFile { path: format!("{directory}/hosts.toml"), text }
}

/// Returns the lines with the server that has the images of a repository.
fn server(to: &str) -> String {
    let url = url(to);
    match split_path(to).1 {
        "" => format!("server = \"{url}\"\n"),
        path => format!("server = \"{url}/v2{path}\"\noverride_path = true\n"),
    }
}

/// Returns the URL of the host of a repository. Hosts of the node itself mostly have no certificate.
pub(super) fn url(to: &str) -> String {
    let (host, _) = split_path(to);
    match split_port(host).0 {
        DOCKER_HUB if host == DOCKER_HUB => format!("https://{DOCKER_HUB_SERVER}"),
        "localhost" | "127.0.0.1" | "[::1]" => format!("http://{host}"),
        _ => format!("https://{host}"),
    }
}
