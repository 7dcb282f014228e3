//! Stored Secrets at the start of a webhook: old, invalid or expired.

use std::time::Duration;

use serde_json::json;
use support::{certificates::Authority, wait::eventually_blocking};

use crate::{
    Cluster, MAP, Step,
    certificates::{aged_pair, server_pair},
    eventually, expect,
    handshake::Certificate,
    install::{AUTHORITY, CERTIFICATE, State, data, secret},
    service::HOST,
    webhook::Files,
};

/// Timeout for the removal of a root from the configuration, where it stays for 90 s after it was dropped.
const REMOVAL: Duration = Duration::from_mins(3);

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("a certificate is renewed when half of its validity is over", renewal),
    ("an invalid certificate is replaced", invalid),
    ("an authority is dropped when its last certificate has expired", expired),
];

fn renewal(cluster: &Cluster) {
    let (files, before) = cluster.stored_state();
    let text = |name: &str| {
        String::from_utf8(data(before.authority.as_ref().unwrap(), name).unwrap()).unwrap()
    };
    let (certificate, key) = aged_pair(&text("rootca.pem"), &text("rootca-key.pem"));
    let content = [("cert.pem", &*certificate), ("key.pem", &*key)];
    cluster.store(CERTIFICATE, &secret("imageswap-tls", &json!({}), &content));
    let webhooks = [cluster.managed(&files).start_ready()];
    let old = Certificate::first(certificate.as_bytes());
    let after = eventually("another certificate", || {
        let state = cluster.await_stable(&webhooks);
        if state.served() == old { Err("the old one") } else { Ok(state) }
    });
    assert_eq!(after.root(), before.root());
    assert_eq!(webhooks[0].logged("certificate issued").len(), 1);
    webhooks[0].assert_no_warnings();
}

fn invalid(cluster: &Cluster) {
    let (_, other_key) = server_pair(&Authority::new("other"), &[HOST]);
    for (name, content) in
        [("cert.pem", "no certificate"), ("key.pem", "no key"), ("key.pem", &*other_key)]
    {
        let (files, before) = cluster.stored_state();
        cluster.store(CERTIFICATE, &secret("imageswap-tls", &json!({}), &[(name, content)]));
        let webhooks = [cluster.managed(&files).start_ready()];
        let after = cluster.await_stable(&webhooks);
        assert_ne!(after.served(), before.served(), "{name}: {content}");
        assert_eq!(after.root(), before.root(), "{name}: {content}");
        webhooks[0].await_log("not usable");
    }
}

fn expired(cluster: &Cluster) {
    let (files, before) = cluster.stored_state();
    let previous = Authority::new("previous").pem();
    let content = [("previous-rootca.pem", &*previous), ("previous-until", "2020-02-02T02:02:02Z")];
    cluster.store(AUTHORITY, &secret("imageswap-tls-ca", &json!({}), &content));
    let webhooks = [cluster.managed(&files).start_ready()];
    eventually("the removal of the previous authority", || {
        let authority = cluster.api.get(AUTHORITY).unwrap();
        expect(data(&authority, "previous-rootca.pem"), &None)
    });
    let after = cluster.await_stable(&webhooks);
    assert_eq!(after.served(), before.served());
    eventually_blocking("its removal from the configuration", REMOVAL, || {
        expect(cluster.state().bundle(), &[before.root()].into())
    });
    assert_eq!(data(after.authority.as_ref().unwrap(), "previous-until"), None);
    webhooks[0].assert_no_warnings();
}

impl Cluster {
    /// Returns the state that a webhook with its own authority has stored, and its files.
    fn stored_state(&self) -> (Files, State) {
        self.clear_state();
        let files = Files::new(MAP);
        let state = self.await_stable(&[self.managed(&files).start_ready()]);
        (files, state)
    }
}
