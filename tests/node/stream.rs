//! A continuous stream of new pods during a change. The pods are stored, and no scheduler takes them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use support::stream::{Count, Recorder};

use crate::{
    DEADLINE,
    node::Node,
    pods::{LABEL, pod},
};

/// The image of the pods.
const IMAGE: &str = "nginx:1.27";

/// The images with which pods may be stored: only the swapped one, if it is required.
const EXPECTED: &[&str] = &["registry.example.com/official/nginx:1.27", IMAGE];

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
pub(crate) const NAMESPACE: &str = "stream";

/// The pods.
const PODS: &str = "/api/v1/namespaces/stream/pods";

/// The pods, which are not stored.
const DRY_RUN: &str = "/api/v1/namespaces/stream/pods?dryRun=All";

/// Number of creations before and after a change.
const CREATES: usize = 50;

/// Creates pods until it is stopped.
pub(crate) struct Stream<'a> {
    node: &'a Node,
    creations: support::stream::Stream,
    /// True if the images must be swapped.
    is_swap_required: Arc<AtomicBool>,
}

/// What the tasks of a stream share.
#[derive(Clone)]
struct Creator {
    recorder: Recorder,
    is_swap_required: Arc<AtomicBool>,
}

impl<'a> Stream<'a> {
    /// Starts to create pods, whose images must be swapped. Waits until some have been created.
    pub(crate) fn start(node: &'a Node, name: &str) -> Self {
        Self::start_with(node, name, true)
    }

    /// Starts to create pods, whose images may stay as they are, as long as there is no webhook.
    pub(crate) fn start_without_webhook(node: &'a Node, name: &str) -> Self {
        Self::start_with(node, name, false)
    }

    fn start_with(node: &'a Node, name: &str, is_swap_required: bool) -> Self {
        let path = format!("/api/v1/namespaces/{NAMESPACE}");
        if node.api().get(&path).is_none() {
            node.create_namespace(NAMESPACE, true);
        }
        // An uninstallation has removed the label.
        let mut labels = json!({});
        labels[LABEL] = json!("enabled");
        node.api().patch(&path, &json!({ "metadata": { "labels": labels } }));
        let mut stream = support::stream::Stream::new(node.api(), name);
        let is_swap_required = Arc::new(AtomicBool::new(is_swap_required));
        let creator =
            Creator { recorder: stream.recorder(), is_swap_required: is_swap_required.clone() };
        for task in 0..CREATORS {
            stream.spawn(PERIOD, creator.clone(), move |creator, number| {
                let pod = unscheduled(&format!("pod-{task}-{number}"));
                Box::pin(async move { creator.create(PODS, &pod).await })
            });
        }
        stream.spawn(BURST_PERIOD, creator, |creator, _| {
            Box::pin(async move {
                let pod = unscheduled("burst");
                join_all((0..BURST).map(|_| creator.create(DRY_RUN, &pod))).await;
            })
        });
        let stream = Self { node, creations: stream, is_swap_required };
        stream.await_creates(CREATES);
        stream
    }

    /// Waits until `more` more pods have been created.
    pub(crate) fn await_creates(&self, more: usize) {
        self.creations.await_creates(more, DEADLINE);
    }

    /// Requires that images are swapped from now on, or that they need not be.
    pub(crate) fn require_swaps(&self, is_required: bool) {
        self.is_swap_required.store(is_required, Ordering::SeqCst);
    }

    /// Prints the results so far. Fails if a creation failed.
    pub(crate) fn check(&self, part: &str) {
        let Count { creates, failures, .. } = self.creations.count();
        eprintln!("      {part}: {creates} creates so far, {} failed", failures.len());
        assert!(failures.is_empty(), "{failures:#?}");
    }

    /// Stops the stream and prints the results. Fails if a creation failed.
    pub(crate) fn end(self) {
        let failures = self.end_with_failures().failures;
        assert!(failures.is_empty(), "{failures:#?}");
    }

    /// Stops the stream, prints the results and returns them.
    pub(crate) fn end_with_failures(self) -> Count {
        self.await_creates(CREATES);
        let count = self.creations.stop();
        self.node.api().delete(PODS);
        count
    }

    /// Returns the time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.creations.elapsed()
    }
}

impl Creator {
    async fn create(&self, path: &str, pod: &Value) {
        let is_required = self.is_swap_required.load(Ordering::SeqCst);
        let expected = if is_required { &EXPECTED[..1] } else { EXPECTED };
        self.recorder.create(path, pod, expected).await;
    }
}

/// Returns a pod that no scheduler takes.
fn unscheduled(name: &str) -> Value {
    let mut pod = pod(name, IMAGE);
    pod["spec"]["schedulerName"] = json!("none");
    pod
}
