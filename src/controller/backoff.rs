//! Delays between reconciles.

use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use tracing::{info, warn};

use crate::log_once::LogOnce;

/// Delay after the first failure.
const MIN_DELAY: Duration = Duration::from_secs(1);

/// Maximum delay after failures. A wake-up ends the delay early, for example when the API server is back.
const MAX_DELAY: Duration = Duration::from_mins(1);

/// Minimum debounce.
const MIN_DEBOUNCE: Duration = Duration::from_millis(100);

/// Maximum debounce, for a configuration that another client keeps reverting. A wrong configuration is still corrected
/// within ten seconds.
const MAX_DEBOUNCE: Duration = Duration::from_secs(8);

/// Time without a repair after which the debounce starts again at its minimum.
const RESET_AFTER: Duration = Duration::from_mins(2);

/// Time in which wake-ups are gathered before the next reconcile. It grows with each repair.
#[derive(Debug, Default)]
pub(super) struct Debounce {
    repairs: u32,
    last: Option<Instant>,
}

impl Debounce {
    /// Returns the debounce after a reconcile; `is_repaired` is true if it has repaired the configuration.
    pub(super) fn after(&mut self, is_repaired: bool) -> Duration {
        if self.last.is_some_and(|last| last.elapsed() >= RESET_AFTER) {
            *self = Self::default();
        }
        if is_repaired {
            self.repairs = self.repairs.saturating_add(1);
            self.last = Some(Instant::now());
        }
        // The actions of a rotation cause a few repairs in a row.
        let doublings = self.repairs.saturating_sub(4);
        MIN_DEBOUNCE.saturating_mul(2_u32.saturating_pow(doublings)).min(MAX_DEBOUNCE)
    }
}

/// Exponential backoff after failures. Logs equal failures in a row once.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    count: u32,
    log_once: LogOnce,
}

impl Backoff {
    /// Records a failure, and returns the delay before the next reconcile.
    pub(super) fn delay_after(&mut self, failure: &str) -> Duration {
        if self.log_once.is_new(failure) {
            warn!(error = failure, "reconciliation failed; retrying");
        }
        let delay = MIN_DELAY.saturating_mul(2_u32.saturating_pow(self.count)).min(MAX_DELAY);
        self.count = self.count.saturating_add(1);
        jittered(delay)
    }

    /// Records a success.
    pub(super) fn reset(&mut self) {
        if self.count > 0 {
            info!("reconciliation succeeded again");
        }
        *self = Self::default();
    }
}

/// Returns between three and five quarters of `duration`. The jitter keeps replicas from calling at the same time.
pub(super) fn jittered(duration: Duration) -> Duration {
    let random = RandomState::new().hash_one(()) % 1000;
    duration * 3 / 4 + duration / 2 * u32::try_from(random).unwrap_or_default() / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_debounce_grows_with_repairs_in_a_row() {
        let mut debounce = Debounce::default();
        assert_eq!(debounce.after(false), MIN_DEBOUNCE);
        let delays: Vec<_> = (0..20).map(|_| debounce.after(true)).collect();
        assert_eq!(delays[..4], [MIN_DEBOUNCE; 4]);
        assert!(delays[4..].windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(delays.last(), Some(&MAX_DEBOUNCE));
        assert_eq!(debounce.after(false), MAX_DEBOUNCE);
        debounce.last = Instant::now().checked_sub(RESET_AFTER);
        assert_eq!(debounce.after(true), MIN_DEBOUNCE);
    }

    #[test]
    fn the_delay_grows_with_failures_and_a_success_resets_it() {
        let mut backoff = Backoff::default();
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let delay = backoff.delay_after("it failed").as_secs_f64();
            assert!((0.75..1.26).contains(&(delay / f64::from(seconds))), "{delay}");
        }
        backoff.reset();
        assert!(backoff.delay_after("it failed") < Duration::from_secs(2));
    }
}
