//! Bodies within limits of size, memory and time: gathering those of requests, holding those of
//! answers until they are sent.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

/// The most bytes of a body that is read although the answer is known already, and the largest
/// answer that is not counted; both are what a peer can make the server hold at no cost anyway.
const SMALL_BODY_BYTES: usize = 64 * 1024;

/// How long the rest of a small body may take.
const SMALL_BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// The memory that bodies may hold at once, over all connections.
#[derive(Clone, Debug)]
pub(super) struct BodyBudget {
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
    #[error("the body could not be read: {0}")]
    Unreadable(#[from] hyper::Error),
}

impl BodyBudget {
    /// A budget of `bytes`.
    pub(super) fn new(bytes: usize) -> Self {
        Self { left: Arc::new(AtomicUsize::new(bytes)) }
    }

    /// Gathers a body of at most `limit` bytes within `deadline`.
    pub(super) async fn gather(
        &self,
        body: Incoming,
        limit: usize,
        deadline: Duration,
    ) -> Result<Bytes, BodyError> {
        let declared = body.size_hint().lower();
        if declared > limit as u64 {
            return Err(BodyError::TooLarge { limit });
        }
        let mut gathering = pin!(self.collect(body, limit));
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

    /// Counts the bytes of an answer until they are sent or dropped; none when a large answer does
    /// not fit in the memory.
    pub(super) fn hold(&self, data: Bytes) -> Option<Bytes> {
        if data.len() <= SMALL_BODY_BYTES {
            return Some(data);
        }
        let reservation = self.reserve(data.len())?;
        Some(Bytes::from_owner(Held { data, _reservation: reservation }))
    }

    fn reserve(&self, bytes: usize) -> Option<Reservation> {
        let mut reservation = Reservation { budget: self.clone(), bytes: 0 };
        reservation.grow(bytes)?;
        Some(reservation)
    }

    async fn collect(&self, mut body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
        let declared = usize::try_from(body.size_hint().lower()).unwrap_or(limit).min(limit);
        let Some(first) = next(&mut body).await? else { return Ok(Bytes::new()) };
        if first.len() > limit {
            return Err(BodyError::TooLarge { limit });
        }
        // Most bodies come in one piece, and are used where they are. That it was the last may be told
        // with it, or by an empty piece after it, as Go's HTTP/2 client does.
        if body.is_end_stream() {
            return Ok(first);
        }
        // What is declared may never come, so memory is taken as it arrives.
        let mut reservation = self.reserve(first.len()).ok_or(BodyError::OutOfMemory)?;
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

/// The next piece of data that is not empty; trailers are skipped.
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
    budget: BodyBudget,
    bytes: usize,
}

impl Reservation {
    /// Takes more; none when there is not enough left.
    fn grow(&mut self, bytes: usize) -> Option<()> {
        let take = |left: usize| left.checked_sub(bytes);
        let left = &self.budget.left;
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        self.bytes += bytes;
        Some(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.bytes, Ordering::Relaxed);
    }
}
