//! The manifests: installation, upgrade and uninstallation.

use std::{fs, time::Instant};

use serde_json::{Value, json};

use crate::{
    Cluster, MAP, SWAPPED, Step,
    certificates::server_pair,
    eventually, expect,
    handshake::Certificate,
    helm,
    install::{
        AUTHORITY, CERTIFICATE, CONFIGURATION, CONFIGURATIONS, NAMESPACE, data, repository, secret,
    },
    kubectl::parsed,
    modes::from_files,
    objects::{LABEL, images, pod_of},
    rotation::roll,
    service::HOST,
    stream::Stream,
    webhook::{Files, Launch},
};

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("each overlay is applied without a warning", overlays),
    ("the installation rewrites nothing until there is a map", without_a_map),
    ("the overlay production does not start without a map", production_without_a_map),
    ("no creation fails while ImageSwap replaces the original", upgrade),
    ("each value set of the chart is applied without a warning", helm::value_sets),
    ("Helm takes over an installation by kubectl", helm::take_over),
    ("Helm installs a chart with images that the post-renderer has rewritten", helm::post_renderer),
    ("nothing blocks pods after the manifests are deleted", uninstallation),
];

fn overlays(cluster: &Cluster) {
    let mut overlays: Vec<_> = fs::read_dir(repository("deploy/overlays"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    overlays.sort();
    assert!(!overlays.is_empty());
    for overlay in overlays {
        let overlay = overlay.to_str().unwrap();
        cluster.control_plane.apply(&["--dry-run=server", "--kustomize", overlay]);
    }
    let egress = repository("deploy/egress.yaml");
    cluster.control_plane.apply(&["--dry-run=server", "--filename", egress.to_str().unwrap()]);
}

fn without_a_map(cluster: &Cluster) {
    cluster.clear_state();
    let begun = Instant::now();
    let install = repository("deploy/install.yaml");
    let objects = cluster.objects_of(&["--filename", install.to_str().unwrap()]);
    let files = Files::new(MAP);
    fs::remove_file(files.path("maps.conf")).unwrap();
    let webhook = with_settings_of(&objects, cluster.managed(&files)).start_ready();
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_configuration();
    webhook.await_log("no map file, using the built-in map");
    eventually("a call of the webhook", || {
        let images = cluster.probe();
        if webhook.logged("reviewed").is_empty() { Err(images) } else { Ok(()) }
    });
    let create = |name: &str| images(&cluster.create(&pod_of(name, &["nginx:1.27"])));
    assert_eq!(create("without-map"), ["app=nginx:1.27"]);
    assert!(webhook.metric("imageswap_map_builtin") > 0.0);
    files.write("maps.conf", MAP);
    cluster.await_probe("app=one.example.com/probe:1");
    assert_eq!(create("with-map"), ["app=one.example.com/nginx:1.27"]);
    eprintln!("      the first swapped pod after {} ms", begun.elapsed().as_millis());
    assert!(webhook.metric("imageswap_map_builtin") < 1.0);
    // A map that is deleted stays in use as long as the process runs.
    fs::remove_file(files.path("maps.conf")).unwrap();
    webhook.await_log("map reload failed, keeping the last good map");
    assert_eq!(create("deleted-map"), ["app=one.example.com/nginx:1.27"]);
    for pod in ["without-map", "with-map", "deleted-map"] {
        cluster.api.delete(&format!("/api/v1/namespaces/{SWAPPED}/pods/{pod}"));
    }
}

fn production_without_a_map(cluster: &Cluster) {
    cluster.clear_state();
    let overlay = repository("deploy/overlays/production");
    let objects = cluster.objects_of(&["--kustomize", overlay.to_str().unwrap()]);
    let deployment = object(&objects, "Deployment", "imageswap");
    let volumes = deployment["spec"]["template"]["spec"]["volumes"].as_array().unwrap();
    let map = volumes.iter().find(|volume| volume["name"] == "imageswap-maps").unwrap();
    // The kubelet waits for the ConfigMap.
    assert_eq!(map["configMap"]["optional"], false);
    // It would not help to mount an empty folder: the process waits too.
    let files = Files::new(MAP);
    fs::remove_file(files.path("maps.conf")).unwrap();
    let webhook = with_settings_of(&objects, cluster.managed(&files)).start();
    webhook.await_log("map load failed, no map in use");
    assert!(webhook.readiness().unwrap_err().contains("map: "));
    files.write("maps.conf", MAP);
    webhook.await_ready();
}

/// Returns the object of a kind and name.
fn object<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let is_it = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
    objects.iter().find(is_it).unwrap()
}

impl Cluster {
    /// Returns the objects of manifests, as they would be stored.
    fn objects_of(&self, manifests: &[&str]) -> Vec<Value> {
        let apply = ["apply", "--server-side", "--dry-run=server", "--output=json"];
        let list = parsed(&self.control_plane.kubectl(&[&apply, manifests].concat()));
        list["items"].as_array().unwrap().clone()
    }
}

/// Adds the settings of the manifests to a launch, as the kubelet would read them.
fn with_settings_of(objects: &[Value], launch: Launch) -> Launch {
    const SETTING: &str = "IMAGESWAP_MAPS_OPTIONAL";

    let deployment = object(objects, "Deployment", "imageswap");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let sources = container["envFrom"].as_array().unwrap().iter();
    let names: Vec<_> = sources.map(|source| &source["configMapRef"]["name"]).collect();
    // The last source with a key wins, and `env` wins over all. So the ConfigMap of the operator overrides the default.
    assert_eq!(names, ["imageswap-defaults", "imageswap-env"]);
    assert!(container["env"].as_array().unwrap().iter().all(|one| one["name"] != SETTING));
    let defaults = &object(objects, "ConfigMap", "imageswap-defaults")["data"];
    assert_eq!(defaults.as_object().unwrap().len(), 1);
    launch.with(SETTING, defaults[SETTING].as_str().unwrap())
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
