//! What the API server is to trust, and what has to be done next: pure, without a cluster.
//!
//! The state of a rotation is in two Secrets alone, and each [`Step`] is one write to one of them. So
//! any replica can take the next step, and one that dies leaves nothing half done.

mod clock;

use std::time::Duration;

use time::OffsetDateTime;

pub use self::clock::{Held, Sighting, TrustClock};
use crate::certs::{Authority, Roots, ServerName, ServingCertificate, TrustError};

/// How long the webhook configuration has to trust a new root before a certificate under it is
/// served.
///
/// API servers learn of the configuration by a watch, most within a second; half a minute is for
/// those that are behind, and for replicas of this webhook that are.
pub const SETTLING: Duration = Duration::from_secs(30);

/// The most roots that are still trusted although nothing is signed by them any more.
///
/// Only rotations on request, one soon after the other, come that far. A replica would have to have
/// missed as many of them to lose its trust.
const MAX_PREVIOUS: usize = 8;

/// Roots, and the key of the first if it is ours.
#[derive(Debug)]
pub struct Anchor {
    /// The roots.
    pub roots: Roots,
    /// Who signs by them.
    pub key: AnchorKey,
}

/// Who signs by an anchor's roots.
#[derive(Debug)]
pub enum AnchorKey {
    /// There is a key, which cannot be used.
    Broken,
    /// Somebody else: the cluster's signer, or whoever brought the certificate.
    Foreign,
    /// This webhook.
    Own(Box<Authority>),
}

/// What the Secret of the authority holds.
#[derive(Debug, Default)]
pub struct Trust {
    /// What certificates are signed by now.
    pub current: Option<Anchor>,
    /// What they will be signed by, once the API server trusts it.
    pub next: Option<Anchor>,
    /// What they were signed by before.
    pub previous: Roots,
    /// When the last certificate that a previous root signed ends.
    pub previous_until: Option<OffsetDateTime>,
    /// Whether a new authority is asked for.
    pub is_requested: bool,
}

/// Who signs certificates, by the settings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Issuer {
    /// This webhook, by an authority of its own.
    Own,
    /// A signer of the cluster, which these roots vouch for.
    Signer(Roots),
}

/// What the webhook configuration makes the API server trust.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Configured {
    /// There is no configuration: the API server calls nobody.
    Absent,
    /// There is one.
    Present {
        /// The roots of each webhook.
        bundles: Vec<Roots>,
        /// When it was last written; none if it has not changed since it was created.
        changed: Option<OffsetDateTime>,
    },
}

/// What is known when a step is chosen.
#[derive(Debug)]
pub struct Situation<'a> {
    /// What the Secret of the authority holds.
    pub trust: &'a Trust,
    /// The certificate in its Secret, if it can be used.
    pub certificate: Option<&'a ServingCertificate>,
    /// The certificate that is served, which may be gone from its Secret.
    pub served: Option<&'a ServingCertificate>,
    /// Whether a new certificate is asked for.
    pub is_renewal_requested: bool,
    /// Who signs certificates.
    pub issuer: &'a Issuer,
    /// The name under which the API server calls.
    pub name: &'a ServerName<'static>,
    /// What the API server trusts.
    pub configured: &'a Configured,
    /// How long it has trusted the next anchor, as far as this replica has seen.
    pub next_trusted_for: Duration,
    /// Whether to bring the state in line with this replica's own settings. Replicas with different
    /// settings, as during a rollout, would otherwise undo each other's work without a pause.
    pub may_switch: bool,
    /// The time.
    pub now: OffsetDateTime,
}

