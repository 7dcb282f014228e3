//! The loop of the controller: when it reconciles.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    Controller, ReconcileOutcome,
    backoff::{Backoff, Debounce, jittered},
    configuration,
    csr::{CLUSTER_ROOTS, CsrSigner},
    secrets::{AUTHORITY, CERTIFICATE},
};
use crate::kubernetes::{ClusterError, Wakeup};

/// Time between reconciles without a wake-up, with a jitter of a quarter.
const INTERVAL: Duration = Duration::from_hours(1);

/// Maximum event hold-off after a failed call. It is short, because an event usually means that the API server is back.
const MAX_HOLD_OFF: Duration = Duration::from_secs(5);

/// Maximum event hold-off after an invalid state of the cluster.
///
/// The attempt itself may cause an event, such as another request to a signer that refuses all of them. That event must
/// not cause a retry at once.
const MAX_CONTENT_HOLD_OFF: Duration = Duration::from_secs(30);

impl Controller {
    /// Sends a wake-up when an object changes that this controller reads, until `stop` is cancelled.
    pub fn watch(
        &self,
        wakeup: &Wakeup,
        stop: &CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (secrets, configurations) = (self.secrets.api(), self.configuration.api());
        let config_maps = self.signer.as_ref().map(CsrSigner::config_maps);
        let (wakeup, stop) = (wakeup.clone(), stop.clone());
        async move {
            tokio::join!(
                wakeup.watch(secrets.clone(), CERTIFICATE, &stop),
                wakeup.watch(secrets, AUTHORITY, &stop),
                wakeup.watch(configurations, configuration::NAME, &stop),
                async {
                    if let Some(config_maps) = config_maps {
                        wakeup.watch(config_maps, CLUSTER_ROOTS, &stop).await;
                    }
                },
            );
        }
    }

    /// Reconciles until `stop` is cancelled: at once, after each wake-up, and every hour.
    pub async fn run(mut self, wakeup: Wakeup, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        let mut debounce = Debounce::default();
        // True until the first reconcile that completes, and then once an hour.
        let mut may_switch = true;
        let mut regular = Instant::now();
        while let Some(result) =
            stop.run_until_cancelled(Box::pin(self.reconcile(may_switch))).await
        {
            let is_complete = matches!(
                &result,
                Ok(ReconcileOutcome::Done | ReconcileOutcome::AwaitingConfiguration(_))
            );
            if is_complete && may_switch {
                may_switch = false;
                regular = Instant::now() + jittered(INTERVAL);
            }
            let delay = match &result {
                Ok(ReconcileOutcome::Done) => {
                    backoff.reset();
                    let left = regular.saturating_duration_since(Instant::now());
                    let others =
                        [self.configuration.claim_left(), self.surplus.left(Instant::now())];
                    others.into_iter().flatten().fold(left, Duration::min)
                }
                Ok(
                    ReconcileOutcome::AwaitingConfiguration(delay)
                    | ReconcileOutcome::RequeueAfter(delay),
                ) => *delay,
                Err(error) => {
                    self.metrics.failure();
                    let failure = error.to_string();
                    self.certificate.explain_absence(&failure);
                    // A template that the API server refuses does not delay a rotation.
                    let left = self.propagation_clock.left(Instant::now());
                    left.into_iter().fold(backoff.delay_after(&failure), Duration::min)
                }
            };
            // One change causes several events, and more changes may follow. A client that keeps reverting the
            // configuration must not cause a hot loop.
            let debounce = debounce.after(self.configuration.take_repaired());
            let hold_off = debounce.max(hold_off(&result, delay));
            let woken = async {
                sleep(hold_off).await;
                wakeup.woken().await;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(delay.max(hold_off)) => {}
                () = woken => {}
            }
            may_switch |= regular <= Instant::now();
        }
    }
}

/// Returns the time for which events are ignored after a reconcile that is retried after `delay`.
fn hold_off(result: &Result<ReconcileOutcome, ClusterError>, delay: Duration) -> Duration {
    match result {
        Ok(_) => Duration::ZERO,
        Err(ClusterError::Content { .. }) => delay.min(MAX_CONTENT_HOLD_OFF),
        Err(_) => delay.min(MAX_HOLD_OFF),
    }
}
