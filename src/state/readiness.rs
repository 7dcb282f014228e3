//! Decides if the process can serve, and if not, says why.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::HasStatus;

/// The readiness of the process.
///
/// What was loaded once stays ready: a bad reload keeps the last good value, which can still serve.
#[derive(Default)]
pub struct Readiness {
    awaited: Vec<Arc<dyn HasStatus>>,
    draining: AtomicBool,
}

impl Readiness {
    /// Creates the readiness of a process that can serve when all of `awaited` are loaded.
    #[must_use]
    pub fn new(awaited: Vec<Arc<dyn HasStatus>>) -> Self {
        Self { awaited, draining: AtomicBool::new(false) }
    }

    /// Notes that the process is shutting down: it is not ready from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Returns true if the process is shutting down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Returns the reasons why the process is not ready; none if it is.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let missing = self.awaited.iter().filter_map(|awaited| {
            let status = awaited.status();
            let reason = status.last_error.as_deref().unwrap_or("not loaded yet");
            (!status.is_loaded()).then(|| format!("{}: {reason}", awaited.subject().as_str()))
        });
        let draining = self.is_draining().then(|| "shutting down".to_owned());
        missing.chain(draining).collect()
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Readiness").field(&self.reasons()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Live, Load, LoadError, Subject, Summary},
        *,
    };
    use crate::origin::Origin;

    #[test]
    fn what_was_loaded_once_stays_ready_until_the_drain() {
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
    }
}
