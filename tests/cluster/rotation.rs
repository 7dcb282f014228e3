//! Rotation of certificate and authority while pods are created: no creation fails.

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

/// How long the API server trusts a new authority, at least, before it is used.
pub(crate) const SETTLING: Duration = Duration::from_secs(30);

/// How far apart a change and its discovery by polling may be.
const SLACK: Duration = Duration::from_millis(500);

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("no creation fails while the certificate is rotated", certificate),
    ("no creation fails while the authority is rotated", authority),
    ("two requested rotations run one after the other", both),
    ("no creation fails while a Secret is deleted", deletion),
];

fn certificate(cluster: &Cluster) {
    cluster.forget();
    let files = Files::new(MAP);
    let launch = cluster.managed(&files);
    let mut webhooks = [launch.start_ready(), launch.start_ready()];
    cluster.service.set_endpoints(&[&webhooks[0], &webhooks[1]]);
    let before = cluster.await_settled(&webhooks);
    let made = issued(&webhooks);
    let reloads =
        |webhook: &Webhook| webhook.metric("imageswap_tls_reloads_total{result=\"applied\"}");
    let loaded = webhooks.iter().map(reloads).sum::<f64>();
    let stream = Stream::start(cluster, "certificate");
    stream.await_creates(20);
    let since = cluster.api.now(SECRETS);
    cluster.rotate_certificate();
    let after = cluster.await_settled(&webhooks);
    assert_ne!(before.served(), after.served());
    assert_eq!(before.root(), after.root());
    assert_eq!(before.bundle(), after.bundle());
    // Of the two, one has done it: a write for the request, and another that grants it.
    assert_eq!(cluster.writes(since, "imageswap-tls"), 2);
    assert_eq!(cluster.writes(since, "imageswap-tls-ca"), 0);
    expect(issued(&webhooks), &(made + 1.0)).unwrap();
    expect(webhooks.iter().map(reloads).sum::<f64>(), &(loaded + 2.0)).unwrap();
    for webhook in &webhooks {
        let end = webhook.metric("imageswap_tls_not_after_timestamp_seconds");
        expect(end, &after.served().end()).unwrap();
    }
    // The API server's connections are older than the certificate; now it needs new ones.
    roll(cluster, &launch, &mut webhooks);
    stream.await_creates(20);
    stream.end();
    calm(&webhooks);
}

fn authority(cluster: &Cluster) {
    cluster.forget();
    let files = Files::new(MAP);
    let launch = cluster.managed(&files);
    let mut webhooks = [launch.start_ready(), launch.start_ready()];
    cluster.service.set_endpoints(&[&webhooks[0], &webhooks[1]]);
    let before = cluster.await_settled(&webhooks);
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
    let settled = trusted.elapsed();
    assert!(settled + SLACK > SETTLING, "{settled:?}");
    assert_eq!(promoted.next(), None);
    phase("a certificate is issued by it", &|state| state.served() != before.served());
    let after = cluster.await_settled(&webhooks);
    eprintln!("      it is served by all after {} ms", begun.elapsed().as_millis());
    // What it replaced stays trusted, for as long as its certificate would have been valid.
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
    calm(&webhooks);
}

fn both(cluster: &Cluster) {
    cluster.forget();
    let files = Files::new(MAP);
    let webhooks = [cluster.managed(&files).start_ready()];
    cluster.service.set_endpoints(&[&webhooks[0]]);
    let before = cluster.await_settled(&webhooks);
    let stream = Stream::start(cluster, "both");
    cluster.request_rotation("imageswap-tls-ca");
    cluster.request_rotation("imageswap-tls");
    cluster.await_rotation(CERTIFICATE);
    cluster.await_rotation(AUTHORITY);
    let after = cluster.await_settled(&webhooks);
    assert_ne!(before.served(), after.served());
    assert_ne!(before.root(), after.root());
    stream.end();
    calm(&webhooks);
}

