//! May we write? One holder at a time, by a Lease that we renew or lose.
//!
//! ```text
//!   NotHeld ──free, expired by our own clock, or ours──▶ Held ──renewed──▶ Held, until later
//!      ▲                                                  │
//!      └── somebody else's, or not renewed in time ◀──────┘
//! ```
//!
//! The protocol is client-go's leader election (`coordination.k8s.io/v1`), so that its rules hold here, too: a holder
//! stops before its lease ends, and another takes over only after it watched the lease stand still for its whole duration.
//! Clocks are never compared between machines. Every write is guarded by the resourceVersion that was read.

use crate::backoff::spread;
use crate::call::{Call, Verb};
use crate::endpoint::with_query;
use crate::watch::now;
use crate::{Cluster, Endpoint};
use http::Method;
use model::{CallError, ErrorClass, Timestamp, names};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Longest time that handing the lease back may take.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(3);

/// Which lease, whose, and how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseSpec {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who we are; no other process may be called the same.
    pub holder: String,
    /// How long others wait for a holder that fell silent, in whole seconds.
    pub duration: Duration,
    /// How often it is renewed while all is well.
    pub renew: Duration,
    /// How often we try while it is not ours, or a renewal failed.
    pub retry: Duration,
}

impl LeaseSpec {
    /// Names a lease of 15 s, renewed every 5 s, tried for every 2 s at most.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>, holder: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            holder: holder.into(),
            duration: Duration::from_secs(15),
            renew: Duration::from_secs(5),
            retry: Duration::from_secs(2),
        }
    }

    /// How long after a renewal was sent we may write: a fifth less than others wait, for writes that are on their way.
    fn usable(&self) -> Duration {
        self.duration.mul_f64(0.8)
    }
}

/// Whether we hold the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holding {
    /// We do.
    Held {
        /// No write begins after this; it moves on with each renewal. A process that was stopped for a while finds it in
        /// the past.
        until: Instant,
    },
    /// We do not.
    NotHeld {
        /// Who does, as far as we know; empty for nobody.
        holder: String,
    },
}

impl Holding {
    /// Returns whether a write may begin now.
    pub fn permits_writes(&self) -> bool {
        match self {
            Self::Held { until } => Instant::now() < *until,
            Self::NotHeld { .. } => false,
        }
    }
}

/// Keeps trying for the lease, and renewing it. Dropping it stops both, and the lease runs out by itself.
#[derive(Debug)]
pub struct LeaseHandle {
    release: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl LeaseHandle {
    /// Hands the lease back, so that a successor need not wait for its end. Whoever calls this has stopped writing.
    /// Takes some seconds at most.
    pub async fn release(mut self) {
        if let Some(release) = self.release.take() {
            // The task may have ended with its runtime; then there is nobody to tell.
            let _told = release.send(());
        }
        if let Some(task) = self.task.take() {
            // A panic in the task leaves the lease to run out.
            let _ended = task.await;
        }
    }
}

impl Drop for LeaseHandle {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Cluster {
    /// Tries for a lease until it is held, and renews it until the handle is released or dropped. From now on this cluster
    /// sends no other write than the lease's own while it is not held: such a write fails as [`ErrorClass::Withheld`].
    pub fn hold_lease(&self, spec: LeaseSpec) -> (watch::Receiver<Holding>, LeaseHandle) {
        self.inner.permit.withdraw();
        let (sender, receiver) = watch::channel(Holding::NotHeld { holder: String::new() });
        let (release, released) = oneshot::channel();
        let holder = Holder { cluster: self.clone(), spec, sender, seen: None, until: None, told: None };
        let task = tokio::spawn(holder.run(released));
        (receiver, LeaseHandle { release: Some(release), task: Some(task) })
    }
}

/// The lease as we last saw it change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    resource_version: String,
    holder: String,
    duration: Duration,
    transitions: i64,
    /// By our clock.
    at: Instant,
}

impl Seen {
    /// Reads a Lease; one that does not say how long it lasts lasts as long as ours.
    fn read(lease: &Value, at: Instant, default: Duration) -> Self {
        let spec = &lease["spec"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            resource_version: text(&lease["metadata"]["resourceVersion"]),
            holder: text(&spec["holderIdentity"]),
            duration: spec["leaseDurationSeconds"].as_u64().map_or(default, Duration::from_secs),
            transitions: spec["leaseTransitions"].as_i64().unwrap_or(0),
            at,
        }
    }

