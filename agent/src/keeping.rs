//! How does what settled become a release, and how does the engine hear of it?
//!
//! ```text
//!  lease ──▶ list ──▶ Listing ──each app──▶ Event::Stable
//!  Effect::Release ──▶ queue of the app ──▶ Store::write ──▶ Event::Stable ──▶ trim, when much is to be trimmed
//! ```
//!
//! One release of an app is written at a time, in the order in which they came. A failed write is tried again for as long as we
//! are the writer: until it is stored, the app has what it had before to go back to.

use crate::agent::Agent;
use crate::culprit::Blames;
use crate::desired::DesiredSet;
use crate::input::Input;
use crate::live::images;
use crate::releases::{NotWritten, Store};
use engine::{Event, Outcome, Word};
use model::{App, AppKey, CallError, ObjectOutcome, Reason, Stable};
use release::{Cause, Head, Listing, Payload, Record, Timings, Unclaimed, Verdict};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Releases that are written at the same time.
const AT_A_TIME: usize = 4;
/// How long it takes at least to write one of what was found: takeovers come by the hundred, and nobody waits for them.
const FOUND: Duration = Duration::from_millis(50);
/// The first and the longest wait before something is tried again that failed.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// How many releases beyond what is kept are trimmed at once.
const BATCH: usize = 5;

/// The agent's part of keeping releases.
pub(crate) struct Keeping {
    is_listed: bool,
    /// Whether that was tried since we write: what follows is decided by it.
    pub was_tried: bool,
    is_listing: bool,
    n_failed: u32,
    turns: Arc<Semaphore>,
    found_turns: Arc<Semaphore>,
    /// What was listed of Applications that have not been read yet: they are told of it then.
    unclaimed: Unclaimed,
}

/// What is known of an app's releases.
#[derive(Default)]
pub(crate) struct Kept {
    /// The number that the next one gets.
    next: u64,
    /// How many there are beyond what was left by the last trim.
    n_since_trim: usize,
    queue: VecDeque<Box<Draft>>,
    is_writing: bool,
    n_failed: u32,
    /// Who is to blame for what failed.
    pub blames: Blames,
}

/// A release that is to be written.
#[derive(Clone)]
pub(crate) struct Draft {
    record: Record,
    /// What it deployed, where it can be gone back to.
    set: Option<Arc<DesiredSet>>,
}

impl Default for Keeping {
    fn default() -> Self {
        Self {
            is_listed: false,
            was_tried: false,
            is_listing: false,
            n_failed: 0,
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
            found_turns: Arc::new(Semaphore::new(1)),
            unclaimed: Unclaimed::default(),
        }
    }
}

fn wait_after(n_failed: u32) -> Duration {
    (FIRST_WAIT * 2_u32.saturating_pow(n_failed.min(10))).min(LONGEST_WAIT)
}

impl Agent {
    /// Lists all releases: whoever wrote before us may have kept some.
    pub(crate) fn list_releases(&mut self) {
        if std::mem::replace(&mut self.keeping.is_listing, true) {
            return;
        }
        let (store, wait) = (self.releases.clone(), self.keeping.n_failed);
        self.spawn(async move {
            if let Some(n_failed) = wait.checked_sub(1) {
                tokio::time::sleep(wait_after(n_failed)).await;
            }
            Input::ReleasesListed(store.list_all().await.map(Box::new))
        });
    }

    /// Takes in which releases there are.
    pub(crate) fn releases_listed(&mut self, outcome: Result<Box<Listing>, CallError>) {
        self.keeping.is_listing = false;
        if !std::mem::replace(&mut self.keeping.was_tried, true) {
            self.dirty.extend(self.apps.keys().cloned());
        }
        let listing = match outcome {
            Ok(listing) => listing,
            Err(error) => {
                if self.keeping.n_failed == 0 {
                    tracing::warn!(%error, "releases cannot be read: nothing is rolled back until they can");
                }
                self.keeping.n_failed = self.keeping.n_failed.saturating_add(1);
                if self.may_write {
                    self.list_releases();
                }
                return;
            }
        };
        self.keeping.n_failed = 0;
        self.keeping.is_listed = true;
        for refusal in &listing.refused {
            tracing::warn!(%refusal, "a release is not used");
        }
        self.keeping.unclaimed = Unclaimed::from(*listing);
        let keys: Vec<AppKey> = self.apps.keys().cloned().collect();
        for key in keys {
            self.claim_releases(&key);
        }
    }

