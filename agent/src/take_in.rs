//! What follows from each input?

use crate::agent::Agent;
use crate::desired::{DesiredSet, NotRendered};
use crate::input::{Input, RenderError};
use crate::judge;
use crate::polling::Polled;
use crate::repo::{News, Turn};
use crate::sources::RepoId;
use engine::{Event, SourceFailure};
use model::{AppKey, ObjectKey, ObjectOutcome, ObjectResult, Reason, Revision, SyncId};
use source::SourceError;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Agent {
    /// Takes in one input.
    pub(crate) fn take_in(&mut self, input: Input) {
        self.notice_lapse();
        match input {
            Input::Watch(id, event) => self.watch_event(id, event),
            Input::Polled(id, number, polled) => self.polled(&id, number, &polled),
            Input::Hint(url) => self.repos.hint(&url, Instant::now()),
            Input::Pushed => self.pushed(),
            Input::Rendered(key, serial, revision, outcome) => self.rendered(&key, serial, revision, outcome),
            Input::Prepared(key, sync, outcome) => self.prepared(&key, sync, outcome),
            Input::StageDone(key, sync, results, seen) => {
                self.turns.n_stages = self.turns.n_stages.saturating_sub(1);
                self.note_created(&key, &results, &seen);
                for seen in seen {
                    self.applied(&key, seen);
                }
                self.discover_missed(&results);
                self.event(&key, Event::StageDone { sync, results });
                self.begin_waiting();
                self.take_turns();
            }
            Input::Checked(asked, checked) => self.checked(&asked, checked),
            Input::CheckDue(key, object, n_failed) => self.check_due(&key, &object, n_failed),
            Input::LookedUp(key, object, found) => self.looked_up(&key, &object, found),
            Input::Rested(key) => self.rested(&key),
            Input::Confirmed(key, uid, found) => self.confirmed(&key, &uid, found),
            Input::StatusWritten(key, outcome) => self.status_written(&key, outcome),
            Input::StatusDue(key) => self.status_due(&key),
            Input::Culprit(key, suspect, culprit) => self.culprit_found(&key, &suspect, culprit),
            Input::Recalled(key, release, outcome) => self.recalled(&key, release, outcome),
            Input::Inspected(key, hash, since, looks) => self.inspected(&key, (hash, since), looks),
            Input::Differs(key, hash, keys) => self.event(&key, Event::Differs { hash, keys }),
            Input::Reverted(wrong, pushed) => self.reverted(&wrong, pushed),
            Input::ReleasesListed(outcome) => self.releases_listed(outcome),
            Input::ReleaseWritten(key, outcome) => self.release_written(&key, outcome),
            Input::ReleasesTrimmed | Input::UnreadTold => {}
            Input::Replaced(app, workload, stuck, outcome) => {
                self.replaced(&app, &workload, &stuck, outcome);
            }
            Input::Cascaded(key, pass, answers) => self.cascaded(&key, pass, answers),
            Input::Finalized(key, outcome) => self.finalized(&key, outcome),
            Input::Discovered(outcome) => self.discovered(outcome),
            Input::DiscoveryDue => self.discovery_due(),
            Input::KindsRead(outcome) => self.kinds_read(outcome),
            Input::KindsRecorded(outcome) => self.kinds_recorded(outcome),
            Input::KindsDue => self.kinds_due(),
            Input::RefreshAsked(key, asked) => self.refresh_asked(&key, asked),
            Input::Patched(key, object) => self.application_seen(&key, *object),
            Input::Waiting(news) => self.wait_news(news),
            Input::Api(request) => self.answer(request),
            Input::Scrape(reply) => {
                // Whoever asked may be gone.
                let _unheard = reply.send(crate::exposition::text(self));
            }
            Input::Lease(held) => self.lease_changed(&held),
        }
    }

    fn polled(&mut self, id: &RepoId, number: u64, polled: &Polled) {
        let interval = self.settings.poll_interval.unwrap_or(self.config.poll_interval);
        // Polling that is switched off still recovers from failures.
        let interval = if interval.is_zero() { Duration::from_hours(24) } else { interval };
        let n_ignored = self.repos.get(id).map_or(0, |repo| repo.n_ignored);
        let polled_at = Instant::now();
        let Some((news, turn)) = self.repos.polled((id, number), polled, interval, polled_at) else { return };
        tell(id, turn);
        if let Ok(found) = polled
            && found.n_ignored > n_ignored
        {
            let (url, n) = (&id.url, found.n_ignored);
            tracing::warn!(
                repository = url,
                n,
                "refs are ignored: their names cannot be printed, or are none to Git"
            );
        }
        self.waits_looked(id, number, polled);
        for News { app, answer, is_overheard, went_back_from } in news {
            if let (Ok(revision), Some(old)) = (&answer, went_back_from) {
                let (revision, reason) = (revision.short(), Reason::NewRevision);
                let from = old.short();
                tracing::warn!(%app, revision, %reason, from, "the ref went back to an older commit");
            }
            let answer = answer.map_err(|error| failure(&error));
            let event = match answer {
                _ if is_overheard => Event::Overheard(answer),
                Ok(revision) => Event::Resolved(revision),
                Err(failure) => Event::SourceFailed(failure),
            };
            self.event(&app, event);
        }
        self.judge_waits_on(id);
    }

    fn rendered(
        &mut self,
        key: &AppKey,
        serial: u64,
        revision: Revision,
        outcome: Result<Arc<DesiredSet>, RenderError>,
    ) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        // Of an older spec, or of a commit that is not wanted any more.
        if entry.spec_serial != serial || entry.state.rendering.as_ref() != Some(&revision) {
            return;
        }
        // The handle of a task keeps all of its memory.
        entry.rendering = None;
        let event = match outcome {
            Ok(set) => {
                let summary = Arc::clone(&set.summary);
                self.take_set(key, set);
                Event::Rendered(summary)
            }
            Err(RenderError::Source(error)) if !error.is_of_content() => Event::SourceFailed(failure(&error)),
            Err(RenderError::Source(error)) => {
                let mut problem = model::Problem::new(error.message.clone());
                problem.help.clone_from(&error.help);
                Event::RenderFailed { revision, problems: vec![problem] }
            }
            Err(RenderError::Content(NotRendered::Invalid(problems))) => {
                Event::RenderFailed { revision, problems }
            }
            Err(RenderError::Content(NotRendered::Unsupported(not_yet))) => {
                Event::Unsupported { revision, not_yet }
            }
        };
        let failed_at_once = matches!(&event, Event::SourceFailed(_));
        self.event(key, event);
        if failed_at_once {
            // The refs were read but the content was not: the next poll has to ask for it again.
            self.repos.ask(key, Instant::now() + Duration::from_secs(5));
        }
        if let Some(entry) = self.apps.get_mut(key) {
            entry.drop_old_sets();
        }
    }

    /// Keeps a rendered set: watches its kinds, claims its objects, stores it for the next start.
    fn take_set(&mut self, key: &AppKey, set: Arc<DesiredSet>) {
        let gvks: BTreeSet<_> = set.objects.gvks().collect();
        for gvk in &gvks {
            self.watch_kind(gvk);
        }
        let keys: BTreeSet<ObjectKey> = set.objects.keys().cloned().collect();
        let is_first = !self.claims.knows(key);
        let affected = self.claims.set(key, keys);
        self.dirty.extend(affected);
        if is_first {
            // What it holds and does not want is free for others from now on.
            let part_of = self.apps.get(key).map_or_else(String::new, |entry| entry.part_of.clone());
            self.touch_held(&part_of);
        }
        self.release_unwanted();
        let Some(entry) = self.apps.get_mut(key) else { return };
        let is_known = entry.sets.get(&set.hash()).is_some_and(|old| old.inputs == set.inputs);
        entry.probed.clear();
        entry.undecided.retain(|object| set.objects.contains_key(object));
        entry.sets.insert(set.hash(), Arc::clone(&set));
        // A guessed scope is not worth remembering.
        if !is_known && !set.has_unknown_kinds {
            self.cache.store(key, set);
        }
    }

    fn prepared(&mut self, key: &AppKey, sync: SyncId, outcome: Result<Arc<DesiredSet>, String>) {
        let entry = self.apps.get_mut(key);
        if let Some(entry) = entry.filter(|entry| entry.state.run().is_some_and(|run| run.id == sync)) {
            entry.preparing = None;
        }
        let desired = outcome.map(|set| {
            let summary = Arc::clone(&set.summary);
            let run = self.apps.get(key).and_then(|entry| entry.state.run());
            if run.is_some_and(|run| run.id == sync && !run.is_pinned()) {
                self.take_set(key, set);
                return summary;
            }
            for gvk in set.objects.gvks() {
                self.watch_kind(&gvk);
            }
            if let Some(entry) = self.apps.get_mut(key) {
                entry.sets.insert(set.hash(), set);
            }
            summary
        });
        self.event(key, Event::Prepared { sync, desired });
    }

    /// Takes in what an apply showed: newer than any watch event so far.
    fn applied(&mut self, app: &AppKey, seen: crate::apply::Seen) {
        let key = seen.object.key();
        if self.is_gone(&key, seen.object.uid()) {
            return;
        }
        let is_old = self.live.get(&key).is_some_and(|entry| {
            let known = entry.digest.resource_version.as_str();
            !entry.is_listed_anew && crate::live::is_newer(known, seen.object.resource_version())
        });
        if is_old {
            // A watch event overtook the answer; what it showed is judged against the new baseline.
            if let Some(entry) = self.live.get_mut(&key) {
                entry.baseline = Some(seen.baseline);
            }
            return;
        }
        let assessment = self.assess(&seen.object);
        let old = self.live.remove(&key);
        let mut entry = judge::entry(seen.object, &self.identity.instance_label, assessment, old);
        entry.unjudged = None;
        // What was applied may be older than what Git wants by now; then it is judged again.
        entry.judged_by =
            self.question(app, &key).filter(|_| self.wants(app, &key) == Some(seen.baseline.desired));
        entry.digest.matching = model::Match::InSync;
        entry.baseline = Some(seen.baseline);
        self.live.insert(entry);
        if let Some(entry) = self.apps.get_mut(app) {
            entry.undecided.decided(&key);
        }
        self.touch(&key);
    }

    /// Remembers what a sync created, so that it is told from what was there before.
    fn note_created(&mut self, key: &AppKey, results: &[ObjectResult], seen: &[crate::apply::Seen]) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        let created: BTreeSet<&ObjectKey> = results
            .iter()
            .filter(|result| result.outcome == ObjectOutcome::Created)
            .map(|result| &result.key)
            .collect();
        let uids = seen.iter().map(|seen| (seen.object.key(), seen.object.uid().to_owned()));
        entry.created.extend(uids.filter(|(key, _)| created.contains(key)));
    }

    fn finalized(&mut self, key: &AppKey, outcome: Result<(), model::CallError>) {
        if let Err(error) = outcome {
            tracing::warn!(app = %key, %error, "the finalizers could not be removed; trying again");
            self.event(
                key,
                Event::Cascaded(engine::CascadePass {
                    failed: vec![format!("the finalizers could not be removed: {error}")],
                    ..engine::CascadePass::default()
                }),
            );
        }
    }
}

