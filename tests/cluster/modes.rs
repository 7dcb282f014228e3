//! The certificate modes, and changes from one mode to another.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use support::certificates::Authority;

use crate::{
    Cluster, MAP, Step,
    certificates::server_pair,
    eventually, expect,
    handshake::{Certificate, served},
    install::{
        AUTHORITY, CERTIFICATE, CONFIGURATION, NAMESPACE, REQUESTS, SECRETS, data, repository,
        secret,
    },
    rotation::{issued, replace, roll},
    service::HOST,
    stream::{Stream, bundle, encoded},
    webhook::{Files, Launch, Webhook},
};

/// A signer of the cluster. It signs requests that look like those of kubelets.
pub(crate) const SIGNER: &str = "kubernetes.io/kubelet-serving";

/// Timeout for the readiness of a webhook that does not wait for the CA propagation delay.
const PROMPT: Duration = Duration::from_secs(5);

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("a certificate of the webhook's own authority", own_authority),
    ("a certificate of a signer of the cluster", signer),
    ("a slow signer of the cluster", late_signer),
    ("a user-provided certificate", user_provided),
    ("a certificate in files that init writes", files),
];

pub(crate) const CHANGES: &[Step<Cluster>] =
    &[("no creation fails during a change of the mode", switching)];

fn own_authority(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let webhooks = [cluster.managed(&files).start_ready()];
    let state = cluster.await_stable(&webhooks);
    assert_eq!(state.bundle(), [state.root()].into());
    cluster.assert_called(&webhooks[0]);
    webhooks[0].assert_no_warnings();
}

fn signer(cluster: &Cluster) {
    cluster.clear_state();
    cluster.allow_requests();
    let files = Files::new(MAP);
    let launch = cluster.managed(&files).with("IMAGESWAP_CSR_SIGNER_NAME", SIGNER);
    let webhooks = [launch.start_ready()];
    let state = cluster.await_stable(&webhooks);
    // The cluster has signed it, and the webhook does not have the key of the authority.
    let cluster_root = cluster.control_plane.authority().pem();
    assert_eq!(state.bundle(), [Certificate::first(cluster_root.as_bytes())].into());
    let certificate = state.certificate.as_ref().unwrap();
    assert_eq!(data(certificate, "pending-key.pem"), None);
    assert_eq!(data(state.authority.as_ref().unwrap(), "rootca-key.pem"), None);
    let requests = cluster.api.get(REQUESTS).unwrap();
    let issued = requests["items"].as_array().unwrap().iter().filter(|request| {
        let name = request["metadata"]["name"].as_str().unwrap();
        name.starts_with("imageswap-imageswap-system-")
            && data(&json!({ "data": request["status"] }), "certificate")
                == data(certificate, "cert.pem")
    });
    assert_eq!(issued.count(), 1);
    cluster.assert_called(&webhooks[0]);
    cluster.rotate_certificate();
    let rotated = cluster.await_stable(&webhooks);
    assert_ne!(state.served(), rotated.served());
    assert_eq!(state.bundle(), rotated.bundle());
    webhooks[0].assert_no_warnings();
}

fn late_signer(cluster: &Cluster) {
    /// A signer that this test implements.
    const LATE: &str = "example.com/late";

    cluster.clear_state();
    cluster.allow_requests();
    cluster.allow_approval(LATE);
    let files = Files::new(MAP);
    let webhook = cluster.managed(&files).with("IMAGESWAP_CSR_SIGNER_NAME", LATE).start();
    // The first request is refused, so another one is created.
    let mut refused = cluster.await_request(LATE, "");
    let conditions = refused["status"]["conditions"].as_array_mut().unwrap();
    conditions.push(json!({ "type": "Failed", "status": "True", "message": "out of ink" }));
    let refused = cluster.api.put(&request_path(&refused, "/status"), &refused);
    webhook.await_log("out of ink");
    let name = refused["metadata"]["name"].as_str().unwrap();
    let mut request = cluster.await_request(LATE, name);
    // The second request is not answered at first.
    webhook.await_log("was not signed within");
    let reason = webhook.readiness().unwrap_err();
    assert!(reason.contains(LATE), "{reason}");
    let content = STANDARD.decode(request["spec"]["request"].as_str().unwrap()).unwrap();
    let signed = cluster.control_plane.authority().sign(str::from_utf8(&content).unwrap());
    request["status"]["certificate"] = json!(encoded(signed.as_bytes()));
    cluster.api.put(&request_path(&request, "/status"), &request);
    webhook.await_ready();
    cluster.await_configuration();
    assert_eq!(cluster.served_by(&webhook).unwrap(), Certificate::first(signed.as_bytes()));
    cluster.assert_called(&webhook);
}

