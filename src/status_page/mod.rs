//! The status page: the state of this process for people, as HTML and as JSON.
//!
//! A [`Report`] is made from the values in use, their load status and the counters, and both forms show the same
//! report. It is bounded: lists are cut, and the numbers say how much is left out.
//!
//! Deliberately absent: keys and the content of Secrets, any action, and HTTP, which is for `server`.

mod candidate;
mod explained;
mod fields;
mod followed;
mod html;
mod namespaces;
mod report;
mod rules;
mod shown;
mod targets;
mod times;

use std::{fmt, sync::Arc, time::Instant};

use time::OffsetDateTime;

use self::{
    explained::Question,
    report::{Facts, ModeRow},
};
pub use self::{
    fields::FIELDS,
    html::CONTENT_SECURITY_POLICY,
    report::{ImageRow, Report, RulesMode},
};
use crate::{
    admission::Shadow,
    registry::Resolver,
    state::{CurrentWorld, HasStatus, Readiness},
};

/// Maximum size of a page in bytes. Its lists are limited, so even hostile text does not make it larger.
pub const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;

/// The parts of the process that the status page shows.
pub struct StatusPage {
    pod: Box<str>,
    mode: ModeRow,
    started_at: Instant,
    followed: Vec<Arc<dyn HasStatus>>,
    world: Arc<CurrentWorld>,
    readiness: Arc<Readiness>,
    resolver: Option<Arc<Resolver>>,
}

/// The settings that the status page shows.
#[derive(Clone, Copy, Debug)]
pub struct ShownSettings<'a> {
    /// The name of this pod.
    pub pod: &'a str,
    /// The mode of the rules.
    pub mode: RulesMode,
    /// The source of the rules, in words.
    pub source: &'a str,
    /// The namespaces in shadow mode.
    pub shadow: &'a Shadow,
}

impl StatusPage {
    /// Creates the page of a process that starts now. It shows the `followed` values in their order, and the registries
    /// of `resolver` if registries are asked.
    #[must_use]
    pub fn new(
        settings: ShownSettings<'_>,
        followed: Vec<Arc<dyn HasStatus>>,
        world: Arc<CurrentWorld>,
        readiness: Arc<Readiness>,
        resolver: Option<Arc<Resolver>>,
    ) -> Self {
        let ShownSettings { pod, mode, source, shadow } = settings;
        Self {
            pod: pod.into(),
            mode: ModeRow::new(mode, source, shadow),
            started_at: Instant::now(),
            followed,
            world,
            readiness,
            resolver,
        }
    }

    /// Returns the state now. `images` are the images that were decided so far; `query` is that of the request, with the
    /// fields of the form.
    #[must_use]
    pub fn report(&self, images: Vec<ImageRow>, query: &str) -> Report {
        let world = self.world.load();
        Report::new(Facts {
            pod: &self.pod,
            now: OffsetDateTime::now_utc(),
            uptime: self.started_at.elapsed(),
            reasons: self.readiness.reasons(),
            mode: &self.mode,
            followed: &self.followed,
            world: world.as_deref(),
            images,
            targets: self.resolver.as_ref().map(|resolver| resolver.status()),
            question: Question::parse(query),
        })
    }
}

impl fmt::Debug for StatusPage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StatusPage").field("pod", &self.pod).finish_non_exhaustive()
    }
}
