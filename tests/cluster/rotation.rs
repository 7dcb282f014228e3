//! Rotation of certificate and certificate authority while pods are created: no creation fails.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    Cluster, MAP, Step, eventually, expect,
    handshake::Certificate,
    install::{AUTHORITY, CERTIFICATE, SECRETS, State, data},
    stream::{Stream, bundle},
    webhook::{Files, Launch, Webhook},
};

/// CA propagation delay: minimum time for which the API server trusts a new authority before it is used.
pub(crate) const PROPAGATION_DELAY: Duration = Duration::from_secs(30);

/// Maximum time between a change and its discovery by polling.
const SLACK: Duration = Duration::from_millis(500);

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("no creation fails while the certificate is rotated", certificate),
    ("no creation fails while the authority is rotated", authority),
    ("two requested rotations run one after the other", both),
    ("no creation fails while a Secret is deleted", deletion),
];

fn certificate(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let launch = cluster.managed(&files);
    let mut webhooks = [launch.start_ready(), launch.start_ready()];
    cluster.service.set_endpoints(&[&webhooks[0], &webhooks[1]]);
    let before = cluster.await_stable(&webhooks);
    let before_count = issued(&webhooks);
    let reloads =
        |webhook: &Webhook| webhook.metric("imageswap_tls_reloads_total{result=\"applied\"}");
    let loaded = webhooks.iter().map(reloads).sum::<f64>();
    let stream = Stream::start(cluster, "certificate");
    stream.await_creates(20);
    let since = cluster.api.now(SECRETS);
    cluster.rotate_certificate();
    let after = cluster.await_stable(&webhooks);
    assert_ne!(before.served(), after.served());
    assert_eq!(before.root(), after.root());
    assert_eq!(before.bundle(), after.bundle());
    // Only one of the two replicas has written: one write is the request, and the other one issues the certificate.
    assert_eq!(cluster.writes(since, "imageswap-tls"), 2);
    assert_eq!(cluster.writes(since, "imageswap-tls-ca"), 0);
    expect(issued(&webhooks), &(before_count + 1.0)).unwrap();
    expect(webhooks.iter().map(reloads).sum::<f64>(), &(loaded + 2.0)).unwrap();
    for webhook in &webhooks {
        let expiry = webhook.metric("imageswap_tls_not_after_timestamp_seconds");
        expect(expiry, &after.served().expiry()).unwrap();
    }
    // The connections of the API server are older than the certificate. The rollout forces new ones.
    roll(cluster, &launch, &mut webhooks);
    stream.await_creates(20);
    stream.end();
    assert_all_without_warnings(&webhooks);
}

fn authority(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let launch = cluster.managed(&files);
    let mut webhooks = [launch.start_ready(), launch.start_ready()];
    cluster.service.set_endpoints(&[&webhooks[0], &webhooks[1]]);
    let before = cluster.await_stable(&webhooks);
    let stream = Stream::start(cluster, "authority");
    stream.await_creates(20);
    let since = cluster.api.now(SECRETS);
    let begun = Instant::now();
    let phase = |what: &str, reached: &dyn Fn(&State) -> bool| {
        let state = eventually(what, || {
            let state = cluster.state();
            if reached(&state) { Ok(state) } else { Err("not yet") }
        });
        eprintln!("      {what} after {} ms", begun.elapsed().as_millis());
        state
    };
    cluster.request_rotation("imageswap-tls-ca");
    let next = phase("the next authority is stored", &|state| state.next().is_some());
    let next = next.next().unwrap();
    phase("it is trusted", &|state| state.bundle().contains(&next));
    let trusted = Instant::now();
    let promoted = phase("it is promoted", &|state| state.root() == next);
    let waited = trusted.elapsed();
    assert!(waited + SLACK > PROPAGATION_DELAY, "{waited:?}");
    assert_eq!(promoted.next(), None);
    phase("a certificate is issued by it", &|state| state.served() != before.served());
    let after = cluster.await_stable(&webhooks);
    eprintln!("      it is served by all after {} ms", begun.elapsed().as_millis());
    // The replaced root stays trusted until the last certificate under it has expired.
    assert_eq!(after.bundle(), [next, before.root()].into());
    assert_eq!(data(after.authority.as_ref().unwrap(), "previous-rootca.pem"), {
        data(before.authority.as_ref().unwrap(), "rootca.pem")
    });
    let until = data(after.authority.as_ref().unwrap(), "previous-until").unwrap();
    let until = String::from_utf8(until).unwrap();
    assert_eq!(until, before.served().not_after());
    assert_eq!(cluster.writes(since, "imageswap-tls-ca"), 3);
    assert_eq!(cluster.writes(since, "imageswap-tls"), 1);
    roll(cluster, &launch, &mut webhooks);
    stream.await_creates(20);
    stream.end();
    assert_all_without_warnings(&webhooks);
}

