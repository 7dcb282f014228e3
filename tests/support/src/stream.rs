//! A continuous stream of new pods during a change.

#![expect(clippy::print_stderr, reason = "prints the results")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use hyper::Request;
use kube::Client;
use serde_json::Value;
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{api::Api, wait::eventually_blocking};

/// Tasks that create pods until they are stopped.
pub struct Stream {
    name: String,
    recorder: Recorder,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    runtime: Handle,
}

/// The results of a stream.
#[derive(Clone, Debug, Default)]
pub struct Count {
    /// Number of creations, with those that failed.
    pub creates: usize,
    /// Number of TLS handshakes that tasks have made with the webhook.
    pub handshakes: usize,
    /// The failures: their time since the start, and their cause.
    pub failures: Vec<(Duration, String)>,
    /// The duration of the slowest creation.
    pub slowest: Duration,
}

/// Creates pods, and counts them.
#[derive(Clone)]
pub struct Recorder {
    client: Client,
    count: Arc<Mutex<Count>>,
    begun: Instant,
}

impl Stream {
    /// Creates a stream without a task. `name` is for messages.
    pub fn new(api: &Api, name: &str) -> Self {
        let recorder =
            Recorder { client: api.client(), count: Arc::default(), begun: Instant::now() };
        Self {
            name: name.to_owned(),
            recorder,
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
            runtime: api.runtime().handle().clone(),
        }
    }

    /// Returns a recorder of this stream, for a task.
    pub fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    /// Starts a task that runs `action` with its state and a number in each `period`, or after the last one if that took
    /// longer.
    pub fn spawn<S, A>(&mut self, period: Duration, mut state: S, mut action: A)
    where
        S: Send + 'static,
        A: for<'a> FnMut(&'a mut S, usize) -> Action<'a> + Send + 'static,
    {
        let stop = self.stop.clone();
        let task = async move {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for number in 0.. {
                if stop.run_until_cancelled(ticks.tick()).await.is_none() {
                    return;
                }
                action(&mut state, number).await;
            }
        };
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// Returns the results so far.
    pub fn count(&self) -> Count {
        self.recorder.count.lock().unwrap().clone()
    }

    /// Returns the time since the start.
    pub fn elapsed(&self) -> Duration {
        self.recorder.begun.elapsed()
    }

    /// Waits until `more` more pods have been created.
    pub fn await_creates(&self, more: usize, deadline: Duration) {
        let before = self.count().creates;
        eventually_blocking("creations", deadline, || {
            let now = self.count().creates;
            if now >= before + more { Ok(()) } else { Err(now) }
        });
    }

    /// Stops the stream, prints the results and returns them.
    pub fn stop(mut self) -> Count {
        self.stop.cancel();
        self.runtime.block_on(async {
            while let Some(ended) = self.tasks.join_next().await {
                ended.unwrap();
            }
        });
        let count = self.count();
        eprintln!(
            "      {}: {} creates and {} handshakes in {} ms: {} failures; the slowest create took {} ms",
            self.name,
            count.creates,
            count.handshakes,
            self.elapsed().as_millis(),
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
        count
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

/// One run of the action of a task.
pub type Action<'a> = std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl Recorder {
    /// Returns the client of the stream.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Creates a pod with one container, and counts it. It is a failure if the pod is refused, or if it is stored with
    /// another image than one of `expected`.
    pub async fn create(&self, path: &str, pod: &Value, expected: &[&str]) {
        let request = Request::post(path).header("content-type", "application/json");
        let request = request.body(pod.to_string().into_bytes()).unwrap();
        let sent = Instant::now();
        let failure = match self.client.request::<Value>(request).await {
            Ok(pod) => match pod["spec"]["containers"][0]["image"].as_str() {
                Some(image) if expected.contains(&image) => None,
                other => Some(format!("stored with {other:?}")),
            },
            Err(kube::Error::Api(status)) => Some(status.message.clone()),
            Err(error) => Some(error.to_string()),
        };
        let mut count = self.count.lock().unwrap();
        count.creates += 1;
        count.slowest = count.slowest.max(sent.elapsed());
        count.failures.extend(failure.map(|failure| (sent - self.begun, failure)));
    }

    /// Counts a handshake, and its failure.
    pub fn record_handshake(&self, begun: Instant, failure: Option<String>) {
        let mut count = self.count.lock().unwrap();
        count.handshakes += 1;
        count.failures.extend(failure.map(|failure| (begun - self.begun, failure)));
    }
}