/// Says that a repository, or a commit of it, cannot be read for now, such as while its host is away or the disk is full: the
/// status of its apps goes on to tell of the commit before.
fn tell(id: &RepoId, turn: Option<Turn>) {
    match turn {
        Some(Turn::Worse(error)) => {
            let reason = Reason::SourceUnavailable.as_str();
            tracing::warn!(
                repository = id.url,
                error,
                reason,
                "the repository cannot be read; it is tried again"
            );
        }
        Some(Turn::Better) => {
            let reason = Reason::SourceAvailable.as_str();
            tracing::info!(repository = id.url, reason, "the repository can be read again");
        }
        None => {}
    }
}

pub(crate) fn failure(error: &SourceError) -> SourceFailure {
    SourceFailure {
        message: error.to_string(),
        is_transient: error.is_transient(),
        lacks_credentials: error.lacks_credentials(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Harness, shop};
    use engine::SourceView;
    use source::Kind;

    #[tokio::test]
    async fn who_may_not_read_a_commit_says_nothing_of_what_it_holds() {
        for (kind, is_bad) in [
            (Kind::Authentication, false),
            (Kind::RepositoryNotFound, false),
            (Kind::RevisionNotFound, false),
            (Kind::Untrusted, false),
            (Kind::Unavailable, false),
            (Kind::PathNotFound, true),
            (Kind::Invalid, true),
        ] {
            let mut harness = Harness::new(&[]).await;
            let agent = &mut harness.agent;
            let entry = agent.apps.get_mut(&shop()).unwrap();
            let (serial, revision) = (entry.spec_serial, Revision::new("1"));
            entry.state.rendering = Some(revision.clone());
            let error = RenderError::Source(source::SourceError::new(kind, "no"));
            agent.rendered(&shop(), serial, revision, Err(error));
            let source = &agent.apps[&shop()].state.source;
            assert_eq!(matches!(source, SourceView::Invalid(..)), is_bad, "{kind:?}: {source:?}");
            assert_eq!(matches!(source, SourceView::Failing(..)), !is_bad, "{kind:?}: {source:?}");
        }
    }
}
