//! A continuous stream of new pods during a change. The pods are stored, and no scheduler takes them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use hyper::Request;
use kube::Client;
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    eventually,
    node::Node,
    pods::{LABEL, image, pod},
};

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

/// Creates pods until it is stopped.
pub(crate) struct Stream<'a> {
    node: &'a Node,
    name: String,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    count: Arc<Mutex<Count>>,
    /// True if the images must be swapped.
    is_swap_required: Arc<AtomicBool>,
    begun: Instant,
}

/// The results of a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count {
    pub(crate) creates: usize,
    /// The failures: their time and their cause.
    pub(crate) failures: Vec<(Duration, String)>,
    /// The duration of the slowest creation.
    pub(crate) slowest: Duration,
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
        let (stop, count, begun) = (CancellationToken::new(), Arc::default(), Instant::now());
        let is_swap_required = Arc::new(AtomicBool::new(is_swap_required));
        let mut tasks = JoinSet::new();
        let creator = Creator {
            client: node.api().client(),
            stop: stop.clone(),
            count: Arc::clone(&count),
            is_swap_required: is_swap_required.clone(),
            begun,
        };
        let runtime = node.api().runtime().handle();
        for number in 0..CREATORS {
            tasks.spawn_on(creator.clone().create_steadily(number), runtime);
        }
        tasks.spawn_on(creator.create_in_bursts(), runtime);
        let name = name.to_owned();
        let stream = Self { node, name, stop, tasks, count, is_swap_required, begun };
        stream.await_creates(50);
        stream
    }

    /// Waits until `more` more pods have been created.
    pub(crate) fn await_creates(&self, more: usize) {
        let before = self.count().creates;
        eventually("creations", || {
            let now = self.count().creates;
            if now >= before + more { Ok(()) } else { Err(now) }
        });
    }

    /// Requires that images are swapped from now on, or that they need not be.
    pub(crate) fn require_swaps(&self, is_required: bool) {
        self.is_swap_required.store(is_required, Ordering::SeqCst);
    }

    /// Prints the results so far. Fails if a creation failed.
    pub(crate) fn check(&self, part: &str) {
        let Count { creates, failures, .. } = self.count();
        eprintln!("      {part}: {creates} creates so far, {} failed", failures.len());
        assert!(failures.is_empty(), "{failures:#?}");
    }

    /// Stops the stream and prints the results. Fails if a creation failed.
    pub(crate) fn end(self) {
        let failures = self.end_with_failures().failures;
        assert!(failures.is_empty(), "{failures:#?}");
    }

    /// Stops the stream, prints the results and returns them.
    pub(crate) fn end_with_failures(mut self) -> Count {
        self.await_creates(50);
        self.stop.cancel();
        self.node.api().runtime().block_on(async {
            while let Some(ended) = self.tasks.join_next().await {
                ended.unwrap();
            }
        });
        let count = self.count();
        eprintln!(
            "      {}: {} creates in {} ms, {} failed; the slowest took {} ms",
            self.name,
            count.creates,
            self.begun.elapsed().as_millis(),
            count.failures.len(),
            count.slowest.as_millis(),
        );
        let mut causes = BTreeMap::<&str, usize>::new();
        for (_, cause) in &count.failures {
            *causes.entry(cause).or_default() += 1;
        }
        for (cause, number) in causes {
            eprintln!("        {number} x {cause}");
        }
        self.node.api().delete(PODS);
        count
    }

    /// Returns the time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    fn count(&self) -> Count {
        self.count.lock().unwrap().clone()
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.stop.cancel();
        if thread::panicking() {
            eprintln!("--- the stream of pods so far: {:#?}", self.count());
        }
    }
}

/// What the tasks of a stream share.
#[derive(Clone)]
struct Creator {
    client: Client,
    stop: CancellationToken,
    count: Arc<Mutex<Count>>,
    is_swap_required: Arc<AtomicBool>,
    begun: Instant,
}

impl Creator {
    /// Creates one pod after the other. `number` is that of the task.
    async fn create_steadily(self, number: usize) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for pod in 0.. {
            if self.stop.run_until_cancelled(ticks.tick()).await.is_none() {
                return;
            }
            self.create(&format!("pod-{number}-{pod}"), PODS).await;
        }
    }

    /// Creates many pods at once, again and again, without storing them.
    async fn create_in_bursts(self) {
        let mut ticks = interval(BURST_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let path = format!("{PODS}?dryRun=All");
            let creates = (0..BURST).map(|_| self.create("burst", &path));
            join_all(creates).await;
        }
    }

    /// Creates a pod, and counts it.
    async fn create(&self, name: &str, path: &str) {
        let mut pod = pod(name, "nginx:1.27");
        pod["spec"]["schedulerName"] = json!("none");
        let request = Request::post(path).header("content-type", "application/json");
        let request = request.body(pod.to_string().into_bytes()).unwrap();
        let sent = Instant::now();
        let is_swap_required = self.is_swap_required.load(Ordering::SeqCst);
        let failure = match self.client.request::<Value>(request).await {
            Ok(pod) if image(&pod) == "registry.example.com/official/nginx:1.27" => None,
            Ok(_) if !is_swap_required => None,
            Ok(pod) => Some(format!("stored with {}", image(&pod))),
            Err(kube::Error::Api(status)) => Some(status.message.clone()),
            Err(error) => Some(error.to_string()),
        };
        let mut count = self.count.lock().unwrap();
        count.creates += 1;
        count.slowest = count.slowest.max(sent.elapsed());
        count.failures.extend(failure.map(|failure| (sent - self.begun, failure)));
    }
}
