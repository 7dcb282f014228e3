//! Errors, warnings and notes about a map file, or a file with sites, each with its line and a hint.
//!
//! This module does not print them; the commands and the log do.

use std::{borrow::Cow, ops::Range};

use serde::Serialize;

use super::rule::Key;
use crate::{
    closed_enum::closed_enum,
    excerpt::excerpt,
    image::{DOCKER_HUB, DOCKER_HUB_INDEX, ImageReference},
};

/// Maximum number of diagnostics that are kept for one map. Further ones are only counted.
///
/// A map of 16 MiB can contain eight million invalid lines, and people read only the first few diagnostics.
pub const MAX_KEPT_DIAGNOSTICS: usize = 1000;

closed_enum! {
    /// The severity of a diagnostic.
    #[derive(Ord, PartialOrd, Serialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Severity {
        /// The rule works as it is written. The author may want another result.
        Note => "note",
        /// The rule works, but probably not as intended.
        Warning => "warning",
        /// A line or target has no effect, or the whole map does not work.
        Error => "error",
    }
}

closed_enum! {
    /// The kind of mistake.
    #[derive(Hash, Serialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Code {
        /// Like a chain, but only for images whose host is written with upper-case letters.
        CaseChain => "case-chain",
        /// A target whose images another rule of the same map rewrites again.
        Chain => "chain",
        /// `:` between key and target, the separator before version 1.4.3 of the Python ImageSwap.
        DeprecatedSeparator => "deprecated-separator",
        /// A key that occurs more than once.
        DuplicateKey => "duplicate-key",
        /// A line that is not a rule. It is skipped.
        InvalidRule => "invalid-rule",
        /// A line of a file with sites that is not a site. It is skipped.
        InvalidSite => "invalid-site",
        /// A target that does not give a valid image reference. The images of its rule are left alone.
        InvalidTarget => "invalid-target",
        /// A rule for Docker Hub whose new images lack `library/`, which pull-through caches need.
        LibraryDropped => "library-dropped",
        /// A map without `default`. Its registry rules have no effect.
        MissingDefault => "missing-default",
        /// A rule that no image can match.
        NeverMatches => "never-matches",
        /// A target without a registry. Its images come from Docker Hub.
        NoRegistry => "no-registry",
        /// A map without rules. It is never applied.
        NoRules => "no-rules",
        /// A manifest in place of a map. It is never applied.
        NotAMap => "not-a-map",
        /// Two registries that differ in their ports, and whose images get the same names.
        PortDropped => "port-dropped",
        /// A pull secret for images to which no rule leads.
        UnusedPullSecret => "unused-pull-secret",
    }
}

impl Code {
    /// Returns the severity of this kind of mistake.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::InvalidRule
            | Self::InvalidSite
            | Self::InvalidTarget
            | Self::MissingDefault
            | Self::NoRules
            | Self::NotAMap => Severity::Error,
            Self::Chain
            | Self::DeprecatedSeparator
            | Self::DuplicateKey
            | Self::NeverMatches
            | Self::NoRegistry
            | Self::PortDropped
            | Self::UnusedPullSecret => Severity::Warning,
            Self::CaseChain | Self::LibraryDropped => Severity::Note,
        }
    }
}

/// Returns an excerpt of text from a map file for a message.
///
/// A line can be as long as the file, and can contain terminal control characters.
#[must_use]
pub fn shorten(text: &str) -> Cow<'_, str> {
    /// Maximum length in bytes: longer than any valid image with a digest, short enough for a terminal.
    const MAX_SHOWN_BYTES: usize = 400;
    excerpt(text, MAX_SHOWN_BYTES)
}

/// An error, a warning or a note about a map file, or a file with sites.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// Kind of mistake.
    pub code: Code,
    /// The mistake, in one sentence without a full stop.
    pub message: String,
    /// Advice on the correction.
    pub hint: String,
    /// Number of the line, from 1. `None` if the diagnostic is about the whole file.
    pub line: Option<u32>,
    /// The part of that line that the diagnostic is about, in bytes from the start of the line.
    pub span: Range<usize>,
    /// Another line that the mistake involves, if any.
    pub related: Option<Related>,
    /// Excerpt of the rule in that line, without white space, if it could not be parsed and is skipped.
    pub skipped: Option<String>,
}

/// A second line that a diagnostic points to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Related {
    /// Number of the line, from 1.
    pub line: u32,
    /// The role of that line in the mistake.
    pub label: String,
}

