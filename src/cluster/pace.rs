//! How long to wait before the next look.

use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use tracing::{info, warn};

/// The pause after the first failure.
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause after failures. A hint ends it, as when the API server is back.
const MAX_PAUSE: Duration = Duration::from_mins(1);

/// How long hints are gathered.
const MIN_DEBOUNCE: Duration = Duration::from_millis(100);

/// How long they are gathered at most, when the configuration is changed back again and again. What is
/// wrong is still put right within ten seconds.
const MAX_DEBOUNCE: Duration = Duration::from_secs(8);

/// How long nothing may have been put right before the next time counts as the first.
const PEACE: Duration = Duration::from_mins(2);

/// How long hints are gathered before the next look: longer each time that something was put right.
#[derive(Debug, Default)]
pub(super) struct Debounce {
    repairs: u32,
    last: Option<Instant>,
}

impl Debounce {
    /// Takes down whether something was put right.
    pub(super) fn after(&mut self, is_repaired: bool) -> Duration {
        if self.last.is_some_and(|last| last.elapsed() >= PEACE) {
            *self = Self::default();
        }
        if is_repaired {
            self.repairs = self.repairs.saturating_add(1);
            self.last = Some(Instant::now());
        }
        // A few in a row are the steps of a rotation.
        let doublings = self.repairs.saturating_sub(4);
        MIN_DEBOUNCE.saturating_mul(2_u32.saturating_pow(doublings)).min(MAX_DEBOUNCE)
    }
}

/// Failures in a row, of which equal ones are logged once.
#[derive(Debug, Default)]
pub(super) struct Failures {
    count: u32,
    last: String,
}

impl Failures {
    /// Takes a failure down, and says how long to wait before trying again.
    pub(super) fn pause_after(&mut self, failure: String) -> Duration {
        if failure != self.last {
            warn!(error = %failure, "the cluster is not as it should be; trying again");
            self.last = failure;
        }
        let pause = MIN_PAUSE.saturating_mul(2_u32.saturating_pow(self.count)).min(MAX_PAUSE);
        self.count = self.count.saturating_add(1);
        jittered(pause)
    }

    /// There is none any more.
    pub(super) fn end(&mut self) {
        if self.count > 0 {
            info!("the cluster is as it should be again");
        }
        *self = Self::default();
    }
}

/// Between three and five quarters of `duration`, so that replicas do not all come at once.
pub(super) fn jittered(duration: Duration) -> Duration {
    let random = RandomState::new().hash_one(()) % 1000;
    duration * 3 / 4 + duration / 2 * u32::try_from(random).unwrap_or_default() / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_changes_it_back_again_and_again_is_answered_more_and_more_slowly() {
        let mut debounce = Debounce::default();
        assert_eq!(debounce.after(false), MIN_DEBOUNCE);
        let pauses: Vec<_> = (0..20).map(|_| debounce.after(true)).collect();
        assert_eq!(pauses[..4], [MIN_DEBOUNCE; 4]);
        assert!(pauses[4..].windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(pauses.last(), Some(&MAX_DEBOUNCE));
        assert_eq!(debounce.after(false), MAX_DEBOUNCE);
        debounce.last = Instant::now().checked_sub(PEACE);
        assert_eq!(debounce.after(true), MIN_DEBOUNCE);
    }

    #[test]
    fn the_pause_grows_with_failures_and_ends_with_them() {
        let mut failures = Failures::default();
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let pause = failures.pause_after("it failed".to_owned()).as_secs_f64();
            assert!((0.75..1.26).contains(&(pause / f64::from(seconds))), "{pause}");
        }
        failures.end();
        assert!(failures.pause_after("it failed".to_owned()) < Duration::from_secs(2));
    }
}
