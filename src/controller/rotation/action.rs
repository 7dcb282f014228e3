//! The next action of a rotation, chosen from what was observed.

use std::time::Duration;

use time::OffsetDateTime;

use super::{
    CertificateAuthority, Configured, Issuer, KeyOwner, PROPAGATION_DELAY, Rotation, Verifier,
};
use crate::{
    closed_enum::closed_enum,
    tls::{CERTIFICATE_VALIDITY, Roots, ServingCertificate, TrustError},
};

/// The observed state, from which the next action is chosen.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The state of the rotation.
    pub rotation: &'a Rotation,
    /// The certificate in its Secret, if it is usable.
    pub certificate: Option<&'a ServingCertificate>,
    /// The serving certificate, which may be missing in its Secret.
    pub served: Option<&'a ServingCertificate>,
    /// True if a new certificate is requested.
    pub is_renewal_requested: bool,
    /// The issuer of certificates.
    pub issuer: &'a Issuer,
    /// Verifies certificates like the API server.
    pub verifier: &'a dyn Verifier,
    /// The roots that the API server trusts.
    pub configured: &'a Configured,
    /// Roots outside the state of the rotation that the API server needs for the serving certificate; see
    /// [`Configured::taken_over`].
    pub taken_over: &'a Roots,
    /// Time for which this replica has seen that the API server trusts the [newest](Rotation::newest) authority.
    pub newest_trusted_for: Duration,
    /// True if the state is to follow this replica's own settings. If it were always true, replicas with different
    /// settings, as during a rollout, would revert each other's changes in a loop.
    pub may_switch: bool,
    /// The current time.
    pub now: OffsetDateTime,
}

/// The next action.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Drop the previous roots.
    DropPrevious,
    /// Issue a certificate.
    Issue(IssueCause),
    /// Nothing is left to do.
    Nothing,
    /// Create the next authority.
    Prepare(PrepareCause),
    /// Let the next authority sign certificates from now on.
    Promote,
    /// Keep the roots that were taken over among the previous roots.
    Retain,
    /// Wait for the CA propagation delay of the newest authority.
    Wait,
}

closed_enum! {
    /// The cause of a new certificate.
    pub enum IssueCause {
        /// Half of its validity is over.
        HalfExpired => "half of its validity is over",
        /// There is no usable certificate.
        Missing => "there is no usable certificate",
        /// The authority in use did not sign it.
        OtherAuthority => "the certificate authority in use did not sign it",
        /// It is not valid for the name that the API server calls.
        OtherName => "it is not valid for the name that the API server calls",
        /// An annotation requests it.
        Requested => "a new one is requested",
    }
}

closed_enum! {
    /// The cause of a new certificate authority.
    pub enum PrepareCause {
        /// Half of its validity is over.
        HalfExpired => "half of its validity is over",
        /// There is no authority yet.
        Missing => "there is none yet",
        /// The key of the next authority is not usable.
        NextUnusable => "the key of the next one is not usable",
        /// The settings name another issuer.
        OtherIssuer => "the settings name another issuer",
        /// An annotation requests it.
        Requested => "a new one is requested",
        /// Its key is not usable.
        Unusable => "its key is not usable",
    }
}

