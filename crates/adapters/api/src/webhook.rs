//! What does a webhook come to? A hint that some repositories moved, and an answer before anything is done about it.
//!
//! ```text
//! headers ─▶ provider ─▶ signature over the raw body ─▶ payload ─▶ pushes ──wait, take──▶ agent: one poll each
//! ```
//!
//! Nothing that a payload says is believed but where to look: which commit a branch is at is asked of Git. A repository that
//! is told of many times before the agent takes it stands in [`Webhooks::take`] once, so a flood costs neither memory nor
//! polls.

mod address;
mod payload;
mod provider;
mod signature;

pub use address::repository_key;
pub use provider::Provider;

use crate::body_room::BodyRoom;
use crate::{ApiError, Body, Reply};
use payload::Told;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use warp::http::header::HeaderMap;

/// How many repositories may wait for the agent. Whoever tells of more is asked to come back: polls find what moved anyway.
const MOST_WAITING: usize = 1_000;

/// Bytes of webhooks that are on their way at the same time: as many as 16 of the largest.
const MOST_BODIES: usize = 16 * 1024 * 1024;

/// By what a provider's webhooks are checked. Does not print: it holds secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum Check {
    /// No secret is set: whoever reaches the API may hint, as in Argo CD.
    Open,
    /// Only who knows this may.
    Secret(Vec<u8>),
    /// A secret is set, and nobody knows which: nobody may.
    Unreadable,
}

/// Between the API, which is told of pushes, and the agent, which looks at Git.
pub struct Webhooks {
    checks: Mutex<Option<BTreeMap<Provider, Check>>>,
    pushed: Mutex<BTreeSet<String>>,
    came: Notify,
    n_accepted: AtomicU64,
    n_refused: AtomicU64,
    bodies: Arc<BodyRoom>,
}

/// A webhook that is counted when this is dropped.
pub(crate) struct Counted<'a> {
    webhooks: &'a Webhooks,
    is_accepted: bool,
}

impl Counted<'_> {
    /// It is what it says.
    pub(crate) fn accept(&mut self) {
        self.is_accepted = true;
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let Self { webhooks, is_accepted } = self;
        let counter = if *is_accepted { &webhooks.n_accepted } else { &webhooks.n_refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            checks: Mutex::default(),
            pushed: Mutex::default(),
            came: Notify::default(),
            n_accepted: AtomicU64::default(),
            n_refused: AtomicU64::default(),
            bodies: BodyRoom::new(MOST_BODIES),
        }
    }
}

impl Webhooks {
    /// Replaces what webhooks are checked by; providers that are not named are [`Check::Open`]. Until this is called the
    /// first time, every webhook is refused.
    pub fn check_by(&self, checks: BTreeMap<Provider, Check>) {
        *self.checks.lock().unwrap_or_else(PoisonError::into_inner) = Some(checks);
    }

    /// Waits until there is something to take that was not there before.
    pub async fn wait(&self) {
        self.came.notified().await;
    }

    /// Takes the repositories that may have moved, by [`repository_key`].
    pub fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.pushed())
    }

    /// Returns how many webhooks were accepted and refused so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.n_accepted.load(Ordering::Relaxed), self.n_refused.load(Ordering::Relaxed))
    }

    /// Returns the room for those that are on their way: anybody may send one.
    pub(crate) fn bodies(&self) -> &Arc<BodyRoom> {
        &self.bodies
    }

    /// Counts one that came, as refused unless it is accepted: also where its sender goes, or is cut off.
    pub(crate) fn begin(&self) -> Counted<'_> {
        Counted { webhooks: self, is_accepted: false }
    }

    /// Takes a webhook in: who sent it, whether they may, which repositories it is about.
    ///
    /// # Errors
    /// 400 for what cannot be read, 401 for a signature that is missing or wrong, 503 while secrets are not known.
    pub(crate) fn receive(&self, headers: &HeaderMap, body: &[u8]) -> Reply {
        let provider = Provider::of(headers)?;
        signature::check(provider, &self.check_of(provider)?, headers, body)?;
        let message = match payload::read(provider, headers, body)? {
            Told::Nothing(event) => format!("nothing follows from {event}, only from a push"),
            Told::Push(repositories) => {
                self.push(repositories)?;
                "the repository is asked for what moved".to_owned()
            }
        };
        Ok(Body::Json(json!({ "message": message })))
    }

    fn check_of(&self, provider: Provider) -> Result<Check, ApiError> {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(checks) = &*checks else {
            return Err(ApiError::unavailable(
                "the Secret argocd-secret, which webhooks are checked by, has not been read yet; send it again later",
            ));
        };
        Ok(checks.get(&provider).cloned().unwrap_or(Check::Open))
    }

    fn push(&self, repositories: BTreeSet<String>) -> Result<(), ApiError> {
        let mut pushed = self.pushed();
        let n_new = repositories.iter().filter(|key| !pushed.contains(*key)).count();
        if pushed.len() + n_new > MOST_WAITING {
            return Err(ApiError::unavailable(
                "too many repositories wait for being asked; this one is when its next poll is due",
            ));
        }
        let is_first = pushed.is_empty();
        pushed.extend(repositories);
        drop(pushed);
        if is_first {
            self.came.notify_one();
        }
        Ok(())
    }

    fn pushed(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.pushed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
