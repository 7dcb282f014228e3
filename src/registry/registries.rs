//! The state of each registry: its breaker, its permits, and the results of its checks.

use std::{collections::HashMap, sync::Arc, time::Duration};

use foldhash::fast::RandomState;
use tokio::{sync::Semaphore, time::Instant};

use super::{
    breaker::{Breaker, Change, Passage, Verdict},
    check::{CheckResult, Checked},
    status::{LastError, RegistryStatus},
};
use crate::{
    closed_enum::ClosedEnum,
    excerpt::{MAX_VALUE_BYTES, excerpt},
};

/// Minimum time between two log lines about a registry that fails again and again: 1 minute.
const LOG_PERIOD: Duration = Duration::from_mins(1);

/// The known registries, in a bounded number. The least recently used one makes room for another.
#[derive(Debug)]
pub(super) struct Registries {
    states: HashMap<Box<str>, RegistryState, RandomState>,
    max_states: usize,
    max_checks: usize,
    /// Number of the last use.
    uses: u64,
}

/// The state of a registry.
#[derive(Debug)]
pub(super) struct RegistryState {
    pub(super) breaker: Breaker,
    /// Permits of the checks that run.
    pub(super) permits: Arc<Semaphore>,
    /// Number of checks that run or wait.
    pub(super) flights: usize,
    results: [u64; CheckResult::ALL.len()],
    last_error: Option<(Checked, Instant)>,
    last_use: u64,
    logged_at: Option<Instant>,
    /// Time of the last log line about an answer that is not clear.
    unclear_logged_at: Option<Instant>,
    /// True if the log says that the registry fails, and not yet that it answers again.
    is_open_in_log: bool,
}

/// The part of the end of a check that is to be logged.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Loggable {
    /// The change of the breaker.
    pub(super) change: Option<Change>,
    /// True if the registry has answered, but not said whether it has the image.
    pub(super) is_unclear: bool,
}

impl Registries {
    /// Knows no registry yet. Each will have permits for `max_checks` checks.
    pub(super) fn new(max_states: usize, max_checks: usize) -> Self {
        Self { states: HashMap::default(), max_states, max_checks, uses: 0 }
    }

    /// Returns the state of a registry that has been asked; `None` for any other.
    pub(super) fn find(&mut self, registry: &str) -> Option<&mut RegistryState> {
        self.uses += 1;
        let state = self.states.get_mut(registry)?;
        state.last_use = self.uses;
        Some(state)
    }

    /// Returns the state of a registry, which is new if it has not been asked yet; `None` if there is no room, because
    /// all others are just being asked.
    pub(super) fn find_or_add(&mut self, registry: &str) -> Option<&mut RegistryState> {
        if !self.states.contains_key(registry) {
            if self.states.len() >= self.max_states {
                // A scan of some thousand numbers, only when there are more registries than any map needs.
                let idle = self.states.iter().filter(|(_, state)| state.flights == 0);
                let oldest = idle.min_by_key(|(_, state)| state.last_use)?.0.clone();
                self.states.remove(&oldest);
            }
            let state = RegistryState {
                breaker: Breaker::default(),
                permits: Arc::new(Semaphore::new(self.max_checks)),
                flights: 0,
                results: Default::default(),
                last_error: None,
                last_use: 0,
                logged_at: None,
                unclear_logged_at: None,
                is_open_in_log: false,
            };
            self.states.insert(registry.into(), state);
        }
        self.find(registry)
    }

    /// Returns the number of registries that are not asked: their breaker is open, or a check tests them.
    pub(super) fn open_breakers(&self, now: Instant) -> usize {
        let is_open = |state: &&RegistryState| state.breaker.blocks(now);
        self.states.values().filter(is_open).count()
    }

    /// Returns the status of each registry, in alphabetical order.
    pub(super) fn status(&self, now: Instant) -> Vec<RegistryStatus> {
        let mut list: Vec<_> =
            self.states.iter().map(|(registry, state)| state.status(registry, now)).collect();
        list.sort_unstable_by(|a, b| a.registry.cmp(&b.registry));
        list
    }
}

impl RegistryState {
    /// Takes the end of a check into account. Returns what is to be logged.
    pub(super) fn end(
        &mut self,
        passage: Passage,
        checked: &Checked,
        verdict: Verdict,
        now: Instant,
    ) -> Loggable {
        self.results[checked.result.index()] += 1;
        if !matches!(checked.result, CheckResult::Absent | CheckResult::Present) {
            let detail = excerpt(&checked.detail, MAX_VALUE_BYTES).into_owned();
            self.last_error = Some((Checked { detail, ..checked.clone() }, now));
        }
        let change = self.breaker.end(passage, verdict, now);
        Loggable {
            change: change.and_then(|change| self.loggable(change, now)),
            is_unclear: self.is_unclear(checked.result, now),
        }
    }

    /// Returns true if an answer of the registry is not clear, for example because it refuses the credentials, and this
    /// was not logged recently.
    fn is_unclear(&mut self, result: CheckResult, now: Instant) -> bool {
        let is_recent =
            self.unclear_logged_at.is_some_and(|at| now.duration_since(at) < LOG_PERIOD);
        let is_unclear = matches!(result, CheckResult::Invalid | CheckResult::Refused);
        if is_unclear && !is_recent {
            self.unclear_logged_at = Some(now);
        }
        is_unclear && !is_recent
    }

