//! Authorities, certificates and their verification, remembered over all schedules of a thread.
//!
//! They are real. To make and to verify one takes some hundred microseconds, and a schedule needs dozens.

use std::{
    cell::RefCell,
    collections::HashMap,
    fmt,
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
};

use imageswap::{
    controller::rotation::{CertificateAuthority, KeyOwner, Verifier},
    origin::Origin,
    tls::{Authority, Roots, ServerName, ServingCertificate, TrustError},
};
use time::{Duration, OffsetDateTime};

/// The name under which the API server calls.
const NAME: &str = "imageswap.imageswap-system.svc";

/// A time at which something is made, in days since the start of a schedule, by a clock that is ahead by hours.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Made {
    pub(crate) day: i64,
    pub(crate) ahead: i64,
}

impl Made {
    /// Returns the time by the clock of the machine.
    pub(crate) fn at(self) -> OffsetDateTime {
        let start = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        start + Duration::days(self.day) + Duration::hours(self.ahead)
    }
}

thread_local! {
    /// Authorities by their times. A schedule takes them in order.
    static AUTHORITIES: RefCell<HashMap<Made, Vec<Arc<Authority>>>> = RefCell::default();
    /// Certificates by their authorities and times.
    static CERTIFICATES: RefCell<HashMap<(usize, Made), Vec<ServingCertificate>>> =
        RefCell::default();
}

/// Makes authorities and certificates, each once in a schedule.
#[derive(Debug, Default)]
pub(crate) struct Pki {
    authorities: HashMap<Made, usize>,
    certificates: HashMap<(usize, Made), usize>,
    /// The authority of each certificate.
    issuers: HashMap<u64, usize>,
}

impl Pki {
    /// Makes another authority.
    pub(crate) fn authority(&mut self, made: Made) -> CertificateAuthority {
        let number = next(&mut self.authorities, made);
        let authority = AUTHORITIES.with_borrow_mut(|all| {
            let all = all.entry(made).or_default();
            while all.len() <= number {
                all.push(Arc::new(Authority::generate(made.at()).unwrap()));
            }
            all[number].clone()
        });
        CertificateAuthority { roots: authority.root(), key: KeyOwner::Own(authority) }
    }

    /// Issues another certificate.
    pub(crate) fn certificate(
        &mut self,
        authority: &Arc<Authority>,
        made: Made,
    ) -> ServingCertificate {
        // The authorities live as long as the thread.
        let key = (Arc::as_ptr(authority).addr(), made);
        let number = next(&mut self.certificates, key);
        let certificate = CERTIFICATES.with_borrow_mut(|all| {
            let all = all.entry(key).or_default();
            while all.len() <= number {
                let pair = authority.issue(&[NAME.to_owned()], made.at()).unwrap();
                let (chain, key) = (pair.certificate.as_bytes(), pair.key.as_bytes());
                let origin = || Origin::Generated;
                all.push(ServingCertificate::from_pem(chain, key, origin(), origin()).unwrap());
            }
            all[number].clone()
        });
        self.issuers.insert(id(&certificate), key.0);
        certificate
    }

    /// Returns a number for the authority of a certificate.
    pub(crate) fn issuer(&self, certificate: &ServingCertificate) -> usize {
        self.issuers[&id(certificate)]
    }
}

fn next<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K) -> usize {
    let count = counts.entry(key).or_default();
    *count += 1;
    *count - 1
}

/// Returns a number for a certificate.
pub(crate) fn id(certificate: &ServingCertificate) -> u64 {
    hash(certificate.chain())
}

fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = Ends::default();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Hashes the ends of certificates, which are in their signatures and therefore differ.
#[derive(Default)]
struct Ends(u64);

impl Hasher for Ends {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let end = bytes.last_chunk().map_or(0, |end| u64::from_le_bytes(*end));
        self.0 = (self.0.rotate_left(5) ^ end).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// The roots, the certificate and the hour of a verification.
type VerificationKey = (u64, u64, i64);

/// Verifies certificates as the product does, and remembers the results.
pub(crate) struct CachingVerifier {
    name: ServerName<'static>,
    results: Mutex<HashMap<VerificationKey, Result<(), TrustError>>>,
}

impl Default for CachingVerifier {
    fn default() -> Self {
        Self { name: ServerName::try_from(NAME).unwrap(), results: Mutex::default() }
    }
}

impl fmt::Debug for CachingVerifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CachingVerifier").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Verifier for CachingVerifier {
    fn verify(
        &self,
        roots: &Roots,
        certificate: &ServingCertificate,
        now: OffsetDateTime,
    ) -> Result<(), TrustError> {
        // No certificate begins or ends within an hour of a time at which it is verified.
        let key = (hash(roots), id(certificate), now.unix_timestamp().div_euclid(3600));
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        results.entry(key).or_insert_with(|| roots.verify(certificate, &self.name, now)).clone()
    }
}
