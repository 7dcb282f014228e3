//! Several replicas at once, some of which are killed.

use std::{collections::BTreeSet, thread, time::Instant};

use support::api::Version;

use crate::{
    Cluster, MAP, Step, eventually, expect,
    install::{CONFIGURATIONS, REQUESTS, SECRETS, State, data},
    modes::SIGNER,
    rotation::issued,
    service::HOST,
    webhook::{Files, Launch, Webhook},
};

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("the API server calls each replica by the Service", calls),
    ("replicas that start together create each object once", start),
    ("replicas that start together request one certificate", start_with_signer),
    ("an interrupted start is finished by another replica", interrupted_start),
    ("an interrupted rotation is finished by another replica", interrupted_rotation),
];

/// The production path: the API server calls the cluster IP of the Service over HTTP/1.1, and verifies its name.
fn calls(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let launch = cluster.managed(&files);
    let webhooks = [launch.start_ready(), launch.start_ready()];
    cluster.service.set_endpoints(&[&webhooks[0], &webhooks[1]]);
    cluster.await_stable(&webhooks);
    let answered = |webhook: &Webhook| {
        webhook.metric("imageswap_http_request_total{method=\"POST\",status=\"200\"}")
    };
    eventually("calls of each replica", || {
        // The next call needs a new connection, and kube-proxy gives that to any replica.
        cluster.service.cut();
        let _ = cluster.try_probe();
        let counts = webhooks.each_ref().map(answered);
        if counts.iter().all(|count| *count > 0.0) { Ok(()) } else { Err(counts) }
    });
    for webhook in &webhooks {
        let calls = webhook.logged("connection established");
        let call = calls.iter().find(|call| call["protocol"] == "HTTP/1.1").unwrap();
        eprintln!("      {} with the server name {}", call["protocol"], call["server_name"]);
        assert_eq!(call["server_name"], HOST);
        webhook.assert_no_warnings();
    }
}

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

/// Starts replicas on a cluster without any state, and returns them with all writes.
fn start_together(cluster: &Cluster, launch: &Launch) -> (Vec<Webhook>, Vec<Version>) {
    cluster.clear_state();
    let begin = cluster.begin();
    let webhooks = vec![launch.spawn(), launch.spawn(), launch.spawn()];
    for webhook in &webhooks {
        webhook.await_ready();
    }
    cluster.await_stable(&webhooks);
    let history = cluster.since(&begin);
    assert_eq!(distinct(&history, &["cert.pem"]), 1);
    assert_eq!(added(&history, "MutatingWebhookConfiguration"), 1);
    for webhook in &webhooks {
        webhook.assert_no_warnings();
    }
    (webhooks, history)
}

fn interrupted_start(cluster: &Cluster) {
    cluster.allow_requests();
    let files = Files::new(MAP);
    let own = cluster.managed(&files);
    let signer = own.clone().with("IMAGESWAP_CSR_SIGNER_NAME", SIGNER);
    for launch in [own, signer] {
        cluster.clear_state();
        let begin = cluster.begin();
        let webhooks = [launch.start_ready()];
        cluster.await_stable(&webhooks);
        let history = cluster.since(&begin);
        drop(webhooks);
        resume(cluster, &launch, &State::default(), &history);
    }
}

fn interrupted_rotation(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let launch = cluster.managed(&files);
    let mut webhooks = vec![launch.start_ready(), launch.start_ready(), launch.start_ready()];
    let before = cluster.await_stable(&webhooks);
    let begin = cluster.begin();
    cluster.request_rotation("imageswap-tls-ca");
    // The replica that takes an action is killed before it can take the next one.
    for message in ["CA created, not yet in use", "CA in use"] {
        let worker = eventually(message, || {
            let has_logged = |webhook: &Webhook| !webhook.logged(message).is_empty();
            webhooks.iter().position(has_logged).ok_or("nobody")
        });
        webhooks.swap_remove(worker).kill();
    }
    let after = cluster.await_stable(&webhooks);
    assert_ne!(before.root(), after.root());
    webhooks[0].assert_no_warnings();
    let history = cluster.since(&begin);
    assert_eq!(distinct(&history, &["next-rootca.pem"]), 1);
    drop(webhooks);
    // Now stop exactly after each write. The first write is the request.
    let mut requested = before;
    requested.apply(&history[0]);
    resume(cluster, &launch, &requested, &history[1..]);
}

/// Restores the state of the cluster after each write of a history, and lets new replicas continue from there.
fn resume(cluster: &Cluster, launch: &Launch, before: &State, history: &[Version]) {
    let mut state = before.clone();
    for (number, version) in history.iter().enumerate() {
        let begun = Instant::now();
        state.apply(version);
        cluster.restore(&state);
        let webhooks = [launch.spawn(), launch.spawn()];
        webhooks.iter().for_each(Webhook::await_ready);
        let after = cluster.await_stable(&webhooks);
        // A started rotation is finished, not started again.
        if state.authority.is_some() {
            let root = state.next().unwrap_or_else(|| state.root());
            assert_eq!(after.root(), root, "write {number}");
        }
        for webhook in &webhooks {
            webhook.assert_no_warnings();
        }
        let (count, took) = (history.len(), begun.elapsed().as_millis());
        eprintln!("      resumed after write {number} of {count} within {took} ms");
    }
}

/// Returns the number of different values under some keys of Secrets.
fn distinct(history: &[Version], keys: &[&str]) -> usize {
    let values =
        history.iter().flat_map(|version| keys.iter().filter_map(|key| data(&version.object, key)));
    values.collect::<BTreeSet<_>>().len()
}

/// Returns the number of created objects of a kind.
fn added(history: &[Version], kind: &str) -> usize {
    let is_added = |version: &&Version| version.event == "ADDED" && version.object["kind"] == kind;
    history.iter().filter(is_added).count()
}

impl Cluster {
    /// Returns the current versions of the lists with objects of the webhook.
    fn begin(&self) -> [(&'static str, u64); 3] {
        [SECRETS, CONFIGURATIONS, REQUESTS].map(|list| (list, self.api.now(list)))
    }

    /// Returns the writes since these versions, in order.
    fn since(&self, begin: &[(&'static str, u64)]) -> Vec<Version> {
        // Each history waits for a second, so read them in parallel.
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
