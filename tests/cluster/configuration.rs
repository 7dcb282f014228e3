//! The webhook configuration: its creation and repair, and the cases in which the webhook does not change it.

use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{RecvTimeoutError, channel},
    },
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use support::certificates::Authority;

use crate::{
    Cluster, MAP, Step, eventually, expect,
    handshake::Certificate,
    install::{AUTHORITY, CERTIFICATE, CONFIGURATION, CONFIGURATIONS, NAMESPACE, ROTATE, data},
    installation::configuration_of_the_original,
    stream::bundle,
    webhook::{Files, Launch, Webhook},
};

/// Timeout for the repair of a changed configuration.
const REPAIR: Duration = Duration::from_secs(10);

/// Interval between the observations of the simulated admissions enforcer of AKS.
const ENFORCEMENT: Duration = Duration::from_millis(20);

/// The mark of a configuration that the enforcer does not change.
const ENFORCER_MARK: &str = "admissions.enforcer/disabled";

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("a configuration is created when the webhook is ready", creation),
    ("a configuration that was changed is repaired", repair),
    ("a configuration that was deleted stays deleted until a restart", deletion),
    ("a configuration that another party manages is not changed", unmanaged),
    ("a configuration that points elsewhere is taken over", elsewhere),
    ("a controller that skips marked configurations causes no conflict", enforcer),
];

fn creation(cluster: &Cluster) {
    cluster.clear_state();
    // There is no map yet.
    let files = Files::new("");
    let launch = cluster.managed(&files).with_path("IMAGESWAP_MAPS_FILE", files.path("late.conf"));
    let webhook = launch.start();
    eventually("a certificate", || cluster.api.get(CERTIFICATE).ok_or("none"));
    webhook.await_log("certificate loaded");
    let template = "no webhook template file, using the built-in template";
    let template = webhook.logged(template).pop().unwrap();
    assert_eq!(template["file"], "/mwc/imageswap-mwc.yaml");
    let reason = webhook.readiness().unwrap_err();
    assert!(reason.contains("map: "), "{reason}");
    assert!(!reason.contains("certificate"), "{reason}");
    assert_eq!(cluster.api.get(CONFIGURATION), None);
    files.write("late.conf", MAP);
    webhook.await_ready();
    let created = cluster.await_configuration();
    let root = data(&cluster.api.get(AUTHORITY).unwrap(), "rootca.pem").unwrap();
    assert_eq!(String::from_utf8(bundle(&created)), String::from_utf8(root));
    assert_eq!(created["metadata"]["ownerReferences"][0]["kind"], "ClusterRole");
    assert_eq!(created["metadata"]["ownerReferences"][0]["name"], "imageswap-write");
}

fn repair(cluster: &Cluster) {
    let files = Files::new(MAP);
    cluster.assert_repairs("by the Service", &cluster.managed(&files));
    cluster.assert_repairs("by a URL", &cluster.managed_by_url(&files));
}

fn elsewhere(cluster: &Cluster) {
    let service =
        json!({ "service": { "name": "imageswap", "namespace": NAMESPACE, "path": "/" } });
    let url = json!({ "url": "https://127.0.0.1:1" });
    let files = Files::new(MAP);
    for (before, launch, expected) in [
        (service, cluster.managed_by_url(&files), ("url", json!(cluster.service.url()))),
        (url, cluster.managed(&files), ("service.name", json!("imageswap"))),
    ] {
        cluster.clear_state();
        let mut original = configuration_of_the_original(cluster);
        let bundle = original["webhooks"][0]["clientConfig"]["caBundle"].take();
        original["webhooks"][0]["clientConfig"] = before.clone();
        original["webhooks"][0]["clientConfig"]["caBundle"] = bundle;
        cluster.api.post(&format!("{CONFIGURATIONS}?fieldManager=OpenAPI-Generator"), &original);
        let webhook = launch.start_ready();
        let (field, value) = expected;
        let pointer = format!("/webhooks/0/clientConfig/{}", field.replace('.', "/"));
        eventually("the takeover", || {
            let found = cluster.api.get(CONFIGURATION).unwrap();
            expect(found.pointer(&pointer).cloned(), &Some(value.clone())).map_err(|_| found)
        });
        let found = cluster.api.get(CONFIGURATION).unwrap();
        let (other, _) = before.as_object().unwrap().iter().next().unwrap();
        assert_eq!(found["webhooks"][0]["clientConfig"][other], Value::Null);
        cluster.rotate_certificate();
        webhook.assert_no_warnings();
    }
}

