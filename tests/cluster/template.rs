//! The template of the webhook configuration: changed, copied from the live object, or refused.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    Cluster, MAP, Step, eventually, expect,
    install::{AUTHORITY, CONFIGURATION},
    proxy::{Handling, Proxy},
    webhook::Files,
};

/// The built-in template.
const BUILT_IN: &str = include_str!("../../config/imageswap-mwc.yaml");

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("a configuration follows its template", followed),
    ("a template that is a copy of the live object is accepted", copied),
    ("a template with an unknown path gets a warning", unanswered),
    ("a refused template does not stop the repair of the caBundle", refused),
    ("a webhook with another name does not stay behind", renamed),
    ("a conflict that the next attempt resolves is not a failure", brief_conflict),
    ("lasting conflicts do not block the renewal of the certificate", lasting_conflict),
];

fn followed(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let template = |failure_policy: &str| {
        let failure_policy = format!("failurePolicy: {failure_policy}");
        files.write("mwc.yaml", &BUILT_IN.replace("failurePolicy: Fail", &failure_policy));
    };
    template("Ignore");
    let launch = cluster.managed_by_url(&files);
    let launch = launch.with_path("IMAGESWAP_MWC_TEMPLATE_FILE", files.path("mwc.yaml"));
    let webhook = launch.start_ready();
    cluster.await_configuration();
    for failure_policy in ["Ignore", "Fail"] {
        template(failure_policy);
        eventually("the template's failurePolicy", || {
            let found = cluster.api.get(CONFIGURATION).unwrap();
            expect(found["webhooks"][0]["failurePolicy"].clone(), &json!(failure_policy))
        });
    }
    let loaded = webhook.logged("webhook template loaded");
    assert_eq!(loaded.len(), 2);
    for line in loaded {
        assert_eq!(line["source"], "file");
        assert!(line["file"].as_str().unwrap().ends_with("mwc.yaml"));
    }
    // A removed template stays in use.
    std::fs::remove_file(files.path("mwc.yaml")).unwrap();
    let removed = "keeping the last good template";
    webhook.await_log(removed);
    cluster.assert_repaired("Ignore");
    assert_eq!(webhook.log_with(removed).len(), 1);
    webhook.assert_no_warnings_except(&[removed]);
}

fn copied(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let webhook = cluster.managed_by_url(&files).start_ready();
    let live = cluster.await_configuration();
    drop(webhook);
    let get = ["get", "mutatingwebhookconfiguration", "imageswap-webhook", "--show-managed-fields"];
    let copy = cluster.control_plane.kubectl(&[&get[..], &["--output=yaml"]].concat());
    files.write("mwc.yaml", &copy);
    let launch = cluster.managed_by_url(&files);
    let launch = launch.with_path("IMAGESWAP_MWC_TEMPLATE_FILE", files.path("mwc.yaml"));
    let ignored = "metadata.creationTimestamp, metadata.generation, metadata.managedFields, \
                   metadata.ownerReferences, metadata.resourceVersion, metadata.uid";
    let what = "fields of the webhook template ignored";
    // The version and uid belong to a configuration that no longer exists.
    cluster.clear_state();
    let webhooks = [launch.start_ready()];
    let created = cluster.await_configuration();
    assert_ne!(created["metadata"]["uid"], live["metadata"]["uid"]);
    cluster.assert_repaired("Ignore");
    let before = cluster.await_stable(&webhooks);
    cluster.rotate_certificate();
    let after = cluster.await_stable(&webhooks);
    assert_ne!(after.served(), before.served());
    let lines = webhooks[0].log_with(what);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains(ignored) && lines[0].contains("mwc.yaml"), "{lines:?}");
    webhooks[0].assert_no_warnings_except(&[what]);
}

fn unanswered(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let webhook = "  - name: imageswap.webhook.k8s.twr.io\n";
    let service = "{ name: imageswap, namespace: imageswap-system, path: /webhook }";
    let service = format!("{webhook}    clientConfig: {{ service: {service} }}\n");
    files.write("mwc.yaml", &BUILT_IN.replace(webhook, &service));
    let url = format!("{}/elsewhere", cluster.service.url());
    let launch = cluster.managed(&files).with("IMAGESWAP_WEBHOOK_URL", url);
    let launch = launch.with_path("IMAGESWAP_MWC_TEMPLATE_FILE", files.path("mwc.yaml"));
    let webhook = launch.start();
    for (message, fields) in [
        (
            "webhook template has a path that is not answered",
            [("field", "webhooks[0].clientConfig.service.path"), ("path", "/webhook")],
        ),
        (
            "webhook URL has a path that is not answered",
            [("setting", "IMAGESWAP_WEBHOOK_URL"), ("path", "/elsewhere")],
        ),
    ] {
        webhook.await_log(message);
        let lines: Vec<_> =
            webhook.warnings().into_iter().filter(|line| line["message"] == message).collect();
        assert_eq!(lines.len(), 1, "{message}");
        for (field, value) in fields {
            assert_eq!(lines[0][field], value, "{message}");
        }
        assert!(lines[0]["hint"].as_str().unwrap().contains("`/` and `/mutate`"));
    }
}

