//! The Python version: its manifests with this image, and the way back to it.

use serde_json::json;

use crate::{
    Cluster, MAP, Step,
    certificates::server_pair,
    eventually,
    handshake::Certificate,
    install::{
        AUTHORITY, CERTIFICATE, CONFIGURATION, CONFIGURATIONS, NAMESPACE, SECRETS, data, secret,
    },
    installation::configuration_of_the_original,
    modes::from_files,
    service::HOST,
    stream::{Stream, bundle, encoded},
    webhook::{Files, Launch, Webhook},
};

/// Label with the pod that has written the certificate. The init container of the original waits for it.
const UPDATED_BY: &str = "imageswap/updated-by-pod";

/// Remaining validity, in seconds, below which the init container of the original replaces a certificate.
const SHORT: f64 = 180.0 * 86400.0;

/// A field of the template by which the test tells it from the built-in one, and its value.
const TIMEOUT: (&str, u64) = ("timeoutSeconds", 7);

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("the manifests of the original work with this image", drop_in),
    ("the original replaces ImageSwap after the documented steps only", way_back),
];

fn drop_in(cluster: &Cluster) {
    cluster.clear_state();
    let pair = cluster.init_of_the_original();
    let mut old = serve_as_the_original(&pair);
    cluster.service.set_endpoints(&[&old]);
    cluster.await_probe("app=one.example.com/probe:1");
    let stream = Stream::start(cluster, "drop-in");
    stream.await_creates(20);
    // A rollout with the images replaced: a pod after the other, each with its init container.
    let pods = [cluster.pod_of_the_original(), cluster.pod_of_the_original()];
    cluster.service.set_endpoints(&[&old, &pods[0].1, &pods[1].1]);
    stream.await_creates(20);
    cluster.service.set_endpoints(&[&pods[0].1, &pods[1].1]);
    old.terminate();
    old.await_end();
    stream.await_creates(20);
    stream.end();
    let configuration = cluster.api.get(CONFIGURATION).unwrap();
    assert_eq!(configuration["webhooks"][0][TIMEOUT.0], TIMEOUT.1);
    let roots = bundle(&configuration);
    let stored =
        Certificate::first(&data(&cluster.api.get(CERTIFICATE).unwrap(), "cert.pem").unwrap());
    for (_, webhook) in &pods {
        assert_eq!(cluster.handshake(webhook.address(), &roots).unwrap(), stored);
        webhook.assert_no_warnings();
    }
}

fn way_back(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let mut webhook = cluster.managed(&files).start_ready();
    cluster.await_stable(std::slice::from_ref(&webhook));
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_probe("app=one.example.com/probe:1");
    webhook.terminate();
    webhook.await_end();
    // The trap: the certificate is kept, and its root is not in the caBundle any more.
    let pair = cluster.init_of_the_original();
    let original = serve_as_the_original(&pair);
    cluster.service.set_endpoints(&[&original]);
    eventually("a refused certificate", || {
        let refusal = cluster.try_probe().err().map(|error| error.to_string());
        let expected = "certificate signed by unknown authority";
        if refusal.as_ref().is_some_and(|refusal| refusal.contains(expected)) {
            Ok(())
        } else {
            Err(refusal)
        }
    });
    assert!(cluster.start_pod_of_the_original().contains("violates PodSecurity"));
    drop(original);
    cluster.go_back();
    assert_eq!(cluster.start_pod_of_the_original(), "");
    let pair = cluster.init_of_the_original();
    let original = serve_as_the_original(&pair);
    cluster.service.set_endpoints(&[&original]);
    cluster.await_probe("app=one.example.com/probe:1");
}

/// Starts a server with a certificate and its key, in PEM, which acts as the webhook of the original.
fn serve_as_the_original((certificate, key): &(String, String)) -> Webhook {
    let files = Files::new(MAP);
    files.write("cert.pem", certificate);
    files.write("key.pem", key);
    from_files(&files).start_ready()
}