/// Simulates the admissions enforcer of AKS, which changes each webhook configuration without the mark.
fn enforcer(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let since = cluster.api.now(CONFIGURATIONS);
    let observations = AtomicUsize::new(0);
    thread::scope(|scope| {
        // The drop at the end stops the thread.
        let (_stop, stopped) = channel::<()>();
        let observations = &observations;
        scope.spawn(move || {
            while stopped.recv_timeout(ENFORCEMENT) == Err(RecvTimeoutError::Timeout) {
                let Some(found) = cluster.api.get(CONFIGURATION) else { continue };
                observations.fetch_add(1, Ordering::SeqCst);
                let selector = &found["webhooks"][0]["namespaceSelector"];
                let is_marked = found["metadata"]["labels"][ENFORCER_MARK] == "true"
                    || found["metadata"]["annotations"][ENFORCER_MARK] == "true";
                if is_marked || selector.to_string().contains("control-plane") {
                    continue;
                }
                let mut webhooks = found["webhooks"].clone();
                webhooks[0]["namespaceSelector"]["matchExpressions"] = json!([
                    { "key": "control-plane", "operator": "NotIn", "values": ["true"] },
                    { "key": "kubernetes.azure.com/managedby", "operator": "NotIn", "values": ["aks"] },
                ]);
                cluster.api.patch(CONFIGURATION, &json!({ "webhooks": webhooks }));
            }
        });
        let webhook = cluster.managed(&files).start_ready();
        cluster.await_configuration();
        for _ in 0..2 {
            let before = observations.load(Ordering::SeqCst);
            cluster.rotate_certificate();
            eventually("observations of the enforcer", || {
                let now = observations.load(Ordering::SeqCst);
                if now > before + 20 { Ok(()) } else { Err(now) }
            });
        }
        webhook.assert_no_warnings();
    });
    let history = cluster.api.history(CONFIGURATIONS, since);
    let events: Vec<_> = history.iter().map(|version| &version.event).collect();
    assert_eq!(events, ["ADDED"]);
}

fn deletion(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let webhook = cluster.managed(&files).start_ready();
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_configuration();
    await_presence(&webhook, 1);
    cluster.control_plane.kubectl(&["delete", "mutatingwebhookconfiguration", "imageswap-webhook"]);
    webhook.await_log("webhook configuration deleted");
    await_presence(&webhook, 0);
    cluster.await_probe("app=probe:1");
    // Everything else still works.
    cluster.rotate_certificate();
    assert_eq!(cluster.api.get(CONFIGURATION), None);
    let again = cluster.managed(&files).start_ready();
    cluster.await_configuration();
    cluster.await_probe("app=one.example.com/probe:1");
    // The first webhook manages the new configuration too.
    await_presence(&webhook, 1);
    drop(again);
    cluster.api.patch(CONFIGURATION, &json!({ "webhooks": [] }));
    cluster.await_probe("app=one.example.com/probe:1");
}

/// Waits until the metrics of a webhook say if there is a configuration: 1 or 0.
fn await_presence(webhook: &Webhook, value: u8) {
    let series = format!("imageswap_webhook_configuration_present {value}\n");
    eventually(&series, || {
        let page = webhook.page("/metrics");
        if page.contains(&series) { Ok(()) } else { Err(page) }
    });
}

fn unmanaged(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let launch = cluster.managed(&files);
    let disabled = launch.clone().with("IMAGESWAP_DISABLE_AUTO_MWC", "TRUE");
    let webhook = disabled.start_ready();
    cluster.rotate_certificate();
    assert_eq!(cluster.api.get(CONFIGURATION), None);
    // A configuration of another webhook is not changed either.
    let creator = launch.start_ready();
    let mut found = cluster.await_configuration();
    drop(creator);
    found["webhooks"][0]["failurePolicy"] = json!("Ignore");
    let changed = cluster.api.put(CONFIGURATION, &found);
    cluster.rotate_certificate();
    assert_eq!(cluster.api.get(CONFIGURATION).unwrap(), changed);
    // The webhook only logs what the owner of the configuration has to do.
    for warning in webhook.warnings() {
        let message = warning["message"].as_str().unwrap();
        assert!(message.contains("new root missing from caBundle"), "{warning}");
    }
}

