//! All that is known with one client: answers, flights and the state of the registries.
//!
//! A new client has a generation of its own, so an old answer cannot become a new one, whenever its check ends.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use foldhash::fast::RandomState;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::settings::ResolverSettings;
use crate::{
    excerpt::{MAX_VALUE_BYTES, excerpt},
    registry::{
        breaker::{BreakerState, Change, Passage, Verdict},
        cache::Answers,
        check::{Check, Checked, Presence},
        metrics::{Source, TargetMetrics},
        registries::{Loggable, Registries, RegistryState},
        status::ResolverStatus,
        target::Target,
    },
};

/// The knowledge about an image, and its source.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Answer {
    pub(super) presence: Presence,
    pub(super) source: Source,
}

impl Answer {
    /// Returns the answer that nothing is known.
    pub(super) const fn unknown(source: Source) -> Self {
        Self { presence: Presence::Unknown, source }
    }
}

/// Receives the answer of a flight; its sender is dropped if the flight ends without one.
pub(super) type Arrival = watch::Receiver<Option<Answer>>;

/// All that is known with one client.
pub(super) struct Generation {
    pub(super) client: Arc<dyn Check>,
    /// Permits of the checks of all registries, shared with the generations before.
    pub(super) permits: Arc<Semaphore>,
    /// Cancelled when another client is in use.
    pub(super) superseded: CancellationToken,
    answers: Answers,
    /// Held for a few probes of hash tables. A known answer does not need it, so only the images that are to be asked for
    /// compete for it, and the ends of checks.
    desk: Mutex<Desk>,
    /// The runtime of the checks. They take turns with what it runs, and not with the reviews of the workers.
    pub(super) runtime: Handle,
    metrics: Arc<TargetMetrics>,
    max_flights: usize,
    max_flights_per_registry: usize,
}

struct Desk {
    /// The checks that run or wait: one for each target.
    flights: HashMap<Target, Arrival, RandomState>,
    registries: Registries,
}

/// The result of [`Generation::reserve`].
pub(super) enum Reservation {
    /// The answer is there.
    Answer(Answer),
    /// A flight is under way.
    Joined(Arrival),
    /// The caller begins the flight.
    New {
        sender: watch::Sender<Option<Answer>>,
        arrival: Arrival,
        /// Permits of the checks of the registry.
        permits: Arc<Semaphore>,
    },
}

/// The end of a check.
pub(super) struct Ended {
    pub(super) passage: Passage,
    pub(super) checked: Checked,
    pub(super) verdict: Verdict,
    pub(super) duration: Duration,
}

