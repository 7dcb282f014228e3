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

/// How long a verdict on a client holds, while the authorities stay the same.
///
/// A certificate may end while its connection lives on, and nobody minds a minute of that. Checking
/// signatures for each request would cost more than the request.
const VERDICT_LIFE: time::Duration = time::Duration::MINUTE;

/// Why a client CA file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientCaError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] PemFileError),
    /// It holds no certificates of authorities.
    #[error("{file}: {reason}")]
    Roots {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: RootsError,
    },
}

/// Reads the client CA file: a PEM file with at least one certificate.
///
/// # Errors
/// If the file cannot be read, or one of its certificates cannot be that of a certificate authority.
pub fn read_client_ca(file: &Path) -> Result<Roots, ClientCaError> {
    let invalid = |reason| ClientCaError::Roots { file: file.to_owned(), reason };
    let roots = Roots::from_pem(&read(file)?).map_err(invalid)?;
    if roots.is_empty() {
        return Err(invalid(RootsError::Empty));
    }
    roots.check().map_err(invalid)?;
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
    /// Trusts clients of the authorities that `roots` holds; none as long as there are none.
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
        // The only error is that no root is left.
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
        // The names of the authorities would help a client that has several certificates, and tell
        // everybody who asks whom this cluster trusts.
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

/// A client that has shown, in the handshake of its connection, that it has the key of a certificate.
///
/// A connection may outlive the trust in its client, so that the chain is judged again when the
/// authorities have changed, and every minute.
#[derive(Debug)]
pub struct KnownClient {
    chain: Vec<CertificateDer<'static>>,
    trust: Arc<ClientTrust>,
    verdict: ArcSwap<Verdict>,
}

/// What was found of a client the last time.
#[derive(Debug)]
struct Verdict {
    is_trusted: bool,
    /// The authorities that were in use then.
    roots: Option<Arc<Roots>>,
    judged: OffsetDateTime,
}

impl KnownClient {
    /// The client of a connection whose handshake has just succeeded with this chain, which begins
    /// with the client's own certificate; none when the chain is empty.
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
        // Judged anew: the authorities may have changed since the handshake asked them.
        let verdict = ArcSwap::from_pointee(judge(&trust, &chain, now));
        Some(Self { chain, trust, verdict })
    }

    /// Whether the client is trusted at this time, which is now.
    #[must_use]
    pub fn is_trusted(&self, now: OffsetDateTime) -> bool {
        let verdict = self.verdict.load();
        let age = now - verdict.judged;
        let is_recent = !age.is_negative() && age < VERDICT_LIFE;
        let current = self.trust.roots.load();
        let is_same = match (&verdict.roots, &*current) {
            (Some(judged_by), Some(current)) => Arc::ptr_eq(judged_by, current),
            _ => false,
        };
        if is_recent && is_same {
            return verdict.is_trusted;
        }
        let verdict = judge(&self.trust, &self.chain, now);
        let is_trusted = verdict.is_trusted;
        self.verdict.store(Arc::new(verdict));
        is_trusted
    }
}

fn judge(trust: &ClientTrust, chain: &[CertificateDer<'_>], now: OffsetDateTime) -> Verdict {
    let roots = trust.roots.load_full();
    let is_trusted = match (chain.split_first(), &roots) {
        (Some((leaf, intermediates)), Some(roots)) => {
            trust.verify(roots, leaf, intermediates, now).is_ok()
        }
        _ => false,
    };
    Verdict { is_trusted, roots, judged: now }
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

    /// A trust in these roots, and the place that holds them.
    fn trust_in(roots: &Roots) -> (Arc<ClientTrust>, Arc<Live<Roots>>) {
        let live = Arc::new(Live::new(Subject::ClientCa, Arc::default()));
        publish(&live, roots);
        (Arc::new(ClientTrust::new(live.clone())), live)
    }

    /// The file of an authority, and a client of it whose certificate is valid for a day.
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
        (read_client_ca(file.path()).unwrap(), vec![client.der().clone()])
    }

    #[test]
    fn a_client_is_trusted_until_its_certificate_ends_or_its_authority_goes() {
        let now = OffsetDateTime::now_utc();
        let (authorities, chain) = authority(now);
        let (others, stranger) = authority(now);
        let (trust, live) = trust_in(&authorities);
        let known = KnownClient::new(trust.clone(), &chain, now).unwrap();
        assert!(!KnownClient::new(trust.clone(), &stranger, now).unwrap().is_trusted(now));
        assert!(KnownClient::new(trust.clone(), &[], now).is_none());
        let end = now + time::Duration::DAY;
        let (second, minute) = (time::Duration::SECOND, time::Duration::MINUTE);
        for (time, is_trusted) in [
            (now, true),
            (now + minute, true),
            (end - second, true),
            // Within the minute that a verdict holds.
            (end + second * 30, true),
            (end + minute, false),
            // The clock is put back.
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
    fn an_authority_that_has_ended_vouches_for_nobody() {
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
    fn each_error_of_a_file_names_it_and_says_what_is_wrong() {
        let now = OffsetDateTime::now_utc();
        let root = Authority::generate(now).unwrap().root().to_pem();
        let key = KeyPair::generate().unwrap().serialize_pem();
        let no_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (content, expected) in [
            ("", "there is no PEM block of a certificate in it"),
            ("garbage", "there is no PEM block of a certificate in it"),
            (&*key, "there is no PEM block of a certificate in it"),
            (&*root.replace('\n', " "), "a block has no end; each marker is a line of its own"),
            (&*key.replace('\n', " "), "a block has no end; each marker is a line of its own"),
            (&*format!("{root}{no_der}"), "certificate 2: "),
            (&*" ".repeat((1 << 20) + 1), "larger than 1048576 bytes"),
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(&file, content).unwrap();
            let error = read_client_ca(file.path()).unwrap_err().to_string();
            let place = format!("{}: ", file.path().display());
            assert!(error.starts_with(&place) && error.contains(expected), "{error}");
            assert!(error.len() < 300, "a part of the file is in it: {error}");
        }
        let missing = read_client_ca("/nowhere/ca.pem".as_ref()).unwrap_err().to_string();
        assert_eq!(missing, "/nowhere/ca.pem: No such file or directory (os error 2)");
    }
}
