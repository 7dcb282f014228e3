//! Certificate authorities and certificates for a test.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::tls::Identity;

/// The common name of the webhook's clients.
const API_SERVER: &str = "kube-apiserver";

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// Creates a root. Go needs different names to distinguish two roots.
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(authority_parameters(name), key).unwrap())
    }

    /// Creates an intermediate authority, signed by this one.
    #[must_use]
    pub fn intermediate(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::signed_by(authority_parameters(name), key, &self.0).unwrap())
    }

    /// Returns the certificate of the authority, in PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Returns the private key of the authority, in PEM.
    pub fn key(&self) -> String {
        self.0.key().serialize_pem()
    }

    /// Issues a certificate for a new key.
    pub fn issue(&self, parameters: &CertificateParams) -> Pair {
        Pair::issued(parameters, &self.0)
    }

    /// Signs a certificate signing request; request and certificate are in PEM.
    pub fn sign(&self, request: &str) -> String {
        let request = CertificateSigningRequestParams::from_pem(request).unwrap();
        request.signed_by(&self.0).unwrap().pem()
    }

    /// Creates the certificate and key of a server with these names and addresses.
    pub fn server_pair(&self, names: &[&str]) -> Pair {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&parameters)
    }

    /// Creates the certificate and key of a client. Kubernetes reads the user from the common name, and the group from
    /// the organization.
    pub fn client_pair(&self, user: &str, group: Option<&str>) -> Pair {
        let mut parameters = client_parameters(user);
        if let Some(group) = group {
            parameters.distinguished_name.push(DnType::OrganizationName, group);
        }
        self.issue(&parameters)
    }

    /// Creates a client.
    pub fn client(&self) -> Identity {
        self.issue(&client_parameters(API_SERVER)).identity()
    }

    /// Creates a client that also sends the certificate of the authority.
    pub fn client_with_chain(&self) -> Identity {
        let mut identity = self.client();
        identity.chain.push(self.0.der().clone());
        identity
    }

    /// Creates a client whose certificate has expired.
    pub fn former_client(&self) -> Identity {
        let mut parameters = client_parameters(API_SERVER);
        parameters.not_before = OffsetDateTime::now_utc() - Duration::days(2);
        parameters.not_after = OffsetDateTime::now_utc() - Duration::days(1);
        self.issue(&parameters).identity()
    }

    /// Creates a client whose certificate is only for servers.
    pub fn server(&self) -> Identity {
        let mut parameters = client_parameters(API_SERVER);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&parameters).identity()
    }
}

fn authority_parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

fn client_parameters(user: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, user);
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    parameters
}

/// A certificate and its private key.
pub struct Pair {
    /// The certificate, in PEM.
    pub certificate: String,
    /// The private key, in PEM.
    pub key: String,
    /// The certificate, in DER.
    pub der: Vec<u8>,
}

impl Pair {
    /// Creates a self-signed pair for localhost.
    pub fn make() -> Self {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        Self::of(&certificate, &key)
    }

    /// Issues a certificate for a new key.
    pub fn issued(parameters: &CertificateParams, issuer: &Issuer<'_, KeyPair>) -> Self {
        let key = KeyPair::generate().unwrap();
        Self::of(&parameters.signed_by(&key, issuer).unwrap(), &key)
    }

    /// Returns the files of a Secret with this pair.
    pub fn files(&self) -> [(&'static str, &[u8]); 2] {
        [("cert.pem", self.certificate.as_bytes()), ("key.pem", self.key.as_bytes())]
    }

    fn of(certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().to_vec(),
        }
    }

    fn identity(&self) -> Identity {
        let key = pem::parse(&self.key).unwrap().into_contents();
        let key = PrivateKeyDer::try_from(key).unwrap();
        Identity { chain: vec![self.der.clone().into()], key }
    }
}
