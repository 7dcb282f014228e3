//! `registries.conf` of CRI-O, Podman and other programs that use `containers/image`
//! (<https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md>).
//!
//! The longest `prefix` decides. `location` replaces it, and nothing else is asked.

use std::fmt::Write;

use super::{
    Exported, ExportedFile,
    redirects::{Features, Redirects, Source},
    shown,
};
use crate::rules::RuleSet;

pub(super) const FEATURES: Features =
    Features { paths: true, domains: true, default: false, exceptions: true };

/// Exports a map. `source` names it in a comment.
#[must_use]
pub fn export(rules: &RuleSet, source: &str) -> Exported {
    let redirects = Redirects::of(rules, FEATURES);
    let mut text = format!(
        "\
# Redirects of registries as in the map {}, for CRI-O and Podman.
# Written by `imageswap export --to registries.conf`. Do not edit: export the map again.
#
# There is no fallback: if the mirror does not have an image or does not answer, the pull fails.
# Short names such as `nginx` are redirected if they are completed to `docker.io`: unqualified-search-registries.
",
        shown(source)
    );
    for redirect in &redirects.kept {
        let prefix = redirect.source.prefix();
        let comment =
            format!("# line {}: {}", redirect.rule.line, shown(&redirect.rule.to_string()));
        // A wildcard without a location leaves the name as it is.
        let location = match (&redirect.to, &redirect.source) {
            (Some(to), _) => format!("location = \"{to}\"\n"),
            (None, Source::Domain(_)) => String::new(),
            (None, _) => format!("location = \"{prefix}\"\n"),
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{comment}\n[[registry]]\nprefix = \"{prefix}\"\n{location}");
    }
    let file = ExportedFile { path: "imageswap.conf".to_owned(), text };
    Exported { files: vec![file], left_out: redirects.left_out, notes: redirects.notes }
}
