//! One check of one target, as a task of its own that goes on when those who wait for it have gone.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;
use tracing::error;

use super::generation::{Answer, Arrival, Ended, Generation, Reservation};
use crate::registry::{
    breaker::{Passage, Verdict},
    check::{CheckResult, Checked},
    metrics::Source,
    target::Target,
};

/// Timeout for a flight: 10 seconds. A client has timeouts of its own, which are shorter; this one ends a check that
/// hangs nevertheless, so that its permit is not lost.
const FLIGHT_TIMEOUT: Duration = Duration::from_secs(10);

/// The result of [`board`].
pub(super) enum Boarding {
    /// The answer is there.
    Answer(Answer),
    /// A flight is under way.
    Flight(Arrival),
}

/// Returns the answer for a target if it is there, or the flight that will have it. `tasks` owns the task of a new one.
pub(super) fn board(
    generation: &Arc<Generation>,
    target: &Target,
    tasks: &TaskTracker,
) -> Boarding {
    if let Some(answer) = generation.find(target) {
        return Boarding::Answer(answer);
    }
    match generation.reserve(target) {
        Reservation::Answer(answer) => Boarding::Answer(answer),
        Reservation::Joined(arrival) => Boarding::Flight(arrival),
        Reservation::New { sender, arrival, permits } => {
            let generation = Arc::clone(generation);
            let runtime = generation.runtime.clone();
            let flight =
                Flight { generation, target: target.clone(), permits, sender, is_over: false };
            tasks.spawn_on(flight.run(), &runtime);
            Boarding::Flight(arrival)
        }
    }
}

/// A reserved flight. However it ends, its reservation ends with it.
struct Flight {
    generation: Arc<Generation>,
    target: Target,
    /// Permits of the checks of the registry.
    permits: Arc<Semaphore>,
    sender: watch::Sender<Option<Answer>>,
    /// True when the reservation has ended.
    is_over: bool,
}

impl Flight {
    async fn run(mut self) {
        let superseded = self.generation.superseded.clone();
        superseded.run_until_cancelled(self.check()).await;
    }

    async fn check(&mut self) {
        // In this order: a check that waits for its registry takes no permit from the others.
        let permits = Arc::clone(&self.permits);
        let Ok(_permit) = permits.acquire().await else { return };
        let all_permits = Arc::clone(&self.generation.permits);
        let Ok(_permit_of_all) = all_permits.acquire().await else { return };
        let Some(passage) = self.generation.begin(&self.target) else {
            self.land(Answer::unknown(Source::Breaker));
            return;
        };
        let started_at = Instant::now();
        let asked = timeout(FLIGHT_TIMEOUT, self.ask()).await;
        let (checked, verdict) = asked.unwrap_or_else(|_| {
            let detail = format!("no answer within {} seconds", FLIGHT_TIMEOUT.as_secs());
            (Checked { detail, ..Checked::new(CheckResult::TimedOut) }, Verdict::Fails)
        });
        self.end(passage, checked, verdict, started_at.elapsed());
    }

    /// Asks the registry. A panic of the client counts as a failure.
    async fn ask(&self) -> (Checked, Verdict) {
        let mut check = pin!(async { self.generation.client.check(&self.target).await });
        poll_fn(|context| {
            // The future is not polled again after a panic.
            match catch_unwind(AssertUnwindSafe(|| check.as_mut().poll(context))) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(checked)) => {
                    let verdict = Verdict::of(&checked);
                    Poll::Ready((checked, verdict))
                }
                Err(_) => {
                    error!(image = %self.target, "registry client panicked");
                    let detail = "a bug in imageswap; see its log".to_owned();
                    let checked = Checked { detail, ..Checked::new(CheckResult::Invalid) };
                    Poll::Ready((checked, Verdict::Fails))
                }
            }
        })
        .await
    }

    fn end(&mut self, passage: Passage, checked: Checked, verdict: Verdict, duration: Duration) {
        self.is_over = true;
        let ended = Ended { passage, checked, verdict, duration };
        // Without an answer the sender is dropped, and who waits asks again with the next client.
        if let Some(answer) = self.generation.end(&self.target, &ended) {
            self.sender.send_replace(Some(answer));
        }
    }

    fn land(&mut self, answer: Answer) {
        self.is_over = true;
        self.generation.abandon(&self.target);
        self.sender.send_replace(Some(answer));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // The flight was cancelled with its generation, or with the runtime. So nobody needs the breaker, whose only
        // probe this may have been.
        if !self.is_over {
            self.generation.abandon(&self.target);
        }
    }
}
