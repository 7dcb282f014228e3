//! An ImageDigestMirrorSet and an ImageTagMirrorSet of OpenShift
//! (<https://docs.openshift.com/container-platform/latest/rest_api/config_apis/imagedigestmirrorset-config-openshift-io-v1.html>).
//!
//! OpenShift writes both into the `registries.conf` of the nodes: the longest source decides.

use std::fmt::Write;

use super::{
    Exported, ExportedFile,
    redirects::{Features, Redirects},
    shown,
};
use crate::rules::RuleSet;

pub(super) const FEATURES: Features =
    Features { paths: true, domains: true, default: false, exceptions: false };

/// Kinds of the objects, each with the field that lists its mirrors.
const KINDS: [(&str, &str); 2] =
    [("ImageDigestMirrorSet", "imageDigestMirrors"), ("ImageTagMirrorSet", "imageTagMirrors")];

/// Exports a map. `source` names it in a comment.
#[must_use]
pub fn export(rules: &RuleSet, source: &str) -> Exported {
    let redirects = Redirects::of(rules, FEATURES);
    let mut text = format!(
        "\
# Mirrors of registries as in the map {}, for OpenShift.
# Written by `imageswap export --to idms`. Do not edit: export the map again.
#
# `NeverContactSource`: if the mirror does not have an image or does not answer, the pull fails. With
# `AllowContactingSource`, the registry itself is asked then. The nodes of OpenShift may restart for a change.
",
        shown(source)
    );
    let swaps: Vec<_> = redirects
        .kept
        .iter()
        .filter_map(|redirect| Some((redirect, redirect.to.as_ref()?)))
        .collect();
    for (index, (kind, field)) in KINDS.into_iter().enumerate() {
        let separator = if index == 0 { "" } else { "---\n" };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{separator}apiVersion: config.openshift.io/v1\nkind: {kind}\nmetadata:\n  name: imageswap\nspec:\n  {field}:"
        );
        text.push_str(if swaps.is_empty() { " []\n" } else { "\n" });
        for (redirect, to) in &swaps {
            let _ = write!(
                text,
                "    # line {}: {}\n    - source: \"{}\"\n      mirrors: [\"{to}\"]\n      mirrorSourcePolicy: NeverContactSource\n",
                redirect.rule.line,
                shown(&redirect.rule.to_string()),
                redirect.source.prefix(),
            );
        }
    }
    let file = ExportedFile { path: "imageswap-mirrors.yaml".to_owned(), text };
    Exported { files: vec![file], left_out: redirects.left_out, notes: redirects.notes }
}