    /// Returns the change unless the registry changes too often.
    fn loggable(&mut self, change: Change, now: Instant) -> Option<Change> {
        let is_recent = self.logged_at.is_some_and(|at| now.duration_since(at) < LOG_PERIOD);
        match change {
            Change::Opened if is_recent => return None,
            Change::Opened => {
                self.logged_at = Some(now);
                self.is_open_in_log = true;
            }
            Change::Closed if !self.is_open_in_log => return None,
            Change::Closed => self.is_open_in_log = false,
        }
        Some(change)
    }

    fn status(&self, registry: &str, now: Instant) -> RegistryStatus {
        let last_error = self.last_error.as_ref().map(|(checked, at)| LastError {
            result: checked.result,
            detail: checked.detail.clone(),
            age: now.duration_since(*at),
        });
        RegistryStatus {
            registry: registry.to_owned(),
            breaker: self.breaker.state(now),
            asked_again_in: self.breaker.remaining(now),
            checks: self.flights,
            results: CheckResult::ALL.into_iter().zip(self.results).collect(),
            last_error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends a check of a state with a result.
    fn end(state: &mut RegistryState, result: CheckResult, now: Instant) -> Option<Change> {
        let checked = Checked { detail: "a\nb".repeat(200), ..Checked::new(result) };
        state.end(Passage::Normal, &checked, Verdict::of(&checked), now).change
    }

    #[test]
    fn an_answer_that_is_not_clear_is_logged_once_a_minute() {
        let mut registries = Registries::new(1, 1);
        let state = registries.find_or_add("a.io").unwrap();
        let start = Instant::now();
        let mut logged = Vec::new();
        for second in 0..70_u64 {
            let result = match second % 3 {
                0 => CheckResult::Refused,
                1 => CheckResult::Absent,
                _ => CheckResult::Invalid,
            };
            let checked = Checked::new(result);
            let now = start + Duration::from_secs(second);
            if state.end(Passage::Normal, &checked, Verdict::of(&checked), now).is_unclear {
                logged.push(second);
            }
        }
        assert_eq!(logged, [0, 60]);
    }

    #[test]
    fn the_least_recently_used_idle_registry_makes_room() {
        let mut registries = Registries::new(3, 1);
        for registry in ["a.io", "b.io", "c.io", "a.io"] {
            registries.find_or_add(registry).unwrap();
        }
        registries.find("b.io").unwrap().flights = 1;
        registries.find("c.io").unwrap();
        registries.find("a.io").unwrap();
        // The oldest one is just being asked, so that the second oldest goes.
        assert!(registries.find_or_add("d.io").is_some());
        assert!(registries.find("c.io").is_none());
        for registry in ["a.io", "d.io"] {
            registries.find(registry).unwrap().flights = 1;
        }
        assert!(registries.find_or_add("e.io").is_none());
        assert_eq!(registries.states.len(), 3);
    }

    #[test]
    fn a_registry_that_fails_again_and_again_is_logged_once_a_minute() {
        let mut registries = Registries::new(1, 1);
        let state = registries.find_or_add("a.io").unwrap();
        let start = Instant::now();
        let mut logged = Vec::new();
        // It fails for the first half of each ten seconds.
        for second in 0..130_u64 {
            let result = match second % 10 {
                0..5 => CheckResult::TimedOut,
                _ => CheckResult::Refused,
            };
            let change = end(state, result, start + Duration::from_secs(second));
            logged.extend(change.map(|change| (second, change)));
        }
        let expected = [
            (4, Change::Opened),
            (5, Change::Closed),
            (64, Change::Opened),
            (65, Change::Closed),
            (124, Change::Opened),
            (125, Change::Closed),
        ];
        assert_eq!(logged, expected);
    }

    #[test]
    fn the_status_has_the_results_and_the_last_error() {
        let mut registries = Registries::new(2, 1);
        let now = Instant::now();
        registries.find_or_add("b.io").unwrap();
        let state = registries.find_or_add("a.io").unwrap();
        for result in [CheckResult::Present, CheckResult::Refused, CheckResult::Absent] {
            end(state, result, now);
        }
        let [a, b] = &registries.status(now + Duration::from_secs(3))[..] else { panic!() };
        assert_eq!([&a.registry, &b.registry], ["a.io", "b.io"]);
        let counted: Vec<_> = a.results.iter().filter(|(_, count)| *count == 1).collect();
        let expected = [CheckResult::Absent, CheckResult::Present, CheckResult::Refused];
        assert_eq!(counted.len(), 3);
        assert!(counted.into_iter().zip(expected).all(|((found, _), result)| *found == result));
        let error = a.last_error.as_ref().unwrap();
        assert_eq!((error.result, error.age), (CheckResult::Refused, Duration::from_secs(3)));
        assert!(error.detail.starts_with("a\\u{a}b") && error.detail.len() <= MAX_VALUE_BYTES);
        assert_eq!(b.last_error, None);
    }
}
