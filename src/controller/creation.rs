//! The time at which the webhook configuration is created.
//!
//! While there is a configuration, the API server refuses pods if it cannot reach the webhook. So the configuration is
//! created only when a replica can be reached. That the process is ready is not enough: the API server connects to the
//! Service, which gets the endpoint only after the kubelet has reported the pod as ready.

use std::time::{Duration, Instant};

use super::Creation;
use crate::state::Readiness;

/// Time between the first successful readiness probe and the creation of a configuration that names the Service.
///
/// In this time the kubelet reports the pod as ready, the endpoint slice controller adds its address, and kube-proxy,
/// which by default gathers changes for one second, sends connections there. It is a second less than `minReadySeconds`
/// (5 s) of the Deployment, which Kubernetes rounds to whole seconds, so that the configuration exists when the rollout
/// of an installation is complete.
const ENDPOINT_DELAY: Duration = Duration::from_secs(4);

/// Time after the process became ready from which the configuration is created although nothing has sent a readiness
/// probe. A kubelet probes every few seconds, so this is for a process that no kubelet supervises.
const UNPROBED_DELAY: Duration = Duration::from_mins(1);

/// Decides when the webhook configuration may be created.
#[derive(Debug)]
pub(super) struct CreationClock {
    creation: Creation,
    ready_since: Option<Instant>,
}

impl CreationClock {
    /// Creates a clock for a process that creates the configuration as `creation` says.
    pub(super) fn new(creation: Creation) -> Self {
        Self { creation, ready_since: None }
    }

    /// Returns the time until the configuration may be created; `None` if that depends on the readiness of the process.
    /// `names_service` is true if the configuration names the Service, and not a URL.
    pub(super) fn left(
        &mut self,
        readiness: &Readiness,
        names_service: bool,
        now: Instant,
    ) -> Option<Duration> {
        if self.creation == Creation::AtOnce {
            return Some(Duration::ZERO);
        }
        if !readiness.reasons().is_empty() {
            self.ready_since = None;
            return None;
        }
        let ready_since = *self.ready_since.get_or_insert(now);
        if !names_service {
            return Some(Duration::ZERO);
        }
        let unprobed = ready_since + UNPROBED_DELAY;
        let probed = readiness.first_probe().map(|first| first + ENDPOINT_DELAY);
        let until = probed.map_or(unprobed, |probed| probed.min(unprobed));
        Some(until.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        origin::Origin,
        state::{Live, Load, Subject, Summary},
    };

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_configuration_with_the_service_waits_for_its_endpoint() {
        let (readiness, begin) = (Readiness::default(), Instant::now());
        let mut clock = CreationClock::new(Creation::WhenReady);
        let mut left = |seconds| clock.left(&readiness, true, begin + SECOND * seconds);
        assert_eq!(left(0), Some(UNPROBED_DELAY));
        assert_eq!(left(10), Some(50 * SECOND));
        readiness.record_probe(true, begin + 10 * SECOND);
        assert_eq!(left(10), Some(ENDPOINT_DELAY));
        assert_eq!(left(13), Some(SECOND));
        assert_eq!(left(14), Some(Duration::ZERO));
        assert_eq!(left(3600), Some(Duration::ZERO));
    }

    #[test]
    fn without_probes_it_waits_for_a_minute() {
        let (readiness, begin) = (Readiness::default(), Instant::now());
        let mut clock = CreationClock::new(Creation::WhenReady);
        let mut left = |seconds| clock.left(&readiness, true, begin + SECOND * seconds);
        assert_eq!(left(0), Some(UNPROBED_DELAY));
        assert_eq!(left(60), Some(Duration::ZERO));
        // A late probe does not delay it again.
        readiness.record_probe(true, begin + 60 * SECOND);
        assert_eq!(left(60), Some(Duration::ZERO));
    }

    #[test]
    fn a_url_waits_for_the_readiness_only_and_init_for_nothing() {
        let certificate = Arc::new(Live::new(Subject::Certificate, Arc::default()));
        let (readiness, now) = (Readiness::new(vec![certificate.clone()]), Instant::now());
        let mut server = CreationClock::new(Creation::WhenReady);
        let mut init = CreationClock::new(Creation::AtOnce);
        assert_eq!(server.left(&readiness, false, now), None);
        assert_eq!(init.left(&readiness, true, now), Some(Duration::ZERO));
        certificate.publish((), Load::new(Origin::BuiltIn, Summary::LegacyPrefix));
        assert_eq!(server.left(&readiness, false, now), Some(Duration::ZERO));
        assert_eq!(server.left(&readiness, true, now), Some(UNPROBED_DELAY));
    }
}