impl Diagnostic {
    /// Creates a diagnostic about the whole file.
    pub(crate) fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: hint.into(),
            line: None,
            span: 0..0,
            related: None,
            skipped: None,
        }
    }

    /// Adds the text of the rule that is skipped.
    pub(super) fn skipping(self, rule: &str) -> Self {
        Self { skipped: Some(shorten(rule).into_owned()), ..self }
    }

    /// Returns true if a rule is skipped whose key looks as if it was meant for `image`.
    #[must_use]
    pub fn skips_rule_for(&self, image: &ImageReference<'_>) -> bool {
        let Some(rule) = &self.skipped else { return false };
        let starts_with = |key: &str| {
            let start = rule.get(..key.len());
            let next = rule.get(key.len()..).and_then(|rest| rest.chars().next());
            start.is_some_and(|start| start.eq_ignore_ascii_case(key))
                && next.is_none_or(|next| !(next.is_alphanumeric() || ".-_".contains(next)))
        };
        let bracketed = |kind: &str| format!("{kind}{}", image.text());
        [image.registry(), image.host(), &bracketed(Key::EXACT), &bracketed(Key::REPLACE)]
            .into_iter()
            .any(starts_with)
            || (image.host().eq_ignore_ascii_case(DOCKER_HUB) && starts_with(DOCKER_HUB_INDEX))
    }

    /// Returns true if the rule that is skipped looks like the `default`.
    #[must_use]
    pub fn skips_default(&self) -> bool {
        self.skipped.as_ref().is_some_and(|rule| rule.starts_with(Key::DEFAULT))
    }

    /// Makes it a diagnostic about a part of a line, in bytes from the start of the line.
    pub(crate) fn at(self, line: u32, span: Range<usize>) -> Self {
        Self { line: Some(line), span, ..self }
    }

    /// Adds another line that the mistake involves, and its role.
    pub(super) fn related_to(self, line: u32, label: &str) -> Self {
        Self { related: Some(Related { line, label: label.to_owned() }), ..self }
    }

    /// Returns the severity.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }
}

/// The diagnostics of one map: the first [`MAX_KEPT_DIAGNOSTICS`], and the number of all.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    kept: Vec<Diagnostic>,
    /// Number of all diagnostics of each severity.
    counts: [usize; Severity::ALL.len()],
    is_partial: bool,
}

impl Diagnostics {
    /// Records that the map has too many rules to compare all of them.
    pub fn mark_partial(&mut self) {
        self.is_partial = true;
    }

    /// Returns true if the map has too many rules to compare all of them.
    ///
    /// Diagnostics of rules that never match and of chains may then be missing.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// Counts `diagnostic`, and keeps it unless the limit is reached.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.push_with(diagnostic.code, || diagnostic);
    }

    /// Counts a diagnostic of this kind, and creates and keeps it unless the limit is reached.
    ///
    /// Advice can take longer to find than a mistake, and a large map can have a mistake in every line.
    pub(super) fn push_with(&mut self, code: Code, diagnostic: impl FnOnce() -> Diagnostic) {
        self.counts[code.severity() as usize] += 1;
        if self.kept.len() < MAX_KEPT_DIAGNOSTICS {
            self.kept.push(diagnostic());
        }
    }

    /// Adds `others`, and sorts all by line. Diagnostics about the whole file come first.
    pub fn extend(&mut self, others: Self) {
        for (count, other) in self.counts.iter_mut().zip(others.counts) {
            *count += other;
        }
        self.is_partial |= others.is_partial;
        self.kept.extend(others.kept);
        self.kept.sort_by_key(|diagnostic| diagnostic.line);
        self.kept.truncate(MAX_KEPT_DIAGNOSTICS);
    }

    /// Returns the diagnostics that are kept.
    #[must_use]
    pub fn kept(&self) -> &[Diagnostic] {
        &self.kept
    }

    /// Returns the number of diagnostics of a severity, including those that are not kept.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.counts[severity as usize]
    }

    /// Returns the number of diagnostics that are not kept.
    #[must_use]
    pub fn dropped(&self) -> usize {
        self.counts.iter().sum::<usize>() - self.kept.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skipped_rule_is_found_by_its_key() {
        for (rule, image, expected) in [
            ("quay.io;q.corp", "quay.io/a", true),
            ("Quay.io=q.corp", "quay.io/a", true),
            ("quay.io/a/*::q.corp", "quay.io/a/b", true),
            ("quay.iox;q.corp", "quay.io/a", false),
            ("docker.io;q.corp", "nginx", true),
            ("index.docker.io;q.corp", "nginx", true),
            ("a.io:80:b.io", "a.io:80/x", true),
            ("a.io;b.io", "a.io:80/x", true),
            ("[EXACT]nginx:1;b.io", "nginx:1", true),
            ("", "nginx", false),
        ] {
            let diagnostic = Diagnostic::new(Code::InvalidRule, "", "").skipping(rule);
            let found = diagnostic.skips_rule_for(&ImageReference::parse(image));
            assert_eq!(found, expected, "{rule} for {image}");
        }
        assert!(
            !Diagnostic::new(Code::NoRules, "", "").skips_rule_for(&ImageReference::parse("a"))
        );
    }
}
