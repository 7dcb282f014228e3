//! The trust of a client, such as the API server, in a serving certificate.

use std::sync::Arc;

use time::OffsetDateTime;
use tokio_rustls::rustls::{
    self, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier, verify_server_name},
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
    server::ParsedCertificate,
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{
    Roots, ServingCertificate, Validity,
    key_kind::{KeyKind, VERIFIABLE},
    validity::unix_time,
};
use crate::excerpt::{MAX_VALUE_BYTES, excerpt};

/// Object identifier of signatures by ECDSA with SHA-512. ring verifies only ECDSA with SHA-256 and SHA-384.
const ECDSA_WITH_SHA512: &str = "1.2.840.10045.4.3.4";

/// The reason why a client with some roots does not accept a certificate.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TrustError {
    /// The certificate is not valid for the name.
    #[error("not valid for the name {0}")]
    Name(String),
    /// The signatures and the name are right, but a certificate of the chain is not valid now.
    #[error("{0}")]
    Time(String),
    /// The certificate may be trusted: names and validity are right, but a signature is of a kind that Go can verify,
    /// and this program cannot.
    #[error("{0}")]
    Unverifiable(String),
    /// Any other reason: signed by another root, not for servers.
    #[error("{0}")]
    Untrusted(String),
}

impl TrustError {
    /// Returns subject and verb of the sentence that describes the error. The object is the certificate.
    #[must_use]
    pub fn finding(&self) -> &'static str {
        match self {
            Self::Name(_) | Self::Time(_) | Self::Untrusted(_) => "the API server would not accept",
            Self::Unverifiable(_) => "the API server may accept, but imageswap cannot verify",
        }
    }
}

impl Roots {
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
        if self.contains(leaf) {
            return verify_without_signature(certificate, leaf, name, now);
        }
        let Err(error) = verify_chain(self.valid_at(now), certificate, name, now) else {
            return Ok(());
        };
        // At this time all certificates of the chain have become valid.
        let start = latest_start(certificate.chain());
        let at_start = start.map(|start| verify_chain(self.all(), certificate, name, start));
        let error = match at_start {
            Some(Ok(())) => return Err(time_error(certificate, now)),
            Some(Err(error)) => error,
            None => error,
        };
        let Some(reason) = self.unverifiable_signature(leaf, intermediates) else {
            return Err(refusal(&error, name));
        };
        verify_without_signature(certificate, leaf, name, now)?;
        Err(TrustError::Unverifiable(reason))
    }

    /// Returns the first signature between `leaf` and one of these roots that only Go can verify. The certificates of
    /// the chain are found by their names.
    fn unverifiable_signature(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Option<String> {
        let roots: Vec<_> = self.all().filter_map(|root| parsed(root)).collect();
        let intermediates: Vec<_> = intermediates.iter().filter_map(parsed).collect();
        let (mut certificate, mut found) = (&parsed(leaf)?, None);
        // Each iteration goes on to another intermediate, so a longer chain has a cycle.
        for _ in 0..=intermediates.len() {
            let is_issuer = |candidate: &&X509Certificate<'_>| {
                candidate.subject().as_raw() == certificate.issuer().as_raw()
            };
            let root = roots.iter().find(is_issuer);
            let issuer = root.or_else(|| intermediates.iter().find(is_issuer))?;
            if found.is_none() {
                found = only_for_go(certificate, issuer);
            }
            if root.is_some() {
                return found;
            }
            certificate = issuer;
        }
        None
    }
}

fn parsed<'a>(certificate: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    X509Certificate::from_der(certificate).ok().map(|(_, parsed)| parsed)
}

/// Returns the property of the signature of `issuer` on `certificate` because of which only Go can verify it.
fn only_for_go(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> Option<String> {
    let name = || excerpt(&issuer.subject().to_string(), MAX_VALUE_BYTES).into_owned();
    let kind = KeyKind::of_public(issuer.public_key());
    if kind.is_only_for_go() {
        return Some(format!("the key of `{}` is {kind}; {VERIFIABLE}", name()));
    }
    let algorithm = certificate.signature_algorithm.algorithm.to_id_string();
    (algorithm == ECDSA_WITH_SHA512).then(|| {
        format!("the signature of `{}` is by ECDSA with SHA-512; use SHA-256 or SHA-384", name())
    })
}

/// Verifies a chain under `roots`, all of which count as valid.
fn verify_chain<'a>(
    roots: impl Iterator<Item = &'a CertificateDer<'static>>,
    certificate: &ServingCertificate,
    name: &ServerName<'_>,
    now: OffsetDateTime,
) -> Result<(), rustls::Error> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.cloned());
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider)
        .build()
        // The builder fails only without roots.
        .map_err(|_| rustls::CertificateError::UnknownIssuer)?;
    let (leaf, intermediates) =
        certificate.chain().split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
    verifier.verify_server_cert(leaf, intermediates, name, &[], unix_time(now)).map(drop)
}

