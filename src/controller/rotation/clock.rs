//! Measures how long the webhook configuration has held roots that are about to be used.

use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::{Configured, PROPAGATION_DELAY, Rotation};
use crate::tls::Roots;

/// Number of removals of roots from the configuration after which they are reported. A replica that is one action
/// behind may remove them once.
const MAX_REMOVALS: u32 = 3;

/// A clock that runs while each observation finds some roots in the configuration, and no other client has changed it
/// in between.
///
/// While there is no configuration, nobody calls with other roots. But another replica may create one at any moment, for
/// a state of the Secrets that it read a while ago.
///
/// Roots that this process has just written do not count until they are found there. Another writer may remove them
/// each time, and then API servers trust the roots only for moments.
#[derive(Debug, Default)]
pub struct PropagationClock {
    observed: Option<Observation>,
}

#[derive(Debug)]
struct Observation {
    roots: Roots,
    /// Time since which each observation has found the roots.
    since: Option<Instant>,
    /// Time for which the configuration had held them before that, as far as it is known.
    before: Duration,
    /// True if the last observation left the roots in the configuration.
    is_held: bool,
    /// The generation in which it left them.
    generation: Option<i64>,
    /// Number of times that the roots were removed after that.
    removals: u32,
}

impl Observation {
    /// Returns the time for which the configuration has held the roots; `None` if it does not.
    fn time(&self, now: Instant) -> Option<Duration> {
        self.since.map(|since| self.before + (now - since))
    }
}

/// An observation of roots in the configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Confirmation {
    /// True if the configuration had the roots when it was read.
    pub is_found: bool,
    /// True if the configuration has them now, after it was written if necessary.
    pub is_held: bool,
    /// The generation of the configuration when it was read.
    pub found_generation: Option<i64>,
    /// The generation of the configuration now.
    pub held_generation: Option<i64>,
    /// True if the configuration is known to have had the roots for [`PROPAGATION_DELAY`] when it was read.
    pub is_long_found: bool,
}

/// The time for which roots have been trusted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Propagation {
    /// Time since the roots were first found, without a gap.
    pub time: Duration,
    /// True once, when the roots have been removed often enough to be reported.
    pub is_contested: bool,
}

impl Confirmation {
    /// Compares two states of the configuration, as read and after the write, with `roots`.
    #[must_use]
    pub fn of(roots: &Roots, found: &Configured, held: &Configured) -> Self {
        Self {
            is_found: found.holds(roots),
            is_held: held.holds(roots),
            found_generation: found.generation(),
            held_generation: held.generation(),
            is_long_found: false,
        }
    }

    /// Returns this confirmation of the [newest](Rotation::newest) roots with [`is_long_found`](Self::is_long_found), for
    /// a process without a certificate. It answers no calls, so it should not wait longer than necessary.
    ///
    /// The roots of a next authority have to wait all the same, because the clock of this machine may be wrong.
    #[must_use]
    pub fn at_start(self, rotation: &Rotation, found: &Configured, now: OffsetDateTime) -> Self {
        let is_current = rotation.next.is_none();
        let is_trusted = rotation.newest().is_some_and(|newest| found.trusts(newest));
        Self { is_long_found: is_current && is_trusted && found.is_propagated(now), ..self }
    }
}

