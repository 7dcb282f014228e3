//! A new root that another writer of the webhook configuration keeps removing.

use std::{
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use support::certificates::Authority;

use crate::{
    Cluster, MAP, Step, eventually, expect,
    install::{AUTHORITY, CONFIGURATION, data},
    rotation::PROPAGATION_DELAY,
    stream::Stream,
    webhook::Files,
};

/// Interval at which the other writer reverts the configuration.
const PERIOD: Duration = Duration::from_secs(1);

/// Time for which it does so during a rotation: more than twice the CA propagation delay.
const CONTEST: Duration = Duration::from_secs(65);

/// Interval between checks of the webhook in that time.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("a root that others keep removing is not used", contested),
    ("a user-provided certificate waits for a root that others keep removing", user_provided),
];

/// The log message about it.
const WARNING: &str = "new root repeatedly removed from caBundle";

fn contested(cluster: &Cluster) {
    assert!(CONTEST > 2 * PROPAGATION_DELAY);
    cluster.clear_state();
    let files = Files::new(MAP);
    let webhooks = [cluster.managed(&files).start_ready()];
    cluster.service.set_endpoints(&[&webhooks[0]]);
    let before = cluster.await_stable(&webhooks);
    let old_root = data(before.authority.as_ref().unwrap(), "rootca.pem").unwrap();
    let stream = Stream::start(cluster, "contested");
    cluster.contest(CONTEST, &|| cluster.request_rotation("imageswap-tls-ca"), &|| {
        assert_eq!(cluster.state().root(), before.root());
        let served = cluster.handshake(webhooks[0].address(), &old_root);
        expect(served, &Ok(before.served())).unwrap();
    });
    cluster.await_rotation(AUTHORITY);
    let after = cluster.await_stable(&webhooks);
    assert_ne!(after.root(), before.root());
    assert_ne!(after.served(), before.served());
    stream.await_creates(20);
    stream.end();
    assert_eq!(webhooks[0].log_with(WARNING).len(), 1);
    webhooks[0].assert_no_warnings_except(&[WARNING]);
}

fn user_provided(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let first = cluster.provide_certificate(&old);
    cluster.provide_root(&old);
    let webhook = cluster.managed(&files).start_ready();
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_configuration();
    let stream = Stream::start(cluster, "contested-user");
    let provide = || {
        cluster.provide_certificate(&new);
        cluster.provide_root(&new);
    };
    cluster.contest(PROPAGATION_DELAY + PROPAGATION_DELAY / 2, &provide, &|| {
        let served = cluster.handshake(webhook.address(), old.pem().as_bytes());
        expect(served, &Ok(first.clone())).unwrap();
    });
    eventually("the new user-provided certificate", || {
        cluster.handshake(webhook.address(), new.pem().as_bytes())
    });
    stream.await_creates(20);
    stream.end();
    assert_eq!(webhook.log_with(WARNING).len(), 1);
    webhook.assert_no_warnings_except(&[WARNING, "would not accept the certificate by the root"]);
}

impl Cluster {
    /// Starts a rotation while another writer reverts the webhooks to their present state each second. Repeats `check`
    /// for this time.
    fn contest(&self, time: Duration, rotate: &dyn Fn(), check: &dyn Fn()) {
        let now = json!({ "webhooks": self.await_configuration()["webhooks"] });
        thread::scope(|scope| {
            // The drop at the end stops the thread.
            let (_stop, stopped) = channel::<()>();
            scope.spawn(move || {
                while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                    self.api.patch(CONFIGURATION, &now);
                }
            });
            rotate();
            // The absence of a change can only be shown by repeated checks.
            let begun = Instant::now();
            while begun.elapsed() < time {
                check();
                thread::sleep(POLL_INTERVAL);
            }
        });
    }
}
