//! A continuous stream of new pods during a change. The pods are stored, and no scheduler takes them.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use support::stream::Count;

use crate::{DEADLINE, node::Node, pods::pod};

/// The image of the pods.
const IMAGE: &str = "nginx:1.27";

/// The image of the pods, swapped.
const SWAPPED: &[&str] = &["registry.example.com/official/nginx:1.27"];

/// Number of tasks that create pods in parallel.
const CREATORS: usize = 4;

/// Interval between the creations of one task.
const PERIOD: Duration = Duration::from_millis(200);

/// Number of creations in a burst. The API server keeps 25 connections to a webhook that it does not use, and opens new
/// ones for the rest, so that every burst meets the replicas that accept connections at the moment.
const BURST: usize = 40;

/// Interval between two bursts.
const BURST_PERIOD: Duration = Duration::from_millis(500);

/// The namespace of the pods.
const NAMESPACE: &str = "stream";

/// The pods.
const PODS: &str = "/api/v1/namespaces/stream/pods";

/// The pods, which are not stored.
const DRY_RUN: &str = "/api/v1/namespaces/stream/pods?dryRun=All";

/// Number of creations before and after a change.
const CREATES: usize = 50;

/// Creates pods until it is stopped.
pub(crate) struct Stream<'a> {
    node: &'a Node,
    stream: support::stream::Stream,
}

impl<'a> Stream<'a> {
    /// Starts to create pods, whose images must be swapped. Waits until some have been created.
    pub(crate) fn start(node: &'a Node, name: &str) -> Self {
        if node.api().get(&format!("/api/v1/namespaces/{NAMESPACE}")).is_none() {
            node.create_namespace(NAMESPACE, true);
        }
        let mut stream = support::stream::Stream::new(node.api(), name);
        for creator in 0..CREATORS {
            stream.spawn(PERIOD, stream.recorder(), move |recorder, number| {
                let pod = unscheduled(&format!("pod-{creator}-{number}"));
                Box::pin(async move { recorder.create(PODS, &pod, SWAPPED).await })
            });
        }
        stream.spawn(BURST_PERIOD, stream.recorder(), |recorder, _| {
            Box::pin(async move {
                let pod = unscheduled("burst");
                join_all((0..BURST).map(|_| recorder.create(DRY_RUN, &pod, SWAPPED))).await;
            })
        });
        let stream = Self { node, stream };
        stream.await_creates(CREATES);
        stream
    }

    /// Waits until `more` more pods have been created.
    pub(crate) fn await_creates(&self, more: usize) {
        self.stream.await_creates(more, DEADLINE);
    }

    /// Stops the stream and prints the results. Fails if a creation failed.
    pub(crate) fn end(self) {
        let failures = self.end_with_failures().failures;
        assert!(failures.is_empty(), "{failures:#?}");
    }

    /// Stops the stream, prints the results and returns them.
    pub(crate) fn end_with_failures(self) -> Count {
        self.await_creates(CREATES);
        let count = self.stream.stop();
        self.node.api().delete(PODS);
        count
    }

    /// Returns the time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.stream.elapsed()
    }
}

/// Returns a pod that no scheduler takes.
fn unscheduled(name: &str) -> Value {
    let mut pod = pod(name, IMAGE);
    pod["spec"]["schedulerName"] = json!("none");
    pod
}
