//! Credentials of the control plane and its clients: keys, certificates, tokens and kubeconfigs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::KeyPair;
use serde_json::{Value, json};
use support::{certificates::Authority, kubectl};

use crate::{
    certificates::{client_pair, server_pair},
    secrecy::record_token,
};

/// The token of the administrator, for clients that do not support client certificates.
const ADMIN_TOKEN: &str = "cluster-test-administrator";

/// The file with the API server's client certificate for webhooks.
pub(crate) const ADMISSION_CONFIGURATION: &str = "admission.json";

/// The namespace in which all creations are written to the audit log.
pub(crate) const RECORDED: &str = "recorded";

/// The group whose requests are written to the audit log: the webhook's service accounts.
const AUDITED: &str = "system:serviceaccounts:imageswap-system";

/// The files of a control plane whose API server is on a port of loopback.
pub(crate) struct Identities<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) authority: &'a Authority,
    pub(crate) api_server: u16,
}

impl Identities<'_> {
    /// Writes the files that the control plane needs to start.
    pub(crate) fn write(&self) {
        self.write_file("ca.crt", &self.authority.pem());
        self.write_file("ca.key", &self.authority.key());
        let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"];
        self.write_pair("api-server", server_pair(self.authority, &names));
        for (name, user, group) in [
            ("admin", "admin", Some("system:masters")),
            ("controller-manager", "system:kube-controller-manager", None),
        ] {
            let (certificate, key) =
                self.write_pair(name, client_pair(self.authority, user, group));
            let user = json!({ "client-certificate": certificate, "client-key": key });
            self.write_kubeconfig(name, &user);
        }
        self.write_token_kubeconfig("token", ADMIN_TOKEN);
        self.write_file("tokens.csv", &format!("{ADMIN_TOKEN},token-admin,0,system:masters\n"));
        let accounts = KeyPair::generate().unwrap();
        self.write_file("accounts.key", &accounts.serialize_pem());
        self.write_file("accounts.pub", &accounts.public_key_pem());
        let policy = json!({
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [
                { "level": "Metadata", "userGroups": [AUDITED] },
                // The creations of pods have the audit annotations of the webhook.
                { "level": "Metadata", "verbs": ["create"], "namespaces": [RECORDED] },
                { "level": "None" },
            ],
        });
        self.write_file("audit-policy.json", &policy.to_string());
    }

    /// Writes a kubeconfig with a token, and returns its path.
    pub(crate) fn write_token_kubeconfig(&self, name: &str, token: &str) -> PathBuf {
        record_token(token);
        self.write_kubeconfig(name, &json!({ "token": token }))
    }

    /// Writes the API server's client certificate for a webhook. `host` is the `host:port` of the webhook, and
    /// `authority` signs the certificate.
    pub(crate) fn write_webhook_client(&self, host: &str, authority: &Authority) {
        let pair = client_pair(authority, "kube-apiserver", None);
        let (certificate, key) = self.write_pair("webhook-client", pair);
        let user = json!({ "client-certificate": certificate, "client-key": key });
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "users": [{ "name": host, "user": user }],
        });
        let kubeconfig = self.write_file("webhook-client.kubeconfig", &kubeconfig.to_string());
        let configuration = json!({
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AdmissionConfiguration",
            "plugins": [{
                "name": "MutatingAdmissionWebhook",
                "configuration": {
                    "apiVersion": "apiserver.config.k8s.io/v1",
                    "kind": "WebhookAdmissionConfiguration",
                    "kubeConfigFile": kubeconfig,
                },
            }],
        });
        self.write_file(ADMISSION_CONFIGURATION, &configuration.to_string());
    }

    /// Writes a kubeconfig for a proxy, which has the token itself, and returns its path.
    pub(crate) fn write_proxy_kubeconfig(&self, port: u16) -> PathBuf {
        let server = json!({ "server": format!("http://127.0.0.1:{port}") });
        self.write_kubeconfig_for(&format!("proxy-{port}"), &server, &json!({}))
    }

    fn write_kubeconfig(&self, name: &str, user: &Value) -> PathBuf {
        let server = format!("https://127.0.0.1:{}", self.api_server);
        let cluster = json!({ "server": server, "certificate-authority": self.file("ca.crt") });
        self.write_kubeconfig_for(name, &cluster, user)
    }

    fn write_kubeconfig_for(&self, name: &str, cluster: &Value, user: &Value) -> PathBuf {
        let config = kubectl::config(cluster, user);
        self.write_file(&format!("{name}.kubeconfig"), &config.to_string())
    }

    fn write_pair(&self, name: &str, (certificate, key): (String, String)) -> (PathBuf, PathBuf) {
        let certificate = self.write_file(&format!("{name}.crt"), &certificate);
        (certificate, self.write_file(&format!("{name}.key"), &key))
    }

    fn write_file(&self, name: &str, content: &str) -> PathBuf {
        let file = self.file(name);
        fs::write(&file, content).unwrap();
        file
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}
