//! An outage of the API server.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    Cluster, MAP, Step, expect,
    install::CERTIFICATE,
    objects::{images, pod_of},
    rotation::issued,
    stream::bundle,
    webhook::{Files, Webhook},
};

/// How long the API server is away.
const OUTAGE: Duration = Duration::from_mins(1);

/// How often the webhook is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(500);

/// How long after its return a webhook may take to follow it again.
const RECOVERY: Duration = Duration::from_secs(10);

/// The most lines that a process may log about it. The same is not said again and again.
const COMPLAINTS: usize = 20;

pub(crate) const STEPS: &[Step<Cluster>] =
    &[("nothing is issued, and nothing fails, after an outage of the API server", outage)];

fn outage(cluster: &Cluster) {
    cluster.forget();
    let files = Files::new(MAP);
    let launch = cluster.managed(&files);
    let mut webhooks = vec![launch.start_ready(), launch.start_ready()];
    cluster.service.set_endpoints(&[&webhooks[0], &webhooks[1]]);
    let before = cluster.await_settled(&webhooks);
    let roots = bundle(before.configuration.as_ref().unwrap());
    cluster.await_probe("app=one.example.com/probe:1");
    let port = cluster.control_plane.kill_api_server();
    let begun = Instant::now();
    // One that starts meanwhile waits.
    let late = launch.start();
    while begun.elapsed() < OUTAGE {
        for webhook in &webhooks {
            webhook.readiness().unwrap();
            expect(cluster.handshake(webhook.address(), &roots), &Ok(before.served())).unwrap();
        }
        let reason = late.readiness().unwrap_err();
        assert!(reason.contains("certificate: "), "{reason}");
        thread::sleep(LOOK);
    }
    cluster.control_plane.restart_api_server(port);
    let returned = Instant::now();
    // The very first one.
    let created = cluster.create(&pod_of("returned", &["nginx:1.27"]));
    assert_eq!(images(&created), ["app=one.example.com/nginx:1.27"]);
    late.await_ready();
    webhooks.push(late);
    let after = cluster.await_settled(&webhooks);
    // Not written at all, or they would be of other versions.
    assert_eq!(after.certificate, before.certificate);
    assert_eq!(after.authority, before.authority);
    assert_eq!(after.configuration, before.configuration);
    // The authority and the certificate from before.
    expect(issued(&webhooks), &2.0).unwrap();
    // They see again what changes.
    cluster.request_rotation("imageswap-tls");
    cluster.await_rotation(CERTIFICATE);
    cluster.await_settled(&webhooks);
    let took = returned.elapsed();
    eprintln!("      everything was as before within {} ms", took.as_millis());
    assert!(took < RECOVERY, "{took:?}");
    webhooks.iter().for_each(assert_brief);
    // An API server refuses everybody until it has read the roles.
    cluster.control_plane.clear_audit();
}

/// Fails when a process logged more than it has to of an outage.
fn assert_brief(webhook: &Webhook) {
    let complaints = webhook.complaints();
    assert!(!complaints.is_empty());
    assert!(complaints.len() <= COMPLAINTS, "{} lines", complaints.len());
    for complaint in complaints {
        let origin = complaint["target"].as_str().unwrap();
        assert!(origin.starts_with("imageswap::"), "{complaint}");
    }
}
