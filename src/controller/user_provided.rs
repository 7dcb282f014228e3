//! The user-provided certificate ("bring your own certificate"): verified and served, never written.

use std::{sync::Arc, time::Instant};

use time::OffsetDateTime;
use tracing::warn;

use super::{
    Controller, Creation, RETRY_DELAY, ReconcileOutcome,
    configuration::LiveConfiguration,
    propagation::Update,
    rotation::{Configured, Confirmation, PROPAGATION_DELAY},
    secrets::{AUTHORITY, CERTIFICATE, ISSUER_ROOT, ROOT, StoredSecret},
};
use crate::{
    kubernetes::ClusterError,
    origin::Origin,
    state::LoadError,
    tls::{FILE_NAMES, Roots, ServingCertificate},
};

/// Number of days before the expiry of a user-provided certificate from which the log warns of it. The webhook does not
/// renew it.
const WARNING_DAYS: i64 = 30;

/// The provider of the certificate.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Provision {
    /// The webhook.
    #[default]
    Managed,
    /// The webhook again, whose certificate has not yet replaced the user-provided one.
    SwitchingBack,
    /// The user.
    UserProvided,
    /// The user, with a certificate that is refused.
    UserProvidedRefused,
}

impl Provision {
    /// Returns the state after the Secret was read, before any other call, which may fail.
    pub(super) fn observed(self, is_user_provided: bool) -> Self {
        match (self, is_user_provided) {
            (Self::Managed, false) => Self::Managed,
            (Self::SwitchingBack | Self::UserProvided | Self::UserProvidedRefused, false) => {
                Self::SwitchingBack
            }
            (Self::UserProvidedRefused, true) => Self::UserProvidedRefused,
            (Self::Managed | Self::SwitchingBack | Self::UserProvided, true) => Self::UserProvided,
        }
    }
}

impl Controller {
    /// Serves the user-provided certificate if it is valid under its root. Writes no Secret.
    pub(super) async fn reconcile_user_provided(
        &mut self,
        mut live: LiveConfiguration,
        stored: &StoredSecret,
        may_switch: bool,
    ) -> Result<ReconcileOutcome, ClusterError> {
        let authority = &self.secrets.read(AUTHORITY).await?;
        let (certificate, roots) = match self.check_user_provided(stored, authority) {
            Ok(checked) => checked,
            Err(error) => {
                self.refuse_user_provided(live, stored, &error).await?;
                return Err(error);
            }
        };
        self.provision = Provision::UserProvided;
        let mut bundle = authority.previous_roots();
        bundle.add(&roots);
        let is_new = !self.serves(&certificate);
        if is_new {
            if let Some(wait) = self.propagate(live, &certificate, &roots, &bundle).await? {
                return Ok(wait);
            }
            live = self.configuration.observe().await?;
        }
        self.serve(&certificate, stored);
        if is_new || may_switch {
            warn_of_expiry(&certificate);
        }
        self.retiring.take_if(|(_, until)| *until <= Instant::now());
        // The order is the same as before, because a change of the order alone would cause a write.
        self.bundle =
            self.retiring.as_ref().map(|(retiring, _)| retiring.clone()).unwrap_or_default();
        self.bundle.add(&bundle);
        let update = self.update_configuration(live, &self.bundle.clone()).await?;
        if let Some(refusal) = update.refusal {
            return Err(refusal);
        }
        if self.configuration.is_awaited() {
            return Ok(ReconcileOutcome::RequeueAfter(self.creation_delay()));
        }
        Ok(match &self.retiring {
            // `init` does not wait: the old root is for other replicas, and stays.
            Some(_) if self.creation == Creation::AtOnce => ReconcileOutcome::Done,
            Some((_, until)) => {
                let left = until.saturating_duration_since(Instant::now());
                ReconcileOutcome::RequeueAfter(left.max(RETRY_DELAY))
            }
            None => ReconcileOutcome::Done,
        })
    }

    /// Keeps the serving certificate and the trusted roots, and reports once that the user-provided certificate is
    /// refused.
    async fn refuse_user_provided(
        &mut self,
        live: LiveConfiguration,
        stored: &StoredSecret,
        error: &ClusterError,
    ) -> Result<(), ClusterError> {
        let update = self.update_configuration(live, &self.bundle.clone()).await?;
        if self.provision != Provision::UserProvidedRefused {
            self.provision = Provision::UserProvidedRefused;
            // The caller returns the error about the certificate, so this one is logged here.
            if let Some(error) = update.refusal {
                warn!(%error, "webhook configuration refused");
            }
            let (origin, diagnostics) = (stored.origin().clone(), Arc::default());
            let reason = error.to_string();
            self.certificate.fail(&LoadError::Refused { origin, reason, diagnostics });
        }
        Ok(())
    }

