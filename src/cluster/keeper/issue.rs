//! New certificates and authorities.

use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tracing::info;

use super::{
    super::{
        ClusterError,
        secrets::{CERTIFICATE, Stored},
        signing::{CLUSTER_ROOTS, Progress, Signing},
        trust::{Anchor, AnchorKey, Issuer, Step, Trust},
    },
    Keeper, Kept, SOON,
};
use crate::{
    certs::{Authority, PemPair, PendingKey, Roots, ServingCertificate},
    metrics::RotationResult,
};

/// How long a signer may take before it is complained about.
const SIGNER_PATIENCE: Duration = Duration::from_secs(30);

impl Keeper {
    /// Puts a new certificate into its Secret.
    pub(super) async fn issue(
        &mut self,
        mut stored: Stored,
        trust: &Trust,
        cause: &'static str,
    ) -> Result<Option<Kept>, ClusterError> {
        // `Situation` lets nothing be issued by an anchor of the wrong kind.
        let Some(current) = &trust.current else { return Ok(Some(Kept::Done)) };
        let pair = match (&self.signing, &current.key) {
            (None, AnchorKey::Own(authority)) => {
                authority.issue(&self.names, OffsetDateTime::now_utc())?
            }
            (Some(signing), _) => {
                let Some(key) = stored.pending_key() else {
                    stored.set_pending_key(Some(&PendingKey::generate()?));
                    return self.secrets.write(&stored).await.map(|()| None);
                };
                match signing.advance(&key, &self.names).await? {
                    Progress::Issued(pair) => {
                        self.check_issued(signing, &pair, &current.roots)?;
                        self.signer_asked = None;
                        pair
                    }
                    Progress::Approved => return self.await_signer().map(Some),
                    Progress::Refused(reason) => {
                        stored.set_pending_key(None);
                        self.secrets.write(&stored).await?;
                        self.signer_asked = None;
                        return Err(ClusterError::content(signer_title(signing), reason));
                    }
                }
            }
            _ => return Ok(Some(Kept::Done)),
        };
        stored.set_pair(&pair);
        self.secrets.write(&stored).await?;
        self.metrics.certificate_rotation(RotationResult::Issued);
        let namespace = &self.namespace;
        info!(namespace, secret = CERTIFICATE, cause, "certificate issued");
        Ok(None)
    }

    /// Waits for a signer that has not signed yet, within its time.
    fn await_signer(&mut self) -> Result<Kept, ClusterError> {
        let asked = *self.signer_asked.get_or_insert_with(Instant::now);
        match &self.signing {
            Some(signing) if asked.elapsed() >= SIGNER_PATIENCE => Err(ClusterError::content(
                signer_title(signing),
                format_args!(
                    "the approved request was not signed within {} s; is there a signer of that \
                     name in this cluster, and does it sign for servers like this one?",
                    SIGNER_PATIENCE.as_secs()
                ),
            )),
            _ => Ok(Kept::Waiting(SOON)),
        }
    }

    /// Checks that the API server will accept what a signer has issued.
    fn check_issued(
        &self,
        signing: &Signing,
        pair: &PemPair,
        roots: &Roots,
    ) -> Result<(), ClusterError> {
        let PemPair { certificate, key } = pair;
        let place = || "the signed request".into();
        let certificate =
            ServingCertificate::from_pem(certificate.as_bytes(), key.as_bytes(), place(), place())?;
        roots.verify(&certificate, &self.name, OffsetDateTime::now_utc()).map_err(|error| {
            let reason = format!(
                "the API server would not accept the certificate that it issued with the roots in \
                 ConfigMap {CLUSTER_ROOTS}: {error}"
            );
            ClusterError::content(signer_title(signing), reason)
        })
    }
}

fn signer_title(signing: &Signing) -> String {
    format!("the signer {}", signing.signer())
}

/// What is trusted after a step.
pub(super) fn changed(
    mut trust: Trust,
    step: Step,
    certificate: Option<&ServingCertificate>,
    issuer: &Issuer,
    taken_over: &Roots,
) -> Result<Trust, ClusterError> {
    match step {
        Step::Prepare(_) => {
            // What the API server trusts for the certificate in use stays trusted until that has
            // ended, as beside the original.
            if let Some(certificate) = certificate.filter(|_| !taken_over.is_empty()) {
                trust.keep_trusting(taken_over, certificate.validity().not_after);
            }
            trust.prepare(match issuer {
                Issuer::Own => Authority::generate(OffsetDateTime::now_utc())?.into(),
                Issuer::Signer(roots) => Anchor::foreign(roots.clone()),
            });
        }
        Step::Promote => trust.promote(certificate, OffsetDateTime::now_utc()),
        Step::Forget => trust.forget(),
        Step::Done | Step::Issue(_) | Step::Wait => {}
    }
    Ok(trust)
}
