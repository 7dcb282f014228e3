//! Several replicas at once, some of which are killed.

use std::{collections::BTreeSet, thread, time::Instant};

use crate::{
    Cluster, MAP, Step,
    api::Version,
    eventually, expect,
    install::{CONFIGURATIONS, REQUESTS, SECRETS, State, data},
    modes::SIGNER,
    rotation::issued,
    webhook::{Files, Launch, Webhook},
};

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("replicas that start together create each object once", start),
    ("replicas that start together request one certificate", start_with_signer),
    ("an interrupted start is finished by another replica", interrupted_start),
    ("an interrupted rotation is finished by another replica", interrupted_rotation),
];

fn start(cluster: &Cluster) {
    let files = Files::new(MAP);
    let (webhooks, history) = start_together(cluster, &cluster.managed(&files));
    assert_eq!(distinct(&history, &["rootca.pem", "next-rootca.pem"]), 1);
    // An authority and a certificate.
    expect(issued(&webhooks), &2.0).unwrap();
}

fn start_with_signer(cluster: &Cluster) {
    cluster.allow_requests();
    let files = Files::new(MAP);
    let launch = cluster.managed(&files).with("IMAGESWAP_CSR_SIGNER_NAME", SIGNER);
    let (_, history) = start_together(cluster, &launch);
    assert_eq!(distinct(&history, &["pending-key.pem"]), 1);
    assert_eq!(added(&history, "CertificateSigningRequest"), 1);
}

/// Starts replicas on a cluster without anything; returns them, and all that was written.
fn start_together(cluster: &Cluster, launch: &Launch) -> (Vec<Webhook>, Vec<Version>) {
    cluster.forget();
    let begin = cluster.begin();
    let webhooks = vec![launch.spawn(), launch.spawn(), launch.spawn()];
    for webhook in &webhooks {
        webhook.await_ready();
    }
    cluster.await_settled(&webhooks);
    let history = cluster.since(&begin);
    assert_eq!(distinct(&history, &["cert.pem"]), 1);
    assert_eq!(added(&history, "MutatingWebhookConfiguration"), 1);
    for webhook in &webhooks {
        webhook.assert_calm();
    }
    (webhooks, history)
}

fn interrupted_start(cluster: &Cluster) {
    cluster.allow_requests();
    let files = Files::new(MAP);
    let own = cluster.managed(&files);
    let signer = own.clone().with("IMAGESWAP_CSR_SIGNER_NAME", SIGNER);
    for launch in [own, signer] {
        cluster.forget();
        let begin = cluster.begin();
        let webhooks = [launch.start_ready()];
        cluster.await_settled(&webhooks);
        let history = cluster.since(&begin);
        drop(webhooks);
        resume(cluster, &launch, &State::default(), &history);
    }
}

fn interrupted_rotation(cluster: &Cluster) {
    cluster.forget();
    let files = Files::new(MAP);
    let launch = cluster.managed(&files);
    let mut webhooks = vec![launch.start_ready(), launch.start_ready(), launch.start_ready()];
    let before = cluster.await_settled(&webhooks);
    let begin = cluster.begin();
    cluster.request_rotation("imageswap-tls-ca");
    // Whoever takes a step does not live to take the next.
    for message in ["CA created, not yet in use", "CA in use"] {
        let worker = eventually(message, || {
            let has_logged = |webhook: &Webhook| !webhook.logged(message).is_empty();
            webhooks.iter().position(has_logged).ok_or("nobody")
        });
        webhooks.swap_remove(worker).kill();
    }
    let after = cluster.await_settled(&webhooks);
    assert_ne!(before.root(), after.root());
    webhooks[0].assert_calm();
    let history = cluster.since(&begin);
    assert_eq!(distinct(&history, &["next-rootca.pem"]), 1);
    drop(webhooks);
    // Exactly after each write, and not only about then. The first one is the request.
    let mut requested = before;
    requested.take(&history[0]);
    resume(cluster, &launch, &requested, &history[1..]);
}

/// Puts the cluster into the state after each write of a history, and has others go on from there.
fn resume(cluster: &Cluster, launch: &Launch, before: &State, history: &[Version]) {
    let mut state = before.clone();
    for (number, version) in history.iter().enumerate() {
        let begun = Instant::now();
        state.take(version);
        cluster.restore(&state);
        let webhooks = [launch.spawn(), launch.spawn()];
        webhooks.iter().for_each(Webhook::await_ready);
        let after = cluster.await_settled(&webhooks);
        // What was begun is finished, not begun again.
        if state.authority.is_some() {
            let root = state.next().unwrap_or_else(|| state.root());
            assert_eq!(after.root(), root, "write {number}");
        }
        for webhook in &webhooks {
            webhook.assert_calm();
        }
        let (count, took) = (history.len(), begun.elapsed().as_millis());
        eprintln!("      resumed after write {number} of {count} within {took} ms");
    }
}

/// How many values there have been under some keys of Secrets.
fn distinct(history: &[Version], keys: &[&str]) -> usize {
    let values =
        history.iter().flat_map(|version| keys.iter().filter_map(|key| data(&version.object, key)));
    values.collect::<BTreeSet<_>>().len()
}

/// How many objects of a kind were created.
fn added(history: &[Version], kind: &str) -> usize {
    let is_added = |version: &&Version| version.event == "ADDED" && version.object["kind"] == kind;
    history.iter().filter(is_added).count()
}

impl Cluster {
    /// The versions of all that the webhook stores.
    fn begin(&self) -> [(&'static str, u64); 3] {
        [SECRETS, CONFIGURATIONS, REQUESTS].map(|list| (list, self.api.now(list)))
    }

    /// What was written since then, in order.
    fn since(&self, begin: &[(&'static str, u64)]) -> Vec<Version> {
        // Each is waited for.
        let mut history: Vec<_> = thread::scope(|scope| {
            let histories: Vec<_> = begin
                .iter()
                .map(|(list, since)| scope.spawn(|| self.api.history(list, *since)))
                .collect();
            histories.into_iter().flat_map(|history| history.join().unwrap()).collect()
        });
        history.sort_by_key(Version::number);
        history
    }
}
