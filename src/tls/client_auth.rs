//! Client authentication: verifies that a client's certificate is signed by a trusted certificate authority.
//!
//! The server decides what a client without such a certificate may do.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use time::OffsetDateTime;
use tokio_rustls::rustls::{
    self, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{self, CryptoProvider, ring},
    pki_types::{CertificateDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use super::{
    Roots, RootsError,
    pem::{PemFileError, read},
    validity::unix_time,
};
use crate::state::Live;

/// Time for which the result of a check of a client stays valid, while the authorities stay the same.
///
/// A certificate may expire while its connection is open, and a minute of that is harmless. A check of the signatures
/// for each request would cost more than the request.
const CHECK_VALIDITY: time::Duration = time::Duration::MINUTE;

/// An error in a file of CA certificates.
#[derive(Debug, thiserror::Error)]
pub enum CaFileError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] PemFileError),
    /// The file does not hold usable CA certificates.
    #[error("{file}: {reason}")]
    Roots {
        /// The file.
        file: PathBuf,
        /// The error in its content.
        reason: RootsError,
    },
}

/// Reads a file of CA certificates: a PEM file with at least one of them.
///
/// # Errors
/// If the file cannot be read, or one of its certificates cannot be that of a certificate authority.
pub fn read_ca_file(file: &Path) -> Result<Roots, CaFileError> {
    let invalid = |reason| CaFileError::Roots { file: file.to_owned(), reason };
    parse_ca(&read(file)?).map_err(invalid)
}

/// Parses the content of a file of CA certificates.
///
/// # Errors
/// If there is none in it, or one cannot be that of a certificate authority.
pub fn parse_ca(content: &[u8]) -> Result<Roots, RootsError> {
    let roots = Roots::from_pem(content)?;
    if roots.is_empty() {
        return Err(RootsError::Empty);
    }
    roots.check()?;
    Ok(roots)
}

/// Verifies the certificates of clients by the certificate authorities in use.
///
/// A client without a certificate passes the handshake. One whose certificate is not signed by one of the authorities
/// does not.
#[derive(Debug)]
pub struct ClientTrust {
    roots: Arc<Live<Roots>>,
    provider: Arc<CryptoProvider>,
}

impl ClientTrust {
    /// Creates a verifier that trusts clients of the authorities in `roots`, and no client while `roots` is empty.
    #[must_use]
    pub fn new(roots: Arc<Live<Roots>>) -> Self {
        Self { roots, provider: Arc::new(ring::default_provider()) }
    }

    /// Checks that one of `roots` signed a chain for a client, and that all of it is valid now.
    fn verify(
        &self,
        roots: &Roots,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: OffsetDateTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let unknown = rustls::CertificateError::UnknownIssuer;
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.valid_at(now).cloned());
        // The builder fails only if there is no root.
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(store), self.provider.clone())
                .build()
                .map_err(|_| rustls::Error::InvalidCertificate(unknown))?;
        verifier.verify_client_cert(leaf, intermediates, unix_time(now))
    }
}