/// What has to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Nothing.
    Done,
    /// Drop the previous roots.
    Forget,
    /// Issue a certificate, for this reason.
    Issue(&'static str),
    /// Make the next anchor, for this reason.
    Prepare(&'static str),
    /// Sign by the next anchor from now on.
    Promote,
    /// Nothing yet: the API server is not sure to trust the next anchor.
    Wait,
}

impl Anchor {
    /// Roots whose key somebody else has.
    #[must_use]
    pub fn foreign(roots: Roots) -> Self {
        Self { roots, key: AnchorKey::Foreign }
    }
}

impl From<Authority> for Anchor {
    fn from(authority: Authority) -> Self {
        Self { roots: authority.root(), key: AnchorKey::Own(Box::new(authority)) }
    }
}

impl Trust {
    /// All roots, which is what belongs into a caBundle.
    #[must_use]
    pub fn bundle(&self) -> Roots {
        // From the oldest to the newest, so that a promotion changes nothing here.
        let mut bundle = self.previous.clone();
        for anchor in [&self.current, &self.next].into_iter().flatten() {
            bundle.add(&anchor.roots);
        }
        bundle
    }

    /// Whether all certificates that the previous roots signed have ended.
    fn is_previous_over(&self, now: OffsetDateTime) -> bool {
        !self.previous.is_empty() && self.previous_until.is_some_and(|until| until <= now)
    }

    /// Takes an anchor as the next.
    pub fn prepare(&mut self, next: Anchor) {
        self.next = Some(next);
        self.is_requested = false;
    }

    /// Trusts `roots` until a certificate that they vouch for has ended.
    pub fn keep_trusting(&mut self, roots: &Roots, until: OffsetDateTime) {
        self.previous.add(roots);
        // One anchor may have many roots, none of which is dropped for another.
        self.previous.keep_last(MAX_PREVIOUS.max(roots.len()));
        self.previous_until = self.previous_until.max(Some(until));
    }

    /// Makes the next anchor the current one. `certificate` is the one in use.
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
    pub fn forget(&mut self) {
        self.previous = Roots::default();
        self.previous_until = None;
    }
}

impl Configured {
    /// All roots that the API server trusts for any of its webhooks.
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

    /// Whether the API server trusts all `roots`, in each of its webhooks.
    #[must_use]
    pub fn trusts(&self, roots: &Roots) -> bool {
        match self {
            Self::Absent => false,
            Self::Present { bundles, .. } => {
                !bundles.is_empty() && bundles.iter().all(|bundle| bundle.contains_all(roots))
            }
        }
    }

    /// Whether the API server calls a server with this certificate.
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

    /// Whether no API server goes by another state of it: one that is behind knows either this one,
    /// or none that would make it call. One that was deleted and created again with other roots within
    /// [`SETTLING`] is an exception that is not seen.
    ///
    /// By the clock of the API server that wrote it and that of this machine: by as much as the latter
    /// is ahead, a change is taken for older than it is.
    #[must_use]
    pub fn is_settled(&self, now: OffsetDateTime) -> bool {
        match self {
            Self::Absent | Self::Present { changed: None, .. } => true,
            Self::Present { changed: Some(changed), .. } => now - *changed >= SETTLING,
        }
    }
}

impl Issuer {
    /// Whether certificates under this anchor can be had.
    fn can_issue_by(&self, anchor: &Anchor) -> bool {
        match (self, &anchor.key) {
            (Self::Own, AnchorKey::Own(_)) => true,
            (Self::Signer(roots), AnchorKey::Foreign) => anchor.roots == *roots,
            _ => false,
        }
    }
}

impl Situation<'_> {
    /// What has to be done next.
    #[must_use]
    pub fn next_step(&self) -> Step {
        if let Some(cause) = self.cause_to_prepare() {
            return Step::Prepare(cause);
        }
        if self.trust.next.is_some() && self.may_promote() {
            return Step::Promote;
        }
        if let Some(cause) = self.cause_to_issue() {
            return Step::Issue(cause);
        }
        if self.trust.is_previous_over(self.now) {
            return Step::Forget;
        }
        if self.trust.next.is_some() { Step::Wait } else { Step::Done }
    }

    fn cause_to_prepare(&self) -> Option<&'static str> {
        if let Some(next) = &self.trust.next {
            let is_broken = matches!(next.key, AnchorKey::Broken);
            return is_broken.then_some("the key of the next one cannot be used");
        }
        let Some(current) = &self.trust.current else {
            return Some("there is none yet");
        };
        if self.trust.is_requested {
            return Some("a new one is asked for");
        }
        match &current.key {
            AnchorKey::Broken => return Some("its key cannot be used"),
            AnchorKey::Own(authority) if authority.validity().is_half_over(self.now) => {
                return Some("half of its life is over");
            }
            _ => {}
        }
        let is_other = self.may_switch && !self.issuer.can_issue_by(current);
        is_other.then_some("certificates are to be signed by another one")
    }

    /// Whether the API server goes on calling when certificates are signed by the next anchor.
    fn may_promote(&self) -> bool {
        let is_in_use = self
            .certificate
            .or(self.served)
            .is_some_and(|certificate| self.configured.accepts(certificate, self.name, self.now));
        !is_in_use || self.next_trusted_for >= SETTLING
    }

    fn cause_to_issue(&self) -> Option<&'static str> {
        let current = self.trust.current.as_ref()?;
        if !self.issuer.can_issue_by(current) {
            return None;
        }
        let Some(certificate) = self.certificate else {
            return Some("there is none that can be used");
        };
        if self.is_renewal_requested {
            return Some("a new one is asked for");
        }
        if certificate.validity().is_half_over(self.now) {
            return Some("half of its life is over");
        }
        match current.roots.verify(certificate, self.name, self.now) {
            Err(TrustError::Other(_)) => Some("the authority in use did not sign it"),
            Err(TrustError::Name(_)) if self.may_switch => {
                Some("it is not for the name that the API server calls")
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
