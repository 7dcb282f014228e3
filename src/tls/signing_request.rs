//! A private key that waits for its certificate, and the certificate signing request (PKCS #10, RFC 2986).

use rcgen::{CertificateParams, DnType, KeyPair};

use super::{CertificateError, key_id, own::REQUEST_PREFIX};

/// A private key that has no certificate yet.
#[derive(Debug)]
pub struct PendingKey(KeyPair);

impl PendingKey {
    /// Creates an ECDSA P-256 key.
    ///
    /// # Errors
    /// If the system provides no randomness.
    pub fn generate() -> Result<Self, CertificateError> {
        Ok(Self(KeyPair::generate()?))
    }

    /// Parses a key in PEM; `None` if there is no key of a known kind. The error is dropped because it may quote the
    /// key.
    #[must_use]
    pub fn from_pem(key: &str) -> Option<Self> {
        KeyPair::from_pem(key).ok().map(Self)
    }

    /// Returns the key in PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.0.serialize_pem()
    }

    /// Returns a name for the key, which differs from the names of other keys.
    #[must_use]
    pub fn id(&self) -> String {
        key_id(self.0.public_key_raw())
    }

    /// Creates the certificate signing request, in PEM, for a server with these names in this namespace.
    ///
    /// The subject is that of a node, because signers such as `kubernetes.io/kubelet-serving` sign no other
    /// (<https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers>).
    ///
    /// # Errors
    /// If a name is not a valid host name or address.
    pub fn request(&self, names: &[String], namespace: &str) -> Result<String, CertificateError> {
        let mut parameters = CertificateParams::new(names)?;
        parameters.distinguished_name.push(DnType::OrganizationName, "system:nodes");
        parameters
            .distinguished_name
            .push(DnType::CommonName, format!("{REQUEST_PREFIX}{namespace}.svc"));
        Ok(parameters.serialize_request(&self.0)?.pem()?)
    }
}
