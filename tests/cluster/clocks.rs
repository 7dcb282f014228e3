//! Replicas whose clocks differ from that of the API server.

use crate::{
    Cluster, MAP, Step, expect,
    rotation::issued,
    webhook::{Files, Webhook},
};

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("a replica whose clock is behind joins without a new certificate", behind),
    ("a replica whose clock is ahead installs a certificate that is valid now", ahead),
];

fn behind(cluster: &Cluster) {
    cluster.assert_one_certificate(["+0", "-2h"]);
}

fn ahead(cluster: &Cluster) {
    cluster.assert_one_certificate(["+2h", "+0"]);
}

impl Cluster {
    /// Starts replicas with these clocks one after the other, and checks that they share one certificate, which the API
    /// server accepts.
    fn assert_one_certificate(&self, clocks: [&str; 2]) {
        self.clear_state();
        let files = Files::new(MAP);
        let webhooks = clocks.map(|clock| {
            let webhook = self.managed(&files).with_clock(clock).start_ready();
            self.service.set_endpoints(&[&webhook]);
            self.await_probe("app=one.example.com/probe:1");
            webhook
        });
        let before = self.await_stable(&webhooks);
        // A reconcile of each replica sees nothing to do.
        self.rotate_certificate();
        let after = self.await_stable(&webhooks);
        assert_eq!(before.root(), after.root());
        for webhook in &webhooks {
            self.assert_called(webhook);
        }
        // An authority, its certificate, and the one that was requested.
        expect(issued(&webhooks), &3.0).unwrap();
        webhooks.iter().for_each(Webhook::assert_no_warnings);
    }
}