impl Generation {
    /// Creates a generation that knows nothing. Its checks run in the current runtime.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub(super) fn new(
        client: Arc<dyn Check>,
        settings: &ResolverSettings,
        permits: Arc<Semaphore>,
        metrics: Arc<TargetMetrics>,
        superseded: CancellationToken,
    ) -> Self {
        let registries = Registries::new(settings.registries, settings.checks_per_registry);
        Self {
            client,
            permits,
            superseded,
            answers: Answers::new(settings.answers),
            desk: Mutex::new(Desk { flights: HashMap::default(), registries }),
            runtime: Handle::current(),
            metrics,
            max_flights: settings.flights,
            max_flights_per_registry: settings.flights_per_registry,
        }
    }

    /// Returns the answer that needs no check; `None` if the registry has to be asked.
    pub(super) fn find(&self, target: &Target) -> Option<Answer> {
        if let Some(presence) = self.answers.find(target) {
            return Some(Answer { presence, source: Source::Cache });
        }
        let now = Instant::now();
        let mut desk = self.desk();
        let Desk { flights, registries } = &mut *desk;
        let breaker = &registries.find(target.registry())?.breaker;
        let is_probe =
            || breaker.state(now) == BreakerState::HalfOpen && flights.contains_key(target);
        // While the breaker is open, no review waits, not even for checks that began before. A probe is worth it.
        (breaker.blocks(now) && !is_probe()).then_some(Answer::unknown(Source::Breaker))
    }

    /// Joins the flight of a target, or reserves a new one.
    pub(super) fn reserve(&self, target: &Target) -> Reservation {
        let now = Instant::now();
        let mut desk = self.desk();
        let Desk { flights, registries } = &mut *desk;
        if let Some(arrival) = flights.get(target) {
            return Reservation::Joined(arrival.clone());
        }
        // A flight may have ended since the cache was read. It ends under the same lock, so there is no gap.
        if let Some(presence) = self.answers.find(target) {
            return Reservation::Answer(Answer { presence, source: Source::Cache });
        }
        let busy = Reservation::Answer(Answer::unknown(Source::Busy));
        if flights.len() >= self.max_flights {
            return busy;
        }
        let Some(state) = registries.find_or_add(target.registry()) else { return busy };
        if state.breaker.blocks(now) {
            return Reservation::Answer(Answer::unknown(Source::Breaker));
        }
        if state.flights >= self.max_flights_per_registry {
            return busy;
        }
        state.flights += 1;
        let (sender, arrival) = watch::channel(None);
        flights.insert(target.clone(), arrival.clone());
        Reservation::New { sender, arrival, permits: Arc::clone(&state.permits) }
    }

    /// Lets the check of a reserved flight begin; `None` if the breaker has opened while it waited.
    pub(super) fn begin(&self, target: &Target) -> Option<Passage> {
        self.desk().registries.find(target.registry())?.breaker.begin(Instant::now())
    }

    /// Ends a reserved flight that has asked the registry. Returns its answer; `None` if another client is in use.
    pub(super) fn end(&self, target: &Target, ended: &Ended) -> Option<Answer> {
        let Ended { passage, checked, verdict, duration } = ended;
        let now = Instant::now();
        let mut desk = self.desk();
        let state = desk.remove(target);
        if self.superseded.is_cancelled() {
            return None;
        }
        let (mut loggable, mut retry_in) = (Loggable::default(), None);
        if let Some(state) = state {
            loggable = state.end(*passage, checked, *verdict, now);
            retry_in = state.breaker.remaining(now);
        }
        self.answers.insert(target.clone(), checked, now);
        self.metrics.check(checked.result, *duration);
        self.set_gauges(&desk);
        drop(desk);
        log(target, ended, loggable, retry_in);
        Some(Answer { presence: checked.result.presence(), source: Source::Registry })
    }

    /// Ends a reserved flight that has not asked the registry.
    pub(super) fn abandon(&self, target: &Target) {
        self.desk().remove(target);
    }

    /// Sets the gauges to the state of this generation.
    pub(super) fn show(&self) {
        self.set_gauges(&self.desk());
    }

    /// Ends the use of this client. The gauges then belong to the next generation.
    pub(super) fn supersede(&self) {
        self.superseded.cancel();
        // A flight that has not seen the token holds the lock. None sets a gauge after it.
        drop(self.desk());
    }

    /// Returns the status.
    pub(super) fn status(&self) -> ResolverStatus {
        let now = Instant::now();
        let answers = self.answers.len();
        let desk = self.desk();
        let (checks, registries) = (desk.flights.len(), desk.registries.status(now));
        ResolverStatus { answers, checks, registries }
    }

    /// Sets the gauges. The lock puts those who set them into an order.
    fn set_gauges(&self, desk: &Desk) {
        self.metrics.cache_entries(self.answers.len());
        self.metrics.breakers_open(desk.registries.open_breakers(Instant::now()));
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        // Each access leaves the tables consistent, so a poisoned lock can be used.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// Removes a flight. Returns the state of its registry.
    fn remove(&mut self, target: &Target) -> Option<&mut RegistryState> {
        let is_removed = self.flights.remove(target).is_some();
        let state = self.registries.find(target.registry())?;
        state.flights = state.flights.saturating_sub(usize::from(is_removed));
        Some(state)
    }
}

/// Logs a check, and the change of the breaker that follows from it.
fn log(target: &Target, ended: &Ended, loggable: Loggable, retry_in: Option<Duration>) {
    let Ended { checked, duration, .. } = ended;
    let (registry, result) = (target.registry(), checked.result.as_str());
    let detail = excerpt(&checked.detail, MAX_VALUE_BYTES);
    let error = (!detail.is_empty()).then_some(&*detail);
    debug!(image = %target, result, error, ?duration, "registry asked for an image");
    if loggable.is_unclear {
        warn!(registry, result, error, "registry gives no clear answer");
    }
    match loggable.change {
        Some(Change::Opened) => {
            let retry_seconds = retry_in.map(|time| time.as_secs());
            warn!(registry, result, error, retry_seconds, "registry failing, checks paused");
        }
        Some(Change::Closed) => info!(registry, "registry answers again"),
        None => {}
    }
}
