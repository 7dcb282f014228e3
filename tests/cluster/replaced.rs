//! Secrets that another client replaces, as a restored backup or a `GitOps` tool does.

use serde_json::json;
use support::certificates::Authority;

use crate::{
    Cluster, MAP, Step,
    certificates::server_pair,
    eventually, expect,
    handshake::Certificate,
    install::{AUTHORITY, CERTIFICATE, State, data, secret},
    service::HOST,
    stream::Stream,
    webhook::{Files, Webhook},
};

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("no creation fails while another certificate is stored", certificate),
    ("no creation fails while an older authority is restored", authority),
    ("a user-provided certificate may bring its root in ca.crt", issuer_root),
    ("a certificate of cert-manager replaces one that ImageSwap has made", cert_manager),
    ("the keys of an operator are kept if ImageSwap replaces them", kept),
];

/// The log message about a pair that was replaced.
const REPLACED: &str = "certificate of an unknown authority replaced";

/// The log message about a copy of a pair that was replaced.
const KEPT: &str = "replaced certificate kept in the Secret";

fn certificate(cluster: &Cluster) {
    let files = Files::new(MAP);
    let (webhooks, before) = cluster.replicas(&files);
    let stream = Stream::start(cluster, "foreign");
    stream.await_creates(20);
    let (foreign, key) = server_pair(&Authority::new("foreign"), &[HOST]);
    let content = [("cert.pem", &*foreign), ("key.pem", &*key)];
    cluster.store(CERTIFICATE, &secret("imageswap-tls", &json!({}), &content));
    let after = eventually("another certificate", || {
        let state = cluster.await_stable(&webhooks);
        if state.served() == before.served() { Err("the old one") } else { Ok(state) }
    });
    assert_ne!(after.served(), Certificate::first(foreign.as_bytes()));
    assert_eq!(after.root(), before.root());
    stream.await_creates(20);
    stream.end();
    // The pair is not lost.
    let stored = after.certificate.unwrap();
    assert_eq!(data(&stored, "replaced-cert.pem").unwrap(), foreign.into_bytes());
    assert_eq!(data(&stored, "replaced-key.pem").unwrap(), key.into_bytes());
    let reported = webhooks.iter().map(|webhook| webhook.log_with(REPLACED).len()).sum::<usize>();
    assert_eq!(reported, 1);
    for webhook in &webhooks {
        webhook.assert_no_warnings_except(&[REPLACED]);
    }
}

fn authority(cluster: &Cluster) {
    let files = Files::new(MAP);
    let (webhooks, before) = cluster.replicas(&files);
    let backup = before.authority.clone().unwrap();
    cluster.request_rotation("imageswap-tls-ca");
    cluster.await_rotation(AUTHORITY);
    let between = cluster.await_stable(&webhooks);
    assert_ne!(between.root(), before.root());
    // The backup is so old that nobody trusts its root any more.
    let forgotten = json!({ "data": { "previous-rootca.pem": null, "previous-until": null } });
    cluster.api.patch(AUTHORITY, &forgotten);
    cluster.trust_only(&data(between.authority.as_ref().unwrap(), "rootca.pem").unwrap());
    eventually("a caBundle with one root", || {
        expect(cluster.state().bundle(), &[between.root()].into())
    });
    let stream = Stream::start(cluster, "restored");
    stream.await_creates(20);
    let restored = json!({ "data": {
        "rootca.pem": backup["data"]["rootca.pem"],
        "rootca-key.pem": backup["data"]["rootca-key.pem"],
    } });
    cluster.api.patch(AUTHORITY, &restored);
    let after = eventually("a certificate of the restored authority", || {
        let state = cluster.await_stable(&webhooks);
        if state.served() == between.served() { Err("the old one") } else { Ok(state) }
    });
    assert_eq!(after.root(), before.root());
    assert_eq!(after.bundle(), [before.root(), between.root()].into());
    stream.await_creates(20);
    stream.end();
    webhooks.iter().for_each(Webhook::assert_no_warnings);
}

