//! The names by which this program recognizes its own certificates.
//!
//! It verifies no signature, because the keys of earlier authorities are gone.

use x509_parser::{certificate::X509Certificate, prelude::FromDer, x509::X509Name};

use super::ServingCertificate;

/// Start of the common name of an authority. The name of its key follows.
pub(super) const AUTHORITY_PREFIX: &str = "imageswap CA ";

/// Start of the common name in a certificate signing request. The namespace of the Service follows.
pub(super) const REQUEST_PREFIX: &str = "system:node:imageswap.";

impl ServingCertificate {
    /// Returns true if this program has issued the certificate or requested it from a signer, according to names that
    /// only this program gives.
    #[must_use]
    pub fn is_own(&self) -> bool {
        let leaf = self.chain().first().map_or(&[][..], |leaf| leaf);
        X509Certificate::from_der(leaf).is_ok_and(|(_, leaf)| {
            has_common_name(leaf.issuer(), AUTHORITY_PREFIX)
                || has_common_name(leaf.subject(), REQUEST_PREFIX)
        })
    }
}

/// Returns true if a common name in `name` starts with `prefix`.
fn has_common_name(name: &X509Name<'_>, prefix: &str) -> bool {
    name.iter_common_name().any(|found| found.as_str().is_ok_and(|found| found.starts_with(prefix)))
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, IsCa, Issuer,
        KeyPair,
    };
    use time::OffsetDateTime;

    use super::*;
    use crate::{
        origin::Origin,
        tls::{Authority, PemPair, PendingKey},
    };

    #[test]
    fn certificates_that_this_program_has_issued_or_requested_are_recognized() {
        let names = ["imageswap".to_owned()];
        let is_own = |certificate: &str, key: &str| {
            let origin = || Origin::Generated;
            let (certificate, key) = (certificate.as_bytes(), key.as_bytes());
            ServingCertificate::from_pem(certificate, key, origin(), origin()).unwrap().is_own()
        };
        let now = OffsetDateTime::now_utc();
        let PemPair { certificate, key } =
            Authority::generate(now).unwrap().issue(&names, now).unwrap();
        assert!(is_own(&certificate, &key));
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "cluster");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let signer = Issuer::new(authority, KeyPair::generate().unwrap());
        let key = PendingKey::generate().unwrap();
        let request = key.request(&names, "ns").unwrap();
        let request = CertificateSigningRequestParams::from_pem(&request).unwrap();
        assert!(is_own(&request.signed_by(&signer).unwrap().pem(), &key.to_pem()));
        let mut provided = CertificateParams::new(names).unwrap();
        provided.distinguished_name.push(DnType::CommonName, "imageswap.ns.svc");
        let key = KeyPair::generate().unwrap();
        assert!(!is_own(&provided.signed_by(&key, &signer).unwrap().pem(), &key.serialize_pem()));
    }
}
