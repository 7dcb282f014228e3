//! How a value came into use, or why it did not.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::{
    closed_enum::closed_enum,
    origin::Origin,
    rules::{Diagnostics, KeyKind, RuleChanges},
};

closed_enum! {
    /// The values that can change at run time.
    pub enum Subject {
        /// The serving certificate with its key.
        Certificate => "certificate",
        /// The certificate authorities of clients that may ask for reviews.
        ClientCa => "client CA",
        /// The map.
        Map => "map",
        /// The template of the webhook configuration.
        WebhookTemplate => "webhook template",
    }
}

/// A successful load.
#[derive(Clone, Debug)]
pub struct Load {
    /// The origin of the value.
    pub origin: Origin,
    /// The value in numbers.
    pub summary: Summary,
    /// The findings in it; empty for anything but a map.
    pub diagnostics: Arc<Diagnostics>,
}

impl Load {
    /// Describes a value without diagnostics.
    #[must_use]
    pub fn new(origin: Origin, summary: Summary) -> Self {
        Self { origin, summary, diagnostics: Arc::default() }
    }
}

/// A loaded value in numbers.
#[derive(Clone, Debug)]
pub enum Summary {
    /// The serving certificate.
    Certificate {
        /// Expiry time.
        not_after: OffsetDateTime,
    },
    /// The certificate authorities of clients.
    ClientCa {
        /// Number of authorities.
        authorities: usize,
        /// Number of those that were not there before.
        added: usize,
        /// Number of those that were there before.
        removed: usize,
    },
    /// The prefix of LEGACY mode, which never changes.
    LegacyPrefix,
    /// A map.
    Map(MapSummary),
    /// A template of the webhook configuration.
    WebhookTemplate,
}

/// A map in numbers.
#[derive(Clone, Debug)]
pub struct MapSummary {
    /// Number of rules of each kind, in the order of [`KeyKind::ALL`].
    pub rules: [usize; KeyKind::ALL.len()],
    /// Differences from the map before.
    pub changes: RuleChanges,
}

/// Why a value could not be loaded.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read, or is not valid.
    #[error("{message}")]
    Failed {
        /// The place, and what is wrong.
        message: String,
        /// When to try again.
        retry: Retry,
    },
    /// It can be read, and must not be used.
    #[error("{origin} is refused: {reason}")]
    Refused {
        /// The place.
        origin: Origin,
        /// What is wrong.
        reason: String,
        /// The findings in it; empty for anything but a map.
        diagnostics: Arc<Diagnostics>,
    },
}

/// When to load again after a failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retry {
    /// Soon: the failure may end by itself, as when a volume is mounted late.
    Soon,
    /// When the files change.
    WhenChanged,
}

impl LoadError {
    /// Makes a failure that may end by itself.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "`map_err` hands the error over")]
    pub fn transient(message: impl ToString) -> Self {
        Self::Failed { message: message.to_string(), retry: Retry::Soon }
    }

    /// Returns when to load again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Failed { retry, .. } => *retry,
            Self::Refused { .. } => Retry::WhenChanged,
        }
    }
}

/// The state of one value: what is in use, and how the last load ended.
#[derive(Clone, Debug, Default)]
pub struct LoadStatus {
    /// Number of values that were put into use; 0 as long as there is none.
    pub generation: u64,
    /// The time at which the value in use was loaded.
    pub loaded_at: Option<OffsetDateTime>,
    /// The load of the value in use.
    pub load: Option<Load>,
    /// The failure of the last load; `None` if it succeeded.
    pub last_error: Option<String>,
    /// The findings of the last load, also if it was refused.
    pub diagnostics: Arc<Diagnostics>,
}

impl LoadStatus {
    /// Returns true if there is a value in use.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.generation > 0
    }

    /// Returns the origin of the value in use.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.load.as_ref().map(|load| &load.origin)
    }
}

/// A value whose status can be read, whatever its type.
pub trait HasStatus: Send + Sync {
    /// Returns what the value is.
    fn subject(&self) -> Subject;

    /// Returns how the value was loaded.
    fn status(&self) -> Arc<LoadStatus>;
}