fn issuer_root(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let authority = Authority::new("cert-manager");
    let (certificate, key) = server_pair(&authority, &[HOST]);
    let root = authority.pem();
    let content = [("tls.crt", &*certificate), ("tls.key", &*key), ("ca.crt", &*root)];
    let mark = json!({ "imageswap-byoc": "true" });
    cluster.store(CERTIFICATE, &secret("imageswap-tls", &mark, &content));
    let webhook = cluster.managed(&files).start_ready();
    cluster.await_configuration();
    let bundle = cluster.state().bundle();
    assert_eq!(bundle, [Certificate::first(root.as_bytes())].into());
    cluster.assert_called(&webhook);
    assert_eq!(cluster.api.get(AUTHORITY), None);
    webhook.assert_no_warnings();
}

fn cert_manager(cluster: &Cluster) {
    let files = Files::new(MAP);
    let (webhooks, before) = cluster.replicas(&files);
    let stream = Stream::start(cluster, "cert-manager");
    // It keeps the type of the Secret and other entries.
    let authority = Authority::new("cert-manager");
    let root = authority.pem();
    for _ in 0..2 {
        let (certificate, key) = server_pair(&authority, &[HOST]);
        let content = [("tls.crt", &*certificate), ("tls.key", &*key), ("ca.crt", &*root)];
        let mark = json!({ "imageswap-byoc": "true" });
        cluster.store(CERTIFICATE, &secret("imageswap-tls", &mark, &content));
        let expected = Certificate::first(certificate.as_bytes());
        eventually("the certificate of cert-manager", || {
            webhooks.iter().try_for_each(|webhook| {
                let served = cluster.handshake(webhook.address(), root.as_bytes())?;
                expect(served, &expected).map_err(|_| "another certificate".to_owned())
            })
        });
        stream.await_creates(20);
    }
    stream.end();
    assert_eq!(cluster.state().served(), before.served());
    webhooks.iter().for_each(Webhook::assert_no_warnings);
}

fn kept(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let authority = Authority::new("user");
    let (certificate, key) = server_pair(&authority, &[HOST]);
    let content = [("cert.pem", &*certificate), ("key.pem", &*key)];
    let mark = json!({ "imageswap-byoc": "true" });
    cluster.store(CERTIFICATE, &secret("imageswap-tls", &mark, &content));
    cluster.provide_root(&authority);
    let webhook = cluster.managed(&files).start_ready();
    cluster.await_configuration();
    let await_entry = |path: &str, name: &str, expected: &str| {
        eventually(name, || {
            let found = data(&cluster.api.get(path).unwrap(), name);
            expect(found, &Some(expected.as_bytes().to_vec()))
        });
    };
    // A tool removes the annotation, and leaves the data.
    cluster.api.patch(CERTIFICATE, &json!({ "metadata": { "annotations": null } }));
    await_entry(CERTIFICATE, "replaced-cert.pem", &certificate);
    await_entry(CERTIFICATE, "replaced-key.pem", &key);
    assert_eq!(webhook.logged(KEPT).len(), 1);
    // The key does not belong to the certificate.
    let (_, other_key) = server_pair(&authority, &[HOST]);
    let content = [("cert.pem", &*certificate), ("key.pem", &*other_key)];
    cluster.store(CERTIFICATE, &secret("imageswap-tls", &json!({}), &content));
    await_entry(CERTIFICATE, "replaced-key.pem", &other_key);
    let content = [("rootca.pem", &*authority.pem()), ("rootca-key.pem", &*other_key)];
    cluster.store(AUTHORITY, &secret("imageswap-tls-ca", &json!({}), &content));
    await_entry(AUTHORITY, "replaced-rootca-key.pem", &other_key);
    await_entry(AUTHORITY, "replaced-rootca.pem", &authority.pem());
}

impl Cluster {
    /// Starts two replicas that the API server calls, and returns them with the stored state.
    fn replicas(&self, files: &Files) -> ([Webhook; 2], State) {
        self.clear_state();
        let launch = self.managed(files);
        let webhooks = [launch.start_ready(), launch.start_ready()];
        self.service.set_endpoints(&[&webhooks[0], &webhooks[1]]);
        let state = self.await_stable(&webhooks);
        (webhooks, state)
    }
}
