//! Bodies within limits of size, memory and time: gathers the bodies of requests, and counts bodies that wait: answers
//! until they are sent, and large reviews until they are read.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use crate::innermost::innermost;

/// Maximum size in bytes of a body that is read although the answer is already known.
const SMALL_BODY_BYTES: usize = 64 * 1024;

/// Maximum size in bytes of an answer that is not counted: enough for the changes of some twenty images.
///
/// A peer that reads nothing holds an answer for each stream of its connection, so a limit ten times higher would allow
/// 10 MB for a connection. Counting an answer needs an allocation.
const SMALL_ANSWER_BYTES: usize = 4 * 1024;

/// Number of requests of a connection that may always wait for their bodies, even if the permits of all connections are
/// used up. A peer with hundreds of waiting requests thus cannot block the others.
const FAIR_SHARE: u64 = 4;

/// Size of what a review needs besides its body while it waits, in bytes: the plan of a usual pod, and a task.
const WAITING_BYTES: usize = 16 * 1024;

/// Timeout for the rest of a small body.
const SMALL_BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// The memory and the permits for bodies, shared by all connections.
#[derive(Clone, Debug)]
pub(super) struct BodyBudget {
    bytes: Budget,
    /// Permits of requests that wait for their bodies. Such a request takes a stream and a task even if no byte of its
    /// body arrives, and a connection can have hundreds of them.
    waiting: Budget,
}

/// An amount from which reservations are taken, and to which they return.
#[derive(Clone, Debug)]
struct Budget {
    left: Arc<AtomicUsize>,
}

/// A part of a budget, which returns to it on drop.
#[derive(Debug)]
struct Reservation {
    budget: Budget,
    amount: usize,
}

/// The bytes of a body that waits, counted until the last reference to them is dropped.
struct Held {
    data: Bytes,
    _reservation: Reservation,
}

/// The reason why a body was not gathered.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body is larger than {limit} bytes (IMAGESWAP_MAX_BODY_BYTES)")]
    TooLarge { limit: usize },
    #[error("the body did not arrive within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    #[error("too many large bodies at once")]
    OutOfMemory,
    #[error("too many requests wait for their bodies")]
    TooManyWaiting,
    #[error("the body could not be read: {}", innermost(.0))]
    Unreadable(#[from] hyper::Error),
}

impl BodyBudget {
    /// Creates a budget of `bytes` bytes and `waiting` waiting requests.
    pub(super) fn new(bytes: usize, waiting: usize) -> Self {
        Self { bytes: Budget::new(bytes), waiting: Budget::new(waiting) }
    }

    /// Gathers a body of at most `limit` bytes within `deadline`.
    ///
    /// `others` is the number of requests in flight on the same connection.
    pub(super) async fn gather(
        &self,
        body: Incoming,
        limit: usize,
        deadline: Duration,
        others: u64,
    ) -> Result<Bytes, BodyError> {
        let declared = body.size_hint().lower();
        if declared > limit as u64 {
            return Err(BodyError::TooLarge { limit });
        }
        let mut gathering = pin!(self.collect(body, limit, others));
        // Most bodies arrive together with their headers, and need no timer.
        if let Some(gathered) = gathering.as_mut().now_or_never() {
            return gathered;
        }
        match tokio::time::timeout(deadline, gathering).await {
            Ok(gathered) => gathered,
            Err(_) => Err(BodyError::TimedOut(deadline)),
        }
    }

    /// Reserves the memory of a request that waits for other servers; `None` if the budget is used up.
    pub(super) fn reserve_waiting(&self, body: &[u8]) -> Option<impl Sized + use<>> {
        self.bytes.reserve(body.len() + WAITING_BYTES)
    }

    /// Reads a small body to its end and drops it. A client that is still writing then receives the answer instead of a
    /// reset.
    pub(super) async fn discard(body: Incoming) {
        let mut body = http_body_util::Limited::new(body, SMALL_BODY_BYTES);
        let read = async { while body.frame().await.is_some_and(|frame| frame.is_ok()) {} };
        let _ = tokio::time::timeout(SMALL_BODY_TIMEOUT, read).await;
    }

    /// Counts the bytes of a body that waits until they are dropped; `None` if a large one exceeds the budget.
    pub(super) fn hold(&self, data: Bytes) -> Option<Bytes> {
        if data.len() <= SMALL_ANSWER_BYTES {
            return Some(data);
        }
        let reservation = self.bytes.reserve(data.len())?;
        Some(Bytes::from_owner(Held { data, _reservation: reservation }))
    }

    /// Takes a permit to wait; `None` if all are in use, but the connection has its fair share and may wait anyway.
    fn permit(&self, others: u64) -> Result<Option<Reservation>, BodyError> {
        match self.waiting.reserve(1) {
            None if others >= FAIR_SHARE => Err(BodyError::TooManyWaiting),
            permit => Ok(permit),
        }
    }

    async fn collect(
        &self,
        mut body: Incoming,
        limit: usize,
        others: u64,
    ) -> Result<Bytes, BodyError> {
        let declared = usize::try_from(body.size_hint().lower()).unwrap_or(limit).min(limit);
        let received = {
            let mut first = pin!(next(&mut body));
            // Most bodies have already arrived, and need no permit.
            match poll_fn(|context| Poll::Ready(first.as_mut().poll(context))).await {
                Poll::Ready(first) => first,
                Poll::Pending => {
                    let _permit = self.permit(others)?;
                    first.await
                }
            }
        };
        let Some(first) = received? else { return Ok(Bytes::new()) };
        if first.len() > limit {
            return Err(BodyError::TooLarge { limit });
        }
        // Most bodies come in one piece, which is used without a copy. The end of the stream comes with that piece, or
        // with an empty piece after it, as Go's HTTP/2 client sends it.
        if body.is_end_stream() {
            return Ok(first);
        }
        // The declared length may never arrive, so memory is reserved for what has arrived.
        let _permit = self.permit(others)?;
        let mut reservation = self.bytes.reserve(first.len()).ok_or(BodyError::OutOfMemory)?;
        let Some(second) = next(&mut body).await? else { return Ok(first) };
        // For the same reason, little is allocated in advance.
        let mut gathered = BytesMut::with_capacity(declared.min(SMALL_BODY_BYTES));
        gathered.extend_from_slice(&first);
        drop(first);
        let mut chunk = second;
        loop {
            if gathered.len() + chunk.len() > limit {
                return Err(BodyError::TooLarge { limit });
            }
            reservation.grow(chunk.len()).ok_or(BodyError::OutOfMemory)?;
            gathered.extend_from_slice(&chunk);
            match next(&mut body).await? {
                Some(next) => chunk = next,
                None => return Ok(gathered.freeze()),
            }
        }
    }
}

impl Budget {
    fn new(amount: usize) -> Self {
        Self { left: Arc::new(AtomicUsize::new(amount)) }
    }

    fn reserve(&self, amount: usize) -> Option<Reservation> {
        let mut reservation = Reservation { budget: self.clone(), amount: 0 };
        reservation.grow(amount)?;
        Some(reservation)
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Reservation {
    /// Takes more of the budget; `None` if not enough is left.
    fn grow(&mut self, amount: usize) -> Option<()> {
        let take = |left: usize| left.checked_sub(amount);
        let left = &self.budget.left;
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        self.amount += amount;
        Some(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.amount, Ordering::Relaxed);
    }
}

/// Returns the next piece of data that is not empty; trailers are skipped.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, hyper::Error> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data()
            && !data.is_empty()
        {
            return Ok(Some(data));
        }
    }
    Ok(None)
}