fn user_provided(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let authority = Authority::new("user");
    let first = cluster.provide_certificate(&authority);
    cluster.provide_root(&authority);
    let launch = cluster.managed(&files);
    let first_webhook = launch.start_ready();
    let configuration = cluster.await_configuration();
    assert_eq!(bundle(&configuration), authority.pem().into_bytes());
    // The next replica becomes ready without a wait, because the root is already trusted.
    let begun = Instant::now();
    let webhooks = [first_webhook, launch.start_ready()];
    let took = begun.elapsed();
    assert!(took < PROMPT, "{took:?}");
    cluster.assert_called(&webhooks[0]);
    cluster.service.set_endpoints(&[&webhooks[0], &webhooks[1]]);
    let stream = Stream::start(cluster, "user");
    let serve = |expected: &Certificate| {
        let mut served = webhooks.iter().map(|webhook| cluster.served_by(webhook));
        served.try_for_each(|served| expect(served, &Ok(expected.clone())).map_err(|_| "another"))
    };
    serve(&first).unwrap();
    // Another certificate, which the root did not sign, is refused. The first one stays in use.
    let other = Authority::new("other");
    let second = cluster.provide_certificate(&other);
    for webhook in &webhooks {
        webhook.await_log("would not accept the certificate");
        expect(webhook.metric("imageswap_tls_reloads_total{result=\"refused\"}"), &1.0).unwrap();
        webhook.readiness().unwrap();
    }
    serve(&first).unwrap();
    // With its root, it is accepted.
    cluster.provide_root(&other);
    eventually("the other certificate", || serve(&second));
    stream.await_creates(20);
    stream.end();
    cluster.assert_called(&webhooks[1]);
    // The webhook did not write to the Secrets.
    for path in [CERTIFICATE, AUTHORITY] {
        let secret = cluster.api.get(path).unwrap();
        for manager in secret["metadata"]["managedFields"].as_array().unwrap() {
            assert_ne!(manager["manager"], "imageswap", "{path}");
        }
    }
    expect(issued(&webhooks), &0.0).unwrap();
}

fn files(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let init = cluster.connected("init", &files).with_path("IMAGESWAP_TLS_DIR", files.path(""));
    for _ in 0..2 {
        let mut init = init.spawn();
        assert_eq!(init.await_end().code(), Some(0), "{:?}", init.log());
        init.assert_no_warnings();
    }
    let state = cluster.state();
    assert_eq!(std::fs::read(files.path("cert.pem")).unwrap(), {
        data(state.certificate.as_ref().unwrap(), "cert.pem").unwrap()
    });
    let webhook = from_files(&files).start_ready();
    assert_eq!(cluster.served_by(&webhook).unwrap(), state.served());
    cluster.assert_called(&webhook);
    webhook.assert_no_warnings();
}

fn switching(cluster: &Cluster) {
    cluster.clear_state();
    cluster.allow_requests();
    let files = Files::new(MAP);
    let own = cluster.managed(&files);
    let mut webhooks = [own.start_ready(), own.start_ready()];
    cluster.service.set_endpoints(&[&webhooks[0], &webhooks[1]]);
    cluster.await_stable(&webhooks);
    let stream = Stream::start(cluster, "modes");
    let await_mode = |mode: &str, webhooks: &[Webhook], root: &dyn Fn() -> Vec<u8>| {
        eventually(mode, || {
            let mut addresses = webhooks.iter().map(Webhook::address);
            addresses.try_for_each(|address| cluster.handshake(address, &root()).map(drop))
        });
    };
    let signer = own.clone().with("IMAGESWAP_CSR_SIGNER_NAME", SIGNER);
    let cluster_root = cluster.control_plane.authority().pem().into_bytes();
    // An older replica follows a newer one, whatever its own settings are, and does not revert its changes.
    replace(cluster, &signer, &mut webhooks, 1);
    await_mode("half of a rollout", &webhooks, &|| cluster_root.clone());
    let before = cluster.await_stable(&webhooks);
    for label in ["once", "twice"] {
        let label = json!({ "metadata": { "labels": { "changed": label } } });
        cluster.api.patch(CONFIGURATION, &label);
        cluster.rotate_certificate();
    }
    let after = cluster.await_stable(&webhooks);
    assert_eq!(after.root(), before.root());
    assert_eq!(after.authority, before.authority);
    let mut change = |mode: &str, launch: &Launch, root: &dyn Fn() -> Vec<u8>| {
        let begun = Instant::now();
        roll(cluster, launch, &mut webhooks);
        await_mode(mode, &webhooks, root);
        // The restart forces the API server to open new connections.
        roll(cluster, launch, &mut webhooks);
        stream.await_creates(20);
        eprintln!("      {mode}: within {} ms", begun.elapsed().as_millis());
    };
    change("a signer of the cluster", &signer, &|| cluster_root.clone());
    let authority = Authority::new("user");
    cluster.provide_certificate(&authority);
    cluster.provide_root(&authority);
    let user_root = authority.pem().into_bytes();
    // A replica that starts now finds the root in the configuration, but slow API servers may not have it yet.
    let root = Certificate::first(&user_root);
    eventually("trust in the root", || expect(cluster.state().bundle().contains(&root), &true));
    change("a user-provided certificate", &own, &|| user_root.clone());
    let init = cluster.connected("init", &files).with_path("IMAGESWAP_TLS_DIR", files.path(""));
    assert_eq!(init.spawn().await_end().code(), Some(0));
    change("a certificate in files", &from_files(&files), &|| user_root.clone());
    let unmark = ["annotate", "secret/imageswap-tls", "imageswap-byoc-", "-n=imageswap-system"];
    cluster.control_plane.kubectl(&unmark);
    change("the webhook's own authority", &own, &|| {
        let root = data(&cluster.api.get(AUTHORITY).unwrap(), "rootca.pem").unwrap();
        if root == user_root { Vec::new() } else { root }
    });
    stream.end();
}

