//! The two Secrets in which certificate and authority are kept.
//!
//! A write only succeeds on what was read before (by its resource version, or by its absence), so
//! that of several replicas one wins and the others look again:
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tracing::warn;

use super::{
    ClusterError, FIELD_MANAGER,
    call::call,
    trust::{Anchor, AnchorKey, Trust},
};
use crate::certs::{Authority, PemPair, PendingKey, Roots, ServingCertificate};

/// The Secret with the serving certificate and its key.
pub(super) const CERTIFICATE: &str = "imageswap-tls";

/// The Secret with the root certificates, and the key of the webhook's own authority.
pub(super) const AUTHORITY: &str = "imageswap-tls-ca";

/// Marks a Secret with a certificate that is the operator's: "bring your own certificate".
const BYOC: &str = "imageswap-byoc";

/// Asks for a new certificate or authority, whatever its value.
const ROTATE: &str = "k8s.twr.io/imageswap-rotate";

/// The keys of certificate and private key, in the order in which they are looked for.
const PAIR: [(&str, &str); 2] = [("cert.pem", "key.pem"), ("tls.crt", "tls.key")];

const PENDING_KEY: &str = "pending-key.pem";
const CURRENT: (&str, &str) = ("rootca.pem", "rootca-key.pem");
const NEXT: (&str, &str) = ("next-rootca.pem", "next-rootca-key.pem");
const PREVIOUS: &str = "previous-rootca.pem";
const PREVIOUS_UNTIL: &str = "previous-until";

/// The Secrets of one namespace.
#[derive(Clone, Debug)]
pub(super) struct Secrets {
    api: Api<Secret>,
    namespace: String,
}

/// A Secret as it was read, or as it is to be created.
pub(super) struct Stored {
    secret: Secret,
    /// The kind and name, for errors.
    title: String,
}

impl fmt::Debug for Stored {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the content, which holds keys.
        formatter.debug_struct("Stored").field("title", &self.title).finish_non_exhaustive()
    }
}

impl Secrets {
    /// The Secrets of `namespace`.
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), namespace: namespace.to_owned() }
    }

    /// The interface, for watching.
    pub(super) fn api(&self) -> Api<Secret> {
        self.api.clone()
    }

    /// Reads a Secret; an empty one when there is none.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub(super) async fn read(&self, name: &str) -> Result<Stored, ClusterError> {
        let title = format!("Secret {}/{name}", self.namespace);
        let secret = call(format!("get {title}"), self.api.get_opt(name)).await?;
        let secret = secret.unwrap_or_else(|| Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some(BTreeMap::from([("app".to_owned(), "imageswap".to_owned())])),
                ..ObjectMeta::default()
            },
            ..Secret::default()
        });
        Ok(Stored { secret, title })
    }

    /// Writes a Secret.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] when it was changed since it was read; others when the API server
    /// refuses it or cannot be asked.
    pub(super) async fn write(&self, stored: &Stored) -> Result<(), ClusterError> {
        let Stored { secret, title } = stored;
        let by = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), dry_run: false };
        if secret.metadata.resource_version.is_none() {
            call(format!("create {title}"), self.api.create(&by, secret)).await?;
        } else {
            let name = secret.metadata.name.as_deref().unwrap_or_default();
            call(format!("update {title}"), self.api.replace(name, &by, secret)).await?;
        }
        Ok(())
    }
}

impl Stored {
    /// Whether the operator brought the certificate.
    pub(super) fn is_brought(&self) -> bool {
        self.has_annotation(BYOC)
    }

    /// Whether a new certificate or authority is asked for.
    pub(super) fn is_rotation_requested(&self) -> bool {
        self.has_annotation(ROTATE)
    }

    /// The certificate and its key; none when there is none yet.
    ///
    /// # Errors
    /// When they are broken, or do not belong together.
    pub(super) fn certificate(&self) -> Result<Option<ServingCertificate>, ClusterError> {
        let Some((certificate, key)) = self.pair_names() else { return Ok(None) };
        let place = |name| format!("{}, {name}", self.title).into();
        let certificate_text = self.get(certificate).unwrap_or_default();
        let key_text = self.get(key).unwrap_or_default();
        let pair = ServingCertificate::from_pem(
            certificate_text,
            key_text,
            place(certificate),
            place(key),
        )?;
        Ok(Some(pair))
    }

