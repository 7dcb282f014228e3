//! New certificates and certificate authorities: creates them and stores them in the Secrets.
//!
//! It does not decide when; [`rotation`](super::rotation) does.

use time::OffsetDateTime;
use tracing::info;

use super::{
    Controller, Findings, RETRY_DELAY, ReconcileOutcome,
    csr::{CLUSTER_ROOTS, CsrSigner, Progress},
    metrics::RotationResult,
    rotation::{Action, CertificateAuthority, IssueCause, Issuer, KeyOwner, Rotation},
    secrets::{AUTHORITY, CERTIFICATE, StoredSecret},
};
use crate::{
    kubernetes::ClusterError,
    origin::Origin,
    tls::{Authority, PemPair, PendingKey, Roots, ServingCertificate},
};

impl Controller {
    /// Issues a certificate and stores it in its Secret. Returns `None` if another action may follow.
    pub(super) async fn issue(
        &mut self,
        mut stored: StoredSecret,
        rotation: &Rotation,
        cause: IssueCause,
    ) -> Result<Option<ReconcileOutcome>, ClusterError> {
        // `Observed` chooses `Action::Issue` only if the issuer can issue certificates under the current authority.
        let Some(current) = &rotation.current else { return Ok(Some(ReconcileOutcome::Done)) };
        let pair = match (&mut self.signer, &current.key) {
            (None, KeyOwner::Own(authority)) => {
                authority.issue(&self.names, OffsetDateTime::now_utc())?
            }
            (Some(signer), _) => {
                let Some(key) = stored.pending_key() else {
                    stored.set_pending_key(Some(&PendingKey::generate()?));
                    return self.secrets.write(&stored).await.map(|()| None);
                };
                match signer.advance(&key, &self.names).await? {
                    Progress::Issued(pair) => {
                        self.check_issued(&pair, &current.roots)?;
                        pair
                    }
                    Progress::Approved => {
                        return Ok(Some(ReconcileOutcome::RequeueAfter(RETRY_DELAY)));
                    }
                    Progress::Refused(reason) => {
                        let title = signer.title();
                        stored.set_pending_key(None);
                        self.secrets.write(&stored).await?;
                        return Err(ClusterError::content(title, reason));
                    }
                }
            }
            _ => return Ok(Some(ReconcileOutcome::Done)),
        };
        stored.set_pair(&pair);
        self.secrets.write(&stored).await?;
        self.metrics.rotation(RotationResult::Issued);
        let (namespace, cause) = (&self.namespace, cause.as_str());
        info!(namespace, secret = CERTIFICATE, cause, "certificate issued");
        Ok(None)
    }

    /// Checks that the API server will accept a certificate of the signer.
    fn check_issued(&self, pair: &PemPair, roots: &Roots) -> Result<(), ClusterError> {
        let PemPair { certificate, key } = pair;
        let origin = || Origin::SignedRequest;
        let certificate = ServingCertificate::from_pem(
            certificate.as_bytes(),
            key.as_bytes(),
            origin(),
            origin(),
        )?;
        roots.verify(&certificate, &self.name, OffsetDateTime::now_utc()).map_err(|error| {
            let finding = error.finding();
            let reason = format!(
                "{finding} the certificate that it issued with the roots in ConfigMap \
                 {CLUSTER_ROOTS}: {error}"
            );
            let title = self.signer.as_ref().map(CsrSigner::title).unwrap_or_default();
            ClusterError::content(title, reason)
        })
    }

    /// Carries out an action that changes the certificate authorities: writes, logs and counts it.
    pub(super) async fn change_authority(
        &mut self,
        mut authority: StoredSecret,
        mut rotation: Rotation,
        action: Action,
        findings: &Findings,
    ) -> Result<(), ClusterError> {
        let served = self.served();
        apply(&mut rotation, action, served.as_deref(), findings)?;
        authority.set_rotation(&rotation);
        self.secrets.write(&authority).await?;
        let (namespace, secret) = (&self.namespace, AUTHORITY);
        match action {
            Action::Prepare(cause) => {
                self.metrics.rotation(RotationResult::Issued);
                info!(namespace, secret, cause = cause.as_str(), "CA created, not yet in use");
            }
            Action::Promote => info!(namespace, secret, "CA in use"),
            Action::DropPrevious => info!(namespace, secret, "retired CAs removed"),
            Action::Issue(_) | Action::Nothing | Action::Wait => {}
        }
        Ok(())
    }
}

/// Applies an action to the state of a rotation. `certificate` is the serving certificate.
fn apply(
    rotation: &mut Rotation,
    action: Action,
    certificate: Option<&ServingCertificate>,
    findings: &Findings,
) -> Result<(), ClusterError> {
    let Findings { issuer, taken_over, .. } = findings;
    match action {
        Action::Prepare(_) => {
            // Roots that the API server needs for the certificate in use stay trusted until it has expired, for example
            // roots of the original.
            if let Some(certificate) = certificate.filter(|_| !taken_over.is_empty()) {
                rotation.keep_trusting(taken_over, certificate.validity().not_after);
            }
            rotation.prepare(match issuer {
                Issuer::Own => Authority::generate(OffsetDateTime::now_utc())?.into(),
                Issuer::Signer(roots) => CertificateAuthority::external(roots.clone()),
            });
        }
        Action::Promote => rotation.promote(certificate, OffsetDateTime::now_utc()),
        Action::DropPrevious => rotation.drop_previous(),
        Action::Issue(_) | Action::Nothing | Action::Wait => {}
    }
    Ok(())
}
