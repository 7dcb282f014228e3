//! The two Secrets that store the certificate and the certificate authority.
//!
//! A write succeeds only if the Secret has not changed since it was read: it has the same resource version, or still
//! does not exist. So one of several replicas wins, and the others read again:
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>.

use std::{fmt, sync::Arc};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, Client, api::ObjectMeta};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tracing::warn;

use super::rotation::{CertificateAuthority, KeyOwner, Rotation};
use crate::{
    kubernetes::{ClusterError, call, post_parameters},
    origin::Origin,
    tls::{
        Authority, AuthorityError, FILE_NAMES, KeyError, PemPair, PendingKey, Roots,
        ServingCertificate,
    },
};

/// Name of the Secret with the serving certificate and its key.
pub(super) const CERTIFICATE: &str = "imageswap-tls";

/// Name of the Secret with the root certificates, and the key of the webhook's own authority.
pub(super) const AUTHORITY: &str = "imageswap-tls-ca";

/// Annotation of a Secret with a user-provided certificate ("bring your own certificate").
const BYOC: &str = "imageswap-byoc";

/// Annotation that requests a new certificate or authority, whatever its value.
const ROTATE: &str = "k8s.twr.io/imageswap-rotate";

/// Names of the copies of pairs that other clients had stored, in the order of [`FILE_NAMES`].
const REPLACED: [(&str, &str); 2] =
    [("replaced-cert.pem", "replaced-key.pem"), ("replaced-tls.crt", "replaced-tls.key")];

/// Names of the copies of a root and its key that other clients had stored.
const REPLACED_AUTHORITY: (&str, &str) = ("replaced-rootca.pem", "replaced-rootca-key.pem");

/// Label for which the init container of the Python ImageSwap waits when it finds the Secret. It accepts any value.
const UPDATED_BY: &str = "imageswap/updated-by-pod";

const PENDING_KEY: &str = "pending-key.pem";

/// Key of the root certificates in [`AUTHORITY`].
pub(super) const ROOT: &str = "rootca.pem";

/// Key of the root certificate in [`CERTIFICATE`], where cert-manager writes it.
pub(super) const ISSUER_ROOT: &str = "ca.crt";

const CURRENT: (&str, &str) = (ROOT, "rootca-key.pem");
const NEXT: (&str, &str) = ("next-rootca.pem", "next-rootca-key.pem");
const PREVIOUS: &str = "previous-rootca.pem";
const PREVIOUS_UNTIL: &str = "previous-until";

/// The Secrets of one namespace.
#[derive(Clone, Debug)]
pub(super) struct Secrets {
    api: Api<Secret>,
    namespace: String,
}

/// A Secret that was read, or that is to be created.
pub(super) struct StoredSecret {
    secret: Secret,
    /// Namespace and name.
    origin: Origin,
}

impl fmt::Debug for StoredSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the content, which holds keys.
        formatter.debug_struct("StoredSecret").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Secrets {
    /// Creates a client of the Secrets of `namespace`.
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), namespace: namespace.to_owned() }
    }

    /// Returns the API of Secrets, for watching.
    pub(super) fn api(&self) -> Api<Secret> {
        self.api.clone()
    }

    /// Reads a Secret. Returns an empty one if it does not exist.
    ///
    /// # Errors
    /// If the API server cannot be reached.
    pub(super) async fn read(&self, name: &'static str) -> Result<StoredSecret, ClusterError> {
        let origin = Origin::Secret { namespace: self.namespace.clone(), name, key: None };
        let secret = call(format!("get {origin}"), self.api.get_opt(name)).await?;
        let secret = secret.unwrap_or_else(|| Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some(
                    ["app", UPDATED_BY]
                        .map(|label| (label.to_owned(), "imageswap".to_owned()))
                        .into(),
                ),
                ..ObjectMeta::default()
            },
            ..Secret::default()
        });
        Ok(StoredSecret { secret, origin })
    }

    /// Writes a Secret.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] if the Secret was changed since it was read; others if the API server refuses the
    /// write or cannot be reached.
    pub(super) async fn write(&self, stored: &StoredSecret) -> Result<(), ClusterError> {
        let StoredSecret { secret, origin } = stored;
        let by = post_parameters();
        if secret.metadata.resource_version.is_none() {
            call(format!("create {origin}"), self.api.create(&by, secret)).await?;
        } else {
            let name = secret.metadata.name.as_deref().unwrap_or_default();
            call(format!("update {origin}"), self.api.replace(name, &by, secret)).await?;
        }
        Ok(())
    }
}

