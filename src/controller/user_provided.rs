//! The user-provided certificate ("bring your own certificate"): verified and served, never written.

mod choice;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use time::OffsetDateTime;
use tracing::warn;

use self::choice::{Choice, choose};
use super::{
    Controller, Creation, RETRY_DELAY, ReconcileOutcome,
    configuration::LiveConfiguration,
    propagation::Update,
    rotation::{Configured, Confirmation, PROPAGATION_DELAY, SurplusRoots},
    secrets::{AUTHORITY, CERTIFICATE, ISSUER_ROOT, ROOT, StoredSecret},
};
use crate::{
    kubernetes::{ClusterError, WATCH_TIMEOUT},
    origin::Origin,
    state::LoadError,
    tls::{Roots, ServingCertificate, TrustError},
};

/// Time for which roots stay trusted after this replica has stopped using them.
///
/// Another replica may learn of the new certificate only when its dead watch times out, and then waits for the CA
/// propagation delay. The rest is for its calls, some of which may have to be repeated.
const RETIREMENT: Duration = WATCH_TIMEOUT.saturating_add(PROPAGATION_DELAY.saturating_mul(3));

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
        // These roots belong to a rotation, which does not run with a user-provided certificate.
        self.surplus = SurplusRoots::default();
        let authority = &self.secrets.read(AUTHORITY).await?;
        let before = self.configuration.configured(&live);
        let Choice { certificate, roots, ignored } = match self.choose(stored, authority, &before) {
            Ok(choice) => choice,
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
            let wait = self.propagate(live, &before, &certificate, &roots, &bundle).await?;
            if let Some(wait) = wait {
                return Ok(wait);
            }
            live = self.configuration.observe().await?;
        }
        self.serve(&certificate, stored);
        if is_new || may_switch {
            warn_of(&certificate, ignored.as_ref());
        }
        self.retiring.take_if(|(_, until)| *until <= Instant::now());
        let retiring = self.retiring.as_ref().map(|(retiring, _)| retiring);
        self.bundle = trusted(retiring, &self.configuration.configured(&live).roots(), &bundle);
        let update = self.update_configuration(live, &self.bundle.clone()).await?;
        if let Some(refusal) = update.refusal {
            return Err(refusal);
        }
        if self.configuration.is_awaited() {
            return Ok(ReconcileOutcome::AwaitingConfiguration(self.creation_delay()));
        }
        Ok(match &self.retiring {
            // `init` does not wait: the old root is for other replicas, and stays.
            Some(_) if self.creation == Creation::AtOnce => ReconcileOutcome::Done,
            Some((_, until)) => {
                let left = until.saturating_duration_since(Instant::now());
                let left = self.configuration.claim_left().map_or(left, |claim| left.min(claim));
                ReconcileOutcome::RequeueAfter(left.max(RETRY_DELAY))
            }
            None => ReconcileOutcome::Done,
        })
    }

    /// Keeps the serving certificate and the trusted roots, and reports once that the user-provided certificate is
    /// refused.
    ///
    /// Also keeps roots that other replicas have added, which may not refuse the certificate: their clocks differ.
    async fn refuse_user_provided(
        &mut self,
        live: LiveConfiguration,
        stored: &StoredSecret,
        error: &ClusterError,
    ) -> Result<(), ClusterError> {
        let bundle = self.required_roots(&self.configuration.configured(&live));
        let update = self.update_configuration(live, &bundle).await?;
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
    /// `before` are the roots of `live`. Returns the delay before the next reconcile; `None` if the certificate can be
    /// served.
    ///
    /// Roots that were trusted before are retained for a while, for slower replicas. A replica that starts serves the
    /// certificate at once if the API server accepts it, unless the configuration was changed a moment ago. So does a
    /// replica that is late, and whose own certificate is not accepted any more.
    async fn propagate(
        &mut self,
        live: LiveConfiguration,
        before: &Configured,
        certificate: &ServingCertificate,
        roots: &Roots,
        bundle: &Roots,
    ) -> Result<Option<ReconcileOutcome>, ClusterError> {
        let (served, now) = (self.served(), OffsetDateTime::now_utc());
        let served = served.as_deref();
        let is_first_observation = served.is_none() && self.propagation_clock.is_idle();
        let is_found = before.accepts(certificate, &self.name, now);
        let is_long_accepted = is_first_observation && is_found && before.is_propagated(now);
        let is_late = before.demands_exchange(served, certificate, &self.name, now);
        // The order is that of the configuration, on which all replicas agree. A change of the order alone would cause
        // a write.
        let old = if is_late { before.roots() } else { self.required_roots(before) };
        let old = old.without(bundle);
        if *before != Configured::Absent && !is_long_accepted && !is_late {
            let mut both = old.clone();
            both.add(bundle);
            let Update { configured, refusal } = self.update_configuration(live, &both).await?;
            let is_held = configured.accepts(certificate, &self.name, now);
            let confirmation = Confirmation::of(roots, before, &configured);
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
        let until = Instant::now() + RETIREMENT;
        self.retiring = (!old.is_empty()).then_some((old, until));
        Ok(None)
    }

    /// Returns the roots that the API server trusts, and those of the serving certificate if another client has removed
    /// them.
    fn required_roots(&self, before: &Configured) -> Roots {
        let mut roots = before.roots();
        let (served, now) = (self.served(), OffsetDateTime::now_utc());
        if served.is_some_and(|served| !before.accepts(&served, &self.name, now)) {
            roots.add(&self.bundle);
        }
        roots
    }

    /// Chooses the user-provided certificate. `before` are the roots that the API server trusts.
    ///
    /// # Errors
    /// If certificate or root is missing or invalid, or the API server would not accept the certificate under the root.
    fn choose(
        &self,
        stored: &StoredSecret,
        authority: &StoredSecret,
        before: &Configured,
    ) -> Result<Choice, ClusterError> {
        let candidates = user_provided_roots(stored, authority)?;
        let (served, now) = (self.served(), OffsetDateTime::now_utc());
        choose(stored.origin(), stored.pairs(), |certificate| {
            let is_demanded =
                before.demands_exchange(served.as_deref(), certificate, &self.name, now);
            let mut refusals = Vec::new();
            for (entry, roots) in &candidates {
                match roots.verify(certificate, &self.name, now) {
                    Ok(()) => return Ok(roots.clone()),
                    // It is valid by the clocks of the other replicas, and the one in use is of no use any more.
                    Err(TrustError::Time(_)) if is_demanded => return Ok(roots.clone()),
                    Err(error) => refusals.push(format!(
                        "{} the certificate by the root in {entry}: {error}",
                        error.finding()
                    )),
                }
            }
            Err(refusals.join("; "))
        })
    }
}

/// Returns the roots that the API server has to trust: `bundle`, after the `retiring` roots that are `found` in the
/// configuration.
///
/// A retiring root that is not found was removed by another replica, whose time was over earlier. It is not added again,
/// because the replicas would then undo each other's changes. A replica that still needs it exchanges its certificate;
/// see [`Configured::demands_exchange`].
fn trusted(retiring: Option<&Roots>, found: &Roots, bundle: &Roots) -> Roots {
    // In the order of the configuration, because a change of the order alone would cause a write.
    let mut trusted = retiring.map(|retiring| found.common(retiring)).unwrap_or_default();
    trusted.add(bundle);
    trusted
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

/// Warns of what the user has to know about the certificate in use, and about another one in the Secret.
fn warn_of(certificate: &ServingCertificate, ignored: Option<&(Origin, String)>) {
    let validity = certificate.validity();
    if validity.days_left(OffsetDateTime::now_utc()) < WARNING_DAYS {
        warn!(
            secret = CERTIFICATE,
            not_after = validity.expiry(),
            "user-provided certificate expires soon; replace it in time"
        );
    }
    if certificate.is_own() {
        warn!(
            secret = CERTIFICATE,
            hint = "add the user-provided certificate, or remove the annotation imageswap-byoc",
            "certificate of imageswap is not renewed, because it is marked as user-provided"
        );
    }
    if let Some((origin, reason)) = ignored {
        warn!(%origin, reason, "one of two user-provided certificates ignored");
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Provision::{Managed, SwitchingBack, UserProvided},
        *,
    };
    use crate::tls::Authority;

    #[test]
    fn a_retiring_root_that_another_replica_has_removed_is_not_added_again() {
        let [first, second, new] =
            [(); 3].map(|()| Authority::generate(OffsetDateTime::now_utc()).unwrap().root());
        let roots = |all: &[&Roots]| {
            let mut roots = Roots::default();
            for root in all {
                roots.add(root);
            }
            roots
        };
        let retiring = &roots(&[&first, &second]);
        for (retiring, found, expected) in [
            (Some(retiring), roots(&[&first, &second, &new]), roots(&[&first, &second, &new])),
            (Some(retiring), roots(&[&second, &first, &new]), roots(&[&second, &first, &new])),
            (Some(retiring), roots(&[&new, &first]), roots(&[&first, &new])),
            (Some(retiring), roots(&[&new]), roots(&[&new])),
            (None, roots(&[&first, &new]), roots(&[&new])),
        ] {
            assert_eq!(trusted(retiring, &found, &new), expected);
        }
    }

    #[test]
    fn roots_are_trusted_until_a_replica_with_a_dead_watch_has_exchanged_its_certificate() {
        assert!(RETIREMENT > WATCH_TIMEOUT + 2 * PROPAGATION_DELAY);
    }

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