impl PropagationClock {
    /// Returns true if no roots are being observed.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.observed.is_none()
    }

    /// Returns true if the last observation wrote the roots. The clock runs after the next one has found them.
    #[must_use]
    pub fn is_unconfirmed(&self) -> bool {
        self.observed.as_ref().is_some_and(|observed| observed.is_held && observed.since.is_none())
    }

    /// Returns the time until the roots have been trusted for [`PROPAGATION_DELAY`]; `None` if they have been, or the
    /// clock does not run.
    #[must_use]
    pub fn left(&self, now: Instant) -> Option<Duration> {
        let time = self.observed.as_ref()?.time(now)?;
        Some(PROPAGATION_DELAY.saturating_sub(time)).filter(|left| !left.is_zero())
    }

    /// Stops the clock, because no roots are about to be used.
    pub fn reset(&mut self) {
        self.observed = None;
    }

    /// Records an observation of `roots` at the time `now`.
    pub fn observe(
        &mut self,
        roots: &Roots,
        confirmation: Confirmation,
        now: Instant,
    ) -> Propagation {
        let Confirmation { is_found, is_held, found_generation, held_generation, is_long_found } =
            confirmation;
        let is_first = self.is_idle();
        let mut observed = match self.observed.take() {
            Some(observed) if observed.roots == *roots => observed,
            _ => Observation {
                roots: roots.clone(),
                since: None,
                before: Duration::ZERO,
                is_held: false,
                generation: found_generation,
                removals: 0,
            },
        };
        let is_removed = observed.is_held && !is_found;
        observed.removals = observed.removals.saturating_add(u32::from(is_removed));
        observed.is_held = is_held;
        // Another client may have removed the roots, and another replica may have added them again.
        let is_unchanged = observed.generation == found_generation;
        observed.generation = held_generation;
        let since = observed.since.filter(|_| is_unchanged);
        if since.is_none() {
            let is_known = is_first && is_long_found;
            observed.before = if is_known { PROPAGATION_DELAY } else { Duration::ZERO };
        }
        observed.since = (is_found && is_held).then_some(since.unwrap_or(now));
        let time = observed.time(now).unwrap_or_default();
        let is_contested = is_removed && observed.removals == MAX_REMOVALS;
        self.observed = Some(observed);
        Propagation { time, is_contested }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Authority;

    const FOUND: Confirmation = Confirmation {
        is_found: true,
        is_held: true,
        found_generation: Some(1),
        held_generation: Some(1),
        is_long_found: false,
    };
    const WRITTEN: Confirmation = Confirmation { is_found: false, ..FOUND };
    const MISSING: Confirmation = Confirmation { is_held: false, ..WRITTEN };

    fn roots() -> Roots {
        Authority::generate(OffsetDateTime::now_utc()).unwrap().root()
    }

    #[test]
    fn the_clock_starts_when_roots_are_found_not_when_they_are_written() {
        let (mut clock, roots, begin) = (PropagationClock::default(), roots(), Instant::now());
        let mut time = |seconds, confirmation| {
            clock.observe(&roots, confirmation, begin + Duration::from_secs(seconds)).time.as_secs()
        };
        assert_eq!(time(0, WRITTEN), 0);
        assert_eq!(time(10, FOUND), 0);
        assert_eq!(time(25, FOUND), 15);
        assert_eq!(time(40, FOUND), 30);
        assert_eq!(time(41, WRITTEN), 0, "another client has removed them");
        assert_eq!(time(50, FOUND), 0);
        assert_eq!(time(51, MISSING), 0);
        assert_eq!(time(60, FOUND), 0);
        assert_eq!(time(61, FOUND), 1);
    }

    #[test]
    fn a_change_by_another_client_restarts_the_clock() {
        let (mut clock, roots, begin) = (PropagationClock::default(), roots(), Instant::now());
        let mut time = |seconds, found, held| {
            let generations = (Some(found), Some(held));
            let (found_generation, held_generation) = generations;
            let confirmation = Confirmation { found_generation, held_generation, ..FOUND };
            clock.observe(&roots, confirmation, begin + Duration::from_secs(seconds)).time.as_secs()
        };
        assert_eq!(time(0, 1, 1), 0);
        assert_eq!(time(10, 1, 2), 10, "this replica has changed it");
        assert_eq!(time(20, 2, 2), 20);
        assert_eq!(time(30, 4, 4), 0);
        assert_eq!(time(40, 4, 4), 10);
    }

    #[test]
    fn only_the_first_observation_counts_the_time_before_it() {
        let (mut clock, roots, begin) = (PropagationClock::default(), roots(), Instant::now());
        let delay = PROPAGATION_DELAY.as_secs();
        let mut time = |seconds, confirmation| {
            clock.observe(&roots, confirmation, begin + Duration::from_secs(seconds)).time.as_secs()
        };
        let long = Confirmation { is_long_found: true, ..FOUND };
        assert_eq!(time(0, long), delay);
        assert_eq!(time(10, FOUND), delay + 10);
        assert_eq!(time(20, WRITTEN), 0);
        assert_eq!(time(30, long), 0);
        assert_eq!(time(40, long), 10);
    }

    #[test]
    fn other_roots_restart_the_clock() {
        let (mut clock, first, second) = (PropagationClock::default(), roots(), roots());
        let (begin, end) = (Instant::now(), Instant::now() + PROPAGATION_DELAY);
        assert!(clock.is_idle());
        clock.observe(&first, WRITTEN, begin);
        assert!(!clock.is_idle());
        assert!(clock.is_unconfirmed());
        clock.observe(&first, FOUND, begin);
        assert!(!clock.is_unconfirmed());
        assert_eq!(clock.left(begin + PROPAGATION_DELAY / 3), Some(PROPAGATION_DELAY * 2 / 3));
        assert_eq!(clock.observe(&first, FOUND, end).time, end - begin);
        assert_eq!(clock.left(end), None);
        assert_eq!(clock.observe(&second, FOUND, end).time, Duration::ZERO);
        clock.reset();
        assert!(clock.is_idle());
        assert_eq!(clock.observe(&second, FOUND, end + PROPAGATION_DELAY).time, Duration::ZERO);
    }

    #[test]
    fn roots_that_are_repeatedly_removed_are_never_trusted_and_reported_once() {
        let (mut clock, roots, begin) = (PropagationClock::default(), roots(), Instant::now());
        let mut reports = 0;
        for second in 0..200 {
            // Most observations find the roots missing and write them; every third one finds them.
            let confirmation = if second % 3 == 1 { FOUND } else { WRITTEN };
            let held = clock.observe(&roots, confirmation, begin + Duration::from_secs(second));
            assert!(held.time < PROPAGATION_DELAY, "{held:?}");
            reports += u32::from(held.is_contested);
        }
        assert_eq!(reports, 1);
    }

    #[test]
    fn roots_that_may_not_be_written_are_not_reported_as_removed() {
        let (mut clock, roots, begin) = (PropagationClock::default(), roots(), Instant::now());
        for _ in 0..10 {
            let held = clock.observe(&roots, MISSING, begin);
            assert_eq!(held, Propagation { time: Duration::ZERO, is_contested: false });
        }
    }
}
