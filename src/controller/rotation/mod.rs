//! The rotation of certificate authority and certificate, as a pure state machine: no cluster, no clock.
//!
//! Two Secrets hold the whole state of a rotation, and each [`Action`] is one write to one of them. So any replica can
//! take the next action, and a replica that stops leaves no action half done.

mod clock;

use std::time::Duration;

use time::OffsetDateTime;

pub use self::clock::{Confirmation, Propagation, PropagationClock};
use crate::{
    closed_enum::closed_enum,
    tls::{Authority, Roots, ServerName, ServingCertificate, TrustError},
};

/// CA propagation delay: the time for which the webhook configuration has to trust a new root before a certificate
/// under it is served.
///
/// API servers learn of the configuration through a watch, most within a second. The rest of the half minute is for
/// slow API servers and replicas of this webhook.
pub const PROPAGATION_DELAY: Duration = Duration::from_secs(30);

/// Maximum number of retiring roots, which are still trusted but sign no new certificates.
///
/// Only frequent rotations on request reach this number. The API server stops trusting the certificate of a replica
/// only if the replica has missed as many rotations.
const MAX_PREVIOUS: usize = 8;

/// A certificate authority: its roots, and the owner of its key.
#[derive(Debug)]
pub struct CertificateAuthority {
    /// The roots.
    pub roots: Roots,
    /// The owner of the key.
    pub key: KeyOwner,
}

/// The owner of the key of a certificate authority.
#[derive(Debug)]
pub enum KeyOwner {
    /// Another party: the cluster's signer, or the user who provided the certificate.
    External,
    /// This webhook.
    Own(Box<Authority>),
    /// Nobody: the stored key is not usable.
    Unusable,
}

/// The state of a rotation, as the Secret of the certificate authority holds it.
#[derive(Debug, Default)]
pub struct Rotation {
    /// The authority that signs certificates.
    pub current: Option<CertificateAuthority>,
    /// The authority that will sign certificates once the API server trusts it.
    pub next: Option<CertificateAuthority>,
    /// The retiring roots: those of authorities that signed certificates before.
    pub previous: Roots,
    /// Expiry time of the last certificate that a previous root signed.
    pub previous_until: Option<OffsetDateTime>,
    /// True if a new authority is requested.
    pub is_requested: bool,
}

/// The issuer of certificates in the settings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Issuer {
    /// This webhook, with its own authority.
    Own,
    /// A signer of the cluster, whose certificates are valid under these roots.
    Signer(Roots),
}

/// The roots that the API server trusts, according to the webhook configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Configured {
    /// There is no configuration, so the API server does not call the webhook.
    Absent,
    /// There is a configuration.
    Present {
        /// The roots of each webhook.
        bundles: Vec<Roots>,
        /// Time of the last write; `None` if it has not changed since it was created.
        changed: Option<OffsetDateTime>,
    },
}

/// The observed state, from which the next action is chosen.
#[derive(Debug)]
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
    /// The name under which the API server calls.
    pub name: &'a ServerName<'static>,
    /// The roots that the API server trusts.
    pub configured: &'a Configured,
    /// Time for which this replica has seen that the API server trusts the next authority.
    pub next_trusted_for: Duration,
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
    /// Wait for the CA propagation delay of the next authority.
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

impl CertificateAuthority {
    /// Creates an authority whose key another party holds.
    #[must_use]
    pub fn external(roots: Roots) -> Self {
        Self { roots, key: KeyOwner::External }
    }
}

impl From<Authority> for CertificateAuthority {
    fn from(authority: Authority) -> Self {
        Self { roots: authority.root(), key: KeyOwner::Own(Box::new(authority)) }
    }
}

impl Rotation {
    /// Returns all roots, which belong into the caBundle.
    #[must_use]
    pub fn bundle(&self) -> Roots {
        // From the oldest to the newest, so that a promotion does not change the bundle.
        let mut bundle = self.previous.clone();
        for authority in [&self.current, &self.next].into_iter().flatten() {
            bundle.add(&authority.roots);
        }
        bundle
    }

    /// Returns true if all certificates that the previous roots signed have expired.
    fn has_previous_expired(&self, now: OffsetDateTime) -> bool {
        !self.previous.is_empty() && self.previous_until.is_some_and(|until| until <= now)
    }

    /// Sets the next authority.
    pub fn prepare(&mut self, next: CertificateAuthority) {
        self.next = Some(next);
        self.is_requested = false;
    }

