//! The circuit breaker of a registry: it stops asking a registry that fails, and tries again later.
//!
//! It is a pure state machine over the results of checks and the time.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::check::{CheckResult, Checked, MAX_RETRY_AFTER};
use crate::closed_enum::closed_enum;

/// Number of failures in a row that open the breaker. One or two are common; five are an outage.
const FAILURES: u32 = 5;

/// Time for which a breaker is open at first: 10 seconds, as long as an unknown answer is kept.
const FIRST_PERIOD: Duration = Duration::from_secs(10);

/// Maximum time for which a breaker is open, unless the registry says another time: 60 seconds. It doubles up to that.
const MAX_PERIOD: Duration = Duration::from_mins(1);

closed_enum! {
    /// The state of a circuit breaker.
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum BreakerState {
        /// The registry is asked.
        Closed => "closed",
        /// The time is over; the next check decides whether the registry is asked again.
        HalfOpen => "half-open",
        /// The registry has failed, and is not asked for a while.
        Open => "open",
    }
}

/// The circuit breaker of a registry.
#[derive(Debug, Default)]
pub(super) struct Breaker(State);

#[derive(Clone, Copy, Debug)]
enum State {
    /// Checks pass; the number of failures in a row.
    Closed { failures: u32 },
    /// No check passes before `until`. Then one does, and if it fails, `next` is the time to the one after it.
    Open { until: Instant, next: Duration },
    /// One check has passed, and decides.
    Probing { next: Duration },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

/// The right to ask the registry once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Passage {
    /// The breaker is closed.
    Normal,
    /// The only check that a half-open breaker lets through.
    Probe,
}

/// The meaning of a check for the breaker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// The registry answers.
    Answers,
    /// The registry has failed.
    Fails,
    /// The registry wants no request for a time.
    Wait(Duration),
}

/// A change of a breaker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Change {
    /// It is closed now.
    Closed,
    /// It is open now, and was closed.
    Opened,
}

impl Verdict {
    /// Returns the meaning of a result.
    pub(super) fn of(checked: &Checked) -> Self {
        match (checked.result, checked.retry_after) {
            (result, _) if !result.is_failure() => Self::Answers,
            (CheckResult::RateLimited, Some(time)) if !time.is_zero() => Self::Wait(time),
            _ => Self::Fails,
        }
    }
}

impl Breaker {
    /// Returns true if no check may begin.
    pub(super) fn blocks(&self, now: Instant) -> bool {
        match self.0 {
            State::Closed { .. } => false,
            State::Open { until, .. } => now < until,
            State::Probing { .. } => true,
        }
    }

    /// Lets a check begin; `None` if none may. The caller calls [`Breaker::end`] in any case.
    pub(super) fn begin(&mut self, now: Instant) -> Option<Passage> {
        if self.blocks(now) {
            return None;
        }
        if let State::Open { next, .. } = self.0 {
            self.0 = State::Probing { next };
            return Some(Passage::Probe);
        }
        Some(Passage::Normal)
    }

    /// Takes the end of a check into account.
    pub(super) fn end(
        &mut self,
        passage: Passage,
        verdict: Verdict,
        now: Instant,
    ) -> Option<Change> {
        let was_closed = matches!(self.0, State::Closed { .. });
        self.0 = match (self.0, verdict) {
            (_, Verdict::Answers) => State::default(),
            (state, Verdict::Wait(time)) => {
                let until = now + time.min(MAX_RETRY_AFTER);
                match state {
                    State::Open { until: before, next } => {
                        State::Open { until: until.max(before), next }
                    }
                    State::Closed { .. } | State::Probing { .. } => {
                        State::Open { until, next: FIRST_PERIOD }
                    }
                }
            }
            (State::Closed { failures }, Verdict::Fails) if failures + 1 < FAILURES => {
                State::Closed { failures: failures + 1 }
            }
            (State::Closed { .. }, Verdict::Fails) => open(FIRST_PERIOD, now),
            (State::Probing { next }, Verdict::Fails) if passage == Passage::Probe => {
                open(next, now)
            }
            // A check that began before the breaker opened says nothing new.
            (state @ (State::Open { .. } | State::Probing { .. }), Verdict::Fails) => state,
        };
        match (was_closed, matches!(self.0, State::Closed { .. })) {
            (true, false) => Some(Change::Opened),
            (false, true) => Some(Change::Closed),
            (true, true) | (false, false) => None,
        }
    }

    /// Returns the state.
    pub(super) fn state(&self, now: Instant) -> BreakerState {
        match self.0 {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } if self.blocks(now) => BreakerState::Open,
            State::Open { .. } | State::Probing { .. } => BreakerState::HalfOpen,
        }
    }

    /// Returns the time until a check may begin; `None` if the time is over, or the breaker is closed.
    pub(super) fn remaining(&self, now: Instant) -> Option<Duration> {
        match self.0 {
            State::Open { until, .. } => until.checked_duration_since(now).filter(|t| !t.is_zero()),
            State::Closed { .. } | State::Probing { .. } => None,
        }
    }
}

/// Returns the state of a breaker that opens for `period`.
fn open(period: Duration, now: Instant) -> State {
    State::Open { until: now + period, next: (period * 2).min(MAX_PERIOD) }
}

