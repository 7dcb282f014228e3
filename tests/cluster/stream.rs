//! A continuous stream of new pods during a change.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::Request;
use kube::Client;
use serde_json::Value;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Cluster, PODS, eventually,
    handshake::served,
    install::CONFIGURATION,
    objects::{images, pod_of},
};

/// The image of the pods, swapped.
const SWAPPED: &str = "app=one.example.com/nginx:1.27";

/// The image of the pods, unchanged.
const UNCHANGED: &str = "app=nginx:1.27";

/// Number of tasks that create pods in parallel.
const CREATORS: usize = 4;

/// Interval between the creations of one task. It leaves the machine time for the change.
const PERIOD: Duration = Duration::from_millis(50);

/// Age of the oldest roots with which handshakes are tried. The cache of an API server may be this old.
const STALENESS: Duration = Duration::from_secs(5);

/// Creates pods, and connects to the webhook like a slow API server, until it is stopped.
pub(crate) struct Stream {
    stop: CancellationToken,
    tasks: JoinSet<()>,
    count: Arc<Mutex<Count>>,
    prefix: String,
    begun: Instant,
    runtime: tokio::runtime::Handle,
}

/// The results of a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count {
    pub(crate) creates: usize,
    pub(crate) handshakes: usize,
    /// The failures, with their times.
    pub(crate) failures: Vec<String>,
    /// The duration of the slowest creation.
    pub(crate) slowest: Duration,
}

impl Stream {
    /// Starts to create pods. Their names start with `prefix`, and their images must be swapped.
    pub(crate) fn start(cluster: &Cluster, prefix: &str) -> Self {
        Self::start_with(cluster, prefix, &[SWAPPED])
    }

    /// Starts to create pods before the webhook is installed. Until then their images stay unchanged.
    pub(crate) fn start_early(cluster: &Cluster, prefix: &str) -> Self {
        Self::start_with(cluster, prefix, &[SWAPPED, UNCHANGED])
    }

    fn start_with(cluster: &Cluster, prefix: &str, expected: &'static [&'static str]) -> Self {
        let (stop, count, begun) = (CancellationToken::new(), Arc::default(), Instant::now());
        let runtime = cluster.api.runtime().handle().clone();
        let mut tasks = JoinSet::new();
        for creator in 0..CREATORS {
            let creator = Creator {
                client: cluster.api.client(),
                prefix: format!("{prefix}-{creator}"),
                expected,
                count: Arc::clone(&count),
                begun,
            };
            tasks.spawn_on(every(PERIOD, stop.clone(), creator, Creator::create), &runtime);
        }
        let connector = Connector {
            client: cluster.api.client(),
            address: cluster.service.address(),
            bundles: VecDeque::new(),
            count: Arc::clone(&count),
            begun,
        };
        tasks.spawn_on(every(PERIOD * 2, stop.clone(), connector, Connector::connect), &runtime);
        Self { stop, tasks, count, prefix: prefix.to_owned(), begun, runtime }
    }

    /// Returns the results so far.
    pub(crate) fn count(&self) -> Count {
        self.count.lock().unwrap().clone()
    }

    /// Waits until `more` more pods have been created.
    pub(crate) fn await_creates(&self, more: usize) {
        let before = self.count().creates;
        eventually("creations", || {
            let now = self.count().creates;
            if now >= before + more { Ok(()) } else { Err(now) }
        });
    }

    /// Stops the stream and prints the results. Fails if anything failed.
    pub(crate) fn end(mut self) {
        self.stop.cancel();
        self.runtime.block_on(async {
            while let Some(ended) = self.tasks.join_next().await {
                ended.unwrap();
            }
        });
        let Count { creates, handshakes, failures, slowest } = self.count();
        eprintln!(
            "      {}: {creates} creates and {handshakes} handshakes in {} ms: {} failures; the \
             slowest create took {} ms",
            self.prefix,
            self.begun.elapsed().as_millis(),
            failures.len(),
            slowest.as_millis(),
        );
        assert!(failures.is_empty(), "{failures:#?}");
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stop.cancel();
        if thread::panicking() {
            eprintln!("--- the stream of pods so far: {:#?}", self.count());
        }
    }
}

async fn every<T>(
    period: Duration,
    stop: CancellationToken,
    mut state: T,
    run: impl AsyncFn(&mut T, usize),
) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0.. {
        if stop.run_until_cancelled(ticks.tick()).await.is_none() {
            return;
        }
        run(&mut state, number).await;
    }
}

struct Creator {
    client: Client,
    prefix: String,
    /// The images with which pods may be stored.
    expected: &'static [&'static str],
    count: Arc<Mutex<Count>>,
    begun: Instant,
}

impl Creator {
    async fn create(&mut self, number: usize) {
        let pod = pod_of(&format!("{}-{number}", self.prefix), &["nginx:1.27"]);
        let request = Request::post(PODS).header("content-type", "application/json");
        let request = request.body(pod.to_string().into_bytes()).unwrap();
        let sent = Instant::now();
        let failure = match self.client.request::<Value>(request).await {
            Ok(pod) => match images(&pod).as_slice() {
                [image] if self.expected.contains(&image.as_str()) => None,
                others => Some(format!("stored with {others:?}")),
            },
            Err(error) => Some(error.to_string()),
        };
        let mut count = self.count.lock().unwrap();
        count.creates += 1;
        count.slowest = count.slowest.max(sent.elapsed());
        let at = (sent - self.begun).as_millis();
        count.failures.extend(failure.map(|failure| format!("at {at} ms: {failure}")));
    }
}

struct Connector {
    client: Client,
    address: std::net::SocketAddr,
    /// The roots of the webhook configuration, each with the time at which they were read.
    bundles: VecDeque<(Instant, Vec<u8>)>,
    count: Arc<Mutex<Count>>,
    begun: Instant,
}

impl Connector {
    async fn connect(&mut self, _number: usize) {
        let request = Request::get(CONFIGURATION).body(Vec::new()).unwrap();
        let Ok(configuration) = self.client.request::<Value>(request).await else { return };
        let now = Instant::now();
        self.bundles.push_back((now, bundle(&configuration)));
        while self.bundles.get(1).is_some_and(|(read, _)| *read + STALENESS < now) {
            self.bundles.pop_front();
        }
        for (read, roots) in [self.bundles.front(), self.bundles.back()].into_iter().flatten() {
            let served = served(self.address, roots).await;
            let mut count = self.count.lock().unwrap();
            count.handshakes += 1;
            let at = (now - self.begun).as_millis();
            let age = (now - *read).as_millis();
            count.failures.extend(served.err().map(|failure| {
                format!("at {at} ms: a handshake with the roots of {age} ms ago: {failure}")
            }));
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