fn both(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let webhooks = [cluster.managed(&files).start_ready()];
    cluster.service.set_endpoints(&[&webhooks[0]]);
    let before = cluster.await_stable(&webhooks);
    let stream = Stream::start(cluster, "both");
    cluster.request_rotation("imageswap-tls-ca");
    cluster.request_rotation("imageswap-tls");
    cluster.await_rotation(CERTIFICATE);
    cluster.await_rotation(AUTHORITY);
    let after = cluster.await_stable(&webhooks);
    assert_ne!(before.served(), after.served());
    assert_ne!(before.root(), after.root());
    stream.end();
    assert_all_without_warnings(&webhooks);
}

fn deletion(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let launch = cluster.managed(&files);
    let webhooks = [launch.start_ready(), launch.start_ready()];
    cluster.service.set_endpoints(&[&webhooks[0], &webhooks[1]]);
    let mut before = cluster.await_stable(&webhooks);
    let stream = Stream::start(cluster, "deletion");
    for (secret, is_same_root) in [("imageswap-tls", true), ("imageswap-tls-ca", false)] {
        stream.await_creates(20);
        cluster.control_plane.kubectl(&["delete", "secret", secret, "-n=imageswap-system"]);
        let after = eventually("another certificate", || {
            let state = cluster.await_stable(&webhooks);
            if state.served() == before.served() { Err("the old one") } else { Ok(state) }
        });
        assert_eq!(before.root() == after.root(), is_same_root, "{secret}");
        // The root of a certificate that may still be served stays trusted.
        assert!(after.bundle().contains(&before.root()), "{secret}");
        before = after;
    }
    stream.await_creates(20);
    stream.end();
    assert_all_without_warnings(&webhooks);
}

/// Replaces each process with a new one, as in a rollout.
pub(crate) fn roll(cluster: &Cluster, launch: &Launch, webhooks: &mut [Webhook]) {
    for index in 0..webhooks.len() {
        replace(cluster, launch, webhooks, index);
    }
}

/// Replaces one process with a new one.
pub(crate) fn replace(cluster: &Cluster, launch: &Launch, webhooks: &mut [Webhook], index: usize) {
    let new = launch.start_ready();
    let mut old = std::mem::replace(&mut webhooks[index], new);
    old.terminate();
    cluster.service.set_endpoints(&webhooks.iter().collect::<Vec<_>>());
    assert_eq!(old.await_end().code(), Some(0));
    // The test stores a user-provided certificate first and its root second.
    old.assert_no_warnings_except(&["would not accept the certificate by the root"]);
}

/// Returns the number of certificates and authorities that some processes have issued.
pub(crate) fn issued(webhooks: &[Webhook]) -> f64 {
    webhooks.iter().map(Webhook::rotations).sum()
}

fn assert_all_without_warnings(webhooks: &[Webhook]) {
    for webhook in webhooks {
        webhook.assert_no_warnings();
    }
}

impl State {
    /// Returns the next root, which will sign certificates after the CA propagation delay.
    pub(crate) fn next(&self) -> Option<Certificate> {
        let next = data(self.authority.as_ref().unwrap(), "next-rootca.pem")?;
        Some(Certificate::first(&next))
    }

    /// Returns the roots that the API server trusts.
    pub(crate) fn bundle(&self) -> BTreeSet<Certificate> {
        Certificate::all(&bundle(self.configuration.as_ref().unwrap())).into_iter().collect()
    }
}

impl Cluster {
    /// Waits until no rotation is in progress, and all these webhooks serve the stored certificate. The stored root has
    /// signed it, and the API server accepts it.
    pub(crate) fn await_stable(&self, webhooks: &[Webhook]) -> State {
        eventually("a certificate that is served by all", || self.stable_state(webhooks))
    }

    fn stable_state(&self, webhooks: &[Webhook]) -> Result<State, String> {
        let state = self.state();
        let (Some(_), Some(authority), Some(configuration)) =
            (&state.certificate, &state.authority, &state.configuration)
        else {
            return Err("an object is missing".into());
        };
        if data(authority, "rootca.pem").is_none() || state.next().is_some() {
            return Err("a rotation of the authority is in progress".into());
        }
        let root = data(authority, "rootca.pem").unwrap();
        for roots in [root, bundle(configuration)] {
            for webhook in webhooks {
                let served = self.handshake(webhook.address(), &roots)?;
                expect(served, &state.served()).map_err(|_| "another certificate is served")?;
            }
        }
        Ok(state)
    }

    /// Returns the number of writes to a Secret since a version of the list.
    pub(crate) fn writes(&self, since: u64, name: &str) -> usize {
        let history = self.api.history(SECRETS, since);
        let names = history.iter().map(|version| &version.object["metadata"]["name"]);
        names.filter(|found: &&Value| **found == name).count()
    }
}
