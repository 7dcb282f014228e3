//! Keys and certificates of the cluster and of the webhook. Each key is added to the search for secrets.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use support::certificates::{Authority, Pair};
use time::{Duration, OffsetDateTime};

use crate::{secrecy::record_key, service::HOST};

/// Creates the certificate and key, in PEM, of a server with these names and addresses.
pub(crate) fn server_pair(authority: &Authority, names: &[&str]) -> (String, String) {
    recorded(authority.server_pair(names))
}

/// Creates the certificate and key, in PEM, of the webhook. The validity began an hour ago.
pub(crate) fn recent_pair(authority: &Authority) -> (String, String) {
    let mut parameters = CertificateParams::new([HOST.to_owned()]).unwrap();
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.not_before = OffsetDateTime::now_utc() - Duration::hours(1);
    recorded(authority.issue(&parameters))
}

/// Creates the certificate and key, in PEM, of a client of the API server.
pub(crate) fn client_pair(
    authority: &Authority,
    user: &str,
    group: Option<&str>,
) -> (String, String) {
    recorded(authority.client_pair(user, group))
}

/// Creates the certificate and key, in PEM, of the webhook. More than half of the validity is over. The issuer
/// is the authority with this certificate and key.
pub(crate) fn aged_pair(root: &str, root_key: &str) -> (String, String) {
    let issuer = Issuer::from_ca_cert_pem(root, KeyPair::from_pem(root_key).unwrap()).unwrap();
    let mut parameters = CertificateParams::new([HOST.to_owned()]).unwrap();
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.not_before = OffsetDateTime::now_utc() - Duration::days(200);
    parameters.not_after = OffsetDateTime::now_utc() + Duration::days(165);
    recorded(Pair::issued(&parameters, &issuer))
}

fn recorded(pair: Pair) -> (String, String) {
    record_key(&pair.key);
    (pair.certificate, pair.key)
}
