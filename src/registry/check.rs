//! One question to a registry and its result.

use std::{future::Future, pin::Pin, time::Duration};

use serde::Serialize;

use super::Target;
use crate::closed_enum::closed_enum;

/// Maximum of `Retry-After` that is obeyed: 5 minutes. A registry must not turn verification off for a day, nor must a
/// wrong clock or a wrong header.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_mins(5);

/// Asks a registry for an image.
pub trait Check: Send + Sync {
    /// Asks the registry of `target` whether it has the image. Ends within the timeout of the implementation.
    fn check<'a>(&'a self, target: &'a Target) -> CheckFuture<'a>;
}

/// The future of [`Check::check`].
pub type CheckFuture<'a> = Pin<Box<dyn Future<Output = Checked> + Send + 'a>>;

/// The result of a check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checked {
    /// The result.
    pub result: CheckResult,
    /// The reason in words; empty for the results that need none. It never contains a credential.
    pub detail: String,
    /// The time for which the registry wants no more requests, as it says in `Retry-After`.
    pub retry_after: Option<Duration>,
}

impl Checked {
    /// Creates a result without further information.
    #[must_use]
    pub fn new(result: CheckResult) -> Self {
        Self { result, detail: String::new(), retry_after: None }
    }
}

closed_enum! {
    /// The result of a check.
    #[derive(Hash, Ord, PartialOrd, Serialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum CheckResult {
        /// The registry says that it does not have the image.
        Absent => "absent",
        /// The answer is not one that a registry gives, for example a redirect to a host that is not allowed.
        Invalid => "invalid",
        /// The registry has the image.
        Present => "present",
        /// The registry wants fewer requests (429).
        RateLimited => "rate-limited",
        /// The registry refuses the credentials, or wants some (401, 403).
        Refused => "refused",
        /// The registry has failed to answer for this image (5xx, but those of [`Unavailable`](Self::Unavailable)).
        ServerError => "server-error",
        /// There was no answer in time.
        TimedOut => "timed-out",
        /// The registry is overloaded or down (502, 503, 504).
        Unavailable => "unavailable",
        /// There is no connection: name, network or TLS.
        Unreachable => "unreachable",
    }
}

closed_enum! {
    /// The knowledge about an image.
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Presence {
        /// The registry does not have the image.
        Absent => "absent",
        /// The registry has the image.
        Present => "present",
        /// The registry did not say.
        Unknown => "unknown",
    }
}

impl CheckResult {
    /// Returns true if the registry has failed, or is too busy, so that other questions will probably fail too.
    ///
    /// An error for one image, which whoever creates a pod can choose, says nothing about the others.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        match self {
            Self::RateLimited | Self::TimedOut | Self::Unavailable | Self::Unreachable => true,
            Self::Absent | Self::Invalid | Self::Present | Self::Refused | Self::ServerError => {
                false
            }
        }
    }

    /// Returns the knowledge that follows from the result.
    #[must_use]
    pub const fn presence(self) -> Presence {
        match self {
            Self::Absent => Presence::Absent,
            Self::Present => Presence::Present,
            Self::Invalid
            | Self::RateLimited
            | Self::Refused
            | Self::ServerError
            | Self::TimedOut
            | Self::Unavailable
            | Self::Unreachable => Presence::Unknown,
        }
    }
}
