//! Keys and certificates of the cluster and of the webhook, from authorities that live as long as a
//! test.

use std::{fs, path::Path};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

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

    /// Writes the authority's own certificate and key.
    pub(crate) fn write(&self, certificate: &Path, key: &Path) {
        fs::write(certificate, self.0.pem()).unwrap();
        fs::write(key, self.0.key().serialize_pem()).unwrap();
    }

    /// Writes a pair for a server that is reached by these names and addresses.
    pub(crate) fn write_server_pair(&self, names: &[&str], certificate: &Path, key: &Path) {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.write_pair(&parameters, certificate, key);
    }

    /// Writes a pair for a client. Kubernetes takes the common name for the user and the
    /// organization for the group.
    pub(crate) fn write_client_pair(
        &self,
        user: &str,
        group: Option<&str>,
        certificate: &Path,
        key: &Path,
    ) {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            parameters.distinguished_name.push(DnType::OrganizationName, group);
        }
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.write_pair(&parameters, certificate, key);
    }

    fn write_pair(&self, parameters: &CertificateParams, certificate: &Path, key: &Path) {
        let pair = KeyPair::generate().unwrap();
        fs::write(certificate, parameters.signed_by(&pair, &self.0).unwrap().pem()).unwrap();
        fs::write(key, pair.serialize_pem()).unwrap();
    }
}
