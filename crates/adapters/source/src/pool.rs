//! Where do blocking calls run, and how many at once?

use crate::error::{Fault, Kind, SourceError};
use crate::opened;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Tells a running call whether it is still wanted. Its time counts from when it begins: waiting for a place is no fault of
/// the server's.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    cancelled: Arc<AtomicBool>,
    timeout: Duration,
    deadline: Arc<OnceLock<Instant>>,
}

impl Token {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { cancelled: Arc::default(), timeout, deadline: Arc::default() }
    }

    /// Returns when its time is over.
    pub(crate) fn deadline(&self) -> Instant {
        *self.deadline.get_or_init(|| Instant::now() + self.timeout)
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    pub(crate) fn is_wanted(&self) -> bool {
        !self.is_cancelled() && Instant::now() < self.deadline()
    }

    /// # Errors
    /// Says whether the caller went away or the time is over.
    pub(crate) fn check(&self) -> Result<(), SourceError> {
        if self.is_cancelled() {
            return Err(SourceError::new(Kind::Cancelled, "the read was cancelled"));
        }
        if Instant::now() >= self.deadline() {
            return Err(SourceError::new(Kind::TimedOut, "the repository did not answer in time"));
        }
        Ok(())
    }
}

/// Cancels the call when its caller goes away.
struct CancelOnDrop(Token);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }
}

/// Threads that blocking calls run on. Threads end after their call once the pool is dropped.
#[derive(Debug)]
pub(crate) struct Pool(Arc<Shared>);

struct Job {
    host: String,
    token: Token,
    work: Box<dyn FnOnce(&Token) + Send>,
}

#[derive(Debug)]
struct Shared {
    per_host: usize,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    running: BTreeMap<String, usize>,
    /// Hosts whose last call did not end in time: one call at a time until one does.
    slow: BTreeSet<String>,
    is_closed: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "State({} queued, running {:?})", self.queue.len(), self.running)
    }
}

impl Pool {
    /// Starts the threads. Calls with an empty host have no limit but their number.
    pub(crate) fn start(name: &str, threads: usize, per_host: usize) -> std::io::Result<Self> {
        let shared =
            Arc::new(Shared { per_host: per_host.max(1), state: Mutex::default(), wake: Condvar::new() });
        for number in 0..threads.max(1) {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(format!("{name}-{number}")).spawn(move || shared.work())?;
        }
        Ok(Self(shared))
    }

    /// Runs a call and waits for its answer: as long as it takes to get a place, and from then on at most `timeout`. A call
    /// whose time is over may still hold its thread until libgit2's own timeout; its answer is dropped.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        host: &str,
        timeout: Duration,
        work: impl FnOnce(&Token) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let token = Token::new(timeout);
        let cancel = CancelOnDrop(token.clone());
        let (begins, begun) = tokio::sync::oneshot::channel();
        let (sender, answer) = tokio::sync::oneshot::channel();
        let work = Box::new(move |token: &Token| {
            // Fixes the deadline. The caller may have stopped waiting.
            let _unheard = begins.send(token.deadline());
            let outcome = catch_unwind(AssertUnwindSafe(|| work(token)));
            let outcome = outcome.unwrap_or_else(|_| {
                Err(SourceError::new(Kind::Unavailable, "reading the repository stopped unexpectedly").into())
            });
            // The caller may have stopped waiting.
            drop(sender.send(outcome));
        });
        self.0.push(Job { host: host.to_owned(), token, work });
        let Some(deadline) = self.begun(host, timeout, begun).await? else {
            return Err(SourceError::new(Kind::Cancelled, "the agent is stopping").into());
        };
        let outcome = tokio::time::timeout_at(deadline.into(), answer).await;
        drop(cancel);
        match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(SourceError::new(Kind::Cancelled, "the agent is stopping").into()),
            Err(_) => {
                self.0.lock().slow.insert(host.to_owned());
                Err(no_answer(host, timeout).into())
            }
        }
    }

    /// Waits until a call begins, and returns when it has to end. Behind a host that does not answer nobody waits longer
    /// than for an answer.
    async fn begun(
        &self,
        host: &str,
        timeout: Duration,
        mut begun: tokio::sync::oneshot::Receiver<Instant>,
    ) -> Result<Option<Instant>, Fault> {
        loop {
            match tokio::time::timeout(timeout, &mut begun).await {
                Ok(deadline) => return Ok(deadline.ok()),
                Err(_) if self.0.lock().slow.contains(host) => return Err(no_answer(host, timeout).into()),
                Err(_) => {}
            }
        }
    }
}

fn no_answer(host: &str, timeout: Duration) -> SourceError {
    let place = if host.is_empty() { "the disk" } else { host };
    SourceError::new(Kind::TimedOut, format!("no answer from {place} within {} s", timeout.as_secs_f64()))
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_closed = true;
        state.queue.clear();
        drop(state);
        self.0.wake.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Job) {
        self.lock().queue.push_back(job);
        self.wake.notify_one();
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            let in_time = {
                (job.work)(&job.token);
                Instant::now() < job.token.deadline()
            };
            let mut state = self.lock();
            if in_time {
                state.slow.remove(&job.host);
            }
            if let Some(running) = state.running.get_mut(&job.host) {
                *running -= 1;
                if *running == 0 {
                    state.running.remove(&job.host);
                }
            }
            drop(state);
            self.wake.notify_all();
        }
    }

    /// Waits for the oldest job whose host has room; `None` once the pool is dropped.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            state.queue.retain(|job| !job.token.is_cancelled());
            let eligible = state.queue.iter().position(|job| {
                let limit = if state.slow.contains(&job.host) { 1 } else { self.per_host };
                let running = state.running.get(&job.host).copied().unwrap_or(0);
                job.host.is_empty() || running < limit
            });
            if let Some(job) = eligible.and_then(|index| state.queue.remove(index)) {
                *state.running.entry(job.host.clone()).or_default() += 1;
                opened::expect_more(!state.queue.is_empty());
                return Some(job);
            }
            if opened::is_any() {
                // Closed without the lock, for that takes its time; a job may come meanwhile.
                drop(state);
                opened::close();
                state = self.lock();
                continue;
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::JoinSet;

    #[tokio::test]
    async fn waiting_for_a_place_is_not_the_hosts_fault() {
        let pool = Arc::new(Pool::start("test", 2, 1).unwrap());
        let length = Duration::from_millis(100);
        let mut calls = JoinSet::new();
        // Each takes a tenth of its time, and the last waits for nineteen before it.
        for _ in 0..20 {
            let pool = Arc::clone(&pool);
            calls.spawn(async move {
                // It stands for a server that takes its time; nothing could be waited for instead.
                let work = move |_: &Token| {
                    std::thread::sleep(length);
                    Ok(())
                };
                pool.run("host", length * 10, work).await.is_ok()
            });
        }
        assert!(calls.join_all().await.into_iter().all(|is_ok| is_ok));
        assert!(pool.0.lock().slow.is_empty());
    }
}
