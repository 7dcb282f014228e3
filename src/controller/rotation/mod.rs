//! The rotation of certificate authority and certificate, as a pure state machine: no cluster, no clock.
//!
//! The state of a rotation is in two Secrets alone, and each [`Action`] is one write to one of them. So any replica can
//! take the next action, and a replica that stops leaves nothing half done.

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
/// API servers learn of the configuration by a watch, most within a second. Half a minute is for API servers and
/// replicas of this webhook that are behind.
pub const PROPAGATION_DELAY: Duration = Duration::from_secs(30);

/// Maximum number of retiring roots: still trusted, although nothing is signed by them any more.
///
/// Only rotations on request, one soon after the other, come that far. A replica would have to have missed as many of
/// them to lose its trust.
const MAX_PREVIOUS: usize = 8;

/// A certificate authority: its roots, and who holds the key.
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
    /// Somebody else: the cluster's signer, or the user who provided the certificate.
    External,
    /// This webhook.
    Own(Box<Authority>),
    /// Nobody: there is a key that cannot be used.
    Unusable,
}

/// The state of a rotation, as the Secret of the certificate authority holds it.
#[derive(Debug, Default)]
pub struct Rotation {
    /// The authority that signs certificates now.
    pub current: Option<CertificateAuthority>,
    /// The authority that will sign them once the API server trusts it.
    pub next: Option<CertificateAuthority>,
    /// The roots of authorities that signed them before.
    pub previous: Roots,
    /// Expiry time of the last certificate that a previous root signed.
    pub previous_until: Option<OffsetDateTime>,
    /// True if a new authority is requested.
    pub is_requested: bool,
}

/// The issuer of certificates, by the settings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Issuer {
    /// This webhook, by an authority of its own.
    Own,
    /// A signer of the cluster, which these roots vouch for.
    Signer(Roots),
}

/// The roots that the API server trusts by the webhook configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Configured {
    /// There is no configuration: the API server calls nobody.
    Absent,
    /// There is one.
    Present {
        /// The roots of each webhook.
        bundles: Vec<Roots>,
        /// Time of the last write; `None` if it has not changed since it was created.
        changed: Option<OffsetDateTime>,
    },
}

/// Everything that is observed before an action is chosen.
#[derive(Debug)]
pub struct Observed<'a> {
    /// The state of the rotation.
    pub rotation: &'a Rotation,
    /// The certificate in its Secret, if it can be used.
    pub certificate: Option<&'a ServingCertificate>,
    /// The certificate that is served, which may be gone from its Secret.
    pub served: Option<&'a ServingCertificate>,
    /// True if a new certificate is requested.
    pub is_renewal_requested: bool,
    /// The issuer of certificates.
    pub issuer: &'a Issuer,
    /// The name under which the API server calls.
    pub name: &'a ServerName<'static>,
    /// The roots that the API server trusts.
    pub configured: &'a Configured,
    /// Time for which it has trusted the next authority, as far as this replica has seen.
    pub next_trusted_for: Duration,
    /// True if the state is to follow this replica's own settings. Replicas with different settings, as during a rollout,
    /// would otherwise undo each other's work without a pause.
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
    /// Sign by the next authority from now on.
    Promote,
    /// Wait until the API server is sure to trust the next authority.
    Wait,
}

closed_enum! {
    /// The cause for a new certificate.
    pub enum IssueCause {
        /// Half of its validity is over.
        HalfExpired => "half of its validity is over",
        /// There is no certificate that can be used.
        Missing => "there is no usable certificate",
        /// The authority in use did not sign it.
        OtherAuthority => "the certificate authority in use did not sign it",
        /// It is not for the name that the API server calls.
        OtherName => "it is not for the name that the API server calls",
        /// An annotation requests it.
        Requested => "a new one is requested",
    }
}

closed_enum! {
    /// The cause for a new certificate authority.
    pub enum PrepareCause {
        /// Half of its validity is over.
        HalfExpired => "half of its validity is over",
        /// There is no authority yet.
        Missing => "there is none yet",
        /// The key of the next authority cannot be used.
        NextUnusable => "the key of the next one cannot be used",
        /// By the settings, another issuer signs certificates.
        OtherIssuer => "another issuer is set",
        /// An annotation requests it.
        Requested => "a new one is requested",
        /// Its key cannot be used.
        Unusable => "its key cannot be used",
    }
}

impl CertificateAuthority {
    /// Roots whose key somebody else has.
    #[must_use]
    pub fn foreign(roots: Roots) -> Self {
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
        // From the oldest to the newest, so that a promotion changes nothing here.
        let mut bundle = self.previous.clone();
        for authority in [&self.current, &self.next].into_iter().flatten() {
            bundle.add(&authority.roots);
        }
        bundle
    }

    /// Returns true if all certificates that the previous roots signed have expired.
    fn is_previous_over(&self, now: OffsetDateTime) -> bool {
        !self.previous.is_empty() && self.previous_until.is_some_and(|until| until <= now)
    }

    /// Takes an authority as the next.
    pub fn prepare(&mut self, next: CertificateAuthority) {
        self.next = Some(next);
        self.is_requested = false;
    }

    /// Trusts `roots` until a certificate that they vouch for has ended.
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
            // Without a certificate there is none left that the last root has signed.
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
    /// Returns all roots that the API server trusts for any of its webhooks.
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

    /// Returns true if the API server trusts all `roots`, in each of its webhooks.
    #[must_use]
    pub fn trusts(&self, roots: &Roots) -> bool {
        match self {
            Self::Absent => false,
            Self::Present { bundles, .. } => {
                !bundles.is_empty() && bundles.iter().all(|bundle| bundle.contains_all(roots))
            }
        }
    }

    /// Returns true if the API server calls a server with this certificate.
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
                let accepts = |bundle: &Roots| bundle.verify(certificate, name, now).is_ok();
                !bundles.is_empty() && bundles.iter().all(accepts)
            }
        }
    }

    /// Returns true if no API server goes by another state of it: one that is behind knows either this one,
    /// or none that would make it call. One that was deleted and created again with other roots within
    /// [`PROPAGATION_DELAY`] is an exception that is not seen.
    ///
    /// By the clock of the API server that wrote it and that of this machine: by as much as the latter
    /// is ahead, a change is taken for older than it is.
    #[must_use]
    pub fn is_propagated(&self, now: OffsetDateTime) -> bool {
        match self {
            Self::Absent | Self::Present { changed: None, .. } => true,
            Self::Present { changed: Some(changed), .. } => now - *changed >= PROPAGATION_DELAY,
        }
    }
}

impl Issuer {
    /// Returns true if certificates under this authority can be had.
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
        if self.rotation.is_previous_over(self.now) {
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
            KeyOwner::Own(authority) if authority.validity().is_half_over(self.now) => {
                return Some(PrepareCause::HalfExpired);
            }
            _ => {}
        }
        let is_other = self.may_switch && !self.issuer.can_issue_by(current);
        is_other.then_some(PrepareCause::OtherIssuer)
    }

    /// Returns true if the API server goes on calling when certificates are signed by the next authority.
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
        if certificate.validity().is_half_over(self.now) {
            return Some(IssueCause::HalfExpired);
        }
        match current.roots.verify(certificate, self.name, self.now) {
            Err(TrustError::Untrusted(_)) => Some(IssueCause::OtherAuthority),
            Err(TrustError::Name(_)) if self.may_switch => Some(IssueCause::OtherName),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
