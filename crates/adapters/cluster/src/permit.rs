//! May a write begin now? Whoever keeps the lease says until when, and each write asks right before it is sent.
//!
//! A process that was stopped for a while, or that waited long for its turn, finds that its time is over before anybody
//! can tell it. The clock is the system's monotonic one, which goes on while a process is stopped.

use model::{CallError, ErrorClass};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use tokio::time::Instant;

/// Writes may begin whenever: nobody keeps a lease.
const UNLIMITED: u64 = u64::MAX;

/// Until when writes may begin.
pub(crate) struct WritePermit {
    zero: Instant,
    /// In microseconds since `zero`.
    until: AtomicU64,
}

impl WritePermit {
    /// Permits writes for ever, until somebody keeps a lease.
    pub(crate) fn unlimited() -> Self {
        Self { zero: Instant::now(), until: AtomicU64::new(UNLIMITED) }
    }

    /// No write may begin from now on.
    pub(crate) fn withdraw(&self) {
        self.until.store(0, Ordering::Release);
    }

    /// Writes may begin until then.
    pub(crate) fn extend(&self, until: Instant) {
        self.until.store(self.micros(until), Ordering::Release);
    }

    /// Returns whether a write may begin now.
    pub(crate) fn is_valid(&self) -> bool {
        let until = self.until.load(Ordering::Acquire);
        until == UNLIMITED || self.micros(Instant::now()) < until
    }

    /// Says why a write may not begin now.
    pub(crate) fn check(&self) -> Result<(), CallError> {
        if self.is_valid() {
            return Ok(());
        }
        Err(CallError::new(ErrorClass::Withheld, "this replica does not hold the lease now"))
    }

    /// Carries a write on as long as it is permitted. It asks before every step: opening a connection takes a while, and a
    /// process may be stopped in the middle of that. Where the request had been sent its answer is lost; who goes on finds out
    /// what it did.
    pub(crate) async fn within<F: Future>(&self, write: F) -> Result<F::Output, CallError> {
        let mut write = pin!(write);
        poll_fn(|context| match self.check() {
            Ok(()) => write.as_mut().poll(context).map(Ok),
            Err(error) => Poll::Ready(Err(error)),
        })
        .await
    }

