//! Log rate limiters: at most one line a second about each kind of fault of peers.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use super::vocabulary::Status;

/// A log rate limiter for each kind of fault, so that a frequent one hides no other.
#[derive(Debug, Default)]
pub(super) struct LogLimits {
    /// Connections that cannot be accepted.
    pub(super) accept: LogRateLimiter,
    /// Connections that end by an error, which are logged for debugging.
    pub(super) ended: LogRateLimiter,
    /// TLS handshakes that fail.
    pub(super) handshake: LogRateLimiter,
    /// Requests for a review that are refused, by the status of their answers.
    refused: [LogRateLimiter; Status::ALL.len()],
}

impl LogLimits {
    /// Requests for a review that are refused with this status.
    pub(super) fn refused(&self, status: Status) -> &LogRateLimiter {
        &self.refused[status as usize]
    }
}

/// Admits one event a second, and counts the others.
#[derive(Debug)]
pub(super) struct LogRateLimiter {
    begun: Instant,
    /// The second, from `begun`, in which the next event may pass.
    next: AtomicU64,
    suppressed: AtomicU64,
}

impl Default for LogRateLimiter {
    fn default() -> Self {
        Self { begun: Instant::now(), next: AtomicU64::new(0), suppressed: AtomicU64::new(0) }
    }
}

impl LogRateLimiter {
    /// Admits this event if a second has passed, and returns the number of events that were suppressed since the last
    /// one; `None` if this one is suppressed too.
    pub(super) fn admit(&self) -> Option<u64> {
        let now = self.begun.elapsed().as_secs();
        let may_pass = |next: u64| (next <= now).then_some(now + 1);
        if self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, may_pass).is_ok() {
            Some(self.suppressed.swap(0, Ordering::Relaxed))
        } else {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_event_passes_and_those_right_after_it_are_counted() {
        let limiter = LogRateLimiter::default();
        assert_eq!(limiter.admit(), Some(0));
        assert!((0..100).filter_map(|_| limiter.admit()).count() <= 1);
    }
}
