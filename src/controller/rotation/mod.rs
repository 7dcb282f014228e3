//! The rotation of certificate authority and certificate, as a pure state machine: no cluster, no clock.
//!
//! Two Secrets hold the whole state of a rotation, and each [`Action`] is one write to one of them. So any replica can
//! take the next action, and a replica that stops leaves no action half done.

mod action;
mod clock;
mod configured;
mod surplus;
mod verifier;

use std::{sync::Arc, time::Duration};

use time::OffsetDateTime;

pub use self::{
    action::{Action, IssueCause, Observed, PrepareCause},
    clock::{Confirmation, Propagation, PropagationClock},
    configured::Configured,
    surplus::SurplusRoots,
    verifier::Verifier,
};
use crate::tls::{Authority, Roots};

/// CA propagation delay: the time for which the webhook configuration has to trust a new root before a certificate
/// under it is served.
///
/// API servers learn of the configuration through a watch, most within a second. The rest of the half minute is for
/// slow API servers and replicas of this webhook.
pub const PROPAGATION_DELAY: Duration = Duration::from_secs(30);

/// Time for which a replica that serves no accepted certificate leaves it to others to create a missing authority. One that
/// serves a certificate keeps its root trusted; it learns of the loss through a watch, within a second.
pub const HEAD_START: Duration = Duration::from_secs(2);

/// Maximum number of retiring roots, which are still trusted but sign no new certificates.
///
/// Only frequent rotations on request reach this number. The API server stops trusting the certificate of a replica
/// only if the replica has missed as many rotations.
const MAX_PREVIOUS: usize = 8;

/// A certificate authority: its roots, and the owner of its key.
#[derive(Clone, Debug)]
pub struct CertificateAuthority {
    /// The roots.
    pub roots: Roots,
    /// The owner of the key.
    pub key: KeyOwner,
}

/// The owner of the key of a certificate authority.
#[derive(Clone, Debug)]
pub enum KeyOwner {
    /// Another party: the cluster's signer, or the user who provided the certificate.
    External,
    /// This webhook.
    Own(Arc<Authority>),
    /// Nobody: the stored key is not usable.
    Unusable,
}

/// The state of a rotation, as the Secret of the certificate authority holds it.
#[derive(Clone, Debug, Default)]
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

impl CertificateAuthority {
    /// Creates an authority whose key another party holds.
    #[must_use]
    pub fn external(roots: Roots) -> Self {
        Self { roots, key: KeyOwner::External }
    }
}

impl From<Authority> for CertificateAuthority {
    fn from(authority: Authority) -> Self {
        Self { roots: authority.root(), key: KeyOwner::Own(Arc::new(authority)) }
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

    /// Returns the roots that will sign certificates, or that sign them if there is no next authority.
    #[must_use]
    pub fn newest(&self) -> Option<&Roots> {
        self.next.as_ref().or(self.current.as_ref()).map(|authority| &authority.roots)
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
        self.previous = self.previous.without(roots);
        self.previous.add(roots);
        // One authority may have many roots, none of which is dropped for another.
        self.previous.keep_last(MAX_PREVIOUS.max(roots.len()));
        self.previous_until = self.previous_until.max(Some(until));
    }

    /// Makes the next authority the current one. The last certificate of the current one expires at `until`.
    pub fn promote(&mut self, until: OffsetDateTime) {
        let Some(next) = self.next.take() else { return };
        if let Some(last) = self.current.replace(next) {
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

#[cfg(test)]
mod tests;
