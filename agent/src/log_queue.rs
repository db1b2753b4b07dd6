//! What if nobody reads the log, or only slowly? Lines wait in a bounded queue for a thread that writes them; what does not fit
//! is dropped and counted, and whoever has something to say never waits.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How much waits at most, in bytes.
const ROOM: usize = 4 << 20;

/// Lines on their way; clones share them.
#[derive(Clone)]
pub(crate) struct LogQueue(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    room: usize,
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    /// Bytes of them, and of what is being written.
    n_bytes: usize,
}

impl LogQueue {
    /// Starts the thread that writes to `sink`.
    pub(crate) fn start(sink: impl Write + Send + 'static) -> std::io::Result<Self> {
        Self::with_room(sink, ROOM)
    }

    fn with_room(mut sink: impl Write + Send + 'static, room: usize) -> std::io::Result<Self> {
        let (state, changed) = (Mutex::default(), Condvar::new());
        let queue = Self(Arc::new(Shared { state, changed, room, dropped: AtomicU64::new(0) }));
        let shared = queue.clone();
        std::thread::Builder::new().name("log".into()).spawn(move || shared.write_to(&mut sink))?;
        Ok(queue)
    }

    /// Hands a line over; drops it where there is no room.
    pub(crate) fn push(&self, line: Vec<u8>) {
        let mut state = self.lock();
        if state.n_bytes + line.len() > self.0.room {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.n_bytes += line.len();
        state.lines.push_back(line);
        self.0.changed.notify_all();
    }

    /// Waits until everything is written; returns whether it is.
    pub(crate) fn flush(&self, longest: Duration) -> bool {
        let is_open = |state: &mut State| state.n_bytes > 0;
        let waited = self.0.changed.wait_timeout_while(self.lock(), longest, is_open);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Returns how many lines were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    fn write_to(&self, sink: &mut impl Write) {
        loop {
            let nothing = |state: &mut State| state.lines.is_empty();
            let waited = self.0.changed.wait_while(self.lock(), nothing);
            let lines = std::mem::take(&mut waited.unwrap_or_else(PoisonError::into_inner).lines);
            for line in lines {
                if sink.write_all(&line).is_err() {
                    // Whoever read is gone: nobody will ever read it.
                    self.0.dropped.fetch_add(1, Ordering::Relaxed);
                }
                self.lock().n_bytes -= line.len();
            }
            // There is nobody to tell that it could not be.
            let _unheard = sink.flush();
            self.0.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    const LONG: Duration = Duration::from_mins(1);

    /// Takes a line each time when it is let.
    struct Slow {
        let_go: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.let_go.recv().map_err(std::io::Error::other)?;
            drop(self.written.send(bytes.to_vec()));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn slow(room: usize) -> (LogQueue, Sender<()>, Receiver<Vec<u8>>) {
        let ((go, let_go), (sender, written)) = (channel(), channel());
        (LogQueue::with_room(Slow { let_go, written: sender }, room).unwrap(), go, written)
    }

    #[test]
    fn lines_are_written_in_their_order_and_what_has_no_room_is_counted() {
        let (queue, go, written) = slow(9);
        for line in ["one", "two", "six", "and more", "ten"] {
            queue.push(line.into());
        }
        assert_eq!(queue.dropped(), 2);
        assert!(!queue.flush(Duration::from_millis(1)), "nothing is written yet");
        for line in ["one", "two", "six"] {
            go.send(()).unwrap();
            assert_eq!(written.recv_timeout(LONG).unwrap(), line.as_bytes());
        }
        assert!(queue.flush(LONG));
        queue.push("there is room again".into());
        queue.push("again".into());
        go.send(()).unwrap();
        assert_eq!(written.recv_timeout(LONG).unwrap(), b"again");
        assert!(queue.flush(LONG));
        assert_eq!(queue.dropped(), 3);
    }

    #[test]
    fn a_reader_that_is_gone_holds_nobody_up() {
        let (queue, go, _written) = slow(100);
        drop(go);
        queue.push("unheard".into());
        assert!(queue.flush(LONG));
        assert_eq!(queue.dropped(), 1);
    }
}
