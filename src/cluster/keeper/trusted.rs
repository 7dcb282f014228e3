//! What the API server is made to trust, and what it is seen to trust.

use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tracing::warn;

use super::{
    super::{
        ClusterError,
        configuration::{self, Permission},
        secrets::AUTHORITY,
        trust::{Configured, Held, SETTLING, Sighting},
    },
    Creation, Keeper, SOON,
};
use crate::{
    certs::{Roots, ServerName, ServingCertificate},
    metrics::WriteResult,
};

/// The number of times that a write of the configuration is tried when others write it as well.
///
/// A conflict with another replica or with `kubectl` is over with the next attempt. One that stays comes
/// from the template or the API server, and waits for the next pass.
const MAX_ATTEMPTS: usize = 3;

impl Keeper {
    /// Keeps the configuration; what the API server refuses, as a template with a mistake, is no
    /// reason to let a certificate end, and is put into `refusal`.
    pub(super) async fn try_configuration(
        &mut self,
        bundle: &Roots,
        refusal: &mut Option<ClusterError>,
    ) -> Result<Configured, ClusterError> {
        let mut attempts = 1;
        loop {
            match self.keep_configuration(bundle).await {
                Err(ClusterError::Conflict { .. }) if attempts < MAX_ATTEMPTS => attempts += 1,
                Err(error @ (ClusterError::Call { .. } | ClusterError::Conflict { .. })) => {
                    self.metrics.configuration_write(WriteResult::Failed);
                    *refusal = Some(error.into_refusal());
                    return self.configuration.look().await;
                }
                result => return result,
            }
        }
    }

    /// Brings the configuration in line with `bundle`; creates one when a call would be answered.
    async fn keep_configuration(&mut self, bundle: &Roots) -> Result<Configured, ClusterError> {
        let may_create = self.served.is_some()
            && match self.creation {
                Creation::AtOnce => true,
                Creation::WhenReady => self.health.reasons().is_empty(),
            };
        let permission = if may_create { Permission::Create } else { Permission::NotYet };
        self.configuration.keep(bundle, permission).await
    }

    /// Returns for how long the configuration has been found to hold the roots that certificates will be
    /// signed by, of which `live` is the state that was read and `configured` the one after the write.
    pub(super) fn next_trusted_for(
        &mut self,
        next: Option<&Roots>,
        live: &Configured,
        configured: &Configured,
    ) -> Duration {
        let Some(next) = next else {
            self.trust_clock.reset();
            return Duration::ZERO;
        };
        let sighting = Sighting::of(next, live, configured);
        if !sighting.is_held && *configured != Configured::Absent {
            self.tell_untrusted(Some(next));
        }
        self.trusted_for(next, sighting)
    }

    /// Returns for how long the configuration has been found to hold `roots`, which are about to be used.
    pub(super) fn trusted_for(&mut self, roots: &Roots, sighting: Sighting) -> Duration {
        let Held { time, is_contested } = self.trust_clock.observe(roots, sighting, Instant::now());
        if is_contested {
            warn!(
                configuration = configuration::NAME,
                "new root repeatedly removed from caBundle, waiting to use it"
            );
        }
        time
    }

    /// Returns how long to wait until roots count as trusted that have been so for this time.
    ///
    /// A root that was just written is looked for soon, because the event of the own write, which comes
    /// first, is not seen by `init` or without the right to watch.
    pub(super) fn settling_left(&self, trusted_for: Duration) -> Duration {
        if self.trust_clock.is_unconfirmed() {
            return SOON;
        }
        SETTLING.saturating_sub(trusted_for).max(SOON)
    }

    /// Says once that somebody else has to do something.
    pub(super) fn tell_untrusted(&mut self, roots: Option<&Roots>) {
        if self.configuration.is_foreign() && self.untrusted.as_ref() != roots {
            warn!(
                configuration = configuration::NAME,
                "the webhook configuration, which is left alone, does not trust a new root in Secret \
                 {AUTHORITY}; put it into caBundle, and it will be used"
            );
            self.untrusted = roots.cloned();
        }
    }
}

/// What the API server trusts beyond `bundle`, if the certificate in use depends on it.
pub(super) fn taken_over(
    live: &Configured,
    certificate: Option<&ServingCertificate>,
    bundle: &Roots,
    name: &ServerName<'_>,
) -> Roots {
    let now = OffsetDateTime::now_utc();
    let depends = certificate.is_some_and(|certificate| {
        live.accepts(certificate, name, now) && bundle.verify(certificate, name, now).is_err()
    });
    if depends { live.roots() } else { Roots::default() }
}
