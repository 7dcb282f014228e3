//! Updates the webhook configuration, and measures the CA propagation delay of its roots.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use time::OffsetDateTime;
use tracing::warn;

use super::{
    Controller, RETRY_DELAY,
    configuration::{self, LiveConfiguration, Permission},
    metrics::WriteResult,
    rotation::{
        Action, Configured, Confirmation, HEAD_START, PROPAGATION_DELAY, PrepareCause, Propagation,
        Rotation, Verifier,
    },
    secrets::AUTHORITY,
};
use crate::{
    kubernetes::ClusterError,
    tls::{Roots, ServingCertificate},
};

/// Number of conflicts in one reconcile after which the configuration counts as refused.
///
/// A conflict with another replica or with `kubectl` is resolved by the next attempt. A lasting conflict comes from the
/// template or the API server, and must not stop the renewal of the certificate.
const MAX_CONFLICTS: usize = 2;

/// The result of an update of the webhook configuration.
#[derive(Debug)]
pub(super) struct Update {
    /// The roots that the API server trusts after the update.
    pub(super) configured: Configured,
    /// The error of the API server if it refused the update.
    ///
    /// It is not returned as an error, because a refusal, for example of a template with a mistake, must not stop the
    /// renewal of the certificate.
    pub(super) refusal: Option<ClusterError>,
}

impl Controller {
    /// Updates the configuration so that the API server trusts `bundle`; `live` is the version that was read.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] if it has changed since. `bundle` may be outdated too, so everything has to be read
    /// again. After [`MAX_CONFLICTS`] of them in a reconcile it counts as a refusal.
    pub(super) async fn update_configuration(
        &mut self,
        live: LiveConfiguration,
        bundle: &Roots,
    ) -> Result<Update, ClusterError> {
        let permission = self.permission(bundle);
        match self.configuration.update(live, bundle, permission).await {
            Ok(configured) => Ok(Update { configured, refusal: None }),
            Err(error @ ClusterError::Conflict { .. }) if self.conflicts < MAX_CONFLICTS => {
                self.conflicts += 1;
                Err(error)
            }
            Err(error @ (ClusterError::Call { .. } | ClusterError::Conflict { .. })) => {
                self.metrics.configuration_write(WriteResult::Failed);
                let live = self.configuration.observe().await?;
                let configured = if error.is_refusal_of_content() {
                    self.configuration.update_carried(live, bundle).await?
                } else {
                    self.configuration.configured(&live)
                };
                Ok(Update { configured, refusal: Some(error.into_refusal()) })
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the permission to create a configuration. It is given only if calls would be answered, by a certificate
    /// that is valid under `bundle`.
    fn permission(&mut self, bundle: &Roots) -> Permission {
        let (served, now) = (self.served(), OffsetDateTime::now_utc());
        let is_accepted =
            |served: Arc<ServingCertificate>| self.name.may_accept(bundle, &served, now);
        let may_create =
            served.is_some_and(is_accepted) && self.creation_left() == Some(Duration::ZERO);
        if may_create { Permission::Create } else { Permission::NotYet }
    }

    /// Returns the time until the configuration may be created; `None` if the process is not ready.
    fn creation_left(&mut self) -> Option<Duration> {
        let names_service = self.configuration.names_service();
        self.creation_clock.left(&self.readiness, names_service, Instant::now())
    }

    /// Returns the delay before the next reconcile while the configuration is awaited.
    pub(super) fn creation_delay(&mut self) -> Duration {
        let left = self.creation_left().filter(|left| !left.is_zero());
        left.map_or(RETRY_DELAY, |left| left.min(RETRY_DELAY))
    }

    /// Returns how long the configuration has held the roots of the newest authority. `before` is the state that was
    /// read, `after` the state after the update.
    pub(super) fn newest_trusted_for(
        &mut self,
        rotation: &Rotation,
        before: &Configured,
        after: &Configured,
    ) -> Duration {
        let Some(newest) = rotation.newest() else {
            self.propagation_clock.reset();
            return Duration::ZERO;
        };
        let mut confirmation = Confirmation::of(newest, before, after);
        if self.served().is_none() {
            confirmation = confirmation.at_start(rotation, before, OffsetDateTime::now_utc());
        }
        if rotation.next.is_none() {
            return self.propagation_clock.observe(newest, confirmation, Instant::now()).time;
        }
        if !confirmation.is_held && *after != Configured::Absent {
            self.warn_untrusted(newest);
        }
        self.trusted_for(newest, confirmation)
    }

    /// Returns how long the configuration has held `roots`, which are about to be used.
    pub(super) fn trusted_for(&mut self, roots: &Roots, confirmation: Confirmation) -> Duration {
        let Propagation { time, is_contested } =
            self.propagation_clock.observe(roots, confirmation, Instant::now());
        if is_contested {
            warn!(
                configuration = configuration::NAME,
                "new root repeatedly removed from caBundle, waiting to use it"
            );
        }
        time
    }

    /// Returns the remaining CA propagation delay of roots that have been trusted for `trusted_for`.
    ///
    /// A root that was just written is read again after [`RETRY_DELAY`], because `init`, or a replica without the
    /// permission to watch, does not see the event of its own write.
    pub(super) fn propagation_left(&self, trusted_for: Duration) -> Duration {
        if self.propagation_clock.is_unconfirmed() {
            return RETRY_DELAY;
        }
        PROPAGATION_DELAY.saturating_sub(trusted_for).max(RETRY_DELAY)
    }

    /// Returns the time for which this replica leaves it to others to create a missing authority; `None` if it does not.
    ///
    /// If the API server does not accept the certificate of this replica, but there is a configuration, another replica may
    /// serve an accepted one, and only that replica keeps its root.
    pub(super) fn head_start_left(
        &mut self,
        action: Action,
        is_accepted: bool,
        configured: &Configured,
    ) -> Option<Duration> {
        let is_missing = action == Action::Prepare(PrepareCause::Missing);
        if !is_missing || is_accepted || *configured == Configured::Absent {
            self.found_missing = None;
            return None;
        }
        let since = *self.found_missing.get_or_insert_with(Instant::now);
        Some(HEAD_START.saturating_sub(since.elapsed())).filter(|left| !left.is_zero())
    }

    /// Warns once that another party has to add `roots` to the configuration.
    pub(super) fn warn_untrusted(&mut self, roots: &Roots) {
        if self.configuration.is_foreign() && self.untrusted.as_ref() != Some(roots) {
            warn!(
                configuration = configuration::NAME,
                secret = AUTHORITY,
                hint = "add the root to caBundle; the webhook then uses it",
                "new root missing from caBundle of the unmanaged webhook configuration"
            );
            self.untrusted = Some(roots.clone());
        }
    }
}
