//! A key that waits for its certificate, and the request for it (PKCS #10, RFC 2986).

use rcgen::{CertificateParams, DnType, KeyPair};

use super::{CertificateError, key_id};

/// A private key without a certificate yet.
#[derive(Debug)]
pub struct PendingKey(KeyPair);

impl PendingKey {
    /// Makes an ECDSA P-256 key.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate() -> Result<Self, CertificateError> {
        Ok(Self(KeyPair::generate()?))
    }

    /// Reads a key from PEM; none when there is none of a known kind. What the parser says of it
    /// would quote it.
    #[must_use]
    pub fn from_pem(key: &str) -> Option<Self> {
        KeyPair::from_pem(key).ok().map(Self)
    }

    /// The key in PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.0.serialize_pem()
    }

    /// A name for the key, which differs from that of any other key.
    #[must_use]
    pub fn id(&self) -> String {
        key_id(self.0.public_key_raw())
    }

    /// The request for a certificate for a server with these names, in PEM.
    ///
    /// The subject is that of a node, because signers such as `kubernetes.io/kubelet-serving` sign
    /// no other
    /// (<https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers>).
    ///
    /// # Errors
    /// When a name is no valid host name or address.
    pub fn request(&self, names: &[String], node: &str) -> Result<String, CertificateError> {
        let mut parameters = CertificateParams::new(names)?;
        parameters.distinguished_name.push(DnType::OrganizationName, "system:nodes");
        parameters.distinguished_name.push(DnType::CommonName, format!("system:node:{node}"));
        Ok(parameters.serialize_request(&self.0)?.pem()?)
    }
}
