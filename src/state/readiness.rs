//! Decides if the process can serve, and gives the reasons if it cannot.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{sync::Notify, time::sleep};

use super::HasStatus;

/// Poll interval of [`Readiness::started`]. It delays the startup probe by no more than that.
const STARTUP_INTERVAL: Duration = Duration::from_millis(50);

/// The readiness of the process.
///
/// A value that was loaded once stays ready: a failed reload keeps the last good value, which can still be used.
#[derive(Default)]
pub struct Readiness {
    awaited: Vec<Arc<dyn HasStatus>>,
    draining: AtomicBool,
    probes: AtomicU64,
    probe: Notify,
    first_probe: OnceLock<Instant>,
}

impl Readiness {
    /// Creates the readiness of a process that can serve when all `awaited` values are loaded.
    #[must_use]
    pub fn new(awaited: Vec<Arc<dyn HasStatus>>) -> Self {
        Self { awaited, ..Self::default() }
    }

    /// Returns the time of the first readiness probe that was answered with success; `None` if there was none.
    #[must_use]
    pub fn first_probe(&self) -> Option<Instant> {
        self.first_probe.get().copied()
    }

    /// Records that the process is shutting down: it still serves, but wants no new clients.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Returns true if the process is shutting down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Returns the reasons why the process is not ready for new clients; empty if it is.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons = self.obstacles();
        if self.is_draining() {
            reasons.push("shutting down".to_owned());
        }
        reasons
    }

    /// Returns the reasons why the process cannot serve; empty if it can, also while it is shutting down.
    #[must_use]
    pub fn obstacles(&self) -> Vec<String> {
        let missing = self.awaited.iter().filter_map(|awaited| {
            let status = awaited.status();
            let reason = status.last_error.as_deref().unwrap_or("not loaded yet");
            (!status.is_loaded()).then(|| format!("{}: {reason}", awaited.subject().as_str()))
        });
        missing.collect()
    }

    /// Waits until the process can serve, or is shutting down.
    pub async fn started(&self) {
        while !self.is_draining() && !self.obstacles().is_empty() {
            sleep(STARTUP_INTERVAL).await;
        }
    }

    /// Records a readiness probe of the kubelet at the time `now`, and if it was answered with success.
    pub fn record_probe(&self, is_success: bool, now: Instant) {
        if is_success {
            self.first_probe.get_or_init(|| now);
        }
        self.probes.fetch_add(1, Ordering::Relaxed);
        self.probe.notify_waiters();
    }

    /// Returns the number of readiness probes so far.
    #[must_use]
    pub fn probes(&self) -> u64 {
        self.probes.load(Ordering::Relaxed)
    }

    /// Waits for the next readiness probe.
    pub async fn next_probe(&self) {
        self.probe.notified().await;
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Readiness").field(&self.reasons()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        super::{Live, Load, LoadError, Subject, Summary},
        *,
    };
    use crate::origin::Origin;

    #[test]
    fn a_loaded_value_stays_ready_until_the_drain() {
        let map = Arc::new(Live::new(Subject::Map, Arc::default()));
        let certificate = Arc::new(Live::new(Subject::Certificate, Arc::default()));
        let readiness = Readiness::new(vec![map.clone(), certificate.clone()]);
        let load = || Load::new(Origin::BuiltIn, Summary::LegacyPrefix);
        assert_eq!(readiness.reasons(), ["map: not loaded yet", "certificate: not loaded yet"]);
        map.fail(&LoadError::transient("no such file"));
        certificate.publish((), load());
        assert_eq!(readiness.reasons(), ["map: no such file"]);
        map.publish((), load());
        map.fail(&LoadError::transient("no such file"));
        assert!(readiness.reasons().is_empty());
        readiness.drain();
        assert_eq!(readiness.reasons(), ["shutting down"]);
        assert!(readiness.obstacles().is_empty());
    }

    #[test]
    fn only_the_first_successful_probe_counts() {
        let (readiness, now) = (Readiness::default(), Instant::now());
        assert_eq!(readiness.first_probe(), None);
        readiness.record_probe(false, now);
        assert_eq!(readiness.first_probe(), None);
        readiness.record_probe(true, now);
        readiness.record_probe(true, now + Duration::from_secs(5));
        assert_eq!(readiness.first_probe(), Some(now));
    }
}
