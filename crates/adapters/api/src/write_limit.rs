//! What of a caller who takes nothing of what it is sent?
//!
//! Its connection ends. Otherwise an answer that nobody reads would keep its place among those that last until TCP gives up,
//! which it never does while the other end only says that it has no room. Silence is no reason: whoever waits for what is not
//! there yet is not slow.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A connection whose writes fail with `TimedOut` once nothing of one was taken for too long.
///
/// Linux says that a socket takes more when a third of its buffer is free, so who reads a byte now and then is no better
/// than who reads none.
pub(crate) struct WriteLimit<S> {
    inner: S,
    longest: Duration,
    /// Runs while something waits to be taken.
    late: Option<Pin<Box<Sleep>>>,
}

impl<S> WriteLimit<S> {
    /// Limits how long nothing may be taken.
    pub(crate) fn new(inner: S, longest: Duration) -> Self {
        Self { inner, longest, late: None }
    }

    /// Lets the time run while a write is pending, and stops it when something was taken.
    fn judge<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.late = None;
            return written;
        }
        let late = self.late.get_or_insert_with(|| Box::pin(sleep(self.longest)));
        late.as_mut().poll(context).map(|()| {
            let longest = self.longest;
            let sentence = format!("the caller took nothing of its answer for {longest:?}");
            Err(io::Error::new(io::ErrorKind::TimedOut, sentence))
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteLimit<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteLimit<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.judge(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, parts);
        self.judge(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        self.judge(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.inner).poll_shutdown(context);
        self.judge(shut, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::Instant;

    const LONGEST: Duration = Duration::from_secs(30);

    /// Both ends of a connection that holds ten bytes.
    fn connection() -> (WriteLimit<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(10);
        (WriteLimit::new(ours, LONGEST), theirs)
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_given_up_after_its_time() {
        let (mut ours, _theirs) = connection();
        ours.write_all(&[0; 10]).await.unwrap();
        let start = Instant::now();
        let error = ours.write_all(&[0; 10]).await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed().as_secs()), (io::ErrorKind::TimedOut, 30));
        assert_eq!(error.to_string(), "the caller took nothing of its answer for 30s");
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_something_has_all_of_its_time_again() {
        let (mut ours, mut theirs) = connection();
        let writing = tokio::spawn(async move { ours.write_all(&[0; 100]).await });
        let start = Instant::now();
        for _ in 0..9 {
            tokio::time::sleep(Duration::from_secs(29)).await;
            theirs.read_exact(&mut [0; 10]).await.unwrap();
        }
        writing.await.unwrap().unwrap();
        assert!(start.elapsed() > 8 * LONGEST, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_no_reason_whether_one_reads_or_not() {
        let (mut ours, mut theirs) = connection();
        ours.write_all(b"all of it").await.unwrap();
        let reading = tokio::time::timeout(100 * LONGEST, ours.read_u8()).await;
        assert!(reading.is_err(), "nothing was sent to us");
        ours.flush().await.unwrap();
        theirs.read_exact(&mut [0; 9]).await.unwrap();
        tokio::time::advance(100 * LONGEST).await;
        ours.write_all(b"and more").await.unwrap();
    }
}
