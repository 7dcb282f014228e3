//! Root certificates that a client trusts, as in a caBundle.

use std::sync::Arc;

use pem::{EncodeConfig, LineEnding, Pem};
use time::OffsetDateTime;
use tokio_rustls::rustls::{
    self, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier, verify_server_name},
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    server::ParsedCertificate,
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{
    ServingCertificate, Validity, lenient::certificate_blocks, pem::pem_reason, validity::unix_time,
};

/// Root certificates in the order in which they were added, each once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Roots(Vec<CertificateDer<'static>>);

/// An error in a PEM text of roots.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// One of the certificates cannot be read or used.
    #[error("certificate {number}: {reason}")]
    Certificate {
        /// The number of the certificate, from 1.
        number: usize,
        /// The error of the parser.
        reason: String,
    },
    /// There is no certificate.
    #[error("there is no PEM block of a certificate in it")]
    Empty,
    /// The text is not valid PEM.
    #[error("{0}")]
    Pem(&'static str),
}

/// The reason why a client with some roots does not accept a certificate.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The certificate is not valid for the name.
    #[error("not valid for the name {0}")]
    Name(String),
    /// Any other reason: signed by another root, not valid now, not for servers.
    #[error("{0}")]
    Untrusted(String),
}

impl Roots {
    /// Parses the certificates of a PEM text; other text in it is ignored.
    ///
    /// # Errors
    /// If a block of a certificate is invalid or does not contain a certificate.
    pub fn from_pem(text: &[u8]) -> Result<Self, RootsError> {
        let mut roots = Self::default();
        for (index, certificate) in CertificateDer::pem_slice_iter(text).enumerate() {
            let certificate = certificate.map_err(|error| RootsError::Pem(pem_reason(&error)))?;
            if let Err(error) = X509Certificate::from_der(&certificate) {
                let (number, reason) = (index + 1, error.to_string());
                return Err(RootsError::Certificate { number, reason });
            }
            roots.push(certificate);
        }
        Ok(roots)
    }

    /// Parses a caBundle like the API server: skips blocks that are not valid certificates, and reads the others.
    #[must_use]
    pub fn from_bundle(text: &[u8]) -> Self {
        let mut roots = Self::default();
        for block in certificate_blocks(text) {
            // Go accepts no bytes after the certificate.
            if X509Certificate::from_der(&block).is_ok_and(|(rest, _)| rest.is_empty()) {
                roots.push(block.into());
            }
        }
        roots
    }

    /// Returns the certificates in PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let blocks: Vec<_> =
            self.0.iter().map(|root| Pem::new("CERTIFICATE", root.to_vec())).collect();
        pem::encode_many_config(&blocks, EncodeConfig::new().set_line_ending(LineEnding::LF))
    }

    /// Returns true if there are no roots.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of roots.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds the roots of `others` that are missing.
    pub fn add(&mut self, others: &Self) {
        for root in &others.0 {
            self.push(root.clone());
        }
    }

    /// Drops all but the last `count` roots.
    pub fn keep_last(&mut self, count: usize) {
        self.0.drain(..self.0.len().saturating_sub(count));
    }

    /// Returns true if these roots include all of `others`.
    #[must_use]
    pub fn contains_all(&self, others: &Self) -> bool {
        others.0.iter().all(|root| self.0.contains(root))
    }

    /// Returns the roots that are not in `others`.
    #[must_use]
    pub fn without(&self, others: &Self) -> Self {
        Self(self.0.iter().filter(|root| !others.0.contains(root)).cloned().collect())
    }

    /// Verifies a certificate like a client that trusts these roots: one of them signed the chain, the chain is valid
    /// at `now`, and the certificate is for servers and for `name`.
    ///
    /// # Errors
    /// If a client would not accept the certificate.
    pub fn verify(
        &self,
        certificate: &ServingCertificate,
        name: &ServerName<'_>,
        now: OffsetDateTime,
    ) -> Result<(), TrustError> {
        let Some((leaf, intermediates)) = certificate.chain().split_first() else {
            return Err(TrustError::Untrusted("the chain is empty".to_owned()));
        };
        if self.0.contains(leaf) {
            return verify_itself(certificate, leaf, name, now);
        }
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(self.valid_at(now).cloned());
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider)
            .build()
            .map_err(|error| TrustError::Untrusted(error.to_string()))?;
        let now = unix_time(now);
        let result = verifier.verify_server_cert(leaf, intermediates, name, &[], now);
        result.map(drop).map_err(|error| refusal(&error, name))
    }

    /// Returns the roots that are valid at `now`. Go, and so the API server, checks the validity of a root too; webpki
    /// does not.
    pub(super) fn valid_at(
        &self,
        now: OffsetDateTime,
    ) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.0.iter().filter(move |root| {
            X509Certificate::from_der(root).is_ok_and(|(_, root)| {
                let Validity { not_before, not_after } = Validity::of(&root);
                not_before <= now && now <= not_after
            })
        })
    }

    /// Checks that each root is a usable trust anchor.
    ///
    /// # Errors
    /// If one is not; the message has its number.
    pub(super) fn check(&self) -> Result<(), RootsError> {
        let mut store = RootCertStore::empty();
        for (index, root) in self.0.iter().enumerate() {
            store.add(root.clone()).map_err(|error| {
                let (number, reason) = (index + 1, error.to_string());
                RootsError::Certificate { number, reason }
            })?;
        }
        Ok(())
    }

    fn push(&mut self, root: CertificateDer<'static>) {
        if !self.0.contains(&root) {
            self.0.push(root);
        }
    }
}