    /// Certificate and key as they are stored, for files.
    pub(super) fn pair(&self) -> Option<(&[u8], &[u8])> {
        let (certificate, key) = self.pair_names()?;
        Some((self.get(certificate)?, self.get(key)?))
    }

    /// Puts a new pair in the place of the old one.
    pub(super) fn set_pair(&mut self, pair: &PemPair) {
        // A Secret of the type kubernetes.io/tls may not lack its own names, nor have others mean
        // something else.
        let is_tls = self.get(PAIR[1].0).is_some();
        for (certificate, key) in PAIR.into_iter().take(if is_tls { 2 } else { 1 }) {
            self.set(certificate, Some(pair.certificate.clone()));
            self.set(key, Some(pair.key.clone()));
        }
        self.set(PENDING_KEY, None);
        self.forget_request();
    }

    /// The key that waits for its certificate; none when there is none that can be used.
    pub(super) fn pending_key(&self) -> Option<PendingKey> {
        let key = std::str::from_utf8(self.get(PENDING_KEY)?).ok()?;
        PendingKey::from_pem(key)
    }

    /// Sets or removes the key that waits for its certificate.
    pub(super) fn set_pending_key(&mut self, key: Option<&PendingKey>) {
        self.set(PENDING_KEY, key.map(PendingKey::to_pem));
    }

    /// The roots that vouch for a certificate that was brought.
    ///
    /// # Errors
    /// When there are none, or they are broken.
    pub(super) fn brought_roots(&self) -> Result<Roots, ClusterError> {
        match self.roots(CURRENT.0)? {
            Some(roots) if !roots.is_empty() => Ok(roots),
            _ => Err(ClusterError::content(
                format_args!("{}, {}", self.title, CURRENT.0),
                "there is no root certificate; with your own certificate it has to be there",
            )),
        }
    }

    /// The roots that were in use before.
    pub(super) fn previous_roots(&self) -> Roots {
        self.sound_roots(PREVIOUS).unwrap_or_default()
    }