    fn is_free_for(&self, holder: &str, now: Instant) -> bool {
        self.holder.is_empty() || self.holder == holder || now > self.at + self.duration
    }
}

struct Holder {
    cluster: Cluster,
    spec: LeaseSpec,
    sender: watch::Sender<Holding>,
    seen: Option<Seen>,
    /// Until when we may write; `None` while we do not hold it.
    until: Option<Instant>,
    /// What kind of failure was told last; none once it was had again.
    told: Option<ErrorClass>,
}

impl Holder {
    async fn run(mut self, mut released: oneshot::Receiver<()>) {
        loop {
            let wait = tokio::select! {
                // Dropping the attempt may leave it sent or not; what follows reads the lease again.
                _ = &mut released => break,
                wait = self.round() => wait,
            };
            tokio::select! {
                _ = &mut released => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.lose(String::new());
        // Where this fails the lease runs out by itself.
        let _in_time = tokio::time::timeout(RELEASE_TIMEOUT, self.hand_back()).await;
    }

    /// Tries once; returns how long to wait before the next attempt.
    async fn round(&mut self) -> Duration {
        let started = Instant::now();
        let result = match self.until {
            // The attempt ends in time to say that the lease is lost.
            Some(until) => tokio::time::timeout_at(until, self.attempt()).await.ok(),
            None => Some(self.attempt().await),
        };
        self.tell(result);
        let now = Instant::now();
        match self.until {
            Some(until) if until <= now => {
                self.lose(String::new());
                spread(self.spec.retry)
            }
            // Renewed in this round.
            Some(until) if until >= started + self.spec.usable() => {
                self.spec.renew.saturating_sub(now - started)
            }
            Some(until) => spread(self.spec.retry).min(until - now),
            None => spread(self.spec.retry),
        }
    }

    /// Says why the lease is not to be had, once per cause: nobody would know why nothing is written.
    fn tell(&mut self, result: Option<Result<(), CallError>>) {
        match result {
            // Somebody else wrote it at the same time.
            Some(Err(error)) if error.class == ErrorClass::Conflict => {}
            Some(Err(error)) if self.told != Some(error.class) => {
                self.told = Some(error.class);
                tracing::warn!(lease = %self.spec.name, %error, "the Lease cannot be taken or renewed; nothing is written without it");
            }
            Some(Err(_)) | None => {}
            Some(Ok(())) => self.told = None,
        }
    }

    async fn attempt(&mut self) -> Result<(), CallError> {
        if self.until.is_none() || self.seen.is_none() {
            self.look().await?;
        }
        let sent = Instant::now();
        let Some(seen) = self.seen.clone() else {
            let created = self.create().await?;
            self.take(&created, sent);
            return Ok(());
        };
        if !seen.is_free_for(&self.spec.holder, sent) {
            self.lose(seen.holder);
            return Ok(());
        }
        match self.write(&seen, &self.renewal(&seen)).await {
            Ok(lease) => {
                self.take(&lease, sent);
                Ok(())
            }
            Err(error) => {
                // Somebody wrote, or our own write arrived and its answer did not: look before the next attempt.
                if matches!(error.class, ErrorClass::Conflict | ErrorClass::NotFound) {
                    self.look().await?;
                    self.note_other();
                }
                Err(error)
            }
        }
    }

    /// Reads the lease; the moment counts only if it has changed since.
    async fn look(&mut self) -> Result<(), CallError> {
        let mut call = Call::new(Verb::Get, &endpoint(), Method::GET, self.path()?);
        call.priority = None;
        call.timeout = Some(self.timeout());
        match self.cluster.call(call).await {
            Ok(answer) => {
                let seen = Seen::read(&answer.json()?, Instant::now(), self.spec.duration);
                if self.seen.as_ref().is_none_or(|old| old.resource_version != seen.resource_version) {
                    self.seen = Some(seen);
                }
                Ok(())
            }
            Err(error) if error.class == ErrorClass::NotFound => {
                self.seen = None;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Gives up at once where the lease turned out to be somebody else's.
    fn note_other(&mut self) {
        let other = self.seen.as_ref().map(|seen| seen.holder.clone()).unwrap_or_default();
        if other != self.spec.holder {
            self.lose(other);
        }
    }

    fn take(&mut self, lease: &Value, sent: Instant) {
        self.seen = Some(Seen::read(lease, Instant::now(), self.spec.duration));
        let until = sent + self.spec.usable();
        self.until = Some(until);
        self.cluster.inner.permit.extend(until);
        self.sender.send_replace(Holding::Held { until });
    }

    fn lose(&mut self, holder: String) {
        self.until = None;
        self.cluster.inner.permit.withdraw();
        let now = Holding::NotHeld { holder };
        self.sender.send_if_modified(|held| {
            let is_news = *held != now;
            *held = now;
            is_news
        });
    }

    fn renewal(&self, seen: &Seen) -> Value {
        let now = micro_time(now());
        let mut spec = json!({
            "holderIdentity": self.spec.holder,
            "leaseDurationSeconds": self.spec.duration.as_secs(),
            "renewTime": now,
        });
        if seen.holder != self.spec.holder {
            spec["acquireTime"] = now.into();
            spec["leaseTransitions"] = (seen.transitions + 1).into();
        }
        spec
    }

    async fn create(&self) -> Result<Value, CallError> {
        let now = micro_time(now());
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"namespace": self.spec.namespace, "name": self.spec.name},
            "spec": {
                "holderIdentity": self.spec.holder,
                "leaseDurationSeconds": self.spec.duration.as_secs(),
                "acquireTime": now, "renewTime": now, "leaseTransitions": 0,
            },
        });
        let path = endpoint().collection(Some(&self.spec.namespace));
        let url = with_query(&path, &[("fieldManager", names::FIELD_MANAGER)]);
        let call = Call::new(Verb::Create, &endpoint(), Method::POST, url);
        self.send(call.with_body("application/json", &lease)).await
    }

    async fn write(&self, seen: &Seen, spec: &Value) -> Result<Value, CallError> {
        let patch = json!({"metadata": {"resourceVersion": seen.resource_version}, "spec": spec});
        let url = with_query(&self.path()?, &[("fieldManager", names::FIELD_MANAGER)]);
        let call = Call::new(Verb::Patch, &endpoint(), Method::PATCH, url);
        self.send(call.with_body("application/merge-patch+json", &patch)).await
    }

    async fn hand_back(&mut self) -> Result<(), CallError> {
        // An attempt may have been under way: what the server says counts, not what we know.
        self.look().await?;
        if let Some(seen) = self.seen.clone().filter(|seen| seen.holder == self.spec.holder) {
            let spec =
                json!({"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": micro_time(now())});
            self.write(&seen, &spec).await?;
        }
        Ok(())
    }

    async fn send(&self, call: Call) -> Result<Value, CallError> {
        let mut call = call.with_priority(None);
        call.needs_permit = false;
        call.timeout = Some(self.timeout());
        self.cluster.call(call).await?.json()
    }

    fn path(&self) -> Result<String, CallError> {
        endpoint().object(&self.spec.namespace, &self.spec.name)
    }

    /// Two attempts fit between a renewal and its end.
    fn timeout(&self) -> Duration {
        self.cluster.inner.call_timeout.min(self.spec.duration / 4)
    }
}

fn endpoint() -> Endpoint {
    Endpoint::new("coordination.k8s.io/v1", "Lease", "leases", true)
}

/// Writes Kubernetes' `MicroTime`: RFC 3339 with exactly six digits of fraction.
fn micro_time(time: Timestamp) -> String {
    let seconds = time.to_string();
    format!("{}.{:03}000Z", seconds.trim_end_matches('Z'), time.as_millis().rem_euclid(1_000))
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
