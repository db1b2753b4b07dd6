//! Is there one holder at a time, whatever the server and the other one do?

use super::*;
use crate::fake::{self, Asked, Reply, Request};
use std::sync::{Arc, Mutex};

/// A server that keeps one Lease, as the API server would.
#[derive(Default)]
struct Server {
    lease: Option<Value>,
    version: u64,
    /// What writes are answered with instead; the second says whether they are done nevertheless.
    fault: Option<Fault>,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    Refused,
    Silence,
    AnswerLost,
}

type Shared = Arc<Mutex<Server>>;

impl Server {
    fn reply(&mut self, request: &Request) -> Reply {
        match (request.method.as_str(), self.fault) {
            (_, Some(Fault::Refused)) => return Reply::Refused,
            (_, Some(Fault::Silence)) => return Reply::Silence,
            ("GET", _) => return self.read(),
            _ => {}
        }
        let reply = self.write(request);
        if self.fault.take() == Some(Fault::AnswerLost) { Reply::Refused } else { reply }
    }

    fn read(&self) -> Reply {
        match &self.lease {
            Some(lease) => Reply::Full(200, lease.to_string()),
            None => Reply::Full(404, r#"{"kind":"Status","details":{"kind":"leases"}}"#.into()),
        }
    }

    fn write(&mut self, request: &Request) -> Reply {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let (status, mut lease) = match (&self.lease, request.method.as_str()) {
            (None, "POST") => (201, body),
            (Some(lease), "PATCH")
                if lease["metadata"]["resourceVersion"] == body["metadata"]["resourceVersion"] =>
            {
                let mut lease = lease.clone();
                for (field, value) in body["spec"].as_object().unwrap() {
                    lease["spec"][field] = value.clone();
                }
                (200, lease)
            }
            _ => return Reply::Full(409, r#"{"kind":"Status","message":"conflict"}"#.into()),
        };
        self.version += 1;
        lease["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.lease = Some(lease.clone());
        Reply::Full(status, lease.to_string())
    }

    fn set(&mut self, holder: &str) {
        self.version += 1;
        self.lease = Some(json!({
            "metadata": {"resourceVersion": self.version.to_string()},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 3},
        }));
    }
}

fn server() -> (Shared, Cluster, Asked) {
    let shared = Shared::default();
    let copy = Arc::clone(&shared);
    let (cluster, asked) = fake::server(move |request| copy.lock().unwrap().reply(request));
    (shared, cluster, asked)
}

fn spec(holder: &str) -> LeaseSpec {
    LeaseSpec::new("a", "tautline", holder)
}

fn field(shared: &Shared, field: &str) -> Value {
    shared.lock().unwrap().lease.as_ref().unwrap()["spec"][field].clone()
}

async fn until_held(receiver: &mut watch::Receiver<Holding>) -> Instant {
    match receiver.wait_for(|holding| matches!(holding, Holding::Held { .. })).await.unwrap().clone() {
        Holding::Held { until } => until,
        Holding::NotHeld { .. } => unreachable!("waited for it"),
    }
}

async fn until_lost(receiver: &mut watch::Receiver<Holding>) -> String {
    match receiver.wait_for(|holding| matches!(holding, Holding::NotHeld { .. })).await.unwrap().clone() {
        Holding::NotHeld { holder } => holder,
        Holding::Held { .. } => unreachable!("waited for it"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_free_lease_is_created_renewed_and_handed_back() {
    let (shared, cluster, asked) = server();
    let started = Instant::now();
    let (mut receiver, handle) = cluster.hold_lease(spec("me"));
    let until = until_held(&mut receiver).await;
    assert_eq!(until - started, Duration::from_secs(12));
    assert!(receiver.borrow().permits_writes());
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert!(receiver.borrow().permits_writes());
    // A look, a creation, and a renewal every five seconds.
    assert_eq!(asked.lock().unwrap().len(), 2 + 12);
    assert_eq!(field(&shared, "leaseTransitions"), 0);
    let time = field(&shared, "renewTime").as_str().unwrap().to_owned();
    assert_eq!(time.len(), "2026-01-01T00:00:00.000000Z".len(), "{time}");
    handle.release().await;
    assert_eq!(field(&shared, "holderIdentity"), "");
    assert_eq!(*receiver.borrow(), Holding::NotHeld { holder: String::new() });
}

#[tokio::test(start_paused = true)]
async fn a_successor_takes_over_soon_after_a_release() {
    let (shared, cluster, _) = server();
    let (mut first, handle) = cluster.hold_lease(spec("first"));
    until_held(&mut first).await;
    let (mut second, _second_handle) = cluster.hold_lease(spec("second"));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(*second.borrow(), Holding::NotHeld { holder: "first".into() });
    handle.release().await;
    let released = Instant::now();
    until_held(&mut second).await;
    assert!(released.elapsed() <= Duration::from_secs(2), "{:?}", released.elapsed());
    assert_eq!(field(&shared, "holderIdentity"), "second");
    assert_eq!(field(&shared, "leaseTransitions"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_holder_is_waited_for_by_our_own_clock() {
    let (shared, cluster, _) = server();
    shared.lock().unwrap().set("dead");
    let started = Instant::now();
    let (mut receiver, _handle) = cluster.hold_lease(spec("me"));
    until_held(&mut receiver).await;
    let waited = started.elapsed();
    assert!(waited > Duration::from_secs(15) && waited < Duration::from_secs(18), "{waited:?}");
    assert_eq!(field(&shared, "leaseTransitions"), 4);
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_renews_keeps_it() {
    let (shared, cluster, _) = server();
    let (receiver, _handle) = cluster.hold_lease(spec("me"));
    for _ in 0..20 {
        shared.lock().unwrap().set("other");
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(*receiver.borrow(), Holding::NotHeld { holder: "other".into() });
    }
}

#[tokio::test(start_paused = true)]
async fn writes_stop_before_others_may_take_over() {
    for fault in [Fault::Refused, Fault::Silence] {
        let (shared, cluster, _) = server();
        let (mut receiver, _handle) = cluster.hold_lease(spec("me"));
        until_held(&mut receiver).await;
        tokio::time::sleep(Duration::from_secs(26)).await;
        // Renewed a second ago.
        shared.lock().unwrap().fault = Some(fault);
        let until = until_held(&mut receiver).await;
        assert_eq!(until_lost(&mut receiver).await, "");
        assert!(Instant::now() >= until && Instant::now() <= until + Duration::from_millis(10));
        // The last renewal was sent 12 s ago; others wait for 15.
        shared.lock().unwrap().fault = None;
        until_held(&mut receiver).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_answer_was_lost_loses_nothing() {
    let (shared, cluster, _) = server();
    let (mut receiver, _handle) = cluster.hold_lease(spec("me"));
    until_held(&mut receiver).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    shared.lock().unwrap().fault = Some(Fault::AnswerLost);
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(receiver.borrow().permits_writes());
    }
    assert_eq!(field(&shared, "leaseTransitions"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_somebody_took_is_given_up_at_the_next_renewal() {
    let (shared, cluster, _) = server();
    let (mut receiver, _handle) = cluster.hold_lease(spec("me"));
    until_held(&mut receiver).await;
    shared.lock().unwrap().set("thief");
    assert_eq!(until_lost(&mut receiver).await, "thief");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(field(&shared, "holderIdentity"), "thief");
}

#[tokio::test(start_paused = true)]
async fn two_who_start_together_do_not_both_hold_it() {
    let (_, cluster, _) = server();
    let (mut first, _first_handle) = cluster.hold_lease(spec("first"));
    let (second, _second_handle) = cluster.hold_lease(spec("second"));
    until_held(&mut first).await;
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!(first.borrow().permits_writes() && second.borrow().permits_writes()));
    }
}

#[tokio::test(start_paused = true)]
async fn releasing_somebody_elses_lease_leaves_it_alone() {
    let (shared, cluster, _) = server();
    shared.lock().unwrap().set("other");
    let (_receiver, handle) = cluster.hold_lease(spec("me"));
    tokio::time::sleep(Duration::from_secs(3)).await;
    handle.release().await;
    assert_eq!(field(&shared, "holderIdentity"), "other");
}

#[tokio::test(start_paused = true)]
async fn a_release_does_not_wait_for_a_dead_server() {
    let (shared, cluster, _) = server();
    let (mut receiver, handle) = cluster.hold_lease(spec("me"));
    until_held(&mut receiver).await;
    shared.lock().unwrap().fault = Some(Fault::Silence);
    let started = Instant::now();
    handle.release().await;
    assert!(started.elapsed() <= RELEASE_TIMEOUT + Duration::from_millis(10));
}
