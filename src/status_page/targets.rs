//! The registries that are asked for the new images of reviews.

use serde::Serialize;

use super::shown::Shown;
use crate::registry::{BreakerState, CheckResult, RegistryStatus, ResolverStatus};

/// Maximum number of registries on the page.
const MAX_REGISTRIES: usize = 100;

/// The registries, and what is known of the images there.
#[derive(Debug, Serialize)]
pub(super) struct Targets {
    /// Number of answers that are kept.
    pub(super) answers: usize,
    /// Number of questions that run or wait.
    pub(super) checks: usize,
    pub(super) registries: Vec<RegistryRow>,
    pub(super) left_out: usize,
}

/// A registry.
#[derive(Debug, Serialize)]
pub(super) struct RegistryRow {
    pub(super) registry: Shown,
    /// State of its breaker.
    pub(super) breaker: BreakerState,
    /// Number of images that it has.
    pub(super) present: u64,
    /// Number of images that it does not have.
    pub(super) absent: u64,
    /// Number of other results.
    pub(super) unknown: u64,
    /// The last result that says neither; `None` if there was none.
    pub(super) last_error: Option<Shown>,
    /// Seconds since that result.
    pub(super) last_error_age_seconds: Option<u64>,
}

impl Targets {
    pub(super) fn of(status: &ResolverStatus) -> Self {
        let registries: Vec<_> =
            status.registries.iter().take(MAX_REGISTRIES).map(RegistryRow::of).collect();
        Self {
            answers: status.answers,
            checks: status.checks,
            left_out: status.registries.len() - registries.len(),
            registries,
        }
    }
}

impl RegistryRow {
    /// Returns the state of the registry in words.
    pub(super) fn state(&self) -> &'static str {
        match self.breaker {
            BreakerState::Closed => "asked",
            BreakerState::HalfOpen => "to be tested by the next check",
            BreakerState::Open => "not asked, after failures",
        }
    }

    fn of(status: &RegistryStatus) -> Self {
        let count = |is_counted: fn(CheckResult) -> bool| {
            let counted = status.results.iter().filter(|(result, _)| is_counted(*result));
            counted.map(|(_, count)| count).sum()
        };
        let error = status.last_error.as_ref();
        Self {
            registry: Shown::new(&status.registry),
            breaker: status.breaker,
            present: count(|result| result == CheckResult::Present),
            absent: count(|result| result == CheckResult::Absent),
            unknown: count(|result| !matches!(result, CheckResult::Present | CheckResult::Absent)),
            last_error: error.map(|error| {
                let separator = if error.detail.is_empty() { "" } else { ": " };
                Shown::new(&format!("{}{separator}{}", error.result.as_str(), error.detail))
            }),
            last_error_age_seconds: error.map(|error| error.age.as_secs()),
        }
    }
}
