//! Answers which images the registries have, from what is known, or by asking them within a deadline.
//!
//! One check runs for a target at a time, as a task of its own, so the next review finds the answer of a check that was
//! too slow for this one. Checks are limited in number, and a registry that fails is not asked for a while. What is not
//! known in time is unknown.
//!
//! It does not know how registries are asked; [`Check`] does.

mod flight;
mod generation;
mod settings;
#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwapOption;
use foldhash::fast::RandomState;
use futures_util::{StreamExt, stream};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::settings::ResolverSettings;
use self::{
    flight::{Boarding, board},
    generation::{Answer, Arrival, Generation},
};
use super::{
    cache::Answers,
    check::{Check, Presence},
    metrics::{Source, TargetMetrics},
    recent::Recent,
    status::ResolverStatus,
    target::Target,
};
use crate::{
    image::{canonical_registry, split_port},
    metrics::Registry,
};

/// Maximum number of checks of a warm-up at the same time: half of the checks of one registry, so that reviews find
/// permits beside it.
const WARM_UP_CHECKS: usize = 4;

/// Knows which images the registries have. All methods can be called at the same time.
pub struct Resolver {
    settings: ResolverSettings,
    /// The registries that are never asked, in their canonical form.
    except: HashSet<String, RandomState>,
    /// `None` before the first client, and after the shutdown.
    generation: ArcSwapOption<Generation>,
    /// Held while the generation is replaced, and never on the way of a review.
    replacing: Mutex<()>,
    permits: Arc<Semaphore>,
    recent: Recent,
    /// Cancels the warm-up that runs.
    warm_up: Mutex<CancellationToken>,
    /// Owns the tasks of flights and warm-ups.
    tasks: TaskTracker,
    /// Cancels all tasks.
    stopped: CancellationToken,
    metrics: Arc<TargetMetrics>,
}

impl Resolver {
    /// Creates a resolver without a client, to which all images are unknown. Registers its metrics.
    #[must_use]
    pub fn new(settings: ResolverSettings, registry: &Registry) -> Self {
        let except = settings.except.iter();
        let except = except.map(|name| canonical_registry(name).into_owned()).collect();
        Self {
            except,
            generation: ArcSwapOption::empty(),
            replacing: Mutex::default(),
            permits: Arc::new(Semaphore::new(settings.checks)),
            recent: Recent::new(settings.images),
            warm_up: Mutex::default(),
            tasks: TaskTracker::new(),
            stopped: CancellationToken::new(),
            metrics: Arc::new(TargetMetrics::new(registry)),
            settings,
        }
    }

