//! The report that both forms of the page show.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use time::OffsetDateTime;

use super::{
    candidate::Candidate,
    explained::{Answer, Question},
    followed::Followed,
    namespaces::Namespaces,
    rules::{ReadBudget, Rules},
    shown::Shown,
    targets::Targets,
    times::utc,
};
use crate::{
    admission::{Mode, Shadow, World},
    closed_enum::closed_enum,
    registry::ResolverStatus,
    rules::{Diagnostics, Reason},
    state::{HasStatus, LoadStatus, Subject, Summary},
    version::{REVISION, VERSION},
};

/// Maximum number of namespaces in shadow mode on the page.
const MAX_SHADOW_NAMESPACES: usize = 100;

/// The state of the process at one time.
#[derive(Debug, Serialize)]
pub struct Report {
    pub(super) version: &'static str,
    pub(super) revision: &'static str,
    pub(super) pod: Shown,
    pub(super) time: String,
    pub(super) started_at: String,
    pub(super) uptime_seconds: u64,
    pub(super) ready: bool,
    /// The reasons why the process is not ready.
    pub(super) reasons: Vec<Shown>,
    pub(super) mode: ModeRow,
    /// The serving certificate; `None` if none is loaded.
    pub(super) certificate: Option<Certificate>,
    pub(super) followed: Vec<Followed>,
    /// The rules of the map; `None` if no map is loaded, and in LEGACY mode.
    pub(super) rules: Option<Rules>,
    pub(super) images: Vec<ImageRow>,
    /// The candidate map; `None` if there is none.
    pub(super) candidate: Option<Candidate>,
    /// The registries that are asked for new images; `None` if none is asked.
    pub(super) targets: Option<Targets>,
    pub(super) namespaces: Namespaces,
    /// The answer to the form; `None` if it was not sent.
    pub(super) explanation: Option<Answer>,
    /// The question of the form, which the form shows again.
    #[serde(skip)]
    pub(super) question: [Shown; 2],
}

/// The settings that decide about images.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ModeRow {
    pub(super) rules: RulesMode,
    /// The source of the rules, in words.
    pub(super) source: Shown,
    pub(super) shadow: ShadowMode,
    pub(super) shadow_namespaces: Vec<Shown>,
    pub(super) shadow_namespaces_left_out: usize,
}

closed_enum! {
    /// The mode of the rules, as in `IMAGESWAP_MODE`.
    #[derive(Serialize)]
    #[serde(rename_all = "UPPERCASE")]
    pub enum RulesMode {
        /// One prefix for all images.
        Legacy => "LEGACY",
        /// A map.
        Maps => "MAPS",
    }
}

closed_enum! {
    /// The namespaces in shadow mode.
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    pub(super) enum ShadowMode {
        /// All namespaces.
        Everywhere => "everywhere",
        /// The namespaces of a list.
        Namespaces => "namespaces",
        /// No namespace.
        Nowhere => "nowhere",
    }
}

closed_enum! {
    /// The validity of the serving certificate.
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    pub(super) enum Validity {
        /// It has expired.
        Expired => "expired",
        /// Its validity has not begun.
        NotYetValid => "not-yet-valid",
        /// It is valid.
        Valid => "valid",
    }
}

/// The serving certificate.
#[derive(Debug, Serialize)]
pub(super) struct Certificate {
    pub(super) validity: Validity,
    pub(super) not_before: String,
    pub(super) not_after: String,
    pub(super) days_left: i64,
    pub(super) origin: Shown,
    /// Number of certificates that were put into use so far.
    pub(super) generation: u64,
    /// The error of the last load; `None` if it succeeded.
    pub(super) last_error: Option<Shown>,
}

/// A number of images since the start of the process.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ImageRow {
    /// The consequences of the decisions.
    pub mode: Mode,
    /// The reason of the decisions.
    pub reason: Reason,
    /// True if the images were swapped.
    pub swapped: bool,
    /// Number of images.
    pub count: u64,
}