impl Cluster {
    /// Acts as the init container of the original. Returns the certificate and its key, in PEM.
    ///
    /// It keeps a certificate that is valid for long enough, whoever has signed it, and trusts the root of the cluster
    /// alone.
    fn init_of_the_original(&self) -> (String, String) {
        let stored = self.api.get(CERTIFICATE).map(|secret| {
            assert!(!secret["metadata"]["labels"][UPDATED_BY].is_null(), "it would wait forever");
            ["cert.pem", "key.pem"]
                .map(|key| String::from_utf8(data(&secret, key).unwrap()).unwrap())
        });
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        let kept = stored.filter(|[certificate, _]| {
            let expiry = Certificate::first(certificate.as_bytes()).expiry();
            expiry - f64::from(u32::try_from(now).unwrap()) > SHORT
        });
        let [certificate, key] = kept.unwrap_or_else(|| {
            self.api.delete(CERTIFICATE);
            let pair = server_pair(self.control_plane.authority(), &[HOST]);
            let content = [("cert.pem", &*pair.0), ("key.pem", &*pair.1)];
            let mut created = secret("imageswap-tls", &json!({}), &content);
            created["metadata"]["labels"] = json!({ UPDATED_BY: "imageswap-0" });
            self.api.post(SECRETS, &created);
            pair.into()
        });
        let mut configuration = configuration_of_the_original(self);
        let root = self.control_plane.authority().pem();
        configuration["webhooks"][0]["clientConfig"]["caBundle"] = json!(encoded(root.as_bytes()));
        match self.api.get(CONFIGURATION) {
            Some(_) => self.api.patch(CONFIGURATION, &configuration),
            None => self.api.post(CONFIGURATIONS, &configuration),
        };
        (certificate, key)
    }

    /// Starts what a pod of the original's Deployment starts, with this image in the place of its two images. Returns
    /// the volumes and the webhook.
    fn pod_of_the_original(&self) -> (Files, Webhook) {
        let files = Files::new(MAP);
        let mut template = configuration_of_the_original(self);
        template["webhooks"][0]["clientConfig"]["caBundle"] = json!("$CA_BUNDLE");
        template["webhooks"][0][TIMEOUT.0] = json!(TIMEOUT.1);
        files.write("mwc.yaml", &template.to_string());
        let environment = |launch: Launch| {
            launch
                .with("FLASK_ENV", "production")
                .with("PYTHONUNBUFFERED", "TRUE")
                .with("IMAGESWAP_MODE", "MAPS")
                .with("IMAGESWAP_LOG_LEVEL", "INFO")
                .with("IMAGESWAP_POD_NAME", "imageswap-1")
                .with("IMAGESWAP_NAMESPACE_NAME", NAMESPACE)
                .with_path("IMAGESWAP_TLS_DIR", files.path(""))
        };
        let mut init = environment(Launch::new("init"))
            .named("/app/imageswap-init.py", &[])
            .with_path("KUBECONFIG", self.account_of_the_original())
            .with_path("IMAGESWAP_MWC_TEMPLATE_FILE", files.path("mwc.yaml"))
            .spawn();
        assert_eq!(init.await_end().code(), Some(0), "{:?}", init.log());
        init.assert_no_warnings_except(&["owner of the webhook configuration not set"]);
        let webhook = environment(Launch::new("serve"))
            .named("gunicorn", &["imageswap:app", "--config=config.py"])
            .with_path("IMAGESWAP_MAPS_FILE", files.path("maps.conf"))
            .start_ready();
        (files, webhook)
    }

    /// Takes the steps of the migration guide that come before the original's manifests.
    fn go_back(&self) {
        let run = |command: &str| {
            self.control_plane.kubectl(&command.split_whitespace().collect::<Vec<_>>());
        };
        run("delete mutatingwebhookconfiguration imageswap-webhook");
        run(&format!(
            "delete --cascade=foreground deployment/imageswap horizontalpodautoscaler/imageswap \
             poddisruptionbudget/imageswap-pdb networkpolicy/imageswap \
             resourcequota/imageswap-critical-pods --namespace {NAMESPACE}"
        ));
        run(&format!("delete secret imageswap-tls imageswap-tls-ca --namespace {NAMESPACE}"));
        run(&format!(
            "label namespace {NAMESPACE} pod-security.kubernetes.io/enforce- \
             pod-security.kubernetes.io/warn-"
        ));
        for path in [CONFIGURATION, CERTIFICATE, AUTHORITY] {
            assert_eq!(self.api.get(path), None);
        }
    }

    /// Creates a pod with the security context that the original's pods have, as a trial. Returns the refusal; empty if
    /// it is accepted.
    fn start_pod_of_the_original(&self) -> String {
        let container = json!({
            "name": "imageswap",
            "image": "imageswap",
            "securityContext": { "allowPrivilegeEscalation": false },
        });
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": "imageswap-0", "namespace": NAMESPACE },
            "spec": {
                "securityContext": { "runAsUser": 1898, "runAsGroup": 1898 },
                "serviceAccountName": "imageswap-sa",
                "containers": [container],
            },
        });
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All");
        self.api.try_post(&path, &pod).err().map(|error| error.to_string()).unwrap_or_default()
    }
}