    /// Tells an app's engine what it can go back to, as far as that is known.
    pub(crate) fn tell_releases(&mut self, key: &AppKey) {
        let is_told = self.apps.get(key).is_none_or(|entry| entry.state.knows_releases);
        if !is_told && self.keeping.is_listed {
            self.claim_releases(key);
        }
    }

    /// Takes what was listed of an app. An Application that has not been read has no engine that could be told, and takes it
    /// later.
    fn claim_releases(&mut self, key: &AppKey) {
        let Some(entry) = self.apps.get_mut(key).filter(|entry| entry.app.is_some()) else { return };
        let own = self.keeping.unclaimed.take(key, &entry.stored.uid);
        entry.kept.n_since_trim = own.heads.len().saturating_sub(model::HISTORY);
        if !entry.kept.is_writing {
            entry.kept.next = release::next_number(&own);
            // What was stable then is found again, if it still is.
            entry.kept.queue.retain(|draft| draft.record.verdict != Verdict::Stable);
        }
        let stable = release::newest_stable(&own.heads).map(stable);
        self.event(key, Event::Stable(stable));
        self.write_release(key);
    }

    /// Keeps what came of a sync.
    pub(crate) fn keep_outcome(&mut self, key: &AppKey, app: &App, outcome: Outcome) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        let is_stable = matches!(outcome.word, Word::Stable | Word::Found);
        let set = entry.sets.get(&outcome.hash).cloned();
        if is_stable && set.is_none() {
            // It is found again, and rendered by then.
            entry.state.released = None;
            return;
        }
        let objects = set.iter().flat_map(|set| set.objects.iter());
        let images: BTreeSet<String> = objects.flat_map(|(_, kept)| images(&kept.open().object)).collect();
        let results = entry.state.last.iter().filter(|last| last.hash == Some(outcome.hash));
        let created =
            results.flat_map(|last| &last.results).filter(|result| result.outcome == ObjectOutcome::Created);
        let record = Record {
            app: key.clone(),
            app_uid: app.uid.clone(),
            number: 0,
            hash: outcome.hash,
            revision: outcome.revision,
            verdict: verdict(outcome.word),
            reason: outcome.reason,
            message: outcome.message,
            cause: match outcome.word {
                Word::Found => Cause::Baseline,
                _ if outcome.is_asked_for => Cause::Requested,
                Word::Stable | Word::Failed | Word::RolledBack | Word::Inconclusive => Cause::NewRevision,
            },
            initiated_by: outcome.username,
            source_type: set.as_ref().map(|set| set.summary.source_type.clone()).unwrap_or_default(),
            repo_url: app.source.repo_url.clone(),
            path: app.source.path.clone(),
            timings: Timings {
                seen: outcome.seen_at,
                started: Some(outcome.started_at),
                applied: outcome.applied_at,
                healthy: outcome.healthy_at,
                settled: Some(outcome.ended_at),
                restored: (outcome.word == Word::RolledBack).then(crate::clock::now),
            },
            created: created.map(|result| result.key.clone()).collect(),
            images: images.into_iter().collect(),
            n_objects: set.as_ref().map_or(0, |set| set.objects.len()),
        };
        entry.kept.queue.push_back(Box::new(Draft { record, set: set.filter(|_| is_stable) }));
        self.write_release(key);
    }

    /// Writes the next release of an app, unless one is being written.
    pub(crate) fn write_release(&mut self, key: &AppKey) {
        let is_ready = self.may_write && self.keeping.is_listed;
        let Some(entry) = self.apps.get_mut(key).filter(|_| is_ready) else { return };
        let kept = &mut entry.kept;
        if kept.is_writing {
            return;
        }
        let Some(mut draft) = kept.queue.front().cloned() else { return };
        if !kept.blames.amend(&mut draft.record) {
            return;
        }
        kept.is_writing = true;
        draft.record.number = kept.next.max(1);
        let (n_failed, key) = (kept.n_failed, key.clone());
        let store = self.releases.clone();
        let is_found = draft.record.cause == Cause::Baseline;
        let turns = Arc::clone(if is_found { &self.keeping.found_turns } else { &self.keeping.turns });
        self.spawn(async move {
            if let Some(n_failed) = n_failed.checked_sub(1) {
                tokio::time::sleep(wait_after(n_failed)).await;
            }
            let _permit = turns.acquire_owned().await;
            let outcome = write(&store, &draft).await;
            if is_found {
                tokio::time::sleep(FOUND).await;
            }
            Input::ReleaseWritten(key, outcome.map(Box::new))
        });
    }

    /// Takes in whether a release was written.
    pub(crate) fn release_written(&mut self, key: &AppKey, outcome: Result<Box<Head>, NotWritten>) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        let kept = &mut entry.kept;
        kept.is_writing = false;
        match outcome {
            Ok(head) => {
                kept.queue.pop_front();
                kept.n_failed = 0;
                kept.next = head.record.number.saturating_add(1);
                kept.n_since_trim += 1;
                let record = &head.record;
                tracing::info!(
                    app = %key, release = record.number, verdict = %record.verdict,
                    revision = record.revision.short(), reason = %record.reason.unwrap_or(Reason::Stable),
                    "a release is kept"
                );
                if record.verdict == Verdict::Stable {
                    let stable = stable(&head);
                    self.event(key, Event::Stable(Some(stable)));
                }
                self.trim_releases(key);
            }
            Err(NotWritten::Taken(refusal)) => {
                tracing::warn!(app = %key, %refusal, "a release's number is taken; it gets the next one");
                kept.next = kept.next.max(1).saturating_add(1);
            }
            Err(NotWritten::Call(error)) => {
                if kept.n_failed == 0 {
                    tracing::warn!(app = %key, %error, "a release could not be kept, and is tried again");
                }
                kept.n_failed = kept.n_failed.saturating_add(1);
            }
        }
        self.write_release(key);
    }

    /// Trims an app's releases once there are some to be trimmed together: whoever trims lists them first.
    fn trim_releases(&mut self, key: &AppKey) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        let Some(app) = &entry.app else { return };
        if entry.kept.n_since_trim < BATCH || !entry.kept.queue.is_empty() {
            return;
        }
        entry.kept.n_since_trim = 0;
        let (store, key, uid, limit) =
            (self.releases.clone(), key.clone(), app.uid.clone(), app.history_limit);
        let turns = Arc::clone(&self.keeping.found_turns);
        // What is left undone the next one does.
        self.spawn(async move {
            let _permit = turns.acquire_owned().await;
            let failure = match store.list(&key, &uid).await {
                Ok(listing) => store.trim(listing.heads, limit).await.1,
                Err(error) => Some(error),
            };
            if let Some(error) = failure {
                tracing::warn!(app = %key, %error, "old releases could not be trimmed; that is tried again later");
            }
            Input::ReleasesTrimmed
        });
    }
}

