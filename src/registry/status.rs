//! The status of verified targets, for the status page.

use std::time::Duration;

use super::{breaker::BreakerState, check::CheckResult};

/// The status of a resolver.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ResolverStatus {
    /// Number of answers in the cache, also of those that have expired.
    pub answers: usize,
    /// Number of checks that run or wait.
    pub checks: usize,
    /// The registries that were asked, in alphabetical order.
    pub registries: Vec<RegistryStatus>,
}

/// The status of a registry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RegistryStatus {
    /// The registry with its port.
    pub registry: String,
    /// State of its breaker.
    pub breaker: BreakerState,
    /// Time for which it is not asked, if the breaker is open.
    pub asked_again_in: Option<Duration>,
    /// Number of checks that run or wait.
    pub checks: usize,
    /// Number of results of each kind since the client was put into use.
    pub results: Vec<(CheckResult, u64)>,
    /// The last result that says neither present nor absent.
    pub last_error: Option<LastError>,
}

/// A result that says neither present nor absent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LastError {
    /// The result.
    pub result: CheckResult,
    /// The reason in words; may be empty. It is cut to 256 bytes, and control characters are escaped.
    pub detail: String,
    /// Time since the result.
    pub age: Duration,
}
