//! The manifests: installation, upgrade and uninstallation.

use serde_json::{Value, json};

use crate::{
    Cluster, MAP, Step,
    certificates::server_pair,
    eventually, expect,
    handshake::Certificate,
    helm,
    install::{
        AUTHORITY, CERTIFICATE, CONFIGURATION, CONFIGURATIONS, NAMESPACE, data, repository, secret,
    },
    modes::from_files,
    objects::LABEL,
    rotation::roll,
    service::HOST,
    stream::Stream,
    webhook::Files,
};

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("each overlay is applied without a warning", overlays),
    ("no creation fails while ImageSwap replaces the original", upgrade),
    ("each value set of the chart is applied without a warning", helm::value_sets),
    ("Helm takes over an installation by kubectl", helm::take_over),
    ("nothing blocks pods after the manifests are deleted", uninstallation),
];

fn overlays(cluster: &Cluster) {
    let mut overlays: Vec<_> = std::fs::read_dir(repository("deploy/overlays"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    overlays.sort();
    assert!(!overlays.is_empty());
    for overlay in overlays {
        let overlay = overlay.to_str().unwrap();
        cluster.control_plane.apply(&["--dry-run=server", "--kustomize", overlay]);
    }
}

fn upgrade(cluster: &Cluster) {
    cluster.clear_state();
    // The original has stored a certificate that the cluster has signed.
    let authority = cluster.control_plane.authority();
    let (certificate, key) = server_pair(authority, &[HOST]);
    let files = Files::new(MAP);
    files.write("cert.pem", &certificate);
    files.write("key.pem", &key);
    let content = [("cert.pem", &*certificate), ("key.pem", &*key)];
    cluster.store(CERTIFICATE, &secret("imageswap-tls", &json!({}), &content));
    cluster.api.post(CONFIGURATIONS, &configuration_of_the_original(cluster));
    // The program acts as the original, which also only serves.
    let mut old = from_files(&files).start_ready();
    cluster.service.set_endpoints(&[&old]);
    cluster.await_probe("app=one.example.com/probe:1");
    let before = cluster.handshake(old.address(), authority.pem().as_bytes()).unwrap();
    let stream = Stream::start(cluster, "upgrade");
    stream.await_creates(20);
    let launch = cluster.managed(&files);
    let mut webhooks = [launch.start_ready(), launch.start_ready()];
    cluster.service.set_endpoints(&[&old, &webhooks[0], &webhooks[1]]);
    // The new pods do not affect the old one, which has to serve until the last pod is replaced.
    let certificate = cluster.api.get(CERTIFICATE).unwrap();
    assert_eq!(Certificate::first(&data(&certificate, "cert.pem").unwrap()), before);
    cluster.service.set_endpoints(&[&webhooks[0], &webhooks[1]]);
    old.terminate();
    assert_eq!(old.await_end().code(), Some(0));
    let after = cluster.await_stable(&webhooks);
    assert_ne!(after.served(), before);
    let cluster_root = Certificate::first(authority.pem().as_bytes());
    assert_eq!(after.bundle(), [after.root(), cluster_root].into());
    let authority = after.authority.as_ref().unwrap();
    let until = String::from_utf8(data(authority, "previous-until").unwrap()).unwrap();
    assert_eq!(until, before.not_after());
    roll(cluster, &launch, &mut webhooks);
    stream.await_creates(20);
    stream.end();
    // Fields outside the template are kept.
    let configuration = after.configuration.unwrap();
    assert_eq!(configuration["metadata"]["labels"]["app"], "imageswap");
    for webhook in &webhooks {
        webhook.assert_no_warnings();
    }
}

/// Returns the webhook configuration of the original, with a block in caBundle that the API server skips.
pub(crate) fn configuration_of_the_original(cluster: &Cluster) -> Value {
    let root = cluster.control_plane.authority().pem();
    let root = format!("-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n{root}");
    let mut selector = json!({});
    selector["matchLabels"][LABEL] = json!("enabled");
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": { "name": "imageswap-webhook", "labels": { "app": "imageswap" } },
        "webhooks": [{
            "name": "imageswap.webhook.k8s.twr.io",
            "clientConfig": {
                "service": { "name": "imageswap", "namespace": NAMESPACE, "path": "/" },
                "caBundle": crate::stream::encoded(root.as_bytes()),
            },
            "rules": [{
                "operations": ["CREATE", "UPDATE"],
                "apiGroups": ["*"],
                "apiVersions": ["*"],
                "resources": ["pods"],
            }],
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "namespaceSelector": selector,
        }],
    })
}

fn uninstallation(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let mut webhook = cluster.managed(&files).start_ready();
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_configuration();
    cluster.await_probe("app=one.example.com/probe:1");
    cluster.assert_permitted();
    let install = repository("deploy/install.yaml");
    let control_plane = &cluster.control_plane;
    control_plane.kubectl(&["delete", "--filename", install.to_str().unwrap()]);
    // The webhook still runs, as pods do for a while. It must not create anything again.
    eventually("the deletion of the configuration", || match cluster.api.get(CONFIGURATION) {
        None => Ok(()),
        found => Err(found),
    });
    webhook.terminate();
    webhook.await_end();
    // Requests of a deleted account are refused, which is not a fault of its roles.
    control_plane.clear_audit();
    cluster.service.set_endpoints(&[]);
    cluster.await_probe("app=probe:1");
    for path in [CONFIGURATION, CERTIFICATE, AUTHORITY] {
        assert_eq!(cluster.api.get(path), None);
    }
    let left = control_plane.kubectl(&[
        "get",
        "namespaces,clusterroles,clusterrolebindings,mutatingwebhookconfigurations",
        "--output=name",
    ]);
    let left: Vec<_> = left.lines().filter(|name| name.contains("imageswap")).collect();
    expect(left, &Vec::<&str>::new()).unwrap();
    assert_eq!(cluster.api.get(&format!("/api/v1/namespaces/{NAMESPACE}")), None);
}