/// Returns the launch of a webhook with a certificate from files, without a cluster.
pub(crate) fn from_files(files: &Files) -> Launch {
    Launch::new("serve")
        .with("IMAGESWAP_TLS_MODE", "files")
        .with_path("IMAGESWAP_MAPS_FILE", files.path("maps.conf"))
        .with_path("IMAGESWAP_TLS_DIR", files.path(""))
}

/// Returns the path of a certificate signing request, or of a part of it.
fn request_path(request: &Value, part: &str) -> String {
    format!("{REQUESTS}/{}{part}", request["metadata"]["name"].as_str().unwrap())
}

impl Cluster {
    /// Waits for an approved request to a signer whose name is not `other`.
    fn await_request(&self, signer: &str, other: &str) -> Value {
        eventually("an approved request", || {
            let requests = self.api.get(REQUESTS).unwrap();
            let mut requests = requests["items"].as_array().unwrap().iter().filter(|request| {
                request["spec"]["signerName"] == signer
                    && request["metadata"]["name"] != other
                    && request["status"]["conditions"][0]["type"] == "Approved"
            });
            requests.next().cloned().ok_or("none")
        })
    }

    /// Permits the webhook to approve requests to a signer.
    fn allow_approval(&self, signer: &str) {
        let (group, version) = ("rbac.authorization.k8s.io", "v1");
        let lists = format!("/apis/{group}/{version}");
        self.api.post(
            &format!("{lists}/clusterroles"),
            &json!({
                "apiVersion": format!("{group}/{version}"),
                "kind": "ClusterRole",
                "metadata": { "name": "approve" },
                "rules": [{
                    "apiGroups": ["certificates.k8s.io"],
                    "resources": ["signers"],
                    "resourceNames": [signer],
                    "verbs": ["approve"],
                }],
            }),
        );
        let subject = format!("--serviceaccount={NAMESPACE}:imageswap-sa");
        let bind = ["create", "clusterrolebinding", "approve", "--clusterrole=approve", &subject];
        self.control_plane.kubectl(&bind);
    }

    /// Grants the permissions for certificate signing requests.
    pub(crate) fn allow_requests(&self) {
        let overlay = repository("deploy/overlays/csr");
        self.control_plane.apply(&["--kustomize", overlay.to_str().unwrap()]);
    }

    /// Returns the certificate that a webhook serves. Fails if the API server does not accept it.
    fn served_by(&self, webhook: &Webhook) -> Result<Certificate, String> {
        let bundle = bundle(&self.api.get(CONFIGURATION).unwrap());
        self.handshake(webhook.address(), &bundle)
    }

    /// Returns the certificate that is served at an address. Fails if it is not valid under these roots.
    pub(crate) fn handshake(
        &self,
        address: SocketAddr,
        roots: &[u8],
    ) -> Result<Certificate, String> {
        self.api.runtime().block_on(served(address, roots))
    }

    /// Stores a user-provided certificate of an authority, with its key and the annotation.
    pub(crate) fn provide_certificate(&self, authority: &Authority) -> Certificate {
        let (certificate, key) = server_pair(authority, &[HOST]);
        let content = [("cert.pem", &*certificate), ("key.pem", &*key)];
        let mark = json!({ "imageswap-byoc": "true" });
        self.store(CERTIFICATE, &secret("imageswap-tls", &mark, &content));
        Certificate::first(certificate.as_bytes())
    }

    /// Stores the root of a user-provided certificate.
    pub(crate) fn provide_root(&self, authority: &Authority) {
        let content = [("rootca.pem", &*authority.pem())];
        self.store(AUTHORITY, &secret("imageswap-tls-ca", &json!({}), &content));
    }

    /// Creates a Secret, or updates it.
    pub(crate) fn store(&self, path: &str, secret: &Value) {
        match self.api.get(path) {
            Some(_) => self.api.patch(path, secret),
            None => self.api.post(SECRETS, secret),
        };
    }

    /// Makes the API server call a webhook over a new connection.
    pub(crate) fn assert_called(&self, webhook: &Webhook) {
        self.service.set_endpoints(&[webhook]);
        self.service.cut();
        let before = self.service.forwarded();
        self.await_probe("app=one.example.com/probe:1");
        assert!(self.service.forwarded() > before);
    }
}