    /// Keeps trusting `roots` until `until`, when the last certificate that they signed expires.
    pub fn keep_trusting(&mut self, roots: &Roots, until: OffsetDateTime) {
        self.previous.add(roots);
        // One authority may have many roots, none of which is dropped for another.
        self.previous.keep_last(MAX_PREVIOUS.max(roots.len()));
        self.previous_until = self.previous_until.max(Some(until));
    }

    /// Makes the next authority the current one. `certificate` is the one in use.
    pub fn promote(&mut self, certificate: Option<&ServingCertificate>, now: OffsetDateTime) {
        let Some(next) = self.next.take() else { return };
        if let Some(last) = self.current.replace(next) {
            // Without a certificate, none that the last root signed is left in use.
            let until = certificate.map_or(now, |certificate| certificate.validity().not_after);
            self.keep_trusting(&last.roots, until);
        }
        if let Some(current) = &self.current {
            self.previous = self.previous.without(&current.roots);
        }
        self.is_requested = false;
    }

    /// Drops the previous roots.
    pub fn drop_previous(&mut self) {
        self.previous = Roots::default();
        self.previous_until = None;
    }
}

impl Configured {
    /// Returns all roots that the API server trusts in any of the webhooks.
    #[must_use]
    pub fn roots(&self) -> Roots {
        let mut roots = Roots::default();
        if let Self::Present { bundles, .. } = self {
            for bundle in bundles {
                roots.add(bundle);
            }
        }
        roots
    }

    /// Returns true if the API server trusts all `roots`, in each of the webhooks.
    #[must_use]
    pub fn trusts(&self, roots: &Roots) -> bool {
        match self {
            Self::Absent => false,
            Self::Present { bundles, .. } => {
                !bundles.is_empty() && bundles.iter().all(|bundle| bundle.contains_all(roots))
            }
        }
    }

    /// Returns true if the API server accepts this certificate for `name`, in each of the webhooks. A signature that only
    /// the API server can verify counts as valid.
    #[must_use]
    pub fn accepts(
        &self,
        certificate: &ServingCertificate,
        name: &ServerName<'_>,
        now: OffsetDateTime,
    ) -> bool {
        match self {
            Self::Absent => false,
            Self::Present { bundles, .. } => {
                let accepts = |bundle: &Roots| bundle.may_accept(certificate, name, now);
                !bundles.is_empty() && bundles.iter().all(accepts)
            }
        }
    }

    /// Returns true if no API server uses an older state of the configuration. A slow API server has either this state,
    /// or no configuration at all. One case is not detected: a configuration that was deleted and created again with
    /// other roots within [`PROPAGATION_DELAY`].
    ///
    /// The time of the change comes from the API server that wrote it, and `now` from this machine. If the clock of
    /// this machine is ahead, a change seems older than it is.
    #[must_use]
    pub fn is_propagated(&self, now: OffsetDateTime) -> bool {
        match self {
            Self::Absent | Self::Present { changed: None, .. } => true,
            Self::Present { changed: Some(changed), .. } => now - *changed >= PROPAGATION_DELAY,
        }
    }
}

impl Issuer {
    /// Returns true if this issuer can issue certificates under `authority`.
    fn can_issue_by(&self, authority: &CertificateAuthority) -> bool {
        match (self, &authority.key) {
            (Self::Own, KeyOwner::Own(_)) => true,
            (Self::Signer(roots), KeyOwner::External) => authority.roots == *roots,
            _ => false,
        }
    }
}

impl Observed<'_> {
    /// Returns the next action.
    #[must_use]
    pub fn next_action(&self) -> Action {
        if let Some(cause) = self.cause_to_prepare() {
            return Action::Prepare(cause);
        }
        if self.rotation.next.is_some() && self.may_promote() {
            return Action::Promote;
        }
        if let Some(cause) = self.cause_to_issue() {
            return Action::Issue(cause);
        }
        if self.rotation.has_previous_expired(self.now) {
            return Action::DropPrevious;
        }
        if self.rotation.next.is_some() { Action::Wait } else { Action::Nothing }
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

    /// Returns true if the next authority can sign certificates without an interruption of calls.
    fn may_promote(&self) -> bool {
        let is_in_use = self
            .certificate
            .or(self.served)
            .is_some_and(|certificate| self.configured.accepts(certificate, self.name, self.now));
        !is_in_use || self.next_trusted_for >= PROPAGATION_DELAY
    }

    fn cause_to_issue(&self) -> Option<IssueCause> {
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
        match current.roots.verify(certificate, self.name, self.now) {
            Err(TrustError::Untrusted(_) | TrustError::Unverifiable(_)) => {
                Some(IssueCause::OtherAuthority)
            }
            Err(TrustError::Name(_)) if self.may_switch => Some(IssueCause::OtherName),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
