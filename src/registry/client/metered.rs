//! A TCP connection whose peer can send only so much.
//!
//! An HTTP answer may begin with any number of interim answers, which the library skips in a loop. Without a limit, a
//! registry that sends nothing else would keep the processor busy until the timeout of the check.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take},
    net::TcpStream,
    time::Instant,
};

/// Number of bytes that a peer may send at once. An answer has some kilobytes, and a connection answers one at a time.
const BURST_BYTES: u64 = 2 * 1024 * 1024;

/// Number of bytes that a peer may send in a second, for longer than a burst: some thousand answers.
const BYTES_PER_SECOND: u64 = 2 * 1024 * 1024;

/// Number of bytes after which other tasks have their turn: what a thread reads in about a millisecond. The library's
/// own buffer is ten times as large.
const BYTES_PER_TURN: u64 = 32 * 1024;

/// A TCP connection whose peer can send only so much.
#[derive(Debug)]
pub(super) struct Metered {
    /// Its limit is that of the turn.
    stream: Take<TcpStream>,
    allowance: Allowance,
}

/// The peer has sent more than it may.
#[derive(Debug, thiserror::Error)]
#[error("it sends too much data")]
pub(super) struct TooMuchData;

/// The number of bytes that a peer may still send.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    left: u64,
    updated_at: Instant,
}

impl Metered {
    pub(super) fn new(stream: TcpStream) -> Self {
        let allowance = Allowance { left: BURST_BYTES, updated_at: Instant::now() };
        Self { stream: stream.take(BYTES_PER_TURN), allowance }
    }
}

impl Allowance {
    /// Takes bytes from the allowance. Returns false if it has too few.
    fn take(&mut self, bytes: u64, now: Instant) -> bool {
        let millis = u64::try_from((now - self.updated_at).as_millis()).unwrap_or(u64::MAX);
        let earned = millis.saturating_mul(BYTES_PER_SECOND / 1000);
        // A time too short to earn anything counts the next time.
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(BURST_BYTES);
            self.updated_at = now;
        }
        let has_enough = bytes <= self.left;
        self.left = self.left.saturating_sub(bytes);
        has_enough
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.stream.limit() == 0 {
            self.stream.set_limit(BYTES_PER_TURN);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) else {
            self.stream.set_limit(BYTES_PER_TURN);
            return Poll::Pending;
        };
        read?;
        let bytes = buffer.filled().len() - before;
        if self.allowance.take(bytes as u64, Instant::now()) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Ready(Err(io::Error::other(TooMuchData)))
        }
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write_vectored(context, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }
}

impl Connection for Metered {
    fn connected(&self) -> Connected {
        self.stream.get_ref().connected()
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;

    #[test]
    fn an_allowance_is_a_burst_and_a_rate() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut allowance = Allowance { left: BURST_BYTES, updated_at: start };
        assert!(allowance.take(BURST_BYTES, start));
        assert!(!allowance.take(1, start));
        assert!(allowance.take(BYTES_PER_SECOND / 1000, after(1)));
        assert!(!allowance.take(1, after(1)));
        assert!(allowance.take(BURST_BYTES, after(60_000)), "no more than a burst is saved");
        assert!(!allowance.take(BYTES_PER_SECOND, after(60_100)));
    }

    #[tokio::test]
    async fn others_have_their_turn_after_each_32_kib() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        let writer = tokio::spawn(async move {
            peer.write_all(&vec![0; 200_000]).await.unwrap();
            peer
        });
        let mut stream = Metered::new(stream);
        let mut buffer = vec![0; 400_000];
        let mut read = 0;
        while read < 200_000 {
            // What one turn reads, until the stream is pending.
            let turn = poll_fn(|context| {
                let mut turn = 0;
                loop {
                    let mut buffer = ReadBuf::new(&mut buffer);
                    match Pin::new(&mut stream).poll_read(context, &mut buffer) {
                        Poll::Ready(read) if turn < 200_000 => {
                            read.unwrap();
                            turn += buffer.filled().len();
                        }
                        _ => return Poll::Ready(turn),
                    }
                }
            });
            let turn = turn.await;
            assert!(turn as u64 <= BYTES_PER_TURN, "{turn}");
            read += turn;
            tokio::task::yield_now().await;
        }
        assert_eq!(read, 200_000);
        drop(writer.await.unwrap());
    }
}