fn deletion(cluster: &Cluster) {
    cluster.forget();
    let files = Files::new(MAP);
    let launch = cluster.managed(&files);
    let webhooks = [launch.start_ready(), launch.start_ready()];
    cluster.service.set_endpoints(&[&webhooks[0], &webhooks[1]]);
    let mut before = cluster.await_settled(&webhooks);
    let stream = Stream::start(cluster, "deletion");
    for (secret, is_same_root) in [("imageswap-tls", true), ("imageswap-tls-ca", false)] {
        stream.await_creates(20);
        cluster.control_plane.kubectl(&["delete", "secret", secret, "-n=imageswap-system"]);
        let after = eventually("another certificate", || {
            let state = cluster.await_settled(&webhooks);
            if state.served() == before.served() { Err("the old one") } else { Ok(state) }
        });
        assert_eq!(before.root() == after.root(), is_same_root, "{secret}");
        // The root of whatever may still be served stays trusted.
        assert!(after.bundle().contains(&before.root()), "{secret}");
        before = after;
    }
    stream.await_creates(20);
    stream.end();
    calm(&webhooks);
}

/// Replaces each process by a new one, as a rollout does.
pub(crate) fn roll(cluster: &Cluster, launch: &Launch, webhooks: &mut [Webhook]) {
    for index in 0..webhooks.len() {
        replace(cluster, launch, webhooks, index);
    }
}

/// Replaces one process by a new one.
pub(crate) fn replace(cluster: &Cluster, launch: &Launch, webhooks: &mut [Webhook], index: usize) {
    let new = launch.start_ready();
    let mut old = std::mem::replace(&mut webhooks[index], new);
    old.terminate();
    cluster.service.set_endpoints(&webhooks.iter().collect::<Vec<_>>());
    assert_eq!(old.await_end().code(), Some(0));
    // A certificate and its root are brought one after the other.
    old.assert_calm_but_for(&["would not accept the certificate by the root"]);
}

/// How many certificates and authorities were made by some processes.
pub(crate) fn issued(webhooks: &[Webhook]) -> f64 {
    webhooks.iter().map(Webhook::rotations).sum()
}

fn calm(webhooks: &[Webhook]) {
    for webhook in webhooks {
        webhook.assert_calm();
    }
}

impl State {
    /// The root that certificates will be signed by, while it is being introduced.
    pub(crate) fn next(&self) -> Option<Certificate> {
        let next = data(self.authority.as_ref().unwrap(), "next-rootca.pem")?;
        Some(Certificate::first(&next))
    }

    /// The roots that the API server trusts.
    pub(crate) fn bundle(&self) -> BTreeSet<Certificate> {
        Certificate::all(&bundle(self.configuration.as_ref().unwrap())).into_iter().collect()
    }
}

impl Cluster {
    /// Waits until nothing is under way, and all these serve the stored certificate, which the
    /// stored root has signed and the API server accepts.
    pub(crate) fn await_settled(&self, webhooks: &[Webhook]) -> State {
        eventually("a certificate that is served by all", || self.settled(webhooks))
    }

    fn settled(&self, webhooks: &[Webhook]) -> Result<State, String> {
        let state = self.state();
        let (Some(_), Some(authority), Some(configuration)) =
            (&state.certificate, &state.authority, &state.configuration)
        else {
            return Err("something is not there".into());
        };
        if data(authority, "rootca.pem").is_none() || state.next().is_some() {
            return Err("an authority is being introduced".into());
        }
        let root = data(authority, "rootca.pem").unwrap();
        for roots in [root, bundle(configuration)] {
            for webhook in webhooks {
                let served = self.handshake(webhook.address(), &roots)?;
                expect(served, &state.served()).map_err(|_| "another is served")?;
            }
        }
        Ok(state)
    }

    /// How many times a Secret was written since a version of them all.
    pub(crate) fn writes(&self, since: u64, name: &str) -> usize {
        let history = self.api.history(SECRETS, since);
        let names = history.iter().map(|version| &version.object["metadata"]["name"]);
        names.filter(|found: &&Value| **found == name).count()
    }
}
