//! Whether the process can serve, and if not, why.
//!
//! The parts that have to be loaded report here; the readiness probe asks here. What was ready once
//! stays ready: a bad reload keeps the last good state, which can still serve.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::ArcSwapOption;

/// The readiness of the process.
#[derive(Debug, Default)]
pub struct Health {
    /// The map file.
    pub map: Part,
    /// The serving certificate.
    pub certificate: Part,
    draining: AtomicBool,
}

/// The readiness of one part.
#[derive(Debug)]
pub struct Part {
    /// Why the part is not ready; none when it is.
    waiting_for: ArcSwapOption<String>,
}

impl Default for Part {
    fn default() -> Self {
        Self { waiting_for: ArcSwapOption::from_pointee(String::from("not loaded yet")) }
    }
}

impl Part {
    /// The part is loaded.
    pub fn ready(&self) {
        self.waiting_for.store(None);
    }

    /// Loading the part failed. Only counts while it has never been loaded.
    pub fn failed(&self, reason: &str) {
        if self.waiting_for.load().is_some() {
            self.waiting_for.store(Some(Arc::new(reason.to_owned())));
        }
    }
}

impl Health {
    /// The process is shutting down: not ready from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the process is shutting down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Why the process is not ready; empty when it is.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let waiting = |name: &str, part: &Part| {
            part.waiting_for.load().as_ref().map(|reason| format!("{name}: {reason}"))
        };
        let draining = self.is_draining().then(|| "shutting down".to_owned());
        [waiting("map", &self.map), waiting("certificate", &self.certificate), draining]
            .into_iter()
            .flatten()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_ready_once_stays_ready_until_the_drain() {
        let health = Health::default();
        assert_eq!(health.reasons(), ["map: not loaded yet", "certificate: not loaded yet"]);
        health.map.failed("no such file");
        health.certificate.ready();
        assert_eq!(health.reasons(), ["map: no such file"]);
        health.map.ready();
        health.map.failed("no such file");
        assert!(health.reasons().is_empty());
        health.drain();
        assert_eq!(health.reasons(), ["shutting down"]);
    }
}
