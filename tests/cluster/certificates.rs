//! Keys and certificates of the cluster and of the webhook, from authorities that live as long as a
//! test.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

use crate::secrecy::keep_key;

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// Makes an authority. Two of them need different names, by which Go tells them apart.
    pub(crate) fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    /// The authority's certificate, in PEM.
    pub(crate) fn certificate(&self) -> String {
        self.0.pem()
    }

    /// The authority's key, in PEM.
    pub(crate) fn key(&self) -> String {
        self.0.key().serialize_pem()
    }

    /// Certificate and key, in PEM, of a server that is reached by these names and addresses.
    pub(crate) fn server_pair(&self, names: &[&str]) -> (String, String) {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.pair(&parameters)
    }

    /// Certificate and key, in PEM, of a client. Kubernetes takes the common name for the user and
    /// the organization for the group.
    pub(crate) fn client_pair(&self, user: &str, group: Option<&str>) -> (String, String) {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            parameters.distinguished_name.push(DnType::OrganizationName, group);
        }
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.pair(&parameters)
    }

    /// Signs what a certificate signing request asks for; both are in PEM.
    pub(crate) fn sign(&self, request: &str) -> String {
        let request = CertificateSigningRequestParams::from_pem(request).unwrap();
        request.signed_by(&self.0).unwrap().pem()
    }

    fn pair(&self, parameters: &CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        keep_key(&key.serialize_pem());
        (parameters.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

/// Certificate and key, in PEM, of a server on loopback, of a life that is more than half over. They
/// are by the authority whose certificate and key are given.
pub(crate) fn aged_pair(root: &str, root_key: &str) -> (String, String) {
    let issuer = Issuer::from_ca_cert_pem(root, KeyPair::from_pem(root_key).unwrap()).unwrap();
    let mut parameters = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.not_before = OffsetDateTime::now_utc() - Duration::days(200);
    parameters.not_after = OffsetDateTime::now_utc() + Duration::days(165);
    let key = KeyPair::generate().unwrap();
    keep_key(&key.serialize_pem());
    (parameters.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
}