/// The parts of the process that a report is made of.
pub(super) struct Facts<'a> {
    pub(super) pod: &'a str,
    pub(super) now: OffsetDateTime,
    pub(super) uptime: Duration,
    pub(super) reasons: Vec<String>,
    pub(super) mode: &'a ModeRow,
    pub(super) followed: &'a [Arc<dyn HasStatus>],
    pub(super) world: Option<&'a World>,
    pub(super) images: Vec<ImageRow>,
    pub(super) targets: Option<ResolverStatus>,
    pub(super) question: Question,
}

impl Report {
    pub(super) fn new(facts: Facts<'_>) -> Self {
        let Facts { pod, now, uptime, reasons, mode, followed, world, images, .. } = facts;
        let Facts { targets, question, .. } = facts;
        let status = |subject| {
            let found = followed.iter().find(|value| value.subject() == subject);
            found.map(|value| value.status())
        };
        let map = status(Subject::Map);
        let none = Diagnostics::default();
        let load = map.as_ref().and_then(|status| status.load.as_ref());
        let source = load.map_or_else(|| mode.source.to_string(), |load| load.origin.to_string());
        let diagnostics = load.map_or(&none, |load| &*load.diagnostics);
        let mut budget = ReadBudget::default();
        let maps = status(Subject::NamespaceMaps);
        Self {
            version: VERSION,
            revision: REVISION,
            pod: Shown::new(pod),
            time: utc(now),
            started_at: utc(now - uptime),
            uptime_seconds: uptime.as_secs(),
            ready: reasons.is_empty(),
            reasons: reasons.iter().map(|reason| Shown::new(reason)).collect(),
            mode: mode.clone(),
            certificate: status(Subject::Certificate)
                .and_then(|status| Certificate::of(&status, now)),
            followed: followed.iter().map(|value| Followed::of(&**value)).collect(),
            rules: world.and_then(|world| Rules::of(world, &mut budget)),
            images,
            candidate: world.and_then(Candidate::of),
            targets: targets.as_ref().map(Targets::of),
            namespaces: world
                .map(|world| Namespaces::of(world, maps.as_deref(), &mut budget))
                .unwrap_or_default(),
            explanation: Answer::to(&question, world, &source, diagnostics),
            question: [Shown::new(&question.image), Shown::new(&question.namespace)],
        }
    }

    /// Returns the report as JSON.
    ///
    /// # Errors
    /// If it cannot be serialized, which does not happen.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

impl ModeRow {
    pub(super) fn new(rules: RulesMode, source: &str, shadow: &Shadow) -> Self {
        let (shadow, namespaces) = match shadow {
            Shadow::Everywhere => (ShadowMode::Everywhere, None),
            Shadow::In(namespaces) => (ShadowMode::Namespaces, Some(namespaces)),
            Shadow::Nowhere => (ShadowMode::Nowhere, None),
        };
        let all = namespaces.into_iter().flatten();
        let shadow_namespaces: Vec<_> =
            all.clone().take(MAX_SHADOW_NAMESPACES).map(|name| Shown::new(name)).collect();
        let left_out = all.count() - shadow_namespaces.len();
        Self {
            rules,
            source: Shown::new(source),
            shadow,
            shadow_namespaces,
            shadow_namespaces_left_out: left_out,
        }
    }
}

impl Certificate {
    fn of(status: &LoadStatus, now: OffsetDateTime) -> Option<Self> {
        let load = status.load.as_ref()?;
        let Summary::Certificate { not_before, not_after } = load.summary else { return None };
        Some(Self {
            validity: match () {
                () if not_after <= now => Validity::Expired,
                () if now < not_before => Validity::NotYetValid,
                () => Validity::Valid,
            },
            not_before: utc(not_before),
            not_after: utc(not_after),
            days_left: (not_after - now).whole_days(),
            origin: Shown::of(&load.origin),
            generation: status.generation,
            last_error: status.last_error.as_deref().map(Shown::new),
        })
    }
}
