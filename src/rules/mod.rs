//! What happens to an image: map text to rules, rules to a compiled set, set and image to a
//! decision.
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
//! A map is at most [`MAX_MAP_BYTES`] long, an image at most
//! [`MAX_IMAGE_BYTES`](crate::image::MAX_IMAGE_BYTES).
//!
//! This module is pure: no runtime, no file, no cluster, no clock.

mod changes;
mod decision;
pub mod diagnostic;
mod explain;
mod glob;
mod glob_set;
mod legacy;
pub mod lint;
mod manifest;
pub mod map_file;
mod refusal;
mod registry_trie;
mod rule;
mod rule_set;
mod target;
mod target_index;

pub use self::{
    changes::RuleChanges,
    decision::{Decision, Reason, SwappedImage},
    diagnostic::{Code, Diagnostic, Diagnostics, Severity},
    explain::Step,
    glob::Glob,
    legacy::LegacyPrefix,
    map_file::{MAX_MAP_BYTES, MapFile},
    refusal::Refusal,
    rule::{Effect, Key, KeyKind, Rule},
    rule_set::{CompileError, RuleSet},
    target::Target,
};

/// A map file, read, compiled and linted.
#[derive(Clone, Debug)]
pub struct LoadedMap {
    /// The compiled rules.
    pub rules: RuleSet,
    /// What is wrong with the file, in the order of its lines.
    pub diagnostics: Diagnostics,
}

impl LoadedMap {
    /// Reads a map file's text, compiles it, and gathers all diagnostics.
    ///
    /// # Errors
    /// As [`RuleSet::compile`]. A line that is no rule is a diagnostic, not an error.
    pub fn from_text(text: &str) -> Result<Self, CompileError> {
        Self::from_file("", text)
    }

    /// Loads a map as [`from_text`](Self::from_text); its rules bear the name of the file.
    ///
    /// # Errors
    /// As [`RuleSet::compile`].
    pub fn from_file(file: &str, text: &str) -> Result<Self, CompileError> {
        let (map, mut diagnostics) = MapFile::parse_file(file, text);
        let rules = RuleSet::compile(map)?;
        diagnostics.extend(lint::lint(&rules, text));
        Ok(Self { rules, diagnostics })
    }
}

/// What decides over images: the rules of a map, or the prefix of LEGACY mode.
#[derive(Clone, Debug)]
pub enum Policy {
    /// LEGACY mode.
    Legacy(LegacyPrefix),
    /// MAPS mode.
    Maps(Box<RuleSet>),
}

impl Policy {
    /// Decides what becomes of an image. Never fails and never panics, whatever the text.
    #[must_use]
    pub fn decide<'a>(&'a self, image: &'a str) -> Decision<'a> {
        match self {
            Self::Legacy(prefix) => prefix.decide(image),
            Self::Maps(rules) => rules.decide(image),
        }
    }
}