impl Observed<'_> {
    /// Returns the next action.
    #[must_use]
    pub fn next_action(&self) -> Action {
        if let Some(cause) = self.cause_to_prepare() {
            return Action::Prepare(cause);
        }
        // Another client has replaced the authority. The certificate in use needs its old root.
        if !self.taken_over.is_empty() {
            return Action::Retain;
        }
        let cause = self.cause_to_issue();
        if let Some(cause) = cause.filter(|_| self.is_next_unneeded()) {
            return Action::Issue(cause);
        }
        if self.rotation.next.is_some() && !self.must_wait() {
            return Action::Promote;
        }
        if let Some(cause) = cause {
            let must_wait = self.must_wait() && !self.is_signed_by_current(self.in_use());
            return if must_wait { Action::Wait } else { Action::Issue(cause) };
        }
        if self.rotation.has_previous_expired(self.now) {
            return Action::DropPrevious;
        }
        if self.rotation.next.is_some() { Action::Wait } else { Action::Nothing }
    }

    /// Returns the state of the rotation after an action. `create` creates the authority of a [`Action::Prepare`].
    ///
    /// # Errors
    /// If `create` fails.
    pub fn rotation_after<E>(
        &self,
        action: Action,
        create: impl FnOnce() -> Result<CertificateAuthority, E>,
    ) -> Result<Rotation, E> {
        let mut rotation = self.rotation.clone();
        match action {
            Action::Prepare(_) => {
                self.retain(&mut rotation);
                rotation.prepare(create()?);
            }
            Action::Promote => rotation.promote(self.last_expiry()),
            Action::Retain => self.retain(&mut rotation),
            Action::DropPrevious => rotation.drop_previous(),
            Action::Issue(_) | Action::Nothing | Action::Wait => {}
        }
        Ok(rotation)
    }

    /// Keeps the roots that were taken over until the serving certificate has expired.
    fn retain(&self, rotation: &mut Rotation) {
        if let Some(served) = self.served.filter(|_| !self.taken_over.is_empty()) {
            rotation.keep_trusting(self.taken_over, served.validity().not_after);
        }
    }

    /// Returns the certificate that calls depend on.
    fn in_use(&self) -> Option<&ServingCertificate> {
        self.served.or(self.certificate)
    }

    /// Returns the time at which no certificate so far is in use any more. If this replica knows of none, another one may
    /// have just been issued.
    fn last_expiry(&self) -> OffsetDateTime {
        let certificates = [self.served, self.certificate].into_iter().flatten();
        let last = certificates.map(|certificate| certificate.validity().not_after).max();
        last.unwrap_or(self.now + CERTIFICATE_VALIDITY)
    }

    /// Returns true if the API server accepts the certificate in use. Without a configuration, it would accept it by one
    /// that another replica may create at any moment.
    #[must_use]
    pub fn is_in_use_accepted(&self) -> bool {
        self.in_use().is_some_and(|certificate| {
            self.now <= certificate.validity().not_after
                && match self.configured {
                    Configured::Absent => {
                        let bundle = self.rotation.bundle();
                        self.verifier.may_accept(&bundle, certificate, self.now)
                    }
                    Configured::Present { .. } => {
                        self.configured.accepts(certificate, self.verifier, self.now)
                    }
                }
        })
    }

    /// Returns true if the API server accepts no certificate in use, but would accept one of the current authority, which
    /// it has trusted for longer than the next one.
    fn is_next_unneeded(&self) -> bool {
        let Rotation { current: Some(current), next: Some(_), .. } = self.rotation else {
            return false;
        };
        !self.is_in_use_accepted() && self.configured.trusts(&current.roots)
    }

    /// Returns true if a certificate of the newest authority would interrupt calls: the API server accepts the
    /// certificate in use, and has not trusted that authority for long enough.
    ///
    /// If this replica has no certificate, or only one of another client, another replica may still serve one of a previous
    /// authority.
    fn must_wait(&self) -> bool {
        let (bundle, previous) = (self.rotation.bundle(), &self.rotation.previous);
        let is_ours = |certificate: &&ServingCertificate| {
            self.verifier.may_accept(&bundle, certificate, self.now)
        };
        let is_accepted = match self.in_use().filter(is_ours) {
            Some(_) => self.is_in_use_accepted(),
            None => {
                self.is_in_use_accepted() || !previous.is_empty() && self.configured.holds(previous)
            }
        };
        is_accepted && self.newest_trusted_for < PROPAGATION_DELAY
    }

    /// Returns true if the current authority has signed this certificate.
    fn is_signed_by_current(&self, certificate: Option<&ServingCertificate>) -> bool {
        let (Some(current), Some(certificate)) = (&self.rotation.current, certificate) else {
            return false;
        };
        let verified = self.verifier.verify(&current.roots, certificate, self.now);
        !matches!(verified, Err(TrustError::Untrusted(_)))
    }

    fn cause_to_prepare(&self) -> Option<PrepareCause> {
        if let Some(next) = &self.rotation.next {
            let is_unusable = matches!(next.key, KeyOwner::Unusable);
            return is_unusable.then_some(PrepareCause::NextUnusable);
        }
        let Some(current) = &self.rotation.current else {
            return Some(PrepareCause::Missing);
        };
        if self.rotation.is_requested {
            return Some(PrepareCause::Requested);
        }
        match &current.key {
            KeyOwner::Unusable => return Some(PrepareCause::Unusable),
            KeyOwner::Own(authority) if authority.validity().is_half_expired(self.now) => {
                return Some(PrepareCause::HalfExpired);
            }
            _ => {}
        }
        let is_other = self.may_switch && !self.issuer.can_issue_by(current);
        is_other.then_some(PrepareCause::OtherIssuer)
    }

    /// Returns true if no current, next or previous root has signed the stored certificate. Another client has stored it
    /// then.
    #[must_use]
    pub fn is_of_unknown_authority(&self) -> bool {
        let bundle = self.rotation.bundle();
        self.certificate.is_some_and(|certificate| {
            let verified = self.verifier.verify(&bundle, certificate, self.now);
            matches!(verified, Err(TrustError::Untrusted(_)))
        })
    }

    /// Returns the cause to issue a certificate. A new certificate for which there is a cause too would be replaced at
    /// once.
    #[must_use]
    pub fn cause_to_issue(&self) -> Option<IssueCause> {
        let current = self.rotation.current.as_ref()?;
        if !self.issuer.can_issue_by(current) {
            return None;
        }
        let Some(certificate) = self.certificate else {
            return Some(IssueCause::Missing);
        };
        if self.is_renewal_requested {
            return Some(IssueCause::Requested);
        }
        if certificate.validity().is_half_expired(self.now) {
            return Some(IssueCause::HalfExpired);
        }
        match self.verifier.verify(&current.roots, certificate, self.now) {
            Err(TrustError::Untrusted(_) | TrustError::Unverifiable(_)) => {
                Some(IssueCause::OtherAuthority)
            }
            Err(TrustError::Name(_)) if self.may_switch => Some(IssueCause::OtherName),
            // The clock of this machine is wrong, or was wrong where the certificate was issued. Another one would not
            // be more valid.
            Err(TrustError::Time(_) | TrustError::Name(_)) | Ok(()) => None,
        }
    }
}
