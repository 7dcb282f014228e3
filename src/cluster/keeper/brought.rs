//! The operator's own certificate ("bring your own certificate"): checked and served, never written.

use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tracing::warn;

use super::{
    super::{
        ClusterError,
        secrets::{AUTHORITY, CERTIFICATE, Stored},
        trust::{Configured, SETTLING, Sighting},
    },
    Creation, Keeper, Kept, SOON,
};
use crate::{
    certs::{Roots, ServingCertificate},
    metrics::ReloadResult,
};

/// How long before its end a certificate that is not renewed by the webhook is warned about.
const WARNING_DAYS: i64 = 30;

impl Keeper {
    /// Serves the operator's own certificate if its root vouches for it; no Secret is written.
    pub(super) async fn keep_brought(
        &mut self,
        stored: &Stored,
        authority: &Stored,
        is_regular: bool,
    ) -> Result<Kept, ClusterError> {
        let checked = self.check_brought(stored, authority);
        let Ok((certificate, roots)) = checked else {
            // What is served stays, and what the API server trusts.
            let mut refusal = None;
            self.try_configuration(&self.bundle.clone(), &mut refusal).await?;
            if !self.is_brought_refused {
                // The complaint that is returned is about the certificate.
                if let Some(error) = refusal {
                    warn!(%error, "webhook configuration refused");
                }
                self.is_brought_refused = true;
                self.metrics.tls_reload(ReloadResult::Refused);
            }
            return checked.map(|_| Kept::Done);
        };
        self.is_brought_refused = false;
        let mut bundle = authority.previous_roots();
        bundle.add(&roots);
        let is_new = !self.served.as_ref().is_some_and(|served| served.is_same(&certificate));
        let mut refusal = None;
        if is_new
            && let Some(pause) = self.introduce(&certificate, &roots, &bundle, &mut refusal).await?
        {
            return refusal.map_or(Ok(Kept::Waiting(pause)), Err);
        }
        let validity = certificate.validity();
        self.serve(certificate);
        if validity.days_left(OffsetDateTime::now_utc()) < WARNING_DAYS && (is_new || is_regular) {
            warn!(
                secret = CERTIFICATE,
                not_after = validity.end(),
                "your own certificate ends soon; replace it in time"
            );
        }
        self.leaving.take_if(|(_, until)| *until <= Instant::now());
        // In the same order as before, so that nothing is written for the order alone.
        self.bundle = self.leaving.as_ref().map(|(leaving, _)| leaving.clone()).unwrap_or_default();
        self.bundle.add(&bundle);
        self.try_configuration(&self.bundle.clone(), &mut refusal).await?;
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        Ok(match &self.leaving {
            _ if self.configuration.is_awaited() => Kept::Waiting(SOON),
            // `init` has nothing to wait for: the old root is for others, and stays.
            Some(_) if self.creation == Creation::AtOnce => Kept::Done,
            Some((_, until)) => {
                Kept::Waiting(until.saturating_duration_since(Instant::now()).max(SOON))
            }
            None => Kept::Done,
        })
    }

    /// Makes the API server trust a certificate under `roots` before it is served, and `bundle` with
    /// them; tells how long to wait, or none when it can be served.
    ///
    /// What was trusted before stays so a while, for the replicas that are behind. A replica that starts
    /// serves what it finds accepted, unless another has made it so a moment ago.
    async fn introduce(
        &mut self,
        certificate: &ServingCertificate,
        roots: &Roots,
        bundle: &Roots,
        refusal: &mut Option<ClusterError>,
    ) -> Result<Option<Duration>, ClusterError> {
        let live = self.configuration.look().await?;
        let now = OffsetDateTime::now_utc();
        let mut old = self.bundle.clone();
        old.add(&live.roots());
        let old = old.without(bundle);
        let is_first_look = self.served.is_none() && self.trust_clock.is_idle();
        let is_found = live.accepts(certificate, &self.name, now);
        let is_long_accepted = is_first_look && is_found && live.is_settled(now);
        if live != Configured::Absent && !is_long_accepted {
            let mut both = old.clone();
            both.add(bundle);
            let configured = self.try_configuration(&both, refusal).await?;
            let is_held = configured.accepts(certificate, &self.name, now);
            let trusted_for = self.trusted_for(roots, Sighting { is_found, is_held });
            if trusted_for < SETTLING {
                if !is_held {
                    self.tell_untrusted(Some(roots));
                }
                let reason = "the API server does not trust its root for long yet";
                self.health.certificate.failed(reason);
                return Ok(Some(self.settling_left(trusted_for)));
            }
        }
        self.leaving = (!old.is_empty()).then(|| (old, Instant::now() + 2 * SETTLING));
        Ok(None)
    }

    /// The operator's own certificate and its roots, if the API server would accept the one by the
    /// others.
    fn check_brought(
        &self,
        stored: &Stored,
        authority: &Stored,
    ) -> Result<(ServingCertificate, Roots), ClusterError> {
        let place = || format!("Secret {}/{CERTIFICATE}", self.namespace);
        let roots = authority.brought_roots()?;
        let certificate = stored.certificate()?.ok_or_else(|| {
            let reason = "neither cert.pem and key.pem nor tls.crt and tls.key are there";
            ClusterError::content(place(), reason)
        })?;
        match roots.verify(&certificate, &self.name, OffsetDateTime::now_utc()) {
            Ok(()) => Ok((certificate, roots)),
            Err(error) => Err(ClusterError::content(
                place(),
                format_args!(
                    "the API server would not accept the certificate by the root in Secret \
                     {AUTHORITY}, rootca.pem: {error}"
                ),
            )),
        }
    }
}
