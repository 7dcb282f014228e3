//! Gathering a request's body, within limits of size, memory and time.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

/// The memory that bodies may hold at once, over all connections.
#[derive(Debug)]
pub(super) struct BodyBudget {
    left: AtomicUsize,
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
        Self { left: AtomicUsize::new(bytes) }
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
        match tokio::time::timeout(deadline, self.collect(body, limit)).await {
            Ok(gathered) => gathered,
            Err(_) => Err(BodyError::TimedOut(deadline)),
        }
    }

    async fn collect(&self, mut body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
        let declared = usize::try_from(body.size_hint().lower()).unwrap_or(limit).min(limit);
        let Some(first) = next(&mut body).await? else { return Ok(Bytes::new()) };
        if body.is_end_stream() {
            // Most bodies come in one piece, and are used where they are.
            return if first.len() > limit {
                Err(BodyError::TooLarge { limit })
            } else {
                Ok(first)
            };
        }
        let mut reservation = Reservation { budget: self, bytes: 0 };
        reservation.grow_to(declared.max(first.len()))?;
        let mut gathered = BytesMut::with_capacity(declared.max(first.len()));
        gathered.extend_from_slice(&first);
        while let Some(chunk) = next(&mut body).await? {
            if gathered.len() + chunk.len() > limit {
                return Err(BodyError::TooLarge { limit });
            }
            reservation.grow_to(gathered.len() + chunk.len())?;
            gathered.extend_from_slice(&chunk);
        }
        if gathered.len() > limit {
            return Err(BodyError::TooLarge { limit });
        }
        Ok(gathered.freeze())
    }
}

/// The next piece of data; trailers are skipped.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, hyper::Error> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// A part of the budget, given back when dropped.
struct Reservation<'a> {
    budget: &'a BodyBudget,
    bytes: usize,
}

impl Reservation<'_> {
    fn grow_to(&mut self, bytes: usize) -> Result<(), BodyError> {
        let Some(more) = bytes.checked_sub(self.bytes).filter(|&more| more > 0) else {
            return Ok(());
        };
        let take = |left: usize| left.checked_sub(more);
        self.budget
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .map_err(|_| BodyError::OutOfMemory)?;
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.bytes, Ordering::Relaxed);
    }
}