impl StoredSecret {
    /// Returns true if the certificate is user-provided.
    pub(super) fn is_user_provided(&self) -> bool {
        self.has_annotation(BYOC)
    }

    /// Returns true if a new certificate or authority is requested.
    pub(super) fn is_rotation_requested(&self) -> bool {
        self.has_annotation(ROTATE)
    }

    /// Returns the first certificate with its key; `None` if no certificate is stored.
    ///
    /// # Errors
    /// If certificate or key is invalid, or they do not belong together.
    pub(super) fn certificate(&self) -> Result<Option<ServingCertificate>, ClusterError> {
        self.pair_names().next().map(|names| self.serving_certificate(names)).transpose()
    }

    /// Returns all pairs, each with the place of its certificate.
    pub(super) fn pairs(&self) -> Vec<(Origin, Result<ServingCertificate, ClusterError>)> {
        let pair = |names: (&'static str, &'static str)| {
            (self.origin.entry(names.0), self.serving_certificate(names))
        };
        self.pair_names().map(pair).collect()
    }

    /// Returns the version that was read; `None` if the Secret does not exist.
    pub(super) fn resource_version(&self) -> Option<&str> {
        self.secret.metadata.resource_version.as_deref()
    }

    /// Returns namespace and name of the Secret.
    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns certificate and key in PEM, for files: the pair that is served, or the first one.
    pub(super) fn pair(&self, served: Option<&ServingCertificate>) -> Option<(&[u8], &[u8])> {
        let is_served = |names: &(&'static str, &'static str)| {
            let stored = self.serving_certificate(*names);
            stored.is_ok_and(|stored| served.is_some_and(|served| served.is_same(&stored)))
        };
        let (certificate, key) =
            self.pair_names().find(is_served).or_else(|| self.pair_names().next())?;
        Some((self.get(certificate)?, self.get(key)?))
    }

    /// Replaces certificate and key.
    pub(super) fn set_pair(&mut self, pair: &PemPair) {
        for (certificate, key) in self.written_names() {
            self.set(certificate, Some(pair.certificate.clone()));
            self.set(key, Some(pair.key.clone()));
        }
        self.set(PENDING_KEY, None);
        self.forget_request();
    }

    /// Keeps a copy of each pair that [`set_pair`](Self::set_pair) will replace and that this program has not made, also
    /// if it is not usable. Returns true if there is one.
    pub(super) fn keep_replaced_pairs(&mut self) -> bool {
        let mut is_kept = false;
        for (names, copies) in self.written_names().zip(REPLACED) {
            let is_own =
                self.serving_certificate(names).is_ok_and(|certificate| certificate.is_own());
            is_kept |= !is_own && self.copy(names, copies);
        }
        is_kept
    }

    /// Keeps a copy of the current root and its key, which are not usable and about to be replaced.
    pub(super) fn keep_replaced_authority(&mut self) {
        if self.get(CURRENT.1).is_some() {
            self.copy(CURRENT, REPLACED_AUTHORITY);
        }
    }

    /// Returns the key that waits for its certificate; `None` if there is no usable one.
    pub(super) fn pending_key(&self) -> Option<PendingKey> {
        let key = std::str::from_utf8(self.get(PENDING_KEY)?).ok()?;
        PendingKey::from_pem(key)
    }

    /// Sets or removes the key that waits for its certificate.
    pub(super) fn set_pending_key(&mut self, key: Option<&PendingKey>) {
        self.set(PENDING_KEY, key.map(PendingKey::to_pem));
    }

    /// Returns the roots that were in use before.
    pub(super) fn previous_roots(&self) -> Roots {
        self.usable_roots(PREVIOUS).unwrap_or_default()
    }

