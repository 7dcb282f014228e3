//! Rules for rewriting images: parses a map, compiles its rules, and decides on each image.
//!
//! ```
//! use imageswap::rules::{MapFile, RuleSet};
//!
//! let (map, diagnostics) = MapFile::parse("default::registry.example.com\nquay.io::\n");
//! assert!(diagnostics.kept().is_empty());
//! let rules = RuleSet::compile(map)?;
//! assert_eq!(rules.decide("nginx:1.27").result("nginx:1.27"), "registry.example.com/nginx:1.27");
//! assert_eq!(rules.decide("quay.io/a/b").result("quay.io/a/b"), "quay.io/a/b");
//! # Ok::<(), imageswap::rules::CompileError>(())
//! ```
//!
//! # Limits
//! A map has at most [`MAX_MAP_BYTES`] bytes, an image at most [`MAX_IMAGE_BYTES`](crate::image::MAX_IMAGE_BYTES).
//!
//! This module is pure: it uses no runtime, no file system, no cluster and no clock.

mod advice;
mod changes;
mod decision;
pub mod diagnostic;
mod evaluate;
mod explain;
mod glob;
mod glob_set;
mod key_error;
mod legacy;
pub mod line;
pub mod lint;
mod manifest;
mod map_file;
mod map_hash;
mod namespace_maps;
mod pull_secrets;
mod refusal;
mod registry_trie;
mod rule;
mod rule_set;
mod swapped_image;
mod target;
mod target_index;
mod template;

use std::sync::Arc;

pub(crate) use self::manifest::first_line as first_line_of_manifest;
use self::map_hash::map_hash;
pub use self::{
    changes::RuleChanges,
    decision::{Decision, Reason},
    diagnostic::{Code, Diagnostic, Diagnostics, Severity},
    evaluate::Maps,
    explain::Step,
    glob::Glob,
    legacy::LegacyPrefix,
    map_file::{MAX_MAP_BYTES, MapFile},
    namespace_maps::NamespaceMaps,
    pull_secrets::{PullSecret, PullSecrets},
    refusal::Refusal,
    rule::{Effect, Key, KeyKind, Rule},
    rule_set::{CompileError, RuleSet},
    swapped_image::SwappedImage,
    target::Target,
};

use crate::closed_enum::closed_enum;

closed_enum! {
    /// The images that a map is for.
    pub enum MapScope {
        /// Those of all namespaces.
        Cluster => "cluster",
        /// Those of one namespace. What no rule matches is left to the map of the cluster, so there need not be a
        /// `default`.
        Namespace => "namespace",
    }
}

/// A map file after parsing, compilation and linting.
#[derive(Clone, Debug)]
pub struct LoadedMap {
    /// The name of the file; empty for a text.
    pub file: Arc<str>,
    /// The images that the map is for.
    pub scope: MapScope,
    /// The compiled rules.
    pub rules: RuleSet,
    /// The errors and warnings about the file, in the order of its lines.
    pub diagnostics: Diagnostics,
    /// The hash of the file's text, below 2^53. Maps with the same hash are the same.
    pub hash: u64,
}

impl LoadedMap {
    /// The name of the map that is part of the program, in place of the name of a file.
    pub const BUILT_IN: &str = "the built-in map";

    /// Parses and compiles the text of a map file, and collects all diagnostics.
    ///
    /// # Errors
    /// If the rules cannot be compiled; see [`RuleSet::compile`]. A line that is not a rule is a diagnostic, not an
    /// error.
    pub fn from_text(text: &str) -> Result<Self, CompileError> {
        Self::from_file(MapScope::Cluster, "", text)
    }

    /// Loads a map that is part of the program like [`from_text`](Self::from_text).
    ///
    /// # Errors
    /// If the rules cannot be compiled; see [`RuleSet::compile`].
    pub fn built_in(text: &str) -> Result<Self, CompileError> {
        Self::from_file(MapScope::Cluster, Self::BUILT_IN, text)
    }

    /// Loads a map like [`from_text`](Self::from_text), and records the name of the file in each rule.
    ///
    /// # Errors
    /// If the rules cannot be compiled; see [`RuleSet::compile`].
    pub fn from_file(scope: MapScope, file: &str, text: &str) -> Result<Self, CompileError> {
        let (map, mut diagnostics) = MapFile::parse_file(file, text);
        let rules = RuleSet::compile(map)?;
        diagnostics.extend(lint::lint(&rules, scope, text));
        Ok(Self { file: file.into(), scope, rules, diagnostics, hash: map_hash(text) })
    }
}

/// The rules in use: those of a map, or the prefix of LEGACY mode.
#[derive(Clone, Debug)]
pub enum Policy {
    /// LEGACY mode.
    Legacy(LegacyPrefix),
    /// MAPS mode.
    Maps(Box<RuleSet>),
}

impl Policy {
    /// Decides how an image is rewritten in a namespace without a map of its own. It never fails and never panics,
    /// whatever the text.
    #[must_use]
    pub fn decide<'a>(&'a self, image: &'a str) -> Decision<'a> {
        self.decide_with(None, image)
    }

    /// Returns the maps that decide in a namespace, given the rules of its own map; `None` in LEGACY mode, which asks no
    /// map.
    #[must_use]
    pub fn maps<'a>(&'a self, namespace: Option<&'a RuleSet>) -> Option<Maps<'a>> {
        match self {
            Self::Legacy(_) => None,
            Self::Maps(rules) => Some(Maps::new(namespace, rules)),
        }
    }

    /// Decides how an image is rewritten in a namespace, given the rules of its own map. It never fails and never panics,
    /// whatever the text.
    #[must_use]
    pub fn decide_with<'a>(
        &'a self,
        namespace: Option<&'a RuleSet>,
        image: &'a str,
    ) -> Decision<'a> {
        match self {
            Self::Legacy(prefix) => prefix.decide(image),
            Self::Maps(rules) => Maps::new(namespace, rules).decide(image),
        }
    }
}
