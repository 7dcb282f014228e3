//! A continuous stream of new pods while something changes.

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

/// How many create pods side by side.
const CREATORS: usize = 4;

/// How often each of them does. Together they leave the machine time for what changes.
const PERIOD: Duration = Duration::from_millis(50);

/// How old the roots are that a handshake is tried with, besides the newest: as much as the caches
/// of an API server may be behind.
const STALENESS: Duration = Duration::from_secs(5);

/// Creates pods, and connects to the webhook as an API server would that is behind, until it ends.
pub(crate) struct Stream {
    stop: CancellationToken,
    tasks: JoinSet<()>,
    count: Arc<Mutex<Count>>,
    prefix: String,
    begun: Instant,
    runtime: tokio::runtime::Handle,
}

/// What came of a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count {
    pub(crate) creates: usize,
    pub(crate) handshakes: usize,
    /// What failed, each with when.
    pub(crate) failures: Vec<String>,
    /// The longest that a creation took.
    pub(crate) slowest: Duration,
}

impl Stream {
    /// Begins to create pods, whose names begin with `prefix`, and whose images have to be swapped.
    pub(crate) fn start(cluster: &Cluster, prefix: &str) -> Self {
        let (stop, count, begun) = (CancellationToken::new(), Arc::default(), Instant::now());
        let runtime = cluster.api.runtime().handle().clone();
        let mut tasks = JoinSet::new();
        for creator in 0..CREATORS {
            let creator = Creator {
                client: cluster.api.client(),
                prefix: format!("{prefix}-{creator}"),
                count: Arc::clone(&count),
                begun,
            };
            tasks.spawn_on(every(PERIOD, stop.clone(), creator, Creator::create), &runtime);
        }
        let visitor = Visitor {
            client: cluster.api.client(),
            address: cluster.service.address(),
            bundles: VecDeque::new(),
            count: Arc::clone(&count),
            begun,
        };
        tasks.spawn_on(every(PERIOD * 2, stop.clone(), visitor, Visitor::visit), &runtime);
        Self { stop, tasks, count, prefix: prefix.to_owned(), begun, runtime }
    }

    /// How it stands.
    pub(crate) fn count(&self) -> Count {
        self.count.lock().unwrap().clone()
    }

    /// Waits until so many more pods have been created.
    pub(crate) fn await_creates(&self, more: usize) {
        let before = self.count().creates;
        eventually("creations", || {
            let now = self.count().creates;
            if now >= before + more { Ok(()) } else { Err(now) }
        });
    }

    /// Ends, and prints the numbers; nothing may have failed.
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
            eprintln!("--- a stream of pods until then: {:#?}", self.count());
        }
    }
}

async fn every<T>(
    period: Duration,
    stop: CancellationToken,
    mut who: T,
    run: impl AsyncFn(&mut T, usize),
) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0.. {
        if stop.run_until_cancelled(ticks.tick()).await.is_none() {
            return;
        }
        run(&mut who, number).await;
    }
}

struct Creator {
    client: Client,
    prefix: String,
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
                [image] if image == "app=one.example.com/nginx:1.27" => None,
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

struct Visitor {
    client: Client,
    address: std::net::SocketAddr,
    /// The roots of the webhook configuration, each with when they were read.
    bundles: VecDeque<(Instant, Vec<u8>)>,
    count: Arc<Mutex<Count>>,
    begun: Instant,
}

impl Visitor {
    async fn visit(&mut self, _number: usize) {
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

/// Bytes as an object of Kubernetes has them.
pub(crate) fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The roots that a webhook configuration makes the API server trust, in PEM.
pub(crate) fn bundle(configuration: &Value) -> Vec<u8> {
    let bundle = &configuration["webhooks"][0]["clientConfig"]["caBundle"];
    STANDARD.decode(bundle.as_str().unwrap_or_default()).unwrap()
}
