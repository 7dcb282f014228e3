//! New certificates and certificate authorities: creates them and stores them in the Secrets.
//!
//! It does not decide when; [`rotation`](super::rotation) does.

use time::OffsetDateTime;
use tracing::{info, warn};

use super::{
    Controller, RETRY_DELAY, ReconcileOutcome,
    csr::{CLUSTER_ROOTS, CsrSigner, Progress},
    metrics::RotationResult,
    rotation::{Action, CertificateAuthority, IssueCause, Issuer, KeyOwner, Observed},
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
        observed: &Observed<'_>,
        cause: IssueCause,
    ) -> Result<Option<ReconcileOutcome>, ClusterError> {
        // `Observed` chooses `Action::Issue` only if the issuer can issue certificates under the current authority.
        let Some(current) = &observed.rotation.current else {
            return Ok(Some(ReconcileOutcome::Done));
        };
        let pair = match (&mut self.signer, &current.key) {
            (None, KeyOwner::Own(authority)) => {
                let pair = authority.issue(&self.names, OffsetDateTime::now_utc())?;
                check_new(observed, &pair, stored.origin())?;
                pair
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
        let is_kept = stored.keep_replaced_pairs();
        stored.set_pair(&pair);
        self.secrets.write(&stored).await?;
        self.metrics.rotation(RotationResult::Issued);
        let (namespace, secret, cause) = (&self.namespace, CERTIFICATE, cause.as_str());
        info!(namespace, secret, cause, "certificate issued");
        if is_kept {
            info!(namespace, secret, "replaced certificate kept in the Secret");
        }
        if observed.is_of_unknown_authority() {
            let hint =
                "for a user-provided certificate, set the annotation imageswap-byoc on the Secret";
            warn!(namespace, secret, hint, "certificate of an unknown authority replaced");
        }
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
        observed: &Observed<'_>,
        action: Action,
    ) -> Result<(), ClusterError> {
        let rotation = observed.rotation_after(action, || create(observed.issuer))?;
        let current = observed.rotation.current.as_ref();
        if !current.is_some_and(|current| matches!(current.key, KeyOwner::Own(_))) {
            authority.keep_replaced_authority();
        }
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
            Action::Retain => info!(namespace, secret, "roots of the certificate in use retained"),
            Action::Issue(_) | Action::Nothing | Action::Wait => {}
        }
        Ok(())
    }
}

/// Creates the next authority.
fn create(issuer: &Issuer) -> Result<CertificateAuthority, ClusterError> {
    Ok(match issuer {
        Issuer::Own => Authority::generate(OffsetDateTime::now_utc())?.into(),
        Issuer::Signer(roots) => CertificateAuthority::external(roots.clone()),
    })
}

/// Checks that a new certificate would not have to be replaced at once.
///
/// # Errors
/// If it would, for example because the clock of this machine is years ahead.
fn check_new(observed: &Observed<'_>, pair: &PemPair, secret: &Origin) -> Result<(), ClusterError> {
    let PemPair { certificate, key } = pair;
    let origin = || Origin::Generated;
    let certificate =
        ServingCertificate::from_pem(certificate.as_bytes(), key.as_bytes(), origin(), origin())?;
    let issued =
        Observed { certificate: Some(&certificate), is_renewal_requested: false, ..*observed };
    let Some(defect) = issued.cause_to_issue() else { return Ok(()) };
    let reason = format_args!(
        "a new certificate would have to be replaced at once, because {}; check the clocks of the nodes",
        defect.as_str(),
    );
    Err(ClusterError::content(secret, reason))
}
