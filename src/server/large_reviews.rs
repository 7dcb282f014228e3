//! The thread that reads large reviews, so that they do not hold up the connections of a worker.
//!
//! It exists from the start. A thread that is started on demand can fail, because the pod or the node has reached its
//! limit of processes.

use std::{
    io,
    panic::{self, AssertUnwindSafe},
    sync::mpsc,
    thread,
};

use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// The thread that reads large reviews, one after the other. It ends when this value is dropped.
#[derive(Debug)]
pub(super) struct LargeReviews {
    /// The budget of bodies bounds the jobs that wait.
    jobs: mpsc::Sender<Job>,
}

impl LargeReviews {
    /// Starts the thread.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let thread = thread::Builder::new().name("large-reviews".to_owned());
        // A job that panics ends without a result; the thread goes on.
        let run = |job: Job| drop(panic::catch_unwind(AssertUnwindSafe(job)));
        thread.spawn(move || waiting.into_iter().for_each(run))?;
        Ok(Self { jobs })
    }

    /// Runs `work` in the thread, and returns its result. `None` if it panics, which is a bug.
    ///
    /// If the future is dropped before its turn comes, because the client has gone, `work` is not run.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, result) = oneshot::channel();
        let job = move || {
            if !sender.is_closed() {
                let _ = sender.send(work());
            }
        };
        self.jobs.send(Box::new(job)).ok()?;
        result.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::{Arc, Mutex},
        task::Poll,
    };

    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn work_runs_in_another_thread_and_in_order() {
        let reviews = LargeReviews::start().unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let work = |number| {
            let order = order.clone();
            move || {
                order.lock().unwrap().push(number);
                thread::current().id()
            }
        };
        let (first, second) = tokio::join!(reviews.run(work(1)), reviews.run(work(2)));
        assert!(first.is_some() && first == second);
        assert_ne!(first, Some(thread::current().id()));
        assert_eq!(*order.lock().unwrap(), [1, 2]);
    }

    #[tokio::test]
    async fn the_thread_survives_a_panic() {
        let reviews = LargeReviews::start().unwrap();
        assert_eq!(reviews.run(|| -> u8 { panic!("as a bug would") }).await, None);
        assert_eq!(reviews.run(|| 2).await, Some(2));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_not_run() {
        let reviews = LargeReviews::start().unwrap();
        let (release, released) = mpsc::channel::<()>();
        let mut first = pin!(reviews.run(move || released.recv().is_ok()));
        assert!(poll!(&mut first).is_pending());
        let held = Arc::new(());
        let abandoned = held.clone();
        {
            let mut second = pin!(reviews.run(move || panic!("{abandoned:?} is run")));
            assert!(matches!(poll!(&mut second), Poll::<Option<()>>::Pending));
        }
        release.send(()).unwrap();
        assert_eq!(first.await, Some(true));
        assert_eq!(reviews.run(|| 3).await, Some(3));
        assert_eq!(Arc::strong_count(&held), 1, "the abandoned work is kept");
    }
}
