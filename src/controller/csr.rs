//! Certificates from a signer of the cluster, by the CertificateSigningRequest API:
//! <https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/>.
//!
//! The private key is stored in the Secret before its request is created, and the request is named after the key. So
//! there is one request at a time, and any replica can continue with it.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use k8s_openapi::{
    ByteString,
    api::{
        certificates::v1::{
            CertificateSigningRequest, CertificateSigningRequestCondition,
            CertificateSigningRequestSpec,
        },
        core::v1::ConfigMap,
    },
};
use kube::{Api, Client, api::ObjectMeta};

use crate::{
    kubernetes::{ClusterError, call, post_parameters},
    tls::{PemPair, PendingKey, Roots},
};

/// The ConfigMap that Kubernetes puts into each namespace, with the roots of the cluster:
/// <https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens>.
pub(super) const CLUSTER_ROOTS: &str = "kube-root-ca.crt";

/// The key in that ConfigMap.
const CLUSTER_ROOTS_KEY: &str = "ca.crt";

/// Time after which a signer that has not signed an approved request is reported. Signers sign within seconds.
const SIGNER_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests certificates from a signer of the cluster.
#[derive(Clone, Debug)]
pub(super) struct CsrSigner {
    requests: Api<CertificateSigningRequest>,
    config_maps: Api<ConfigMap>,
    namespace: String,
    signer: String,
    /// Time since which an approved request has waited for its signature.
    approved: Option<Instant>,
}

/// Progress of a request.
#[derive(Debug)]
pub(super) enum Progress {
    /// The certificate was issued.
    Issued(PemPair),
    /// The request was approved, and the signer has not signed it yet.
    Approved,
    /// The request will never be signed, for this reason.
    Refused(String),
}

impl CsrSigner {
    /// Creates a client of `signer`.
    #[must_use]
    pub(super) fn new(client: &Client, namespace: &str, signer: String) -> Self {
        Self {
            requests: Api::all(client.clone()),
            config_maps: Api::namespaced(client.clone(), namespace),
            namespace: namespace.to_owned(),
            signer,
            approved: None,
        }
    }

    /// Returns the signer's name, for errors.
    #[must_use]
    pub(super) fn title(&self) -> String {
        format!("the signer {}", self.signer)
    }

    /// Returns the API of ConfigMaps, for watching.
    #[must_use]
    pub(super) fn config_maps(&self) -> Api<ConfigMap> {
        self.config_maps.clone()
    }

    /// Reads the roots of the signer's certificates.
    ///
    /// # Errors
    /// If there are no roots, or the API server cannot be reached.
    pub(super) async fn roots(&self) -> Result<Roots, ClusterError> {
        let title = format!("ConfigMap {}/{CLUSTER_ROOTS}", self.namespace);
        let get = self.config_maps.get_opt(CLUSTER_ROOTS);
        let config_map = call(format!("get {title}"), get).await?;
        let content = |reason: &dyn Display| {
            ClusterError::content(format_args!("{title}, {CLUSTER_ROOTS_KEY}"), reason)
        };
        let text = config_map.and_then(|map| map.data?.remove(CLUSTER_ROOTS_KEY));
        let text = text.ok_or_else(|| content(&"it is not there"))?;
        let roots = Roots::from_pem(text.as_bytes()).map_err(|reason| content(&reason))?;
        if roots.is_empty() { Err(content(&"there is no root certificate")) } else { Ok(roots) }
    }

    /// Advances the request for `key` as far as possible: creates it, approves it, and reads the certificate.
    ///
    /// # Errors
    /// If the API server refuses a call or cannot be reached, or the signer does not sign in time.
    pub(super) async fn advance(
        &mut self,
        key: &PendingKey,
        names: &[String],
    ) -> Result<Progress, ClusterError> {
        let progress = self.advance_request(key, names).await?;
        match &progress {
            Progress::Issued(_) | Progress::Refused(_) => self.approved = None,
            Progress::Approved => {
                let approved = *self.approved.get_or_insert_with(Instant::now);
                if approved.elapsed() >= SIGNER_TIMEOUT {
                    let reason = format!(
                        "the approved request was not signed within {} s; is there a signer of that \
                         name in this cluster, and does it sign for servers like this one?",
                        SIGNER_TIMEOUT.as_secs()
                    );
                    return Err(ClusterError::content(self.title(), reason));
                }
            }
        }
        Ok(progress)
    }

    async fn advance_request(
        &self,
        key: &PendingKey,
        names: &[String],
    ) -> Result<Progress, ClusterError> {
        let name = format!("imageswap-{}-{}", self.namespace, key.id());
        let title = format!("CertificateSigningRequest {name}");
        let found = call(format!("get {title}"), self.requests.get_opt(&name)).await?;
        let request = match found {
            Some(request) => request,
            None => {
                let request = self.request(&name, key, names)?;
                let by = post_parameters();
                call(format!("create {title}"), self.requests.create(&by, &request)).await?
            }
        };
        if request.spec.signer_name != self.signer {
            let other = &request.spec.signer_name;
            return Ok(Progress::Refused(format!("{title} is addressed to the signer {other}")));
        }
        if let Some(condition) = condition(&request, &["Denied", "Failed"]) {
            let reason = condition.message.as_deref().or(condition.reason.as_deref());
            let reason = reason.unwrap_or("no reason is given");
            return Ok(Progress::Refused(format!("{title} is {}: {reason}", condition.type_)));
        }
        let certificate = request.status.as_ref().and_then(|status| status.certificate.clone());
        if let Some(certificate) = certificate {
            let certificate = String::from_utf8(certificate.0)
                .map_err(|error| ClusterError::content(&title, error))?;
            return Ok(Progress::Issued(PemPair { certificate, key: key.to_pem() }));
        }
        if condition(&request, &["Approved"]).is_none() {
            self.approve(request, &title).await?;
        }
        Ok(Progress::Approved)
    }

    fn request(
        &self,
        name: &str,
        key: &PendingKey,
        names: &[String],
    ) -> Result<CertificateSigningRequest, ClusterError> {
        let usages = ["digital signature", "key encipherment", "server auth"];
        Ok(CertificateSigningRequest {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            spec: CertificateSigningRequestSpec {
                request: ByteString(key.request(names, &self.namespace)?.into_bytes()),
                signer_name: self.signer.clone(),
                usages: Some(usages.map(str::to_owned).to_vec()),
                ..CertificateSigningRequestSpec::default()
            },
            status: None,
        })
    }

    async fn approve(
        &self,
        mut request: CertificateSigningRequest,
        title: &str,
    ) -> Result<(), ClusterError> {
        let name = request.metadata.name.clone().unwrap_or_default();
        let conditions = &mut request.status.get_or_insert_default().conditions;
        conditions.get_or_insert_default().push(CertificateSigningRequestCondition {
            type_: "Approved".to_owned(),
            status: "True".to_owned(),
            reason: Some("ImageSwap".to_owned()),
            message: Some("The webhook approves the request for its own certificate.".to_owned()),
            ..CertificateSigningRequestCondition::default()
        });
        let by = post_parameters();
        call(
            format!("approve {title}"),
            self.requests.replace_subresource("approval", &name, &by, &request),
        )
        .await?;
        Ok(())
    }
}

/// Returns the first condition of one of these types that is true.
fn condition<'a>(
    request: &'a CertificateSigningRequest,
    types: &[&str],
) -> Option<&'a CertificateSigningRequestCondition> {
    let conditions = request.status.as_ref()?.conditions.iter().flatten();
    conditions
        .into_iter()
        .find(|found| types.contains(&found.type_.as_str()) && found.status == "True")
}
