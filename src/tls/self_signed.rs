//! A certificate that signs itself, for development.

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use time::{Duration, OffsetDateTime};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{CertificateError, ServingCertificate};
use crate::origin::Origin;

/// How long the certificate is valid. It lives in memory only, so no longer than the process.
const VALIDITY: Duration = Duration::days(365);

/// How far back the validity begins, for clients whose clock is behind.
const CLOCK_SKEW: Duration = Duration::minutes(5);

/// Makes an ECDSA P-256 certificate for `names`, host names or IP addresses.
///
/// # Errors
/// When a name is no valid host name.
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
