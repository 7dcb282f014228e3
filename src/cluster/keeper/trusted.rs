//! What the API server is made to trust, and what it is seen to trust.

use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tracing::warn;

use super::{
    super::{
        ClusterError,
        configuration::{self, Permission},
        secrets::AUTHORITY,
        trust::Configured,
    },
    Creation, Keeper,
};
use crate::certs::{Roots, ServerName, ServingCertificate};

impl Keeper {
    /// Keeps the configuration; what the API server refuses, as a template with a mistake, is no
    /// reason to let a certificate end, and is put into `refusal`.
    pub(super) async fn try_configuration(
        &mut self,
        bundle: &Roots,
        refusal: &mut Option<ClusterError>,
    ) -> Result<Configured, ClusterError> {
        match self.keep_configuration(bundle).await {
            Err(error @ ClusterError::Call { .. }) => {
                *refusal = Some(error);
                self.configuration.look().await
            }
            result => result,
        }
    }

    /// Brings the configuration in line with `bundle`; creates one when a call would be answered.
    pub(super) async fn keep_configuration(
        &mut self,
        bundle: &Roots,
    ) -> Result<Configured, ClusterError> {
        let may_create = self.served.is_some()
            && match self.creation {
                Creation::AtOnce => true,
                Creation::WhenReady => self.health.reasons().is_empty(),
            };
        let permission = if may_create { Permission::Create } else { Permission::NotYet };
        self.configuration.keep(bundle, permission).await
    }

    /// How long the API server has been seen to trust `roots`, which are about to be used.
    pub(super) fn trusted_for(&mut self, roots: Option<&Roots>, is_trusted: bool) -> Duration {
        let Some(roots) = roots.filter(|_| is_trusted) else {
            self.trusted_since = None;
            return Duration::ZERO;
        };
        match &self.trusted_since {
            Some((seen, since)) if seen == roots => since.elapsed(),
            _ => {
                self.trusted_since = Some((roots.clone(), Instant::now()));
                Duration::ZERO
            }
        }
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