async fn write(store: &Store, draft: &Draft) -> Result<Head, NotWritten> {
    let Some(set) = draft.set.clone() else { return store.write(&draft.record, None).await };
    let packed = tokio::task::spawn_blocking(move || Payload::pack(set.plain().iter())).await;
    match packed {
        Ok(Ok(payload)) => store.write(&draft.record, Some(&payload)).await,
        Ok(Err(error)) => {
            tracing::warn!(app = %draft.record.app, %error, "a release is kept without its objects: it cannot be gone back to");
            store.write(&draft.record, None).await
        }
        Err(_) => Err(NotWritten::Call(CallError::new(
            model::ErrorClass::Unavailable,
            "packing ended unexpectedly",
        ))),
    }
}

fn verdict(word: Word) -> Verdict {
    match word {
        Word::Stable | Word::Found => Verdict::Stable,
        Word::Failed => Verdict::Failed,
        Word::RolledBack => Verdict::RolledBack,
        Word::Inconclusive => Verdict::Inconclusive,
    }
}

/// Returns what the engine sees of a release that settled.
pub(crate) fn stable(head: &Head) -> Stable {
    let record = &head.record;
    Stable {
        number: record.number,
        hash: record.hash,
        revision: record.revision.clone(),
        is_baseline: record.cause == Cause::Baseline,
    }
}

#[cfg(test)]
mod tests;