    /// Puts a client into use, and forgets what was known: answers, breakers and results.
    ///
    /// Checks of the client before are cancelled. Reviews that wait for them ask again, with the new client. The checks
    /// of this one run in the current runtime.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn set_client(&self, client: Arc<dyn Check>) {
        let superseded = self.stopped.child_token();
        let (permits, metrics) = (Arc::clone(&self.permits), Arc::clone(&self.metrics));
        let next = Generation::new(client, &self.settings, permits, metrics, superseded);
        self.replace(Some(Arc::new(next)));
    }

    /// Returns the presence of an image if no check is needed: the answer is in the cache, or the registry cannot or
    /// must not be asked, so that it is unknown. `None` if the registry has to be asked.
    pub fn known(&self, target: &Target) -> Option<Presence> {
        let answer = self.find(target)?;
        self.metrics.answer(answer.source);
        Some(answer.presence)
    }

    /// Returns the presence of each image, in their order. Asks the registries as far as needed.
    ///
    /// Returns by the deadline, whatever the registries do. An image without an answer is unknown then; its check goes
    /// on. If the future is dropped, the checks go on too.
    pub async fn ask(&self, targets: &[Target], deadline: Instant) -> Vec<Presence> {
        let answers = loop {
            let generation = self.generation.load_full();
            let answers = self.ask_once(generation.as_ref(), targets, deadline).await;
            let is_superseded =
                generation.is_some_and(|generation| generation.superseded.is_cancelled());
            if !is_superseded {
                break answers;
            }
            // The client was replaced meanwhile, so that no answer counts any more.
            if Instant::now() >= deadline {
                break vec![Answer::unknown(Source::Timeout); targets.len()];
            }
        };
        for answer in &answers {
            self.metrics.answer(answer.source);
        }
        answers.into_iter().map(|answer| answer.presence).collect()
    }

    /// Remembers an image that was seen in a namespace, for the next warm-up. Never waits.
    pub fn remember(&self, image: &str, namespace: &str) {
        self.recent.add(image, namespace);
    }

    /// Returns the images that were seen, each with its namespace; the last one first.
    #[must_use]
    pub fn recent(&self) -> Vec<(String, String)> {
        self.recent.list()
    }

    /// Asks for images in the background, so that reviews find the answers. Only as many as the cache holds are asked
    /// for. Ends the warm-up before. The caller is in a runtime.
    pub fn warm_up(&self, targets: Vec<Target>) {
        let Some(generation) = self.generation.load_full() else { return };
        let cancelled = generation.superseded.child_token();
        let mut current = self.warm_up.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, cancelled.clone()).cancel();
        drop(current);
        let mut targets = targets;
        targets.truncate(self.settings.answers);
        targets.retain(|target| self.may_ask(target));
        let tasks = self.tasks.clone();
        let warm_up = stream::iter(targets).for_each_concurrent(WARM_UP_CHECKS, move |target| {
            let boarding = board(&generation, &target, &tasks);
            async move {
                if let Boarding::Flight(mut arrival) = boarding {
                    arrive(&mut arrival).await;
                }
            }
        });
        self.tasks.spawn(async move { cancelled.run_until_cancelled(warm_up).await });
    }

    /// Sets the gauges of the metrics, which also change with the time.
    pub fn update_gauges(&self) {
        if let Some(generation) = &*self.generation.load() {
            generation.show();
        }
    }

    /// Returns the state of the registries, and the numbers of answers and checks.
    #[must_use]
    pub fn status(&self) -> ResolverStatus {
        self.generation.load().as_ref().map(|generation| generation.status()).unwrap_or_default()
    }

    /// Cancels all checks and waits for their tasks. All images are unknown from then on.
    pub async fn shutdown(&self) {
        self.stopped.cancel();
        self.replace(None);
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn replace(&self, next: Option<Arc<Generation>>) {
        let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        // A client that comes during the shutdown is not put into use.
        let next = next.filter(|_| !self.stopped.is_cancelled());
        if let Some(before) = self.generation.swap(next.clone()) {
            before.supersede();
        }
        match next {
            // Its first answers may be there already.
            Some(next) => next.show(),
            None => {
                self.metrics.cache_entries(0);
                self.metrics.breakers_open(0);
            }
        }
    }

    /// Returns true if the registry may be asked for an image.
    fn may_ask(&self, target: &Target) -> bool {
        let registry = target.registry();
        let is_exempt = !self.except.is_empty()
            && (self.except.contains(registry) || self.except.contains(split_port(registry).0));
        !is_exempt && Answers::accepts(target)
    }

    /// Returns the answer that needs no check; `None` if the registry has to be asked.
    fn find(&self, target: &Target) -> Option<Answer> {
        if !self.may_ask(target) {
            return Some(Answer::unknown(Source::Exempt));
        }
        match &*self.generation.load() {
            Some(generation) => generation.find(target),
            None => Some(Answer::unknown(Source::NoClient)),
        }
    }

    /// Returns the answers of one client by the deadline.
    async fn ask_once(
        &self,
        generation: Option<&Arc<Generation>>,
        targets: &[Target],
        deadline: Instant,
    ) -> Vec<Answer> {
        // All checks begin before the first wait.
        let boardings = targets.iter().map(|target| match generation {
            _ if !self.may_ask(target) => Boarding::Answer(Answer::unknown(Source::Exempt)),
            None => Boarding::Answer(Answer::unknown(Source::NoClient)),
            Some(generation) => board(generation, target, &self.tasks),
        });
        let boardings: Vec<_> = boardings.collect();
        let mut answers = Vec::with_capacity(targets.len());
        for boarding in boardings {
            answers.push(match boarding {
                Boarding::Answer(answer) => answer,
                Boarding::Flight(mut arrival) => {
                    // A flight without an answer was cancelled; the caller sees that by the client.
                    let answer = timeout_at(deadline, arrive(&mut arrival)).await;
                    answer.ok().flatten().unwrap_or(Answer::unknown(Source::Timeout))
                }
            });
        }
        answers
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.stopped.cancel();
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Resolver").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Waits for the end of a flight. Returns its answer; `None` if it was cancelled.
async fn arrive(arrival: &mut Arrival) -> Option<Answer> {
    arrival.wait_for(Option::is_some).await.ok().and_then(|answer| *answer)
}