impl ClientCertVerifier for ClientTrust {
    fn client_auth_mandatory(&self) -> bool {
        // Probes have no certificate.
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // The names of the authorities would help a client that has several certificates. They would also show every
        // client which authorities this cluster trusts.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let now = OffsetDateTime::from_unix_timestamp(seconds)
            .map_err(|_| rustls::Error::FailedToGetCurrentTime)?;
        let none = Roots::default();
        let roots = self.roots.load();
        self.verify(roots.as_deref().unwrap_or(&none), end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A client that has proved in the handshake of its connection that it has the key of a certificate.
///
/// The trust in a client may end before its connection does. So the chain is checked again after a change of the
/// authorities, and every minute.
#[derive(Debug)]
pub struct KnownClient {
    chain: Vec<CertificateDer<'static>>,
    trust: Arc<ClientTrust>,
    last_check: ArcSwap<TrustCheck>,
}

/// The result of the last check of a client.
#[derive(Debug)]
struct TrustCheck {
    is_trusted: bool,
    /// The authorities that were in use at the time of the check.
    roots: Option<Arc<Roots>>,
    checked_at: OffsetDateTime,
}

impl KnownClient {
    /// Creates the client of a connection whose handshake has just succeeded with this chain, which starts with the
    /// client's own certificate. Returns `None` if the chain is empty.
    #[must_use]
    pub fn new(
        trust: Arc<ClientTrust>,
        chain: &[CertificateDer<'_>],
        now: OffsetDateTime,
    ) -> Option<Self> {
        if chain.is_empty() {
            return None;
        }
        let chain: Vec<_> = chain.iter().map(|der| der.clone().into_owned()).collect();
        // Checked again, because the authorities may have changed since the handshake.
        let last_check = ArcSwap::from_pointee(check(&trust, &chain, now));
        Some(Self { chain, trust, last_check })
    }

    /// Returns true if the client is trusted at `now`, the current time.
    #[must_use]
    pub fn is_trusted(&self, now: OffsetDateTime) -> bool {
        let last = self.last_check.load();
        let age = now - last.checked_at;
        let is_recent = !age.is_negative() && age < CHECK_VALIDITY;
        let current = self.trust.roots.load();
        let is_same = match (&last.roots, &*current) {
            (Some(last), Some(current)) => Arc::ptr_eq(last, current),
            _ => false,
        };
        if is_recent && is_same {
            return last.is_trusted;
        }
        let new = check(&self.trust, &self.chain, now);
        let is_trusted = new.is_trusted;
        self.last_check.store(Arc::new(new));
        is_trusted
    }
}

fn check(trust: &ClientTrust, chain: &[CertificateDer<'_>], now: OffsetDateTime) -> TrustCheck {
    let roots = trust.roots.load_full();
    let is_trusted = match (chain.split_first(), &roots) {
        (Some((leaf, intermediates)), Some(roots)) => {
            trust.verify(roots, leaf, intermediates, now).is_ok()
        }
        _ => false,
    };
    TrustCheck { is_trusted, roots, checked_at: now }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair};

    use super::*;
    use crate::{
        origin::Origin,
        state::{Load, Subject, Summary},
        tls::Authority,
    };

    fn publish(live: &Live<Roots>, roots: &Roots) {
        let summary = Summary::ClientCa { authorities: roots.len(), added: 0, removed: 0 };
        live.publish(roots.clone(), Load::new(Origin::Generated, summary));
    }

    /// Returns a verifier for these roots, and the live value that holds them.
    fn trust_in(roots: &Roots) -> (Arc<ClientTrust>, Arc<Live<Roots>>) {
        let live = Arc::new(Live::new(Subject::ClientCa, Arc::default()));
        publish(&live, roots);
        (Arc::new(ClientTrust::new(live.clone())), live)
    }

    /// Returns the roots of a new authority, and the chain of a client of it, which is valid for a day.
    fn authority(now: OffsetDateTime) -> (Roots, Vec<CertificateDer<'static>>) {
        let authority = Authority::generate(now).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let root = authority.root().to_pem();
        fs::write(&file, &root).unwrap();
        let key = KeyPair::from_pem(&authority.key_pem()).unwrap();
        let issuer = Issuer::from_ca_cert_pem(&root, key).unwrap();
        let mut parameters = CertificateParams::default();
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        (parameters.not_before, parameters.not_after) = (now, now + time::Duration::DAY);
        let client = parameters.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        (read_ca_file(file.path()).unwrap(), vec![client.der().clone()])
    }

    #[test]
    fn a_client_is_trusted_until_its_certificate_expires_or_its_authority_is_removed() {
        let now = OffsetDateTime::now_utc();
        let (authorities, chain) = authority(now);
        let (others, stranger) = authority(now);
        let (trust, live) = trust_in(&authorities);
        let known = KnownClient::new(trust.clone(), &chain, now).unwrap();
        assert!(!KnownClient::new(trust.clone(), &stranger, now).unwrap().is_trusted(now));
        assert!(KnownClient::new(trust.clone(), &[], now).is_none());
        let expiry = now + time::Duration::DAY;
        let (second, minute) = (time::Duration::SECOND, time::Duration::MINUTE);
        for (time, is_trusted) in [
            (now, true),
            (now + minute, true),
            (expiry - second, true),
            // Within the minute for which a check stays valid.
            (expiry + second * 30, true),
            (expiry + minute, false),
            // The clock is set back.
            (now, true),
            (now - minute * 2, false),
            (now, true),
        ] {
            assert_eq!(known.is_trusted(time), is_trusted, "{time}");
        }
        publish(&live, &others);
        assert!(!known.is_trusted(now));
        publish(&live, &authorities);
        assert!(known.is_trusted(now));
    }

    #[test]
    fn clients_of_an_expired_authority_are_not_trusted() {
        let now = OffsetDateTime::now_utc();
        let (authorities, chain) = authority(now);
        let (trust, _live) = trust_in(&authorities);
        let verify = |now| trust.verify_client_cert(&chain[0], &[], unix_time(now)).map(drop);
        verify(now).unwrap();
        let error = verify(now + time::Duration::weeks(52 * 20)).unwrap_err();
        let unknown = rustls::CertificateError::UnknownIssuer;
        assert_eq!(error, rustls::Error::InvalidCertificate(unknown));
    }

    #[test]
    fn each_error_names_the_file_and_the_mistake() {
        let now = OffsetDateTime::now_utc();
        let root = Authority::generate(now).unwrap().root().to_pem();
        let key = KeyPair::generate().unwrap().serialize_pem();
        let p521 = include_str!("../../tests/fixtures/chains/p521-ca.pem");
        let no_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (content, expected) in [
            ("", "there is no PEM block of a certificate in it"),
            ("garbage", "there is no PEM block of a certificate in it"),
            (&*key, "there is no PEM block of a certificate in it"),
            (&*root.replace('\n', " "), "a block has no END line; each marker needs its own line"),
            (&*key.replace('\n', " "), "a block has no END line; each marker needs its own line"),
            (&*format!("{root}{no_der}"), "certificate 2: "),
            (
                &*format!("{root}{p521}"),
                "certificate 2: its key is ECDSA on P-521; use ECDSA on P-256",
            ),
            (&*format!("\u{feff}{root}{root}"), "the text begins with a byte-order mark"),
            (&*" ".repeat((1 << 20) + 1), "larger than 1048576 bytes"),
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(&file, content).unwrap();
            let error = read_ca_file(file.path()).unwrap_err().to_string();
            let place = format!("{}: ", file.path().display());
            assert!(error.starts_with(&place) && error.contains(expected), "{error}");
            assert!(error.len() < 300, "the error quotes a part of the file: {error}");
        }
        let missing = read_ca_file("/nowhere/ca.pem".as_ref()).unwrap_err().to_string();
        assert_eq!(missing, "/nowhere/ca.pem: No such file or directory (os error 2)");
    }
}
