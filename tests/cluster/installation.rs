//! The manifests: installation, upgrade and uninstallation.

use serde_json::{Value, json};

use crate::{
    Cluster, MAP, Step,
    certificates::server_pair,
    eventually, expect,
    handshake::Certificate,
    install::{
        AUTHORITY, CERTIFICATE, CONFIGURATION, CONFIGURATIONS, NAMESPACE, data, repository, secret,
    },
    modes::from_files,
    objects::LABEL,
    rotation::roll,
    stream::Stream,
    webhook::Files,
};

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("each overlay is applied without a warning", overlays),
    ("no creation fails while this takes over from the original", upgrade),
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
    cluster.forget();
    // What the original has stored: a certificate that the cluster has signed.
    let authority = cluster.control_plane.authority();
    let (certificate, key) = server_pair(authority, &["127.0.0.1"]);
    let files = Files::new(MAP);
    files.write("cert.pem", &certificate);
    files.write("key.pem", &key);
    let content = [("cert.pem", &*certificate), ("key.pem", &*key)];
    cluster.store(CERTIFICATE, &secret("imageswap-tls", &json!({}), &content));
    cluster.api.post(CONFIGURATIONS, &configuration_of_the_original(cluster));
    // Here the program stands in for the original, which does the same: it serves.
    let mut old = from_files(&files).start_ready();
    cluster.service.set_endpoints(&[&old]);
    cluster.await_probe("app=one.example.com/probe:1");
    let before = cluster.handshake(old.address(), authority.pem().as_bytes()).unwrap();
    let stream = Stream::start(cluster, "upgrade");
    stream.await_creates(20);
    let launch = cluster.managed(&files);
    let mut webhooks = [launch.start_ready(), launch.start_ready()];
    cluster.service.set_endpoints(&[&old, &webhooks[0], &webhooks[1]]);
    // What is new does not stop what is old, which has to serve until the last pod is replaced.
    let certificate = cluster.api.get(CERTIFICATE).unwrap();
    assert_eq!(Certificate::first(&data(&certificate, "cert.pem").unwrap()), before);
    cluster.service.set_endpoints(&[&webhooks[0], &webhooks[1]]);
    old.terminate();
    assert_eq!(old.await_end().code(), Some(0));
    let after = cluster.await_settled(&webhooks);
    assert_ne!(after.served(), before);
    let cluster_root = Certificate::first(authority.pem().as_bytes());
    assert_eq!(after.bundle(), [after.root(), cluster_root].into());
    let authority = after.authority.as_ref().unwrap();
    let until = String::from_utf8(data(authority, "previous-until").unwrap()).unwrap();
    assert_eq!(until, before.not_after());
    roll(cluster, &launch, &mut webhooks);
    stream.await_creates(20);
    stream.end();
    // What it does not know, it has left.
    let configuration = after.configuration.unwrap();
    assert_eq!(configuration["metadata"]["labels"]["app"], "imageswap");
    for webhook in &webhooks {
        webhook.assert_calm();
    }
}

/// The webhook configuration as the original writes it, with a block in caBundle that the API server skips.
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
                "url": cluster.service.url(),
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
    cluster.forget();
    let files = Files::new(MAP);
    let mut webhook = cluster.managed(&files).start_ready();
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_configuration();
    cluster.await_probe("app=one.example.com/probe:1");
    cluster.assert_permitted();
    let install = repository("deploy/install.yaml");
    let control_plane = &cluster.control_plane;
    control_plane.kubectl(&["delete", "--filename", install.to_str().unwrap()]);
    // It still runs, as pods do for a while, and does not put anything back.
    eventually("the end of the configuration", || match cluster.api.get(CONFIGURATION) {
        None => Ok(()),
        found => Err(found),
    });
    webhook.terminate();
    webhook.await_end();
    // Whose account is deleted may do nothing, which is no fault of its roles.
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