#[cfg(test)]
mod tests {
    use Verdict::{Answers, Fails, Wait};

    use super::*;

    /// Runs a schedule on a new breaker. Its steps are words:
    ///
    /// - `fail`, `answer` and `wait=SECONDS`: a check begins and ends with this verdict.
    /// - `late-fail`, `late-answer` and `late-wait=SECONDS`: a check ends that began while the breaker was closed.
    /// - `+SECONDS`: time passes.
    /// - `blocked`: no check can begin.
    /// - `closed`, `half-open` and `open`: this is the state.
    fn run(name: &str, schedule: &str) {
        let mut breaker = Breaker::default();
        let mut now = Instant::now();
        for step in schedule.split_whitespace() {
            let place = format!("{name}: {step}");
            let seconds = |text: &str| Duration::from_secs(text.parse().unwrap());
            let (is_late, word) =
                step.strip_prefix("late-").map_or((false, step), |word| (true, word));
            let verdict = match word {
                "fail" => Some(Fails),
                "answer" => Some(Answers),
                word => word.strip_prefix("wait=").map(|time| Wait(seconds(time))),
            };
            if let Some(verdict) = verdict {
                let begun = if is_late { Some(Passage::Normal) } else { breaker.begin(now) };
                let passage = begun.unwrap_or_else(|| panic!("{place} cannot begin"));
                breaker.end(passage, verdict, now);
            } else if let Some(time) = step.strip_prefix('+') {
                now += seconds(time);
            } else if step == "blocked" {
                assert!(
                    breaker.begin(now).is_none() && breaker.remaining(now).is_some(),
                    "{place}"
                );
            } else {
                assert_eq!(breaker.state(now).as_str(), step, "{place}");
            }
        }
    }

    #[test]
    fn a_breaker_follows_its_schedule() {
        for (name, schedule) in [
            ("four failures are not enough", "fail fail fail fail closed"),
            (
                "an answer begins the count anew",
                "fail fail fail fail answer fail fail fail fail closed fail open",
            ),
            (
                "five failures open it for ten seconds",
                "fail fail fail fail fail open blocked +9 open blocked +1 half-open",
            ),
            (
                "a probe that succeeds closes it",
                "fail fail fail fail fail +10 answer closed fail fail fail fail closed",
            ),
            (
                "a probe that fails doubles the time up to a minute",
                "fail fail fail fail fail +10 fail +19 blocked +1 fail +39 blocked +1 fail +59 \
                 blocked +1 fail +59 blocked +1 answer closed",
            ),
            (
                "the time begins anew after it was closed",
                "fail fail fail fail fail +10 fail +20 answer fail fail fail fail fail +9 blocked \
                 +1 half-open",
            ),
            ("a late failure does not extend the time", "wait=10 +9 late-fail open +1 half-open"),
            ("a late answer closes it", "wait=10 late-answer closed"),
            (
                "a registry that wants a pause gets it at once",
                "wait=1 open blocked +1 half-open fail +9 blocked +1 half-open",
            ),
            ("a pause is five minutes at most", "wait=86400 +299 blocked +1 half-open"),
            ("the later of two pauses counts", "wait=60 late-wait=1 +59 blocked +1 half-open"),
            ("a probe that is told to wait opens it", "wait=1 +1 wait=30 +29 blocked +1 half-open"),
        ] {
            run(name, schedule);
        }
    }

    #[test]
    fn one_check_passes_while_it_is_half_open() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        let changes: Vec<_> = (0..5).map(|_| breaker.end(Passage::Normal, Fails, now)).collect();
        assert_eq!(changes, [None, None, None, None, Some(Change::Opened)]);
        let later = now + Duration::from_secs(10);
        assert_eq!(breaker.begin(later), Some(Passage::Probe));
        assert!(breaker.blocks(later));
        assert_eq!(breaker.begin(later), None);
        assert_eq!(breaker.end(Passage::Normal, Fails, later), None);
        assert_eq!(breaker.begin(later), None, "only the probe decides");
        assert_eq!(breaker.end(Passage::Probe, Answers, later), Some(Change::Closed));
        assert_eq!(breaker.begin(later), Some(Passage::Normal));
    }

    #[test]
    fn a_result_says_whether_the_registry_answers() {
        let minute = Some(Duration::from_mins(1));
        for (result, retry_after, verdict) in [
            (CheckResult::Absent, None, Answers),
            (CheckResult::Invalid, None, Answers),
            (CheckResult::Present, minute, Answers),
            (CheckResult::RateLimited, None, Fails),
            (CheckResult::RateLimited, Some(Duration::ZERO), Fails),
            (CheckResult::RateLimited, minute, Wait(Duration::from_mins(1))),
            (CheckResult::Refused, None, Answers),
            (CheckResult::ServerError, minute, Answers),
            (CheckResult::TimedOut, None, Fails),
            (CheckResult::Unavailable, minute, Fails),
            (CheckResult::Unreachable, None, Fails),
        ] {
            let checked = Checked { retry_after, ..Checked::new(result) };
            assert_eq!(Verdict::of(&checked), verdict, "{result:?}");
        }
    }
}
