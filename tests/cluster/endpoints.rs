//! The Service gets its endpoint later than the webhook is ready.

use std::time::{Duration, Instant};

use crate::{Cluster, MAP, Step, install::CONFIGURATION, stream::Stream, webhook::Files};

/// Time from the first successful readiness probe until the Service has the endpoint, as on a slow cluster.
const ENDPOINT_LAG: Duration = Duration::from_secs(3);

pub(crate) const STEPS: &[Step<Cluster>] =
    &[("no creation fails before the Service has an endpoint", installation)];

fn installation(cluster: &Cluster) {
    cluster.clear_state();
    cluster.service.set_endpoints(&[]);
    let files = Files::new(MAP);
    // The namespace has its label before the webhook is installed.
    let stream = Stream::start_early(cluster, "installation");
    stream.await_creates(20);
    let webhook = cluster.managed(&files).start_ready();
    let probed = Instant::now();
    while probed.elapsed() < ENDPOINT_LAG {
        assert_eq!(cluster.api.get(CONFIGURATION), None);
        stream.await_creates(1);
    }
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_configuration();
    eprintln!("      created {} ms after the first probe", probed.elapsed().as_millis());
    cluster.await_probe("app=one.example.com/probe:1");
    stream.await_creates(20);
    stream.end();
    webhook.assert_no_warnings();
}