    fn micros(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.zero).as_micros()).unwrap_or(UNLIMITED - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{self, Asked, Reply, Request};
    use crate::{Cluster, DeleteOptions, Endpoint, Holding, LeaseHandle, LeaseSpec, Priority, Propagation};
    use futures::FutureExt as _;
    use model::{Object, ObjectKey};
    use serde_json::{Value, json};
    use std::cell::Cell;
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;
    use tokio::sync::{oneshot, watch};

    type Answers = Arc<Mutex<VecDeque<oneshot::Receiver<(u16, String)>>>>;

    /// An API server that keeps a lease until `is_away`; other writes are answered when the test says so.
    fn server(answers: &Answers, is_away: &Arc<Mutex<bool>>) -> (Cluster, Asked) {
        let (answers, is_away) = (Arc::clone(answers), Arc::clone(is_away));
        fake::server(move |request: &Request| match request.method.as_str() {
            _ if request.url.contains("/leases") => lease(request, *is_away.lock().unwrap()),
            "GET" => Reply::Full(200, config_map().to_string()),
            _ => match answers.lock().unwrap().pop_front() {
                Some(answer) => Reply::Held(answer),
                None => Reply::Full(200, config_map().to_string()),
            },
        })
    }

    fn lease(request: &Request, is_away: bool) -> Reply {
        let kept = json!({
            "metadata": {"resourceVersion": "1"}, "spec": {"holderIdentity": "me", "leaseDurationSeconds": 15},
        });
        match request.method.as_str() {
            _ if is_away => Reply::Silence,
            "GET" => Reply::Full(404, r#"{"kind":"Status","details":{"kind":"leases"}}"#.into()),
            _ => Reply::Full(200, kept.to_string()),
        }
    }

    fn config_map() -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "namespace": "shop"}})
    }

    fn endpoint() -> Endpoint {
        Endpoint::new("v1", "ConfigMap", "configmaps", true)
    }

    async fn write(cluster: Cluster) -> Result<Object, CallError> {
        cluster.merge_patch(&endpoint(), "shop", "web", &json!({"data": {}}), "tautline").await
    }

    async fn keep_lease(cluster: &Cluster) -> (watch::Receiver<Holding>, LeaseHandle) {
        let (mut held, handle) = cluster.hold_lease(LeaseSpec::new("a", "tautline", "me"));
        held.wait_for(|held| matches!(held, Holding::Held { .. })).await.unwrap();
        (held, handle)
    }

    /// Returns which writes of others than the lease reached the server.
    fn written(asked: &Asked) -> usize {
        let asked = asked.lock().unwrap();
        asked.iter().filter(|line| !line.starts_with("GET") && !line.contains("/leases")).count()
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_written_before_the_lease_is_held_nor_after_it_ran_out() {
        let is_away = Arc::new(Mutex::new(true));
        let (cluster, asked) = server(&Answers::default(), &is_away);
        write(cluster.clone()).await.expect("nobody keeps a lease");
        let (mut held, _handle) = cluster.hold_lease(LeaseSpec::new("a", "tautline", "me"));
        assert_eq!(write(cluster.clone()).await.unwrap_err().class, ErrorClass::Withheld);
        let key = ObjectKey::new("", "ConfigMap", "shop", "web");
        let options = DeleteOptions {
            uid: String::new(),
            resource_version: String::new(),
            propagation: Propagation::Background,
            priority: Priority::Apply,
        };
        let deleted = cluster.delete(&endpoint(), &key, &options).await;
        assert_eq!(deleted.unwrap_err().class, ErrorClass::Withheld);
        assert!(cluster.get(&endpoint(), "shop", "web").await.unwrap().is_some(), "reading goes on");
        assert_eq!((written(&asked), cluster.may_write()), (1, false));

        *is_away.lock().unwrap() = false;
        held.wait_for(|held| matches!(held, Holding::Held { .. })).await.unwrap();
        write(cluster.clone()).await.expect("the lease is held");
        assert_eq!((written(&asked), cluster.may_write()), (2, true));
        *is_away.lock().unwrap() = true;
        held.wait_for(|held| matches!(held, Holding::NotHeld { .. })).await.unwrap();
        assert_eq!(write(cluster.clone()).await.unwrap_err().class, ErrorClass::Withheld);
        assert_eq!(written(&asked), 2);
    }

    /// As a process finds it that was stopped: the clock went on, and nobody had a chance to say that the lease is lost.
    #[tokio::test(start_paused = true)]
    async fn the_clock_counts_although_nobody_said_that_the_lease_is_lost() {
        let (cluster, asked) = server(&Answers::default(), &Arc::default());
        let (held, handle) = keep_lease(&cluster).await;
        // Stops the keeper and leaves the lease as it is.
        drop(handle);
        tokio::time::advance(Duration::from_secs(11)).await;
        write(cluster.clone()).await.expect("the lease is held");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(matches!(*held.borrow(), Holding::Held { .. }), "nobody has said anything");
        assert_eq!(write(cluster.clone()).await.unwrap_err().class, ErrorClass::Withheld);
        assert_eq!(written(&asked), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_whose_connection_was_being_opened_when_the_process_stopped_is_not_sent() {
        let permit = WritePermit::unlimited();
        permit.extend(Instant::now() + Duration::from_secs(12));
        let (connect, connected) = oneshot::channel();
        let is_sent = Cell::new(false);
        let mut write = Box::pin(permit.within(async {
            connected.await.unwrap();
            is_sent.set(true);
        }));
        assert!(write.as_mut().now_or_never().is_none(), "it waits for the connection");
        tokio::time::advance(Duration::from_secs(13)).await;
        connect.send(()).unwrap();
        assert_eq!(write.await.unwrap_err().class, ErrorClass::Withheld);
        assert!(!is_sent.get());
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_waited_for_its_turn_past_the_end_of_the_lease_is_not_sent() {
        let (answers, is_away) = (Answers::default(), Arc::new(Mutex::new(false)));
        let (cluster, asked) = server(&answers, &is_away);
        let (mut held, _handle) = keep_lease(&cluster).await;
        *is_away.lock().unwrap() = true;
        // What is sent now gives up by its own deadline only after the lease ran out.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let (mut senders, mut first) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let (sender, answer) = oneshot::channel();
            answers.lock().unwrap().push_back(answer);
            senders.push(sender);
            first.push(tokio::spawn(write(cluster.clone())));
        }
        let waiting = tokio::spawn(write(cluster.clone()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(written(&asked), 3, "as many as may be in flight: one place is for others");
        held.wait_for(|held| matches!(held, Holding::NotHeld { .. })).await.unwrap();
        for sender in senders {
            sender.send((200, config_map().to_string())).expect("it is waited for");
        }
        for write in first {
            let outcome = write.await.unwrap();
            assert_eq!(outcome.unwrap_err().class, ErrorClass::Withheld, "who goes on finds out what it did");
        }
        assert_eq!(waiting.await.unwrap().unwrap_err().class, ErrorClass::Withheld);
        assert_eq!(written(&asked), 3);
    }
}