    /// What the Secret of the authority holds. What is broken counts as not there: the roots that
    /// were in it are still in the webhook configuration, from where they are taken over.
    pub(super) fn trust(&self) -> Trust {
        let until = self.get(PREVIOUS_UNTIL).and_then(|text| std::str::from_utf8(text).ok());
        Trust {
            current: self.anchor(CURRENT),
            next: self.anchor(NEXT),
            previous: self.previous_roots(),
            previous_until: until.and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok()),
            is_requested: self.is_rotation_requested(),
        }
    }

    /// Takes over what is to be trusted.
    pub(super) fn set_trust(&mut self, trust: &Trust) {
        for ((certificate, key), anchor) in [(CURRENT, &trust.current), (NEXT, &trust.next)] {
            self.set(certificate, anchor.as_ref().map(|anchor| anchor.roots.to_pem()));
            let key_pem = anchor.as_ref().and_then(|anchor| match &anchor.key {
                AnchorKey::Own(authority) => Some(authority.key_pem()),
                AnchorKey::Broken | AnchorKey::Foreign => None,
            });
            self.set(key, key_pem);
        }
        let previous = (!trust.previous.is_empty()).then(|| trust.previous.to_pem());
        self.set(PREVIOUS, previous);
        let until = trust.previous_until.and_then(|until| until.format(&Rfc3339).ok());
        self.set(PREVIOUS_UNTIL, until);
        if !trust.is_requested {
            self.forget_request();
        }
    }

    fn anchor(&self, (certificate, key): (&str, &str)) -> Option<Anchor> {
        let roots = self.sound_roots(certificate)?;
        let Some(key_text) = self.get(key) else { return Some(Anchor::foreign(roots)) };
        let certificate = self.get(certificate).unwrap_or_default();
        let authority = std::str::from_utf8(key_text)
            .map_err(|error| error.to_string())
            .and_then(|key| Authority::from_pem(certificate, key));
        let key = match authority {
            Ok(authority) => AnchorKey::Own(Box::new(authority)),
            Err(reason) => {
                warn!(
                    "{}, {key}: {reason}; a root of your own needs the annotation {BYOC} on Secret \
                     {CERTIFICATE} first",
                    self.title
                );
                AnchorKey::Broken
            }
        };
        Some(Anchor { roots, key })
    }

    /// The roots under a key, unless they are broken or none.
    fn sound_roots(&self, name: &str) -> Option<Roots> {
        match self.roots(name) {
            Ok(roots) => roots.filter(|roots| !roots.is_empty()),
            Err(error) => {
                warn!("{error}");
                None
            }
        }
    }

    fn roots(&self, name: &str) -> Result<Option<Roots>, ClusterError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let roots = Roots::from_pem(text).map_err(|reason| {
            ClusterError::content(format_args!("{}, {name}", self.title), reason)
        })?;
        Ok(Some(roots))
    }

    /// The keys of the first pair whose certificate is there.
    fn pair_names(&self) -> Option<(&'static str, &'static str)> {
        PAIR.into_iter().find(|(certificate, _)| self.get(certificate).is_some())
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
mod tests {
    use super::*;

    fn empty() -> Stored {
        Stored { secret: Secret::default(), title: "Secret test/imageswap".to_owned() }
    }

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
    }

    #[test]
    fn what_is_trusted_is_read_as_it_was_written() {
        let mut trust = Trust::default();
        trust.keep_trusting(&Authority::generate(now()).unwrap().root(), now());
        trust.current = Some(Anchor::foreign(Authority::generate(now()).unwrap().root()));
        trust.next = Some(Authority::generate(now()).unwrap().into());
        let mut stored = empty();
        stored.set("mine", Some("stays".to_owned()));
        stored.set_trust(&trust);
        let read = stored.trust();
        assert_eq!(read.bundle(), trust.bundle());
        assert_eq!(read.previous, trust.previous);
        assert_eq!(read.previous_until, Some(now()));
        assert!(matches!(read.current.unwrap().key, AnchorKey::Foreign));
        assert!(matches!(read.next.unwrap().key, AnchorKey::Own(_)));
        stored.set_trust(&Trust::default());
        assert_eq!(stored.secret.data.unwrap().into_keys().collect::<Vec<_>>(), ["mine"]);
    }

    #[test]
    fn what_is_broken_counts_as_not_there() {
        let authority = Authority::generate(now()).unwrap();
        let other = Authority::generate(now()).unwrap();
        let mut stored = empty();
        stored.set(CURRENT.0, Some(authority.root().to_pem()));
        stored.set(CURRENT.1, Some(other.key_pem()));
        stored.set(
            NEXT.0,
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into()),
        );
        let trust = stored.trust();
        assert!(matches!(trust.current.unwrap().key, AnchorKey::Broken));
        assert!(trust.next.is_none());
    }

    #[test]
    fn a_pair_has_the_names_of_the_original_and_those_of_a_tls_secret_where_they_are() {
        let authority = Authority::generate(now()).unwrap();
        let pair = authority.issue(&["imageswap".to_owned()], now()).unwrap();
        let mut stored = empty();
        assert!(stored.certificate().unwrap().is_none());
        stored.set_pending_key(Some(&PendingKey::generate().unwrap()));
        assert!(stored.pending_key().is_some());
        stored.set_pair(&pair);
        assert!(stored.certificate().unwrap().is_some());
        let keys = |stored: &Stored| -> Vec<String> {
            stored.secret.data.as_ref().unwrap().keys().cloned().collect()
        };
        assert_eq!(keys(&stored), ["cert.pem", "key.pem"]);
        let mut tls = empty();
        tls.set("tls.crt", Some("old".to_owned()));
        tls.set("tls.key", Some("old".to_owned()));
        let error = tls.certificate().unwrap_err().to_string();
        assert_eq!(
            error,
            "Secret test/imageswap, tls.crt: no PEM block of a certificate: no items found"
        );
        tls.set_pair(&pair);
        assert_eq!(keys(&tls), ["cert.pem", "key.pem", "tls.crt", "tls.key"]);
    }

    #[test]
    fn a_request_is_forgotten_with_what_was_asked_for() {
        let mut stored = empty();
        let annotations = BTreeMap::from([(ROTATE.to_owned(), "now".to_owned())]);
        stored.secret.metadata.annotations = Some(annotations);
        let mut trust = stored.trust();
        assert!(trust.is_requested);
        stored.set_trust(&trust);
        assert!(stored.is_rotation_requested());
        trust.prepare(Authority::generate(now()).unwrap().into());
        stored.set_trust(&trust);
        assert!(!stored.is_rotation_requested());
    }
}