/// Returns the latest start of validity in a chain: from then on, no certificate of it is too new.
fn latest_start(chain: &[CertificateDer<'_>]) -> Option<OffsetDateTime> {
    let starts = chain.iter().filter_map(parsed).map(|parsed| Validity::of(&parsed).not_before);
    starts.max()
}

/// Returns the error about a chain of which a certificate, or its root, is not valid now.
fn time_error(certificate: &ServingCertificate, now: OffsetDateTime) -> TrustError {
    let Validity { not_before, not_after } = certificate.validity();
    TrustError::Time(if now < not_before || not_after < now {
        format!("valid only from {not_before} to {not_after}")
    } else {
        format!("another certificate of its chain is not valid at {now}")
    })
}

/// Verifies name and validity, but no signature.
///
/// It is for a certificate that is a root itself, or whose signature only Go can verify. The API server, like all Go
/// programs, accepts a root. rustls would not if the certificate may sign others, like those that `openssl req -x509`
/// creates.
fn verify_without_signature(
    certificate: &ServingCertificate,
    leaf: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: OffsetDateTime,
) -> Result<(), TrustError> {
    ParsedCertificate::try_from(leaf)
        .and_then(|leaf| verify_server_name(&leaf, name))
        .map_err(|error| refusal(&error, name))?;
    let Validity { not_before, not_after } = certificate.validity();
    if now < not_before || not_after < now {
        return Err(time_error(certificate, now));
    }
    Ok(())
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
            (&both, "h.svc", 366, "valid only from"),
            (&both, "h.svc", -1, ""),
            (&both, "h.svc", -3, "valid only from"),
            (&both, "h.svc", -31, "valid only from"),
            (&other.root(), "h.svc", 366, "invalid peer certificate: UnknownIssuer"),
            (&other.root(), "h.svc", -31, "invalid peer certificate: UnknownIssuer"),
            (&Roots::default(), "h.svc", 0, "invalid peer certificate: UnknownIssuer"),
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
    fn a_signature_that_only_go_can_verify_is_named() {
        macro_rules! fixture {
            ($name:literal) => {
                include_str!(concat!("../../tests/fixtures/chains/", $name, ".pem"))
            };
        }
        let key = fixture!("leaf-key");
        let p521 =
            "the key of `CN=p521 CA` is ECDSA on P-521; use ECDSA on P-256 or P-384, Ed25519, or";
        for (root, leaf, expected) in [
            (fixture!("p521-ca"), fixture!("p521-leaf"), p521),
            (
                fixture!("p521-sha256-ca"),
                fixture!("p521-sha256-leaf"),
                "the key of `CN=p521-sha256 CA`",
            ),
            (
                fixture!("p256-sha512-ca"),
                fixture!("p256-sha512-leaf"),
                "the signature of `CN=p256-sha512 CA` is by",
            ),
            (
                fixture!("rsa-1024-ca"),
                fixture!("rsa-1024-leaf"),
                "the key of `CN=rsa-1024 CA` is RSA with 1024 bits; ",
            ),
        ] {
            let roots = Roots::from_pem(root.as_bytes()).unwrap();
            let certificate = served(leaf, key);
            let now = certificate.validity().not_before + Days::days(1);
            let error = roots.verify(&certificate, &name("h.svc"), now).unwrap_err();
            assert!(matches!(&error, TrustError::Unverifiable(_)), "{error}");
            assert!(error.to_string().starts_with(expected), "{error}");
            // What Go would refuse for another reason is refused for that reason.
            let error = roots.verify(&certificate, &name("other.svc"), now).unwrap_err();
            assert!(matches!(error, TrustError::Name(_)), "{error}");
            let error =
                roots.verify(&certificate, &name("h.svc"), now - Days::days(2)).unwrap_err();
            assert!(matches!(error, TrustError::Time(_)), "{error}");
            let other = Authority::generate(now).unwrap().root();
            let error = other.verify(&certificate, &name("h.svc"), now).unwrap_err();
            assert_eq!(error.to_string(), "invalid peer certificate: UnknownIssuer");
        }
    }
}
