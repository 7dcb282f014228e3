//! Bodies within limits of size, memory and time: gathering those of requests, holding those of
//! answers until they are sent.

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

/// Maximum size in bytes of a body that is read although the answer is known already.
const SMALL_BODY_BYTES: usize = 64 * 1024;

/// Maximum size in bytes of an answer that is not counted: one with the changes of some twenty images.
///
/// A peer that reads nothing holds an answer for each stream of its connection, so ten times more
/// would be 10 MB for a connection. To count an answer takes an allocation.
const SMALL_ANSWER_BYTES: usize = 4 * 1024;

/// Number of requests of a connection that may wait for their bodies when too many of all connections do, so that a peer
/// with hundreds of them leaves something for the others.
const FAIR_SHARE: u64 = 4;

/// Timeout for the rest of a small body.
const SMALL_BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// The memory and the permits that bodies may take at once, over all connections.
#[derive(Clone, Debug)]
pub(super) struct BodyBudget {
    bytes: Budget,
    /// The requests that may wait for their bodies. One without a byte of its body has its stream and
    /// its task, and a connection can have hundreds of them.
    waiting: Budget,
}

/// An amount that is shared by those who take of it and give it back.
#[derive(Clone, Debug)]
struct Budget {
    left: Arc<AtomicUsize>,
}

/// The bytes of a large answer, counted until the last reference to them is dropped.
struct Held {
    data: Bytes,
    _reservation: Reservation,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

/// Why a body was not gathered.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body is larger than {limit} bytes (IMAGESWAP_MAX_BODY_BYTES)")]
    TooLarge { limit: usize },
    #[error("the body did not arrive within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    #[error("too many large bodies at once; try again")]
    OutOfMemory,
    #[error("too many requests wait for their bodies; try again")]
    TooManyWaiting,
    #[error("the body could not be read: {0}")]
    Unreadable(#[from] hyper::Error),
}

impl BodyBudget {
    /// Creates a budget of `bytes`, and of `waiting` requests.
    pub(super) fn new(bytes: usize, waiting: usize) -> Self {
        Self { bytes: Budget::new(bytes), waiting: Budget::new(waiting) }
    }

    /// Gathers a body of at most `limit` bytes within `deadline`. `others` are the requests of its
    /// connection that are in flight.
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
        // Most bodies are there when their headers are, and need no timer.
        if let Some(gathered) = gathering.as_mut().now_or_never() {
            return gathered;
        }
        match tokio::time::timeout(deadline, gathering).await {
            Ok(gathered) => gathered,
            Err(_) => Err(BodyError::TimedOut(deadline)),
        }
    }

    /// Reads a small body to its end and drops it, so that a client that is still writing sees the
    /// answer instead of a reset.
    pub(super) async fn discard(body: Incoming) {
        let mut body = http_body_util::Limited::new(body, SMALL_BODY_BYTES);
        let read = async { while body.frame().await.is_some_and(|frame| frame.is_ok()) {} };
        let _ = tokio::time::timeout(SMALL_BODY_TIMEOUT, read).await;
    }

    /// Counts the bytes of an answer until they are sent or dropped. `None` means that a large answer does not fit in the
    /// memory.
    pub(super) fn hold(&self, data: Bytes) -> Option<Bytes> {
        if data.len() <= SMALL_ANSWER_BYTES {
            return Some(data);
        }
        let reservation = self.bytes.reserve(data.len())?;
        Some(Bytes::from_owner(Held { data, _reservation: reservation }))
    }

    /// Reserves a permit to wait. `Ok(None)` means that all are taken, but this connection is within its fair share and
    /// may wait anyway.
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
        let begun = {
            let mut first = pin!(next(&mut body));
            // Most bodies are there already, and take no permit.
            match poll_fn(|context| Poll::Ready(first.as_mut().poll(context))).await {
                Poll::Ready(first) => first,
                Poll::Pending => {
                    let _permit = self.permit(others)?;
                    first.await
                }
            }
        };
        let Some(first) = begun? else { return Ok(Bytes::new()) };
        if first.len() > limit {
            return Err(BodyError::TooLarge { limit });
        }
        // Most bodies come in one piece, and are used where they are. That it was the last may be told
        // with it, or by an empty piece after it, as Go's HTTP/2 client does.
        if body.is_end_stream() {
            return Ok(first);
        }
        // What is declared may never come, so memory is taken as it arrives.
        let _permit = self.permit(others)?;
        let mut reservation = self.bytes.reserve(first.len()).ok_or(BodyError::OutOfMemory)?;
        let Some(second) = next(&mut body).await? else { return Ok(first) };
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

/// A part of the budget, given back when dropped.
#[derive(Debug)]
struct Reservation {
    budget: Budget,
    amount: usize,
}

impl Reservation {
    /// Takes more; `None` if there is not enough left.
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
