//! How long to wait before the next look.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use tracing::{info, warn};

/// The pause after the first failure.
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause after failures. A hint ends it, as when the API server is back.
const MAX_PAUSE: Duration = Duration::from_mins(1);

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
