//! `registries.yaml` of k3s and RKE2 (<https://docs.k3s.io/installation/private-registry>).
//!
//! A mirror is for a whole registry, and `*` for all others. A rewrite is a regular expression on the path. The order of
//! several rewrites is not defined, so there is one at most.

use std::fmt::Write;

use super::{
    Exported, ExportedFile,
    containerd::url,
    redirects::{Features, Redirects, Source},
    shown,
};
use crate::{image::split_path, rules::RuleSet};

pub(super) const FEATURES: Features =
    Features { paths: false, domains: false, default: true, exceptions: false };

/// Exports a map. `source` names it in a comment.
#[must_use]
pub fn export(rules: &RuleSet, source: &str) -> Exported {
    let redirects = Redirects::of(rules, FEATURES);
    let mut text = format!(
        "\
# Mirrors of registries as in the map {}, for k3s (/etc/rancher/k3s/registries.yaml) and RKE2 (/etc/rancher/rke2/registries.yaml).
# Written by `imageswap export --to k3s`. Do not edit: export the map again.
#
# If the mirror does not have an image or does not answer, the registry itself is asked. The option
# `--disable-default-registry-endpoint` of k3s turns that off.
mirrors:
",
        shown(source)
    );
    for redirect in &redirects.kept {
        let name = match &redirect.source {
            Source::Host { host, .. } => host,
            Source::Default | Source::Domain(_) => "*",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  # line {}: {}",
            redirect.rule.line,
            shown(&redirect.rule.to_string())
        );
        let Some(to) = &redirect.to else {
            let _ = writeln!(text, "  \"{name}\": {{}}");
            continue;
        };
        let _ = writeln!(text, "  \"{name}\":\n    endpoint: [\"{}\"]", url(to));
        let path = split_path(to).1.trim_start_matches('/');
        if !path.is_empty() {
            let _ = writeln!(text, "    rewrite:\n      \"^(.*)$\": \"{path}/$1\"");
        }
    }
    for host in redirects.hosts_of_targets() {
        let _ = writeln!(
            text,
            "  # A target of the map: the default leaves its images alone.\n  \"{host}\": {{}}"
        );
    }
    let file = ExportedFile { path: "registries.yaml".to_owned(), text };
    Exported { files: vec![file], left_out: redirects.left_out, notes: redirects.notes }
}
