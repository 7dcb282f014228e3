//! Replicas whose clocks differ from that of the API server.

use crate::{
    Cluster, MAP, Step, expect,
    rotation::issued,
    webhook::{Files, Webhook},
};

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("a replica whose clock is behind joins without a new certificate", behind),
    ("a replica whose clock is days behind joins too, and warns", days_behind),
    ("a replica whose clock is ahead installs a certificate that is valid now", ahead),
];

/// The log message about a certificate of the future.
const EARLY: &str = "certificate is not valid yet";

fn behind(cluster: &Cluster) {
    let webhooks = cluster.assert_one_certificate(["+0", "-2h"]);
    webhooks.iter().for_each(Webhook::assert_no_warnings);
}

fn days_behind(cluster: &Cluster) {
    let [right, behind] = cluster.assert_one_certificate(["+0", "-3d"]);
    right.assert_no_warnings();
    behind.await_log(EARLY);
    behind.assert_no_warnings_except(&[EARLY]);
}

fn ahead(cluster: &Cluster) {
    let webhooks = cluster.assert_one_certificate(["+2h", "+0"]);
    webhooks.iter().for_each(Webhook::assert_no_warnings);
}

impl Cluster {
    /// Starts replicas with these clocks one after the other, and checks that they share one certificate, which the API
    /// server accepts. Returns the replicas.
    fn assert_one_certificate(&self, clocks: [&str; 2]) -> [Webhook; 2] {
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
        webhooks
    }
}
