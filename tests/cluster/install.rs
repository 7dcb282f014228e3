//! The installed webhook: its manifests, its objects and its service account.

use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use support::api::Version;

use crate::{Cluster, control_plane::ControlPlane, handshake::Certificate};

/// The namespace of the webhook.
pub(crate) const NAMESPACE: &str = "imageswap-system";

pub(crate) const SECRETS: &str = "/api/v1/namespaces/imageswap-system/secrets";
pub(crate) const CERTIFICATE: &str = "/api/v1/namespaces/imageswap-system/secrets/imageswap-tls";
pub(crate) const AUTHORITY: &str = "/api/v1/namespaces/imageswap-system/secrets/imageswap-tls-ca";
pub(crate) const CONFIGURATIONS: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
pub(crate) const CONFIGURATION: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/imageswap-webhook";
pub(crate) const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

/// Annotation of a Secret that requests a new certificate or authority.
pub(crate) const ROTATE: &str = "k8s.twr.io/imageswap-rotate";

/// Returns the path of a file of this repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

impl ControlPlane {
    /// Installs the webhook, and returns the kubeconfig of its account.
    pub(crate) fn install(&self) -> PathBuf {
        self.apply(&["--filename", repository("deploy/install.yaml").to_str().unwrap()]);
        let token = self.kubectl(&["create", "token", "imageswap-sa", "-n", NAMESPACE]);
        self.identities().write_token_kubeconfig("webhook", token.trim())
    }
}

/// The objects that the webhook has stored.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) certificate: Option<Value>,
    pub(crate) authority: Option<Value>,
    pub(crate) configuration: Option<Value>,
    /// The certificate signing request.
    pub(crate) request: Option<Value>,
}

impl State {
    /// Applies a write to the state.
    pub(crate) fn apply(&mut self, version: &Version) {
        let object = match version.object["metadata"]["name"].as_str() {
            Some("imageswap-tls") => &mut self.certificate,
            Some("imageswap-tls-ca") => &mut self.authority,
            Some("imageswap-webhook") => &mut self.configuration,
            _ if version.object["kind"] == "CertificateSigningRequest" => &mut self.request,
            _ => return,
        };
        *object = (version.event != "DELETED").then(|| version.object.clone());
    }

    /// Returns the certificate in its Secret.
    pub(crate) fn served(&self) -> Certificate {
        Certificate::first(&data(self.certificate.as_ref().unwrap(), "cert.pem").unwrap())
    }

    /// Returns the root that signs certificates.
    pub(crate) fn root(&self) -> Certificate {
        Certificate::first(&data(self.authority.as_ref().unwrap(), "rootca.pem").unwrap())
    }
}

/// Returns the value of a Secret under a key.
pub(crate) fn data(secret: &Value, key: &str) -> Option<Vec<u8>> {
    Some(STANDARD.decode(secret["data"][key].as_str()?).unwrap())
}

/// Returns a Secret in the namespace of the webhook.
pub(crate) fn secret(name: &str, annotations: &Value, content: &[(&str, &str)]) -> Value {
    let data = content.iter().map(|(key, value)| ((*key).to_owned(), json!(value)));
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name, "namespace": NAMESPACE, "annotations": annotations },
        "stringData": data.collect::<Map<_, _>>(),
    })
}

impl Cluster {
    /// Returns the objects that the webhook has stored.
    pub(crate) fn state(&self) -> State {
        State {
            certificate: self.api.get(CERTIFICATE),
            authority: self.api.get(AUTHORITY),
            configuration: self.api.get(CONFIGURATION),
            request: None,
        }
    }

    /// Replaces the stored objects with new ones from a state.
    pub(crate) fn restore(&self, state: &State) {
        for (list, path, object) in [
            (SECRETS, CERTIFICATE, &state.certificate),
            (SECRETS, AUTHORITY, &state.authority),
            (CONFIGURATIONS, CONFIGURATION, &state.configuration),
        ] {
            self.api.delete(path);
            if let Some(object) = object {
                let mut object = object.clone();
                let metadata = object["metadata"].as_object_mut().unwrap();
                metadata.retain(|key, _| matches!(key.as_str(), "name" | "annotations" | "labels"));
                self.api.post(list, &object);
            }
        }
        self.api.delete(REQUESTS);
        if let Some(request) = &state.request {
            let wanted = ["request", "signerName", "usages"]
                .map(|field| (field.to_owned(), request["spec"][field].clone()));
            let mut stored = self.api.post(
                REQUESTS,
                &json!({
                    "apiVersion": "certificates.k8s.io/v1",
                    "kind": "CertificateSigningRequest",
                    "metadata": { "name": request["metadata"]["name"] },
                    "spec": Map::from_iter(wanted),
                }),
            );
            // The cluster signs approved requests by itself.
            stored["status"]["conditions"] = request["status"]["conditions"].clone();
            let name = request["metadata"]["name"].as_str().unwrap();
            self.api.put(&format!("{REQUESTS}/{name}/approval"), &stored);
        }
    }

    /// Removes all objects that the webhook has stored, like on a cluster that never had it.
    pub(crate) fn clear_state(&self) {
        self.restore(&State::default());
    }
}
