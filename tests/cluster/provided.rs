//! Replicas that do not agree on a user-provided certificate: one learns of it late, or refuses it.

use serde_json::json;
use support::{api::Version, certificates::Authority};

use crate::{
    Cluster, MAP, Step,
    certificates::recent_pair,
    eventually, expect,
    handshake::Certificate,
    install::{CERTIFICATE, CONFIGURATION, CONFIGURATIONS, secret},
    proxy::{Handling, Proxy},
    stream::{Stream, bundle, encoded},
    webhook::{Files, Webhook},
};

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("a replica that is late takes over the user-provided certificate at once", late),
    ("a replica that refuses a user-provided certificate does not stop the others", refusing),
];

/// Maximum number of writes of the configuration after a root was removed by another client. Each replica may become a
/// manager of the fields again.
const MAX_WRITES: usize = 4;

fn late(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let first = cluster.provide_certificate(&old);
    cluster.provide_root(&old);
    let proxy = Proxy::start(cluster, &cluster.kubeconfig);
    let launch = cluster.managed(&files);
    let punctual = launch.start_ready();
    let late = launch.with_path("KUBECONFIG", proxy.kubeconfig()).start_ready();
    cluster.service.set_endpoints(&[&punctual, &late]);
    cluster.await_probe("app=one.example.com/probe:1");
    let stream = Stream::start(cluster, "late");
    stream.await_creates(20);
    proxy.handle_by(|_, _| Handling::Ignore);
    let second = cluster.provide_certificate(&new);
    cluster.provide_root(&new);
    cluster.await_served(&punctual, &second);
    cluster.await_served(&late, &first);
    stream.await_creates(20);
    cluster.service.set_endpoints(&[&punctual]);
    let since = cluster.trust_only(new.pem().as_bytes());
    proxy.handle_by(|_, _| Handling::Forward);
    cluster.await_served(&late, &second);
    cluster.service.set_endpoints(&[&punctual, &late]);
    stream.await_creates(20);
    cluster.assert_trusted_only(&new, since);
    stream.end();
}

fn refusing(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let first = cluster.provide_certificate(&old);
    cluster.provide_root(&old);
    let launch = cluster.managed(&files);
    let right = launch.start_ready();
    // For a clock that is days behind, the next certificate is not valid yet.
    let refusing = launch.with_clock("-3d").start_ready();
    cluster.service.set_endpoints(&[&right, &refusing]);
    cluster.await_probe("app=one.example.com/probe:1");
    let stream = Stream::start(cluster, "refusing");
    stream.await_creates(20);
    let (certificate, key) = recent_pair(&new);
    let content = [("cert.pem", &*certificate), ("key.pem", &*key)];
    cluster.store(CERTIFICATE, &secret("imageswap-tls", &json!({}), &content));
    cluster.provide_root(&new);
    let second = Certificate::first(certificate.as_bytes());
    cluster.await_served(&right, &second);
    refusing.await_log("valid only from");
    cluster.await_served(&refusing, &first);
    stream.await_creates(20);
    // Without the old root, its certificate is of no use any more.
    cluster.service.set_endpoints(&[&right]);
    let since = cluster.trust_only(new.pem().as_bytes());
    cluster.await_served(&refusing, &second);
    cluster.service.set_endpoints(&[&right, &refusing]);
    stream.await_creates(20);
    cluster.assert_trusted_only(&new, since);
    stream.end();
}

impl Cluster {
    /// Waits until a webhook serves this certificate.
    fn await_served(&self, webhook: &Webhook, certificate: &Certificate) {
        eventually("a served certificate", || {
            let trusted = bundle(&self.api.get(CONFIGURATION).unwrap());
            expect(self.handshake(webhook.address(), &trusted)?, certificate)
                .map_err(|_| "another certificate".to_owned())
        });
    }

    /// Removes all roots but one, in PEM, from the configuration, as a replica does minutes after it has stopped using
    /// them. Returns the version before the change.
    pub(crate) fn trust_only(&self, root: &[u8]) -> u64 {
        let since = self.api.now(CONFIGURATIONS);
        let mut configuration = self.api.get(CONFIGURATION).unwrap();
        let webhooks = configuration["webhooks"].as_array_mut().unwrap();
        for webhook in webhooks.iter_mut() {
            webhook["clientConfig"]["caBundle"] = json!(encoded(root));
        }
        self.api.patch(CONFIGURATION, &json!({ "webhooks": webhooks }));
        since
    }

    /// Fails if the configuration has trusted another root since a version, or was written often.
    fn assert_trusted_only(&self, root: &Authority, since: u64) {
        let history = self.api.history(CONFIGURATIONS, since);
        let bundles = history.iter().map(|Version { object, .. }| bundle(object));
        assert!(bundles.clone().all(|bundle| bundle == root.pem().into_bytes()), "{history:#?}");
        eprintln!("      {} writes of the configuration", history.len());
        assert!((1..=MAX_WRITES).contains(&history.len()), "{history:#?}");
    }
}
