//! Credentials of the node: keys, certificates and kubeconfigs.

use std::{fs, path::Path};

use rcgen::KeyPair;
use serde_json::json;
use support::{
    certificates::{Authority, Pair},
    kubectl,
};

use crate::registry::MIRROR;

/// The address of the node in its network.
pub(crate) const ADDRESS: &str = "10.123.0.2";

/// The token of the administrator, for clients that do not support client certificates.
const ADMIN_TOKEN: &str = "node-test-administrator";

/// The users of Kubernetes with a certificate: the name of the files, the user, and the group.
const USERS: [(&str, &str, Option<&str>); 5] = [
    ("admin", "admin", Some("system:masters")),
    ("controller-manager", "system:kube-controller-manager", None),
    ("kubelet", "system:node:node", Some("system:nodes")),
    ("proxy", "system:kube-proxy", None),
    ("scheduler", "system:kube-scheduler", None),
];

/// The names and addresses at which the API server and the kubelet are called.
const NAMES: [&str; 5] = [ADDRESS, "127.0.0.1", "10.96.0.1", "kubernetes.default.svc", "node"];

/// Writes the credentials of a new cluster to a folder. Returns the certificate and key of the mirror.
pub(crate) fn write(directory: &Path) -> Pair {
    fs::create_dir_all(directory).unwrap();
    let write = |name: &str, content: &str| fs::write(directory.join(name), content).unwrap();
    let write_pair = |name: &str, pair: &Pair| {
        write(&format!("{name}.crt"), &pair.certificate);
        write(&format!("{name}.key"), &pair.key);
    };
    let authority = Authority::new("node");
    write("ca.crt", &authority.pem());
    write("ca.key", &authority.key());
    write_pair("node", &authority.server_pair(&NAMES));
    let server = format!("https://{ADDRESS}:6443");
    // Paths are relative to the kubeconfig.
    let cluster = json!({ "server": server, "certificate-authority": "ca.crt" });
    for (name, user, group) in USERS {
        write_pair(name, &authority.client_pair(user, group));
        let [certificate, key] = ["crt", "key"].map(|kind| format!("{name}.{kind}"));
        let user = json!({ "client-certificate": certificate, "client-key": key });
        write(&format!("{name}.kubeconfig"), &kubectl::config(&cluster, &user).to_string());
    }
    let user = json!({ "token": ADMIN_TOKEN });
    write("token.kubeconfig", &kubectl::config(&cluster, &user).to_string());
    write("tokens.csv", &format!("{ADMIN_TOKEN},token-admin,0,system:masters\n"));
    let accounts = KeyPair::generate().unwrap();
    write("accounts.key", &accounts.serialize_pem());
    write("accounts.pub", &accounts.public_key_pem());
    authority.server_pair(&[MIRROR])
}
