//! The threads that serve connections.
//!
//! Each worker is a thread with a runtime of its own, and a connection stays with its worker. So no thread has to wake
//! another one for a request, and the data of its connections stay in the cache of its core. The price is that a worker
//! that is busy holds up its other connections, so [`review`](super::review) hands large reviews to another thread.
//! Probes, reloads, the controller and the checks of registries do not run here.

use std::{
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use tokio::runtime::{Builder, Handle};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// Maximum number of threads. One answers more reviews than an API server sends, so on a node with many processors more
/// threads would be idle.
const MAX_THREADS: usize = 8;

/// The workers. Their threads end when this value is dropped.
#[derive(Debug)]
pub struct Workers {
    all: Vec<Worker>,
    /// The connections of all workers.
    connections: TaskTracker,
    /// Cancelled when a thread has ended.
    ended: CancellationToken,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// Number of open connections.
    connections: Arc<AtomicUsize>,
}

impl Workers {
    /// Starts a thread for each available processor, up to a maximum.
    ///
    /// # Errors
    /// If a thread or its runtime cannot be started.
    pub fn start() -> io::Result<Self> {
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        // If a thread cannot be started, the threads before it end.
        let guard = stop.clone().drop_guard();
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let workers = (0..processors.min(MAX_THREADS))
            .map(|_| start_thread(stop.clone(), ended.clone()))
            .collect::<io::Result<_>>()?;
        Ok(Self { all: workers, connections: TaskTracker::new(), ended, _stop: guard })
    }

    /// Creates a worker of the current runtime, for connections that need no thread of their own.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[must_use]
    pub fn of_this_runtime() -> Self {
        Self {
            all: vec![Worker::new(Handle::current())],
            connections: TaskTracker::new(),
            ended: CancellationToken::new(),
            _stop: CancellationToken::new().drop_guard(),
        }
    }

    /// Serves a connection by the worker that has the fewest.
    pub(super) fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let open = |worker: &&Worker| worker.connections.load(Ordering::Relaxed);
        // There is always a worker: processors are at least one.
        let Some(worker) = self.all.iter().min_by_key(open) else { return };
        let counted = Counted::new(&worker.connections);
        let connection = async move {
            let _counted = counted;
            connection.await;
        };
        self.connections.spawn_on(connection, &worker.runtime);
    }

    /// Waits until all connections are closed.
    pub(super) async fn finish(self) {
        self.connections.close();
        self.connections.wait().await;
    }

    /// Waits until a thread ends, which is a fault: its connections are lost.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

impl Worker {
    fn new(runtime: Handle) -> Self {
        Self { runtime, connections: Arc::default() }
    }
}

/// Starts a worker with a thread. It cancels `ended` when it ends, even by a panic.
fn start_thread(stop: CancellationToken, ended: CancellationToken) -> io::Result<Worker> {
    let (sender, started) = mpsc::sync_channel(1);
    thread::Builder::new().name("webhook".to_owned()).spawn(move || {
        let _ended = ended.drop_guard();
        let runtime = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = sender.send(Err(error));
                return;
            }
        };
        let _ = sender.send(Ok(runtime.handle().clone()));
        runtime.block_on(stop.cancelled());
    })?;
    let runtime = started.recv().map_err(|_| io::Error::other("the thread ended"))??;
    Ok(Worker::new(runtime))
}

/// Counts a connection of a worker until it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(connections: &Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Ordering::Relaxed);
        Self(connections.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, thread::ThreadId};

    use futures_util::future::pending;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn connections_are_shared_out_among_the_threads() {
        let workers = Workers::start().unwrap();
        let threads: Arc<Mutex<Vec<ThreadId>>> = Arc::default();
        for _ in 0..3 * workers.all.len() {
            let threads = threads.clone();
            let (started, start) = oneshot::channel();
            workers.spawn(async move {
                threads.lock().unwrap().push(thread::current().id());
                let _ = started.send(());
                pending::<()>().await;
            });
            start.await.unwrap();
        }
        let threads = threads.lock().unwrap();
        for thread in threads.iter() {
            assert_eq!(threads.iter().filter(|other| *other == thread).count(), 3);
            assert_ne!(*thread, thread::current().id());
        }
    }

    #[tokio::test]
    async fn a_closed_connection_makes_room() {
        let workers = Workers::start().unwrap();
        for _ in 0..100 {
            workers.spawn(async {});
        }
        let open: Vec<_> = workers.all.iter().map(|worker| worker.connections.clone()).collect();
        workers.finish().await;
        assert!(open.iter().all(|open| open.load(Ordering::Relaxed) == 0), "{open:?}");
    }

    #[tokio::test]
    async fn a_thread_that_ends_is_noticed() {
        let stop = CancellationToken::new();
        let ended = CancellationToken::new();
        let worker = start_thread(stop.clone(), ended.clone()).unwrap();
        let (task, lost) = oneshot::channel::<()>();
        worker.runtime.spawn(async move {
            let _task = task;
            pending::<()>().await;
        });
        assert!(!ended.is_cancelled());
        stop.cancel();
        ended.cancelled().await;
        assert!(lost.await.is_err());
    }
}
