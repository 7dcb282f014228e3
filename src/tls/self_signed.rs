//! A self-signed certificate, for development.

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use time::{Duration, OffsetDateTime};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{CertificateError, ServingCertificate};
use crate::origin::Origin;

/// Validity of the certificate. It is kept only in memory, so it does not outlive the process.
const VALIDITY: Duration = Duration::days(365);

/// Time by which the start of the validity lies in the past, for clients whose clock is behind.
const CLOCK_SKEW: Duration = Duration::minutes(5);

/// Creates an ECDSA P-256 certificate for `names`, which are host names or IP addresses.
///
/// # Errors
/// If a name is not a valid host name or address.
pub fn self_signed(names: &[String]) -> Result<ServingCertificate, CertificateError> {
    let mut parameters = CertificateParams::new(names)?;
    parameters.distinguished_name.push(DnType::CommonName, "imageswap (self-signed)");
    parameters.not_before = OffsetDateTime::now_utc() - CLOCK_SKEW;
    parameters.not_after = OffsetDateTime::now_utc() + VALIDITY;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = parameters.self_signed(&key)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let chain = vec![certificate.der().clone()];
    ServingCertificate::new(chain, key, Origin::Generated, Origin::Generated)
}
