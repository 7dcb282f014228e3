//! What is wrong with a map file, where, and what would be right.
//!
//! This module holds facts only; how they are shown is the business of the commands and the log.

use std::{borrow::Cow, ops::Range};

use serde::Serialize;

use crate::{closed_enum::closed_enum, excerpt::excerpt};

/// The most diagnostics that are kept for one map; those beyond it are only counted.
///
/// A map of 16 MiB can hold eight million broken lines. A person reads the first few.
pub const MAX_KEPT_DIAGNOSTICS: usize = 1000;

closed_enum! {
    /// How bad it is.
    #[derive(Ord, PartialOrd, Serialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Severity {
        /// The rule works, though perhaps not as meant.
        Warning => "warning",
        /// A line or target has no effect, or the map as a whole does not do what a map has to.
        Error => "error",
    }
}

closed_enum! {
    /// What kind of mistake it is.
    #[derive(Hash, Serialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Code {
        /// A target that another rule of the same map sends elsewhere.
        Chain => "chain",
        /// `:` between key and target, as before version 1.4.3 of the original.
        DeprecatedSeparator => "deprecated-separator",
        /// A key that stands in the file more than once.
        DuplicateKey => "duplicate-key",
        /// A line that is no rule; it is skipped.
        InvalidRule => "invalid-rule",
        /// A target that makes no valid image reference; the images of its rule are left alone.
        InvalidTarget => "invalid-target",
        /// A map without `default`, in which registry rules do nothing.
        MissingDefault => "missing-default",
        /// A rule that no image reaches.
        NeverMatches => "never-matches",
        /// A map without a single rule; it is never applied.
        NoRules => "no-rules",
        /// A manifest in place of a map; it is never applied.
        NotAMap => "not-a-map",
    }
}

impl Code {
    /// How bad a mistake of this kind is.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::InvalidRule
            | Self::InvalidTarget
            | Self::MissingDefault
            | Self::NoRules
            | Self::NotAMap => Severity::Error,
            Self::Chain | Self::DeprecatedSeparator | Self::DuplicateKey | Self::NeverMatches => {
                Severity::Warning
            }
        }
    }
}

/// Returns an excerpt of text from a map file for a message: a line may be as long as the file, and hold what a
/// terminal obeys.
#[must_use]
pub fn shorten(text: &str) -> Cow<'_, str> {
    /// Longer than any valid image with a digest, short enough for a terminal.
    const MAX_SHOWN_BYTES: usize = 400;
    excerpt(text, MAX_SHOWN_BYTES)
}

/// One finding about a map file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// The kind of mistake.
    pub code: Code,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What would be right.
    pub hint: String,
    /// The line that it is about; none when it is about the whole file.
    pub line: Option<u32>,
    /// The part of that line, in bytes from its start, that it is about.
    pub span: Range<usize>,
    /// Another line that takes part, and what it does.
    pub related: Option<Related>,
}

/// A second place that a diagnostic points to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Related {
    /// The line's number, from 1.
    pub line: u32,
    /// What that line has to do with it.
    pub label: String,
}

impl Diagnostic {
    /// Creates a diagnostic about the whole file.
    pub(super) fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: hint.into(),
            line: None,
            span: 0..0,
            related: None,
        }
    }

    /// Makes it a diagnostic about a part of a line, in bytes from the start of the line.
    pub(super) fn at(self, line: u32, span: Range<usize>) -> Self {
        Self { line: Some(line), span, ..self }
    }

    /// Adds another line that the mistake involves, with a label.
    pub(super) fn related_to(self, line: u32, label: &str) -> Self {
        Self { related: Some(Related { line, label: label.to_owned() }), ..self }
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }
}

/// The diagnostics of one map: the first [`MAX_KEPT_DIAGNOSTICS`], and the count of all.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    kept: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
    is_partial: bool,
}

impl Diagnostics {
    /// Takes down that the map was too large to compare all of its globs.
    pub fn mark_partial(&mut self) {
        self.is_partial = true;
    }

    /// Whether the map was too large to compare all of its globs, so that rules that never match
    /// and chains may be missing.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// Counts `diagnostic`, and keeps it unless there are too many already.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        match diagnostic.severity() {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        if self.kept.len() < MAX_KEPT_DIAGNOSTICS {
            self.kept.push(diagnostic);
        }
    }

    /// Adds `others`, and puts what is kept in the order of the lines, the whole file first.
    pub fn extend(&mut self, others: Self) {
        self.errors += others.errors;
        self.warnings += others.warnings;
        self.is_partial |= others.is_partial;
        self.kept.extend(others.kept);
        self.kept.sort_by_key(|diagnostic| diagnostic.line);
        self.kept.truncate(MAX_KEPT_DIAGNOSTICS);
    }

    /// The diagnostics that are kept.
    #[must_use]
    pub fn kept(&self) -> &[Diagnostic] {
        &self.kept
    }

    /// How many there are of a severity, those that are not kept included.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        match severity {
            Severity::Error => self.errors,
            Severity::Warning => self.warnings,
        }
    }

    /// How many there are beyond those that are kept.
    #[must_use]
    pub fn dropped(&self) -> usize {
        self.errors + self.warnings - self.kept.len()
    }
}