    /// Makes the API server trust `bundle`, which contains `roots`, before the certificate under `roots` is served.
    /// Returns the delay before the next reconcile; `None` if the certificate can be served.
    ///
    /// Roots that were trusted before are retained for a while, for slower replicas. A replica that starts serves the
    /// certificate at once if the API server accepts it, unless the configuration was changed a moment ago.
    async fn propagate(
        &mut self,
        live: LiveConfiguration,
        certificate: &ServingCertificate,
        roots: &Roots,
        bundle: &Roots,
    ) -> Result<Option<ReconcileOutcome>, ClusterError> {
        let before = self.configuration.configured(&live);
        let now = OffsetDateTime::now_utc();
        let mut old = self.bundle.clone();
        old.add(&before.roots());
        let old = old.without(bundle);
        let is_first_observation = self.served().is_none() && self.propagation_clock.is_idle();
        let is_found = before.accepts(certificate, &self.name, now);
        let is_long_accepted = is_first_observation && is_found && before.is_propagated(now);
        if before != Configured::Absent && !is_long_accepted {
            let mut both = old.clone();
            both.add(bundle);
            let Update { configured, refusal } = self.update_configuration(live, &both).await?;
            let is_held = configured.accepts(certificate, &self.name, now);
            let confirmation = Confirmation::of(roots, &before, &configured);
            let confirmation = Confirmation { is_found, is_held, ..confirmation };
            let trusted_for = self.trusted_for(roots, confirmation);
            if trusted_for < PROPAGATION_DELAY {
                if !is_held {
                    self.warn_untrusted(roots);
                }
                let reason = "the API server has not trusted its root for long enough yet";
                self.certificate.explain_absence(reason);
                let delay = self.propagation_left(trusted_for);
                return refusal.map_or(Ok(Some(ReconcileOutcome::RequeueAfter(delay))), Err);
            }
        }
        let until = Instant::now() + 2 * PROPAGATION_DELAY;
        self.retiring = (!old.is_empty()).then_some((old, until));
        Ok(None)
    }

    /// Returns the user-provided certificate and its roots.
    ///
    /// # Errors
    /// If one of them is missing or invalid, or the API server would not accept the certificate under the roots.
    fn check_user_provided(
        &self,
        stored: &StoredSecret,
        authority: &StoredSecret,
    ) -> Result<(ServingCertificate, Roots), ClusterError> {
        let candidates = user_provided_roots(stored, authority)?;
        let certificate = stored.certificate()?.ok_or_else(|| {
            let [(certificate, key), (tls_certificate, tls_key)] = FILE_NAMES;
            let reason = format_args!(
                "neither {certificate} and {key} nor {tls_certificate} and {tls_key} are there"
            );
            ClusterError::content(stored.origin(), reason)
        })?;
        let (mut refusals, now) = (Vec::new(), OffsetDateTime::now_utc());
        for (entry, roots) in candidates {
            match roots.verify(&certificate, &self.name, now) {
                Ok(()) => return Ok((certificate, roots)),
                Err(error) => refusals.push(format!(
                    "{} the certificate by the root in {entry}: {error}",
                    error.finding()
                )),
            }
        }
        Err(ClusterError::content(stored.origin(), refusals.join("; ")))
    }
}

/// Returns the roots that may belong to a user-provided certificate, each with its place: `rootca.pem`, then the
/// `ca.crt` that cert-manager writes beside the certificate.
///
/// # Errors
/// If there are none, or they are invalid.
fn user_provided_roots(
    stored: &StoredSecret,
    authority: &StoredSecret,
) -> Result<Vec<(Origin, Roots)>, ClusterError> {
    let mut candidates = Vec::new();
    for (secret, key) in [(authority, ROOT), (stored, ISSUER_ROOT)] {
        if let Some(roots) = secret.roots(key)?.filter(|roots| !roots.is_empty()) {
            candidates.push((secret.origin().entry(key), roots));
        }
    }
    if candidates.is_empty() {
        let reason = format_args!(
            "no root certificate; a user-provided certificate requires one, here or in {}",
            stored.origin().entry(ISSUER_ROOT),
        );
        return Err(ClusterError::content(authority.origin().entry(ROOT), reason));
    }
    Ok(candidates)
}

fn warn_of_expiry(certificate: &ServingCertificate) {
    let validity = certificate.validity();
    if validity.days_left(OffsetDateTime::now_utc()) < WARNING_DAYS {
        warn!(
            secret = CERTIFICATE,
            not_after = validity.expiry(),
            "user-provided certificate expires soon; replace it in time"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Provision::{Managed, SwitchingBack, UserProvided},
        *,
    };

    #[test]
    fn the_webhook_switches_back_even_if_no_call_succeeded_in_between() {
        let states = |secrets: &[bool]| -> Vec<Provision> {
            let mut state = Provision::default();
            let observe = |&is_user_provided: &bool| {
                state = state.observed(is_user_provided);
                state
            };
            secrets.iter().map(observe).collect()
        };
        assert_eq!(states(&[false, true, false]), [Managed, UserProvided, SwitchingBack]);
        assert_eq!(states(&[true, false, false, true])[2..], [SwitchingBack, UserProvided]);
        // A refusal stays known, so that it is reported once.
        let refused = Provision::UserProvidedRefused;
        assert_eq!((refused.observed(true), refused.observed(false)), (refused, SwitchingBack));
    }
}
