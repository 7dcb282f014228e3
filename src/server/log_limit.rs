//! Log rate limiters: at most one line a second about each kind of error of peers.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use super::{handshake::HandshakeFailure, vocabulary::Status};

/// A log rate limiter for each kind of error, so that a frequent one does not hide the others.
#[derive(Debug, Default)]
pub(super) struct LogLimits {
    /// Connections that cannot be accepted.
    pub(super) accept: LogRateLimiter,
    /// Established connections, which are logged for debugging.
    pub(super) established: LogRateLimiter,
    /// Connections that end with an error, which are logged for debugging.
    pub(super) ended: LogRateLimiter,
    /// Failed TLS handshakes, by their reasons.
    handshake: [LogRateLimiter; HandshakeFailure::ALL.len()],
    /// Refused reviews, by the status of their answers.
    refused: [LogRateLimiter; Status::ALL.len()],
}

impl LogLimits {
    /// Returns the limiter for handshakes that fail for `reason`.
    pub(super) fn handshake(&self, reason: HandshakeFailure) -> &LogRateLimiter {
        &self.handshake[reason as usize]
    }

    /// Returns the limiter for reviews that are refused with `status`.
    pub(super) fn refused(&self, status: Status) -> &LogRateLimiter {
        &self.refused[status as usize]
    }
}

/// Admits one event a second and counts the others.
#[derive(Debug)]
pub(super) struct LogRateLimiter {
    started_at: Instant,
    /// The second, counted from `started_at`, from which on the next event is admitted.
    next: AtomicU64,
    suppressed: AtomicU64,
}

impl Default for LogRateLimiter {
    fn default() -> Self {
        Self { started_at: Instant::now(), next: AtomicU64::new(0), suppressed: AtomicU64::new(0) }
    }
}

impl LogRateLimiter {
    /// Admits an event if a second has passed, and returns the number of events suppressed since the last one; `None`
    /// if this event is suppressed too.
    pub(super) fn admit(&self) -> Option<u64> {
        let now = self.started_at.elapsed().as_secs();
        let next_second = |next: u64| (next <= now).then_some(now + 1);
        if self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next_second).is_ok() {
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
    fn the_first_event_is_admitted_and_immediate_ones_are_suppressed() {
        let limiter = LogRateLimiter::default();
        assert_eq!(limiter.admit(), Some(0));
        assert!((0..100).filter_map(|_| limiter.admit()).count() <= 1);
    }
}
