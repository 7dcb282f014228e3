//! The roots that the API server trusts, and what follows for the serving certificate.

use time::OffsetDateTime;

use super::{PROPAGATION_DELAY, Verifier};
use crate::tls::{Roots, ServingCertificate};

/// The roots that the API server trusts, according to the webhook configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Configured {
    /// There is no configuration, so the API server does not call the webhook.
    Absent,
    /// There is a configuration.
    Present {
        /// The roots of each webhook.
        bundles: Vec<Roots>,
        /// Number that the API server increases with each change.
        generation: Option<i64>,
        /// Time of the last write; `None` if it has not changed since it was created.
        changed: Option<OffsetDateTime>,
    },
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

    /// Returns the generation of the configuration.
    pub(super) fn generation(&self) -> Option<i64> {
        match self {
            Self::Absent => None,
            Self::Present { generation, .. } => *generation,
        }
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

    /// Returns true if no API server calls with other roots than these `roots`: it trusts them all, or it does not call.
    pub(super) fn holds(&self, roots: &Roots) -> bool {
        *self == Self::Absent || self.trusts(roots)
    }

    /// Returns true if the API server accepts this certificate in each of the webhooks, as far as this program can tell.
    /// The clocks of API server and this machine may differ, so the validity does not count.
    #[must_use]
    pub fn accepts(
        &self,
        certificate: &ServingCertificate,
        verifier: &dyn Verifier,
        now: OffsetDateTime,
    ) -> bool {
        match self {
            Self::Absent => false,
            Self::Present { bundles, .. } => {
                let accepts = |bundle: &Roots| verifier.may_accept(bundle, certificate, now);
                !bundles.is_empty() && bundles.iter().all(accepts)
            }
        }
    }

    /// Returns true if the certificate `stored` in the Secret is to be served instead of `served`.
    ///
    /// Another client may have replaced it by one that the API server does not accept. Then the one in use stays until
    /// the next certificate is issued. Without a configuration, the certificate has to be valid under `bundle`, which a
    /// replica may write into a new configuration at any moment.
    #[must_use]
    pub fn permits_exchange(
        &self,
        served: Option<&ServingCertificate>,
        stored: &ServingCertificate,
        bundle: &Roots,
        verifier: &dyn Verifier,
        now: OffsetDateTime,
    ) -> bool {
        let is_accepted = match self {
            Self::Absent => verifier.may_accept(bundle, stored, now),
            Self::Present { .. } => self.accepts(stored, verifier, now),
        };
        is_accepted || served.is_none()
    }

    /// Returns true if the certificate `next` has to replace `served` at once: the API server accepts `next`, and not
    /// `served` any more.
    ///
    /// Then the other replicas have served `next` for so long that they have removed the roots of `served`.
    #[must_use]
    pub fn demands_exchange(
        &self,
        served: Option<&ServingCertificate>,
        next: &ServingCertificate,
        verifier: &dyn Verifier,
        now: OffsetDateTime,
    ) -> bool {
        served.is_some_and(|served| !self.accepts(served, verifier, now))
            && self.accepts(next, verifier, now)
    }

    /// Returns the roots that the API server has to keep trusting for the certificate `served`, although they are not in
    /// `bundle`. The Python ImageSwap has added them to the configuration, or a replica from a Secret that was replaced.
    ///
    /// If there is no configuration, they are the roots that only `last`, the caBundle of the previous reconcile, contains.
    #[must_use]
    pub fn taken_over(
        &self,
        served: Option<&ServingCertificate>,
        bundle: &Roots,
        last: &Roots,
        verifier: &dyn Verifier,
        now: OffsetDateTime,
    ) -> Roots {
        let (accepts, roots): (&dyn Fn(&ServingCertificate) -> bool, Roots) = match self {
            Self::Absent => (&|served| verifier.may_accept(last, served, now), last.clone()),
            Self::Present { .. } => (&|served| self.accepts(served, verifier, now), self.roots()),
        };
        let depends = served
            .is_some_and(|served| accepts(served) && !verifier.may_accept(bundle, served, now));
        if depends { roots.without(bundle) } else { Roots::default() }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        origin::Origin,
        tls::{Authority, PemPair, ServerName},
    };

    #[test]
    fn a_certificate_is_exchanged_at_once_if_only_the_next_one_is_accepted() {
        let (now, name) = (OffsetDateTime::now_utc(), "h.svc");
        let [old, new] = [(); 2].map(|()| Authority::generate(now).unwrap());
        let certificate = |authority: &Authority| {
            let PemPair { certificate, key } = authority.issue(&[name.to_owned()], now).unwrap();
            let (origin, other) = (Origin::Generated, Origin::Generated);
            ServingCertificate::from_pem(certificate.as_bytes(), key.as_bytes(), origin, other)
                .unwrap()
        };
        let (served, next) = (&certificate(&old), &certificate(&new));
        let verifier = ServerName::try_from(name).unwrap();
        let mut both = old.root();
        both.add(&new.root());
        for (case, bundle, served, expected) in [
            ("only the next one is accepted", Some(new.root()), Some(served), true),
            ("both are accepted", Some(both), Some(served), false),
            ("only the served one is accepted", Some(old.root()), Some(served), false),
            ("neither is accepted", Some(Roots::default()), Some(served), false),
            ("nothing is served", Some(new.root()), None, false),
            ("there is no configuration", None, Some(served), false),
        ] {
            let configured = bundle.map_or(Configured::Absent, |bundle| Configured::Present {
                bundles: vec![bundle],
                generation: None,
                changed: None,
            });
            let demands = configured.demands_exchange(served, next, &verifier, now);
            assert_eq!(demands, expected, "{case}");
        }
    }
}