impl From<CertificateDer<'static>> for Roots {
    fn from(root: CertificateDer<'static>) -> Self {
        Self(vec![root])
    }
}

/// Verifies a certificate that is a root itself.
///
/// The API server, like all Go programs, accepts it. rustls would not if the certificate may sign others, like those
/// that `openssl req -x509` creates.
fn verify_itself(
    certificate: &ServingCertificate,
    leaf: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: OffsetDateTime,
) -> Result<(), TrustError> {
    let Validity { not_before, not_after } = certificate.validity();
    if now < not_before || not_after < now {
        let reason = format!("valid only from {not_before} to {not_after}");
        return Err(TrustError::Untrusted(reason));
    }
    ParsedCertificate::try_from(leaf)
        .and_then(|leaf| verify_server_name(&leaf, name))
        .map_err(|error| refusal(&error, name))
}

fn refusal(error: &rustls::Error, name: &ServerName<'_>) -> TrustError {
    match error {
        rustls::Error::InvalidCertificate(
            rustls::CertificateError::NotValidForName
            | rustls::CertificateError::NotValidForNameContext { .. },
        ) => TrustError::Name(name.to_str().into_owned()),
        error => TrustError::Untrusted(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    use time::Duration as Days;

    use super::*;
    use crate::tls::{Authority, PemPair};

    fn name(name: &'static str) -> ServerName<'static> {
        ServerName::try_from(name).unwrap()
    }

    fn served(certificate: &str, key: &str) -> ServingCertificate {
        let origin = || crate::origin::Origin::Generated;
        ServingCertificate::from_pem(certificate.as_bytes(), key.as_bytes(), origin(), origin())
            .unwrap()
    }

    #[test]
    fn a_certificate_is_accepted_under_its_root_for_its_names_while_it_is_valid() {
        let now = OffsetDateTime::now_utc();
        let (authority, other) =
            (Authority::generate(now).unwrap(), Authority::generate(now).unwrap());
        let names = ["h.svc".to_owned(), "127.0.0.1".to_owned()];
        let PemPair { certificate, key } = authority.issue(&names, now).unwrap();
        let certificate = served(&certificate, &key);
        let mut both = other.root();
        both.add(&authority.root());
        for (roots, host, days, expected) in [
            (&authority.root(), "h.svc", 0, ""),
            (&both, "127.0.0.1", 364, ""),
            (&both, "other.svc", 0, "not valid for the name other.svc"),
            (&other.root(), "h.svc", 0, "invalid peer certificate: UnknownIssuer"),
            (&both, "h.svc", 366, "invalid peer certificate: certificate expired"),
            (&both, "h.svc", -1, "no root trust anchors were provided"),
            (&Roots::default(), "h.svc", 0, "no root trust anchors were provided"),
        ] {
            let result = roots.verify(&certificate, &name(host), now + Days::days(days));
            let error = result.map_or_else(|error| error.to_string(), |()| String::new());
            assert!(
                error.starts_with(expected) && error.is_empty() == expected.is_empty(),
                "{error}"
            );
        }
    }

    #[test]
    fn a_certificate_may_be_its_own_root_even_if_it_may_sign_others() {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(["h.svc".to_owned()]).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).unwrap();
        let roots = Roots::from(certificate.der().clone());
        let certificate = served(&certificate.pem(), &key.serialize_pem());
        let now = OffsetDateTime::now_utc();
        roots.verify(&certificate, &name("h.svc"), now).unwrap();
        let error = roots.verify(&certificate, &name("other.svc"), now).unwrap_err();
        assert!(matches!(error, TrustError::Name(_)), "{error}");
        let long_ago = OffsetDateTime::UNIX_EPOCH;
        assert!(roots.verify(&certificate, &name("h.svc"), long_ago).is_err());
    }

    #[test]
    fn roots_are_parsed_as_they_were_written_without_duplicates() {
        let now = OffsetDateTime::now_utc();
        let (first, second) =
            (Authority::generate(now).unwrap(), Authority::generate(now).unwrap());
        let mut roots = first.root();
        roots.add(&second.root());
        roots.add(&first.root());
        let text = roots.to_pem();
        assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 2);
        assert_eq!(Roots::from_pem(text.as_bytes()).unwrap(), roots);
        assert_eq!(roots.without(&first.root()), second.root());
        assert!(Roots::from_pem(b"no certificate").unwrap().is_empty());
    }

    #[test]
    fn an_invalid_block_in_a_bundle_does_not_affect_the_other_roots() {
        let now = OffsetDateTime::now_utc();
        let (first, second) =
            (Authority::generate(now).unwrap().root(), Authority::generate(now).unwrap().root());
        let mut both = first.clone();
        both.add(&second);
        let (first, second) = (first.to_pem(), second.to_pem());
        let lines: Vec<_> = second.lines().collect();
        let truncated = [&lines[..2], &lines[lines.len() - 1..]].concat().join("\n") + "\n";
        for (name, between) in [
            ("text", "a comment: nothing\n"),
            ("invalid base64", &*second.replace("MII", "M*I")),
            ("truncated base64", &*truncated),
            ("no certificate", "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n"),
            ("headers", &*second.replacen('\n', "\nComment: old\n\n", 1)),
            ("another type", &*second.replace(" CERTIFICATE", " PUBLIC KEY")),
            ("no end", "-----BEGIN CERTIFICATE-----\nMIIB\n"),
        ] {
            let text = [&*first, between, &*second].concat();
            assert_eq!(Roots::from_bundle(text.as_bytes()), both, "{name}");
        }
        assert!(Roots::from_bundle(b"no certificate").is_empty());
    }
}
