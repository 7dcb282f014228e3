//! A map in the form of another program, for images that the webhook does not reach or is not wanted for.
//!
//! Each form decides as the map does for the images of the rules that it contains. A rule that a form cannot express is
//! left out with a reason, never approximated.
//!
//! This module is pure: it uses no runtime, no file system, no cluster and no clock. It writes no file, and applies
//! nothing.

pub mod containerd;
pub mod copies;
pub mod idms;
pub mod k3s;
pub mod kubernetes;
mod redirects;
pub mod registries_conf;

use self::redirects::Features;
use crate::{excerpt::excerpt, rules::Rule};

/// Maximum size of a key of a map in a message or a comment, in bytes.
const MAX_SHOWN_BYTES: usize = 200;

/// The result of an export.
#[derive(Clone, Debug, Default)]
pub struct Exported {
    /// The files, in order.
    pub files: Vec<ExportedFile>,
    /// The lines of the map that the form cannot express, in order.
    pub left_out: Vec<Remark>,
    /// Remarks on the lines that it contains, in order.
    pub notes: Vec<Remark>,
}

/// A file of an export.
#[derive(Clone, Debug)]
pub struct ExportedFile {
    /// The path of the file, relative to the directory of the form.
    pub path: String,
    /// The content.
    pub text: String,
}

/// A form of an export, for the reference.
#[derive(Clone, Copy, Debug)]
pub struct FormDescription {
    /// The name of the form, as the value of `--to`.
    pub name: &'static str,
    /// The programs that read it.
    pub programs: &'static str,
    /// The features for which a rule may need the form to have one.
    pub features: [bool; FEATURES.len()],
    /// The consequence if the mirror does not have an image or does not answer.
    pub fallback: &'static str,
}

/// The features of forms, in the order of [`FormDescription::features`].
pub const FEATURES: [&str; 9] = [
    "registries",
    "paths of registries",
    "wildcard hosts",
    "`default`",
    "`noswap_wildcards`",
    "`[EXACT]`",
    "`[REPLACE]`",
    "`{path}` before the end of a target",
    "parts of a registry that are left alone",
];

/// The forms.
pub const FORMS: [FormDescription; 5] = [
    redirecting("containerd", "containerd", containerd::FEATURES, "the pull fails"),
    redirecting("idms", "OpenShift", idms::FEATURES, "the pull fails (`NeverContactSource`)"),
    redirecting(
        "k3s",
        "k3s, RKE2",
        k3s::FEATURES,
        "the registry itself is asked, unless `--disable-default-registry-endpoint` is set",
    ),
    FormDescription {
        name: "kubernetes",
        programs: "API server",
        features: [true; FEATURES.len()],
        fallback: "the pull fails",
    },
    redirecting("registries.conf", "CRI-O, Podman", registries_conf::FEATURES, "the pull fails"),
];

/// Describes a form that redirects repositories.
const fn redirecting(
    name: &'static str,
    programs: &'static str,
    features: Features,
    fallback: &'static str,
) -> FormDescription {
    let Features { paths, domains, default, exceptions } = features;
    let features = [true, paths, domains, default, false, false, false, false, exceptions];
    FormDescription { name, programs, features, fallback }
}

/// A remark on a line of the map.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Remark {
    /// The number of the line.
    pub line: u32,
    /// The key of the line, shortened if it is long.
    pub key: String,
    /// The remark, as a clause without a full stop.
    pub text: String,
}

impl Remark {
    fn new(rule: &Rule, text: impl Into<String>) -> Self {
        Self { line: rule.line, key: shown(&rule.key.to_string()), text: text.into() }
    }
}

/// Returns a text of the map for a message or a comment.
fn shown(text: &str) -> String {
    excerpt(text, MAX_SHOWN_BYTES).into_owned()
}
