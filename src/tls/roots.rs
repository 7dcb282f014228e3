//! Root certificates that a client trusts, as in a caBundle.

use pem::{EncodeConfig, LineEnding, Pem};
use time::OffsetDateTime;
use tokio_rustls::rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{
    Validity,
    key_kind::{KeyKind, VERIFIABLE},
    lenient::certificate_blocks,
    pem::{check_encoding, pem_reason},
};

/// Root certificates in the order in which they were added, each once.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
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
    /// Signatures by the key of one of the certificates cannot be verified.
    #[error("certificate {number}: its key is {kind}; {VERIFIABLE}")]
    Key {
        /// The number of the certificate, from 1.
        number: usize,
        /// The kind of its key.
        kind: KeyKind,
    },
    /// There is no certificate.
    #[error("there is no PEM block of a certificate in it")]
    Empty,
    /// The text is not valid PEM.
    #[error("{0}")]
    Pem(&'static str),
}

impl Roots {
    /// Parses the certificates of a PEM text; other text in it is ignored.
    ///
    /// # Errors
    /// If a block of a certificate is invalid or does not contain a certificate.
    pub fn from_pem(text: &[u8]) -> Result<Self, RootsError> {
        check_encoding(text).map_err(RootsError::Pem)?;
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

    /// Returns the roots that are in `others` too.
    #[must_use]
    pub fn common(&self, others: &Self) -> Self {
        Self(self.0.iter().filter(|root| others.0.contains(root)).cloned().collect())
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

    /// Returns all roots.
    pub(super) fn all(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.0.iter()
    }

    /// Returns true if `root` is one of these.
    pub(super) fn contains(&self, root: &CertificateDer<'_>) -> bool {
        self.0.contains(root)
    }

    /// Checks that each root is a trust anchor whose signatures can be verified.
    ///
    /// # Errors
    /// If one is not; the message has its number.
    pub(super) fn check(&self) -> Result<(), RootsError> {
        let mut store = RootCertStore::empty();
        for (number, root) in (1..).zip(&self.0) {
            store.add(root.clone()).map_err(|error| {
                let reason = error.to_string();
                RootsError::Certificate { number, reason }
            })?;
            let (_, root) = X509Certificate::from_der(root).map_err(|error| {
                let reason = error.to_string();
                RootsError::Certificate { number, reason }
            })?;
            let kind = KeyKind::of_public(root.public_key());
            if !kind.can_verify() {
                return Err(RootsError::Key { number, kind });
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Authority;

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
        assert_eq!(roots.common(&first.root()), first.root());
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