    /// Returns the state of the rotation. An invalid part counts as missing. Its roots are still in the webhook
    /// configuration, and are taken over from there.
    pub(super) fn rotation(&self) -> Rotation {
        let until = self.get(PREVIOUS_UNTIL).and_then(|text| std::str::from_utf8(text).ok());
        Rotation {
            current: self.certificate_authority(CURRENT),
            next: self.certificate_authority(NEXT),
            previous: self.previous_roots(),
            previous_until: until.and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok()),
            is_requested: self.is_rotation_requested(),
        }
    }

    /// Stores the state of the rotation.
    pub(super) fn set_rotation(&mut self, rotation: &Rotation) {
        for ((certificate, key), authority) in
            [(CURRENT, &rotation.current), (NEXT, &rotation.next)]
        {
            self.set(certificate, authority.as_ref().map(|authority| authority.roots.to_pem()));
            let key_pem = authority.as_ref().and_then(|authority| match &authority.key {
                KeyOwner::Own(authority) => Some(authority.key_pem()),
                KeyOwner::Unusable | KeyOwner::External => None,
            });
            self.set(key, key_pem);
        }
        let previous = (!rotation.previous.is_empty()).then(|| rotation.previous.to_pem());
        self.set(PREVIOUS, previous);
        let until = rotation.previous_until.and_then(|until| until.format(&Rfc3339).ok());
        self.set(PREVIOUS_UNTIL, until);
        if !rotation.is_requested {
            self.forget_request();
        }
    }

    fn certificate_authority(
        &self,
        (certificate, key): (&'static str, &'static str),
    ) -> Option<CertificateAuthority> {
        let roots = self.usable_roots(certificate)?;
        let Some(key_text) = self.get(key) else {
            return Some(CertificateAuthority::external(roots));
        };
        let certificate = self.get(certificate).unwrap_or_default();
        let authority = std::str::from_utf8(key_text)
            .map_err(|_| AuthorityError::Key(KeyError::Pem("it is not text")))
            .and_then(|key| Authority::from_pem(certificate, key));
        let key = match authority {
            Ok(authority) => KeyOwner::Own(Arc::new(authority)),
            Err(error) => {
                warn!(
                    secret = %self.origin.entry(key), %error,
                    hint = format_args!("for a user-provided root, first set the annotation {BYOC} on Secret {CERTIFICATE}"),
                    "key of the certificate authority is not usable"
                );
                KeyOwner::Unusable
            }
        };
        Some(CertificateAuthority { roots, key })
    }

    /// Returns the roots under a key; `None` if they are invalid or missing.
    fn usable_roots(&self, name: &'static str) -> Option<Roots> {
        match self.roots(name) {
            Ok(roots) => roots.filter(|roots| !roots.is_empty()),
            Err(error) => {
                warn!(%error, "stored roots are not usable");
                None
            }
        }
    }

    /// Returns the roots under a key; `None` if the key is missing.
    ///
    /// # Errors
    /// If they are invalid.
    pub(super) fn roots(&self, name: &'static str) -> Result<Option<Roots>, ClusterError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let roots = Roots::from_pem(text)
            .map_err(|reason| ClusterError::content(self.origin.entry(name), reason))?;
        Ok(Some(roots))
    }

    /// Returns the names of the pairs whose certificate exists.
    fn pair_names(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        FILE_NAMES.into_iter().filter(|(certificate, _)| self.get(certificate).is_some())
    }

    /// Returns the names under which a new pair is stored.
    fn written_names(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        // A Secret of the type kubernetes.io/tls must have its own names, and both pairs of names must hold the same
        // certificate.
        let is_tls = self.get(FILE_NAMES[1].0).is_some();
        FILE_NAMES.into_iter().take(if is_tls { 2 } else { 1 })
    }

    fn serving_certificate(
        &self,
        (certificate, key): (&'static str, &'static str),
    ) -> Result<ServingCertificate, ClusterError> {
        Ok(ServingCertificate::from_pem(
            self.get(certificate).unwrap_or_default(),
            self.get(key).unwrap_or_default(),
            self.origin.entry(certificate),
            self.origin.entry(key),
        )?)
    }

    /// Copies a certificate and its key to other names, as far as they exist. Returns true if one does.
    fn copy(&mut self, names: (&str, &str), copies: (&str, &str)) -> bool {
        let values = [names.0, names.1].map(|name| self.get(name).map(<[u8]>::to_vec));
        let is_stored = values.iter().any(Option::is_some);
        if is_stored {
            let data = self.secret.data.get_or_insert_default();
            for (copy, value) in [copies.0, copies.1].into_iter().zip(values) {
                // The copies belong together, so nothing of an earlier pair may stay.
                match value {
                    Some(value) => data.insert(copy.to_owned(), ByteString(value)),
                    None => data.remove(copy),
                };
            }
        }
        is_stored
    }

    fn get(&self, key: &str) -> Option<&[u8]> {
        let value = &self.secret.data.as_ref()?.get(key)?.0;
        (!value.is_empty()).then_some(value)
    }

    fn set(&mut self, key: &str, value: Option<String>) {
        let data = self.secret.data.get_or_insert_default();
        match value {
            Some(value) => data.insert(key.to_owned(), ByteString(value.into_bytes())),
            None => data.remove(key),
        };
    }

    fn has_annotation(&self, name: &str) -> bool {
        self.secret.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(name))
    }

    fn forget_request(&mut self) {
        if let Some(annotations) = &mut self.secret.metadata.annotations {
            annotations.remove(ROTATE);
        }
    }
}

#[cfg(test)]
mod tests;
