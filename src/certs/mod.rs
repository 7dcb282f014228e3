//! Certificates: read, made, checked, and exchanged while serving.
//!
//! Nothing here waits or talks to anybody; where certificates are kept is for `reload` and `cluster`
//! to know. Besides the server this is the only module that knows rustls.

mod authority;
mod clients;
mod lenient;
mod pair;
mod request;
mod roots;
mod self_signed;
mod slot;
mod validity;

pub use self::{
    authority::{Authority, PemPair},
    clients::{ClientAuthorities, ClientTrust, KnownClient},
    pair::{CertificateError, ServingCertificate},
    request::PendingKey,
    roots::{Roots, TrustError},
    self_signed::self_signed,
    slot::CertificateSlot,
    validity::Validity,
};
pub use tokio_rustls::rustls::pki_types::ServerName;

/// A name for a public key, a point on the curve P-256: the first 32 bits of its X coordinate, which
/// are as good as random.
fn key_id(public_key: &[u8]) -> String {
    // The first byte is the same for all keys: it says that the point is not compressed.
    match public_key {
        [_, a, b, c, d, ..] => format!("{:08x}", u32::from_be_bytes([*a, *b, *c, *d])),
        _ => String::new(),
    }
}
