//! The serving certificate: read from files or made for development, and exchanged while serving.
//!
//! Besides the server this is the only module that knows rustls.

mod pair;
mod self_signed;
mod slot;

pub use self::{
    pair::{CertificateError, ServingCertificate},
    self_signed::self_signed,
    slot::CertificateSlot,
};
