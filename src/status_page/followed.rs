//! The values that the process follows: their loads, and the mistakes in them.

use serde::Serialize;

use super::{
    shown::Shown,
    times::{readable, utc},
};
use crate::{
    closed_enum::closed_enum,
    rules::{Diagnostic, Diagnostics, Severity},
    state::{HasStatus, LoadStatus, MapSummary, SitesSummary, Summary},
};

/// Maximum number of diagnostics of one value on the page. `imageswap check` shows all.
const MAX_DIAGNOSTICS: usize = 20;

closed_enum! {
    /// The state of a value that is followed.
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    pub(super) enum FollowedState {
        /// The last load has failed, and the value before stays in use.
        Failing => "failing",
        /// The value of the last load is in use.
        InUse => "in-use",
        /// No load has succeeded yet.
        Missing => "missing",
        /// There is no such file, and none is needed.
        None => "none",
    }
}

/// A value that is followed, such as the map.
#[derive(Debug, Serialize)]
pub(super) struct Followed {
    pub(super) name: &'static str,
    pub(super) state: FollowedState,
    /// Number of values that were put into use so far.
    pub(super) generation: u64,
    pub(super) loaded_at: Option<String>,
    pub(super) origin: Option<Shown>,
    pub(super) summary: Option<Shown>,
    pub(super) last_error: Option<Shown>,
    pub(super) diagnostics: Mistakes,
}

/// The diagnostics of the last load, even if it was refused.
#[derive(Debug, Serialize)]
pub(super) struct Mistakes {
    pub(super) errors: usize,
    pub(super) warnings: usize,
    pub(super) notes: usize,
    /// The first diagnostics, in the order of the file.
    pub(super) shown: Vec<Mistake>,
    pub(super) left_out: usize,
    /// True if the map has too many rules to compare all of them.
    pub(super) is_partial: bool,
}

/// A diagnostic.
#[derive(Debug, Serialize)]
pub(super) struct Mistake {
    pub(super) severity: Severity,
    pub(super) code: &'static str,
    pub(super) line: Option<u32>,
    pub(super) message: Shown,
    pub(super) hint: Shown,
}

impl Followed {
    pub(super) fn of(value: &dyn HasStatus) -> Self {
        let status = value.status();
        let summary = status.load.as_ref().map(|load| &load.summary);
        Self {
            name: value.subject().as_str(),
            state: FollowedState::of(&status),
            generation: status.generation,
            loaded_at: status.loaded_at.map(utc),
            origin: status.origin().map(Shown::of),
            summary: summary.and_then(sentence).map(|text| Shown::new(&text)),
            last_error: status.last_error.as_deref().map(Shown::new),
            diagnostics: Mistakes::of(&status.diagnostics),
        }
    }
}

impl FollowedState {
    fn of(status: &LoadStatus) -> Self {
        let is_absent = status
            .load
            .as_ref()
            .is_none_or(|load| matches!(load.summary, Summary::CandidateMap { rules: None }));
        match (&status.last_error, is_absent) {
            (Some(_), true) => Self::Missing,
            (Some(_), false) => Self::Failing,
            (None, true) => Self::None,
            (None, false) => Self::InUse,
        }
    }
}

impl Mistakes {
    fn of(found: &Diagnostics) -> Self {
        let shown: Vec<_> = found.kept().iter().take(MAX_DIAGNOSTICS).map(Mistake::of).collect();
        Self {
            errors: found.count(Severity::Error),
            warnings: found.count(Severity::Warning),
            notes: found.count(Severity::Note),
            left_out: found.kept().len() + found.dropped() - shown.len(),
            shown,
            is_partial: found.is_partial(),
        }
    }

    /// Returns true if there is anything to say.
    pub(super) fn is_any(&self) -> bool {
        !self.shown.is_empty() || self.is_partial
    }
}

impl Mistake {
    fn of(found: &Diagnostic) -> Self {
        Self {
            severity: found.severity(),
            code: found.code.as_str(),
            line: found.line,
            message: Shown::new(&found.message),
            hint: Shown::new(&found.hint),
        }
    }
}

/// Returns the summary of a value as a sentence without a full stop; `None` if there is nothing to say.
fn sentence(summary: &Summary) -> Option<String> {
    Some(match summary {
        Summary::CandidateMap { rules } => format!("rules: {}", (*rules)?),
        Summary::Certificate { not_before, not_after } => {
            let [from, to] = [not_before, not_after].map(|time| readable(&utc(*time)));
            format!("valid from {from} to {to}")
        }
        Summary::ClientCa { authorities, .. } | Summary::RegistryCa { authorities } => {
            format!("authorities: {authorities}")
        }
        Summary::LegacyPrefix => "the prefix of LEGACY mode".to_owned(),
        Summary::Map(MapSummary { rules, changes, .. }) => {
            let lines: usize = rules.iter().sum();
            let (added, removed, changed) = (changes.added, changes.removed, changes.changed);
            format!(
                "lines: {lines}; by the last load {added} added, {removed} removed, {changed} changed"
            )
        }
        Summary::NamespaceMaps(maps) => {
            format!("in use: {}, failing: {}", maps.maps, maps.failing.len())
        }
        Summary::RegistryConfig { registries, problems } => {
            format!("registries: {registries}, unusable parts: {}", problems.len())
        }
        Summary::Sites(SitesSummary { sites, kinds, invalid }) => {
            format!("sites: {sites}, kinds: {kinds}, invalid lines: {invalid}")
        }
        Summary::WebhookTemplate => return None,
    })
}
