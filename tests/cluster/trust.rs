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
    rotation::SETTLING,
    stream::Stream,
    webhook::Files,
};

/// How often the other writer sets the configuration back.
const PERIOD: Duration = Duration::from_secs(1);

/// How long it does so for a rotation: twice the time after which a root that stays would be used.
const CONTEST: Duration = Duration::from_secs(65);

/// How often the webhook is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(200);

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("a root that others keep removing is not used", contested),
    ("a user-provided certificate waits for a root that others keep removing", brought),
];

/// The line by which the log says so.
const WARNING: &str = "new root repeatedly removed from caBundle";

fn contested(cluster: &Cluster) {
    assert!(CONTEST > 2 * SETTLING);
    cluster.forget();
    let files = Files::new(MAP);
    let webhooks = [cluster.managed(&files).start_ready()];
    cluster.service.set_endpoints(&[&webhooks[0]]);
    let before = cluster.await_settled(&webhooks);
    let old_root = data(before.authority.as_ref().unwrap(), "rootca.pem").unwrap();
    let stream = Stream::start(cluster, "contested");
    cluster.contest(CONTEST, &|| cluster.request_rotation("imageswap-tls-ca"), &|| {
        assert_eq!(cluster.state().root(), before.root());
        let served = cluster.handshake(webhooks[0].address(), &old_root);
        expect(served, &Ok(before.served())).unwrap();
    });
    cluster.await_rotation(AUTHORITY);
    let after = cluster.await_settled(&webhooks);
    assert_ne!(after.root(), before.root());
    assert_ne!(after.served(), before.served());
    stream.await_creates(20);
    stream.end();
    assert_eq!(webhooks[0].log_with(WARNING).len(), 1);
    webhooks[0].assert_calm_but_for(&[WARNING]);
}

fn brought(cluster: &Cluster) {
    cluster.forget();
    let files = Files::new(MAP);
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let first = cluster.bring_pair(&old);
    cluster.bring_root(&old);
    let webhook = cluster.managed(&files).start_ready();
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_configuration();
    let stream = Stream::start(cluster, "contested-brought");
    let bring = || {
        cluster.bring_pair(&new);
        cluster.bring_root(&new);
    };
    cluster.contest(SETTLING + SETTLING / 2, &bring, &|| {
        let served = cluster.handshake(webhook.address(), old.pem().as_bytes());
        expect(served, &Ok(first.clone())).unwrap();
    });
    eventually("the certificate that was brought", || {
        cluster.handshake(webhook.address(), new.pem().as_bytes())
    });
    stream.await_creates(20);
    stream.end();
    assert_eq!(webhook.log_with(WARNING).len(), 1);
    webhook.assert_calm_but_for(&[WARNING, "would not accept the certificate by the root"]);
}

impl Cluster {
    /// Has another writer set the webhooks back to what they are now, each second for a time; begins a
    /// rotation meanwhile, and checks again and again.
    fn contest(&self, time: Duration, rotate: &dyn Fn(), check: &dyn Fn()) {
        let now = json!({ "webhooks": self.await_configuration()["webhooks"] });
        thread::scope(|scope| {
            // Dropped at the end, which ends the thread.
            let (_stop, stopped) = channel::<()>();
            scope.spawn(move || {
                while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                    self.api.patch(CONFIGURATION, &now);
                }
            });
            rotate();
            // That nothing happens can only be seen by looking all the time.
            let begun = Instant::now();
            while begun.elapsed() < time {
                check();
                thread::sleep(LOOK);
            }
        });
    }
}
