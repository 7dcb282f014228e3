//! Authorities that sign the certificates of clients.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::client::Identity;

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// An authority that has signed itself.
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(authority_parameters(name), key).unwrap())
    }

    /// An authority that this one has signed.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::signed_by(authority_parameters(name), key, &self.0).unwrap())
    }

    /// Its certificate in PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Its key in PEM.
    pub(crate) fn key(&self) -> String {
        self.0.key().serialize_pem()
    }

    /// A client of this authority.
    pub(crate) fn client(&self) -> Identity {
        self.issue(&client_parameters())
    }

    /// A client of this authority, which shows the authority's certificate too.
    pub(crate) fn client_with_chain(&self) -> Identity {
        let mut identity = self.client();
        identity.chain.push(self.0.der().clone());
        identity
    }

    /// A client whose certificate has ended.
    pub(crate) fn former_client(&self) -> Identity {
        let mut parameters = client_parameters();
        parameters.not_before = OffsetDateTime::now_utc() - Duration::days(2);
        parameters.not_after = OffsetDateTime::now_utc() - Duration::days(1);
        self.issue(&parameters)
    }

    /// A server, which is no client.
    pub(crate) fn server(&self) -> Identity {
        let mut parameters = client_parameters();
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&parameters)
    }

    fn issue(&self, parameters: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let issuer: &Issuer<'_, KeyPair> = &self.0;
        let certificate = parameters.signed_by(&key, issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Identity { chain: vec![certificate.der().clone()], key }
    }
}

fn authority_parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

fn client_parameters() -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    parameters
}
