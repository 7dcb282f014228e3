//! A continuous stream of new pods during a change, and of connections to the webhook.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::Request;
use serde_json::Value;
use support::stream::Recorder;

use crate::{Cluster, DEADLINE, PODS, handshake::served, install::CONFIGURATION, objects::pod_of};

/// The image of the pods, swapped.
const SWAPPED: &str = "one.example.com/nginx:1.27";

/// The image of the pods, unchanged.
const UNCHANGED: &str = "nginx:1.27";

/// Number of tasks that create pods in parallel.
const CREATORS: usize = 4;

/// Interval between the creations of one task. It leaves the machine time for the change.
const PERIOD: Duration = Duration::from_millis(50);

/// Age of the oldest roots with which handshakes are tried. The cache of an API server may be this old.
const STALENESS: Duration = Duration::from_secs(5);

/// Creates pods, and connects to the webhook like a slow API server, until it is stopped.
pub(crate) struct Stream(support::stream::Stream);

impl Stream {
    /// Starts to create pods. Their names start with `prefix`, and their images must be swapped.
    pub(crate) fn start(cluster: &Cluster, prefix: &str) -> Self {
        Self::start_with(cluster, prefix, &[SWAPPED])
    }

    /// Starts to create pods before the webhook is installed. Until then their images stay unchanged.
    pub(crate) fn start_early(cluster: &Cluster, prefix: &str) -> Self {
        Self::start_with(cluster, prefix, &[SWAPPED, UNCHANGED])
    }

    /// Starts to create pods, whose images must be one of these.
    pub(crate) fn start_with(
        cluster: &Cluster,
        prefix: &str,
        expected: &'static [&'static str],
    ) -> Self {
        let mut stream = support::stream::Stream::new(&cluster.api, prefix);
        for creator in 0..CREATORS {
            let names = format!("{prefix}-{creator}");
            let state = (stream.recorder(), names);
            stream.spawn(PERIOD, state, move |(recorder, names), number| {
                let pod = pod_of(&format!("{names}-{number}"), &[UNCHANGED]);
                Box::pin(async move { recorder.create(PODS, &pod, expected).await })
            });
        }
        let connector = Connector {
            recorder: stream.recorder(),
            address: cluster.service.address(),
            bundles: VecDeque::new(),
        };
        stream.spawn(PERIOD * 2, connector, |connector, _| Box::pin(connector.connect()));
        Self(stream)
    }

    /// Waits until `more` more pods have been created.
    pub(crate) fn await_creates(&self, more: usize) {
        self.0.await_creates(more, DEADLINE);
    }

    /// Stops the stream and prints the results. Fails if anything failed.
    pub(crate) fn end(self) {
        let failures = self.0.stop().failures;
        assert!(failures.is_empty(), "{failures:#?}");
    }
}

struct Connector {
    recorder: Recorder,
    address: SocketAddr,
    /// The roots of the webhook configuration, each with the time at which they were read.
    bundles: VecDeque<(Instant, Vec<u8>)>,
}

impl Connector {
    async fn connect(&mut self) {
        let request = Request::get(CONFIGURATION).body(Vec::new()).unwrap();
        let Ok(configuration) = self.recorder.client().request::<Value>(request).await else {
            return;
        };
        let now = Instant::now();
        self.bundles.push_back((now, bundle(&configuration)));
        while self.bundles.get(1).is_some_and(|(read, _)| *read + STALENESS < now) {
            self.bundles.pop_front();
        }
        for (read, roots) in [self.bundles.front(), self.bundles.back()].into_iter().flatten() {
            let served = served(self.address, roots).await;
            let age = (now - *read).as_millis();
            let failure = served
                .err()
                .map(|failure| format!("a handshake with the roots of {age} ms ago: {failure}"));
            self.recorder.record_handshake(now, failure);
        }
    }
}

/// Returns bytes in the encoding of Kubernetes objects.
pub(crate) fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Returns the roots in the caBundle of a webhook configuration, in PEM.
pub(crate) fn bundle(configuration: &Value) -> Vec<u8> {
    let bundle = &configuration["webhooks"][0]["clientConfig"]["caBundle"];
    STANDARD.decode(bundle.as_str().unwrap_or_default()).unwrap()
}