fn refused(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    files.write("mwc.yaml", BUILT_IN);
    let launch = cluster.managed_by_url(&files);
    let launch = launch.with_path("IMAGESWAP_MWC_TEMPLATE_FILE", files.path("mwc.yaml"));
    let webhooks = [launch.start_ready()];
    let right = cluster.await_configuration()["webhooks"].clone();
    // The API server permits 30 seconds at most.
    files.write("mwc.yaml", &BUILT_IN.replace("timeoutSeconds: 5", "timeoutSeconds: 31"));
    webhooks[0].await_log("reconciliation failed; retrying");
    for field in ["timeoutSeconds", "clientConfig"] {
        let mut wrong = right.clone();
        wrong[0]["clientConfig"]["caBundle"] = json!("");
        wrong[0]["timeoutSeconds"] = json!(7);
        cluster.api.patch(CONFIGURATION, &json!({ "webhooks": wrong }));
        eventually(&format!("the repair of {field}"), || {
            expect(cluster.api.get(CONFIGURATION).unwrap()["webhooks"].clone(), &right)
        });
    }
    // A new root is trusted, too.
    let before = cluster.await_stable(&webhooks);
    cluster.request_rotation("imageswap-tls-ca");
    cluster.await_rotation(AUTHORITY);
    let after = cluster.await_stable(&webhooks);
    assert_ne!(after.root(), before.root());
    files.write("mwc.yaml", &BUILT_IN.replace("timeoutSeconds: 5", "timeoutSeconds: 6"));
    eventually("the new template", || {
        let found = cluster.api.get(CONFIGURATION).unwrap();
        expect(found["webhooks"][0]["timeoutSeconds"].clone(), &json!(6))
    });
    webhooks[0].assert_no_warnings_except(&["reconciliation failed; retrying"]);
}

fn renamed(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let template = |name: &str| BUILT_IN.replace("imageswap.webhook.k8s.twr.io", name);
    files.write("mwc.yaml", &template("custom.example.com"));
    let launch = cluster.managed_by_url(&files);
    let launch = launch.with_path("IMAGESWAP_MWC_TEMPLATE_FILE", files.path("mwc.yaml"));
    let webhook = launch.start_ready();
    let found = cluster.await_configuration();
    // Another client sets all fields as they are, and adds a webhook of its own.
    let mut webhooks = found["webhooks"].clone();
    let mut foreign = webhooks[0].clone();
    foreign["name"] = json!("foreign.example.com");
    webhooks.as_array_mut().unwrap().push(foreign);
    let mut owned = found.clone();
    owned["metadata"] = json!({ "name": "imageswap-webhook" });
    owned["webhooks"] = webhooks;
    let apply = ["apply", "--server-side", "--field-manager=another", "-f=-"];
    cluster.control_plane.try_kubectl(&apply, Some(&owned)).unwrap();
    files.write("mwc.yaml", &template("other.example.com"));
    eventually("the renamed webhook", || {
        let found = cluster.api.get(CONFIGURATION).unwrap();
        let webhooks = found["webhooks"].as_array().unwrap();
        let mut names: Vec<_> = webhooks.iter().map(|webhook| webhook["name"].clone()).collect();
        names.sort_unstable_by_key(Value::to_string);
        expect(json!(names), &json!(["foreign.example.com", "other.example.com"]))
    });
    webhook.assert_no_warnings();
}

fn brief_conflict(cluster: &Cluster) {
    let (files, proxy) = (Files::new(MAP), Proxy::start(cluster, &cluster.kubeconfig));
    cluster.clear_state();
    let refusals = Arc::new(AtomicUsize::new(0));
    proxy.handle_by({
        let refusals = refusals.clone();
        let mut is_next = true;
        move |method, path| {
            // Refuse every second write.
            if method != Method::PATCH || path != CONFIGURATION {
                return Handling::Forward;
            }
            is_next = !is_next;
            if is_next {
                return Handling::Forward;
            }
            refusals.fetch_add(1, Ordering::SeqCst);
            Handling::Refuse(409, "Conflict")
        }
    });
    let launch = cluster.managed_by_url(&files).with_path("KUBECONFIG", proxy.kubeconfig());
    let webhook = launch.start_ready();
    cluster.await_configuration();
    cluster.assert_repaired("Ignore");
    assert!(refusals.load(Ordering::SeqCst) >= 2);
    webhook.assert_no_warnings();
}

fn lasting_conflict(cluster: &Cluster) {
    let (files, proxy) = (Files::new(MAP), Proxy::start(cluster, &cluster.kubeconfig));
    cluster.clear_state();
    let launch = cluster.managed_by_url(&files).with_path("KUBECONFIG", proxy.kubeconfig());
    let webhooks = [launch.start_ready()];
    let before = cluster.await_stable(&webhooks);
    proxy.handle_by(|method, path| {
        let is_write = method == Method::PATCH && path == CONFIGURATION;
        if is_write { Handling::Refuse(409, "Conflict") } else { Handling::Forward }
    });
    // A change makes the webhook write.
    let right = before.configuration.as_ref().unwrap()["webhooks"].clone();
    let mut webhooks_of_another = right.clone();
    webhooks_of_another[0]["failurePolicy"] = json!("Ignore");
    cluster.api.patch(CONFIGURATION, &json!({ "webhooks": webhooks_of_another }));
    cluster.rotate_certificate();
    let after = cluster.await_stable(&webhooks);
    assert_ne!(after.served(), before.served());
    assert_eq!(after.root(), before.root());
    webhooks[0]
        .await_log("apply the webhook configuration imageswap-webhook: the proxy says Conflict");
    // A new root waits until the configuration can be written.
    cluster.request_rotation("imageswap-tls-ca");
    cluster.await_rotation(AUTHORITY);
    proxy.handle_by(|_, _| Handling::Forward);
    eventually("the repair", || {
        expect(cluster.api.get(CONFIGURATION).unwrap()["webhooks"][0]["failurePolicy"].clone(), {
            &right[0]["failurePolicy"]
        })
    });
    webhooks[0].assert_no_warnings_except(&["the proxy says Conflict"]);
}