impl Cluster {
    /// Fails unless a webhook adds these roots to those of the changed webhooks. The other ones stay for minutes, because a
    /// replica might serve a certificate under them.
    fn assert_adds_roots(&self, webhooks: &Value, roots: &[u8]) {
        self.api.patch(CONFIGURATION, &json!({ "webhooks": webhooks }));
        eventually("another caBundle", || {
            let found = self.state().bundle();
            let is_whole = Certificate::all(roots).iter().all(|root| found.contains(root));
            if is_whole { Ok(()) } else { Err(found) }
        });
    }

    /// Fails unless a webhook reverts each change of the configuration.
    fn assert_repairs(&self, mode: &str, launch: &Launch) {
        self.clear_state();
        let webhook = launch.start_ready();
        let right = self.await_configuration();
        let roots = bundle(&right);
        let other = STANDARD.encode(Authority::new("other").pem());
        let broken = "-----BEGIN CERTIFICATE-----\nb*d\n-----END CERTIFICATE-----\n";
        let broken = STANDARD.encode([broken.as_bytes(), &roots].concat());
        let client = |field: &str, value: Value| {
            let mut webhooks = right["webhooks"].clone();
            webhooks[0]["clientConfig"][field] = value;
            webhooks
        };
        let destination = |mut client: Value| {
            let mut webhooks = right["webhooks"].clone();
            client["caBundle"] = json!(STANDARD.encode(&roots));
            webhooks[0]["clientConfig"] = client;
            webhooks
        };
        let field = |field: &str, value: Value| {
            let mut webhooks = right["webhooks"].clone();
            webhooks[0][field] = value;
            webhooks
        };
        let service = json!({ "service": { "name": "other", "namespace": NAMESPACE } });
        self.assert_adds_roots(&client("caBundle", json!(other)), &roots);
        self.api.patch(CONFIGURATION, &json!({ "webhooks": right["webhooks"] }));
        for (what, webhooks) in [
            ("no caBundle", client("caBundle", json!(""))),
            ("a broken block in caBundle", client("caBundle", json!(broken))),
            ("another URL", destination(json!({ "url": "https://127.0.0.1:1" }))),
            ("another Service", destination(service)),
            ("another failurePolicy", field("failurePolicy", json!("Ignore"))),
            ("another selector", field("namespaceSelector", json!({}))),
            ("other rules", field("rules", json!([]))),
            ("no webhook", json!([])),
        ] {
            let changed = self.api.patch(CONFIGURATION, &json!({ "webhooks": webhooks }));
            assert_ne!(changed["webhooks"], right["webhooks"], "{what}");
            let begun = Instant::now();
            eventually(what, || {
                let found = self.api.get(CONFIGURATION).unwrap();
                expect(found["webhooks"].clone(), &right["webhooks"])
            });
            let took = begun.elapsed();
            eprintln!("      {mode}, {what}: repaired in {} ms", took.as_millis());
            assert!(took < REPAIR, "{what}: {took:?}");
        }
        // Fields outside the template are kept.
        let labels = json!({ "metadata": { "labels": { "team": "images" } } });
        self.api.patch(CONFIGURATION, &labels);
        self.rotate_certificate();
        let found = self.api.get(CONFIGURATION).unwrap();
        assert_eq!(found["metadata"]["labels"]["team"], "images");
        assert_eq!(found["webhooks"], right["webhooks"]);
        webhook.assert_no_warnings();
    }

    /// Waits for the webhook configuration.
    pub(crate) fn await_configuration(&self) -> Value {
        eventually("the webhook configuration", || self.api.get(CONFIGURATION).ok_or("none"))
    }

    /// Waits until a pod would be stored with this image.
    pub(crate) fn await_probe(&self, image: &str) {
        eventually(image, || {
            let probe = self.try_probe().map_err(|error| vec![error.to_string()])?;
            expect(probe, &[image])
        });
    }

    /// Requests a new certificate like an operator, and waits until it is issued.
    pub(crate) fn rotate_certificate(&self) {
        self.request_rotation("imageswap-tls");
        self.await_rotation(CERTIFICATE);
    }

    /// Requests a new certificate or authority like an operator.
    pub(crate) fn request_rotation(&self, secret: &str) {
        let annotation = format!("{ROTATE}=now");
        self.control_plane.kubectl(&[
            "-n",
            "imageswap-system",
            "annotate",
            "secret",
            secret,
            &annotation,
        ]);
    }

    /// Waits until a request for a new certificate or authority has been handled.
    pub(crate) fn await_rotation(&self, secret: &str) {
        eventually("the end of a request", || {
            let found = self.api.get(secret).unwrap();
            expect(found["metadata"]["annotations"][ROTATE].clone(), &Value::Null)
        });
    }
}
