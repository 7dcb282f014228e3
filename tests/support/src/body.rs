//! Bodies of requests: in pieces, with or without a declared length, complete or stalled.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// A body in pieces, with or without a declared length, that ends or stalls.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    left: VecDeque<Bytes>,
    declares_length: bool,
    stalls: bool,
}

impl Pieces {
    /// Creates a body without a declared length.
    pub fn chunked(pieces: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        let pieces = pieces.into_iter().map(Into::into).collect();
        Self { left: pieces, declares_length: false, stalls: false }
    }

    /// Creates a body that stalls after its first piece.
    pub fn stalled(first: impl Into<Bytes>) -> Self {
        Self { left: [first.into()].into(), declares_length: false, stalls: true }
    }
}

impl<T: Into<Bytes>> From<T> for Pieces {
    fn from(body: T) -> Self {
        Self { left: [body.into()].into(), declares_length: true, stalls: false }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.left.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None if self.stalls => Poll::Pending,
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && !self.stalls
    }

    fn size_hint(&self) -> SizeHint {
        if self.declares_length {
            SizeHint::with_exact(self.left.iter().map(|piece| piece.len() as u64).sum())
        } else {
            SizeHint::default()
        }
    }
}
