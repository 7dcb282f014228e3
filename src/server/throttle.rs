//! At most one log line a second about each kind of thing that peers do wrong.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use crate::metrics::Status;

/// A limit for each kind of complaint, so that one that is frequent hides no other.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    /// Connections that cannot be accepted.
    pub(super) accept: Throttle,
    /// Connections that end by an error, which are logged for debugging.
    pub(super) ended: Throttle,
    /// TLS handshakes that fail.
    pub(super) handshake: Throttle,
    /// Requests for a review that are refused, by the status of their answers.
    refused: [Throttle; Status::ALL.len()],
}

impl Complaints {
    /// Requests for a review that are refused with this status.
    pub(super) fn refused(&self, status: Status) -> &Throttle {
        &self.refused[status as usize]
    }
}

/// Lets one event a second through, and counts the others.
#[derive(Debug)]
pub(super) struct Throttle {
    begun: Instant,
    /// The second, from `begun`, in which the next event may pass.
    next: AtomicU64,
    suppressed: AtomicU64,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { begun: Instant::now(), next: AtomicU64::new(0), suppressed: AtomicU64::new(0) }
    }
}

impl Throttle {
    /// Whether this event may pass: the number of events that were held back since the last one,
    /// or none when this one is held back too.
    pub(super) fn pass(&self) -> Option<u64> {
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
        let throttle = Throttle::default();
        assert_eq!(throttle.pass(), Some(0));
        assert!((0..100).filter_map(|_| throttle.pass()).count() <= 1);
    }
}
