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

/// Duration of the outage.
const OUTAGE: Duration = Duration::from_mins(1);

/// Interval between checks of the webhook during the outage.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Timeout for the recovery of the webhook after the outage.
const RECOVERY: Duration = Duration::from_secs(10);

/// Maximum number of warnings of a process about the outage. Equal failures are logged once.
const MAX_WARNINGS: usize = 20;

pub(crate) const STEPS: &[Step<Cluster>] =
    &[("nothing is issued, and nothing fails, after an outage of the API server", outage)];

fn outage(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let launch = cluster.managed(&files);
    let mut webhooks = vec![launch.start_ready(), launch.start_ready()];
    cluster.service.set_endpoints(&[&webhooks[0], &webhooks[1]]);
    let before = cluster.await_stable(&webhooks);
    let roots = bundle(before.configuration.as_ref().unwrap());
    cluster.await_probe("app=one.example.com/probe:1");
    let port = cluster.control_plane.kill_api_server();
    let begun = Instant::now();
    // A webhook that starts during the outage waits.
    let late = launch.start();
    while begun.elapsed() < OUTAGE {
        for webhook in &webhooks {
            webhook.readiness().unwrap();
            expect(cluster.handshake(webhook.address(), &roots), &Ok(before.served())).unwrap();
        }
        let reason = late.readiness().unwrap_err();
        assert!(reason.contains("certificate: "), "{reason}");
        thread::sleep(POLL_INTERVAL);
    }
    cluster.control_plane.restart_api_server(port);
    let returned = Instant::now();
    // The first creation after the outage is swapped.
    let created = cluster.create(&pod_of("returned", &["nginx:1.27"]));
    assert_eq!(images(&created), ["app=one.example.com/nginx:1.27"]);
    late.await_ready();
    webhooks.push(late);
    let after = cluster.await_stable(&webhooks);
    // The objects were not written, because a write would change the resource version.
    assert_eq!(after.certificate, before.certificate);
    assert_eq!(after.authority, before.authority);
    assert_eq!(after.configuration, before.configuration);
    // The authority and the certificate from before the outage.
    expect(issued(&webhooks), &2.0).unwrap();
    // The watches work again.
    cluster.request_rotation("imageswap-tls");
    cluster.await_rotation(CERTIFICATE);
    cluster.await_stable(&webhooks);
    let took = returned.elapsed();
    eprintln!("      everything was as before within {} ms", took.as_millis());
    assert!(took < RECOVERY, "{took:?}");
    webhooks.iter().for_each(assert_few_warnings);
    // The API server refuses all requests until it has read the roles.
    cluster.control_plane.clear_audit();
}

/// Fails if a process logged too many warnings about the outage, or warnings of a dependency.
fn assert_few_warnings(webhook: &Webhook) {
    let warnings = webhook.warnings();
    assert!(!warnings.is_empty());
    assert!(warnings.len() <= MAX_WARNINGS, "{} lines", warnings.len());
    for warning in warnings {
        let origin = warning["target"].as_str().unwrap();
        assert!(origin.starts_with("imageswap::"), "{warning}");
    }
}
