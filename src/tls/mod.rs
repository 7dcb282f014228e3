//! Certificates: reads, creates and verifies them, and replaces them while serving.
//!
//! This module never waits and makes no calls. `sources` and `controller` know where certificates are stored.

mod authority;
mod certificate;
mod client;
mod client_auth;
mod key;
mod key_kind;
mod lenient;
mod own;
mod pem;
mod resolver;
mod roots;
mod self_signed;
mod signing_request;
mod trust;
mod validity;

pub use self::{
    authority::{Authority, AuthorityError, CERTIFICATE_VALIDITY, PemPair},
    certificate::{CertificateError, FILE_NAMES, ServingCertificate},
    client::{ClientConfigError, client_config, connector},
    client_auth::{CaFileError, ClientTrust, KnownClient, parse_ca, read_ca_file},
    key::{KeyError, check_private_key},
    key_kind::{Curve, KeyKind},
    pem::PemFileError,
    resolver::CertificateResolver,
    roots::{Roots, RootsError},
    self_signed::self_signed,
    signing_request::PendingKey,
    trust::TrustError,
    validity::Validity,
};
pub use tokio_rustls::rustls::{ClientConfig, pki_types::ServerName};

/// Returns a name for a public key, a point on the curve P-256. It is the first 32 bits of the X coordinate, which are
/// as good as random.
fn key_id(public_key: &[u8]) -> String {
    // The first byte is the same for all keys. It marks the point as not compressed.
    match public_key {
        [_, a, b, c, d, ..] => format!("{:08x}", u32::from_be_bytes([*a, *b, *c, *d])),
        _ => String::new(),
    }
}
