//! Client authentication: the API server has a client certificate, and the webhook checks it.

use support::certificates::Authority;

use crate::{
    Cluster, MAP, PODS, Step, eventually, expect,
    handshake::page,
    install::{AUTHORITY, CERTIFICATE},
    objects::{images, pod_of},
    service::HOST,
    stream::bundle,
    webhook::{Files, Launch, Webhook},
};

/// Start of the API server's message about a failed call.
const FAILED: &str =
    "failed calling webhook \"imageswap.webhook.k8s.twr.io\": failed to call webhook";

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("without a certificate no pod is created, and probes are answered", unknown),
    ("with a certificate pods are swapped", known),
    ("no key is in a text log", text_log),
];

fn unknown(cluster: &Cluster) {
    let files = Files::new(MAP);
    files.write("clients.pem", &Authority::new("clients").pem());
    let webhook = cluster.start_for_clients(&files);
    let refusal = "imageswap answers known clients only, and this client has shown no certificate";
    cluster.await_failure(&[FAILED, refusal, "IMAGESWAP_CLIENT_CA_FILE"]);
    let error = cluster.api.try_post(PODS, &pod_of("refused", &["nginx:1.27"])).unwrap_err();
    assert!(error.to_string().contains(refusal), "{error}");
    assert_eq!(cluster.api.get(&format!("{PODS}/refused")), None);
    assert_probed(cluster, &webhook);
    assert!(webhook.metric("imageswap_http_request_total{method=\"POST\",status=\"403\"}") > 1.0);
    webhook.assert_no_warnings_except(&["review refused"]);
}

fn known(cluster: &Cluster) {
    let (authority, other) = (Authority::new("clients"), Authority::new("other clients"));
    cluster.control_plane.identities().write_webhook_client(HOST, &authority);
    let port = cluster.control_plane.kill_api_server();
    cluster.control_plane.restart_api_server(port);
    let files = Files::new(MAP);
    files.write("clients.pem", &authority.pem());
    let webhook = cluster.start_for_clients(&files);
    cluster.await_probe("app=one.example.com/probe:1");
    let created = cluster.create(&pod_of("known", &["nginx:1.27"]));
    assert_eq!(images(&created), ["app=one.example.com/nginx:1.27"]);
    assert_probed(cluster, &webhook);

    // Over the open connection, then over a new one.
    files.write("clients.pem", &other.pem());
    let removed = "its authority is no longer one of those in IMAGESWAP_CLIENT_CA_FILE";
    cluster.await_failure(&[FAILED, removed]);
    cluster.service.cut();
    cluster.await_failure(&[FAILED, "tls: unknown certificate authority"]);
    assert_probed(cluster, &webhook);
    assert!(
        webhook.metric("imageswap_tls_handshake_failures_total{reason=\"client-certificate\"}")
            > 0.0
    );

    // An invalid file changes nothing. A file with both authorities is accepted.
    files.write("clients.pem", "none");
    webhook.await_log("client CA reload failed, keeping the last good client CA");
    cluster.await_failure(&[FAILED, "tls: unknown certificate authority"]);
    files.write("clients.pem", &[other.pem(), authority.pem()].concat());
    cluster.await_probe("app=one.example.com/probe:1");
    let reloads = |result| {
        webhook.metric(&format!("imageswap_client_ca_reloads_total{{result=\"{result}\"}}"))
    };
    expect((reloads("applied"), reloads("failed")), &(3.0, 1.0)).unwrap();
    webhook.assert_no_warnings_except(&[
        "review refused",
        "TLS handshake failed",
        "client CA reload failed",
    ]);
    // The API server refuses all requests until it has read the roles.
    cluster.control_plane.clear_audit();
}

fn text_log(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let launch = cluster.managed(&files).with("IMAGESWAP_LOG_FORMAT", "text");
    let webhooks = [launch.start_ready()];
    let before = cluster.await_stable(&webhooks);
    cluster.request_rotation("imageswap-tls");
    cluster.await_rotation(CERTIFICATE);
    cluster.request_rotation("imageswap-tls-ca");
    cluster.await_rotation(AUTHORITY);
    let after = cluster.await_stable(&webhooks);
    assert_ne!(before.served(), after.served());
    assert_ne!(before.root(), after.root());
    cluster.assert_called(&webhooks[0]);
    for line in ["certificate issued", "CA in use", "reviewed"] {
        webhooks[0].await_log(line);
    }
}

/// Fails if a client without a certificate cannot get a page.
fn assert_probed(cluster: &Cluster, webhook: &Webhook) {
    let roots = bundle(cluster.state().configuration.as_ref().unwrap());
    for path in ["/healthz", "/livez", "/readyz", "/startupz", "/metrics"] {
        let page = cluster.api.runtime().block_on(page(webhook.address(), &roots, path)).unwrap();
        assert!(page.starts_with("HTTP/1.1 200 "), "{path}: {page}");
        let page = webhook.page(path);
        assert!(page.starts_with("HTTP/1.1 200 "), "{path}: {page}");
    }
}

impl Cluster {
    /// Starts a webhook that the API server calls, and that answers only clients of the authorities in a file.
    fn start_for_clients(&self, files: &Files) -> Webhook {
        self.clear_state();
        let launch: Launch = self.managed(files);
        let webhook =
            launch.with_path("IMAGESWAP_CLIENT_CA_FILE", files.path("clients.pem")).start_ready();
        self.service.set_endpoints(&[&webhook]);
        self.service.cut();
        self.await_configuration();
        webhook
    }

    /// Waits until the creation of a pod fails with these texts in the message.
    fn await_failure(&self, reasons: &[&str]) {
        eventually(&format!("a failure by {reasons:?}"), || match self.try_probe() {
            Err(kube::Error::Api(status))
                if reasons.iter().all(|reason| status.message.contains(reason)) =>
            {
                Ok(())
            }
            other => Err(other),
        });
    }
}
