//! The load status of a value: how it was loaded, or why the load failed.

use std::{collections::BTreeMap, sync::Arc};

use time::OffsetDateTime;

use crate::{
    closed_enum::closed_enum,
    origin::Origin,
    rules::{Diagnostics, KeyKind, RuleChanges},
};

closed_enum! {
    /// The values that can change at run time.
    pub enum Subject {
        /// The map that is compared with the map in use.
        CandidateMap => "candidate map",
        /// The serving certificate with its key.
        Certificate => "certificate",
        /// The certificate authorities of clients that may post reviews.
        ClientCa => "client CA",
        /// The map.
        Map => "map",
        /// The maps of namespaces.
        NamespaceMaps => "namespace maps",
        /// The CAs of registries.
        RegistryCa => "registry CA",
        /// The credentials of registries.
        RegistryConfig => "registry config",
        /// The locations of images in custom resources.
        Sites => "sites",
        /// The template of the webhook configuration.
        WebhookTemplate => "webhook template",
    }
}

/// A successful load.
#[derive(Clone, Debug)]
pub struct Load {
    /// The origin of the value.
    pub origin: Origin,
    /// The summary of the value.
    pub summary: Summary,
    /// The diagnostics of the value; empty unless it is a map.
    pub diagnostics: Arc<Diagnostics>,
}

impl Load {
    /// Creates a load without diagnostics.
    #[must_use]
    pub fn new(origin: Origin, summary: Summary) -> Self {
        Self { origin, summary, diagnostics: Arc::default() }
    }
}

/// The summary of a loaded value.
#[derive(Clone, Debug)]
pub enum Summary {
    /// A candidate map.
    CandidateMap {
        /// Number of its rules; `None` if there is no candidate map any more.
        rules: Option<usize>,
    },
    /// The serving certificate.
    Certificate {
        /// Start of the validity.
        not_before: OffsetDateTime,
        /// Expiry time.
        not_after: OffsetDateTime,
    },
    /// The certificate authorities of clients.
    ClientCa {
        /// Number of authorities.
        authorities: usize,
        /// Number of authorities that the file did not contain before.
        added: usize,
        /// Number of authorities that the file no longer contains.
        removed: usize,
    },
    /// The prefix of LEGACY mode, which never changes.
    LegacyPrefix,
    /// A map.
    Map(MapSummary),
    /// The maps of namespaces.
    NamespaceMaps(NamespaceSummary),
    /// The CAs of registries.
    RegistryCa {
        /// Number of CAs.
        authorities: usize,
    },
    /// The credentials of registries.
    RegistryConfig {
        /// Number of registries with credentials.
        registries: usize,
        /// Parts of the file that cannot be used, in words without credentials.
        problems: Vec<String>,
    },
    /// The locations of images in custom resources.
    Sites(SitesSummary),
    /// A template of the webhook configuration.
    WebhookTemplate,
}

/// The summary of a map.
#[derive(Clone, Debug)]
pub struct MapSummary {
    /// Number of rules of each kind, in the order of [`KeyKind::ALL`].
    pub rules: [usize; KeyKind::ALL.len()],
    /// Differences from the previous map.
    pub changes: RuleChanges,
    /// Hash of the map's text, below 2^53.
    pub hash: u64,
}

/// The summary of the maps of namespaces.
#[derive(Clone, Debug, Default)]
pub struct NamespaceSummary {
    /// Number of maps in use.
    pub maps: usize,
    /// The namespaces whose file could not be used at the last load, with the error.
    pub failing: BTreeMap<Box<str>, Box<str>>,
    /// Number of rules of each kind in all maps, in the order of [`KeyKind::ALL`].
    pub rules: [usize; KeyKind::ALL.len()],
}

/// The summary of the locations of images in custom resources.
#[derive(Clone, Copy, Debug)]
pub struct SitesSummary {
    /// Number of sites, the built-in ones included.
    pub sites: usize,
    /// Number of kinds with sites.
    pub kinds: usize,
    /// Number of lines that are skipped for a mistake.
    pub invalid: usize,
}

/// The reason why a value could not be loaded.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoadError {
    /// The value cannot be read, or is not valid.
    #[error("{message}")]
    Failed {
        /// The origin and the error.
        message: String,
        /// The time of the next try.
        retry: Retry,
    },
    /// The value can be read, but must not be used.
    #[error("{origin} is refused: {reason}")]
    Refused {
        /// The origin of the value.
        origin: Origin,
        /// The reason.
        reason: String,
        /// The diagnostics of the value; empty unless it is a map.
        diagnostics: Arc<Diagnostics>,
    },
}

/// The time of the next try after a failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retry {
    /// After a delay: the failure may be temporary, for example if a volume is mounted late.
    AfterDelay,
    /// After the next change of the files.
    WhenChanged,
}

impl LoadError {
    /// Creates an error that may be temporary.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "`map_err` hands the error over")]
    pub fn transient(message: impl ToString) -> Self {
        Self::Failed { message: message.to_string(), retry: Retry::AfterDelay }
    }

    /// Creates an error of a content that fails again until it changes.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "`map_err` hands the error over")]
    pub fn until_changed(message: impl ToString) -> Self {
        Self::Failed { message: message.to_string(), retry: Retry::WhenChanged }
    }

    /// Returns the time of the next try.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Failed { retry, .. } => *retry,
            Self::Refused { .. } => Retry::WhenChanged,
        }
    }
}

/// The state of a live value: the value in use, and the result of the last load.
#[derive(Clone, Debug, Default)]
pub struct LoadStatus {
    /// Number of values that were put into use so far.
    pub generation: u64,
    /// The time at which the value in use was loaded; `None` if no value is loaded.
    pub loaded_at: Option<OffsetDateTime>,
    /// The load of the value in use; `None` if no value is loaded.
    pub load: Option<Load>,
    /// The error of the last load; `None` if it succeeded.
    pub last_error: Option<String>,
    /// The diagnostics of the last load, even if it was refused.
    pub diagnostics: Arc<Diagnostics>,
}

impl LoadStatus {
    /// Returns true if a value is in use.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.generation > 0
    }

    /// Returns the origin of the value in use; `None` if no value is loaded.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.load.as_ref().map(|load| &load.origin)
    }
}

/// A live value of any type whose status can be read.
pub trait HasStatus: Send + Sync {
    /// Returns the kind of value.
    fn subject(&self) -> Subject;

    /// Returns the status of the value.
    fn status(&self) -> Arc<LoadStatus>;
}
