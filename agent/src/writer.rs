//! When is a status written? One write at a time per app, the newest report wins, and an equal status costs nothing.

use crate::agent::Agent;
use crate::applications::{get_application, patch_application};
use crate::apps::Writer;
use crate::clock::now;
use crate::fit::is_too_large;
use crate::input::Input;
use crate::stages::IN_FLIGHT;
use crate::status;
use cluster::Priority;
use engine::Report;
use model::{AppKey, CallError, ErrorClass, Object, names};
use serde_json::Value;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// Writes under way at most: more than requests that may be in flight. What waits is made when its turn comes, from
/// the newest report, and costs no memory until then.
const MOST: usize = 2 * IN_FLIGHT;

/// The same while many syncs apply.
const MOST_WHILE_BUSY: usize = 4;

/// Whose status is written when.
#[derive(Default)]
pub(crate) struct Turns {
    /// Stages of syncs under way.
    pub n_stages: usize,
    /// Writes under way.
    n_writes: usize,
    /// Apps whose write waits for a place.
    due: VecDeque<AppKey>,
    /// Apps whose sync goes on and whose progress would be told if there were time.
    progress: BTreeSet<AppKey>,
}

impl Turns {
    /// Returns whether another write may begin. Where much is being applied the API server is for that first: writing an
    /// Application is the dearest request that there is.
    fn has_room(&self) -> bool {
        self.n_writes < if self.is_busy() { MOST_WHILE_BUSY } else { MOST }
    }

    /// Returns whether so much is being applied that writes of progress would only hold it up: some of these syncs wait for
    /// the API server, and most are over before anybody has read that they run.
    fn is_busy(&self) -> bool {
        self.n_stages > IN_FLIGHT
    }
}

impl Agent {
    /// Writes a report into the Application's status.
    pub(crate) fn write_status(&mut self, key: &AppKey, report: Box<Report>) {
        self.tell_status(key, &report);
        let Some(entry) = self.apps.get_mut(key) else { return };
        entry.writer.next = Some(report);
        self.next_write(key);
    }

    /// Writes the last report again if somebody else changed what it says.
    pub(crate) fn rewrite_status(&mut self, key: &AppKey) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        if entry.writer.next.is_none() {
            entry.writer.next.clone_from(&entry.state.reported);
        }
        self.next_write(key);
    }

    /// Starts every write that waited for the lease.
    pub(crate) fn start_writes(&mut self) {
        let keys: Vec<AppKey> = self.apps.keys().cloned().collect();
        for key in keys {
            self.next_write(&key);
        }
    }

    fn next_write(&mut self, key: &AppKey) {
        if self.may_write_next(key)
            && let Some((report, patch)) = self.take_next(key)
        {
            self.send_status(key, report, patch);
        }
    }

    /// Returns whether an app's next write may begin; one that has to wait is remembered.
    fn may_write_next(&mut self, key: &AppKey) -> bool {
        let Some(entry) = self.apps.get(key) else { return false };
        // No answer to a write can be read, nor what else stands there.
        let is_unread = self.unread.contains_key(key);
        if entry.writer.is_writing || entry.writer.is_resting || is_unread || !self.may_write {
            return false;
        }
        let is_progress =
            |report: &Report| report.operation.as_ref().is_some_and(|o| !o.phase.is_completed());
        match &entry.writer.next {
            None => return false,
            Some(report) if is_progress(report) && self.turns.is_busy() => {
                self.turns.progress.insert(key.clone());
            }
            Some(_) if !self.turns.has_room() => self.turns.due.push_back(key.clone()),
            Some(_) if !entry.writer.has_rested && !entry.writer.rest().is_zero() => self.wait_to_write(key),
            Some(_) => return true,
        }
        false
    }

    /// Takes the newest report and what it changes; `None` if that is nothing.
    fn take_next(&mut self, key: &AppKey) -> Option<(Box<Report>, Value)> {
        let entry = self.apps.get_mut(key)?;
        let (mut report, app) = (entry.writer.next.take()?, entry.app.as_ref()?);
        // A newer operation than the one that was carried out stays.
        report.clear_operation &= app.operation.is_some() && entry.state.handled == app.operation;
        // And so does a newer request to look again.
        report.clear_refresh &= entry.state.refresh == engine::RefreshView::Done;
        report.clear_request &= entry.state.answered == app.request;
        let raw = entry.stored.value();
        let mut own = status::own_state(&raw);
        for (object, uid) in &entry.created {
            own.mark_created(object, uid, entry.state.stable.as_ref().map_or(0, |stable| stable.number));
        }
        if let Some(inheritance) = &entry.inheritance {
            own.is_taken_over = inheritance.objects().is_empty();
        }
        let namespace = &self.identity.control_namespace;
        let objects = self.live.part_of(&entry.part_of).filter_map(|key| self.live.get(key));
        let live = entry.sees_all().then(|| {
            let live = objects.map(|object| (&object.digest.key, object.digest.uid.as_str()));
            live.chain(entry.created.iter().map(|(key, uid)| (key, uid.as_str()))).collect()
        });
        let told = (&*report, entry.writer.fit.detail_of(&report));
        let is_first = !std::mem::replace(&mut entry.writer.has_compared, true);
        let patch = status::patch(&raw, app, told, (&own, live), namespace, now())?;
        // A commit that changed nothing for an app is not told, nor is it by the next start: in a repository of many
        // apps most statuses name an older one.
        let is_told = is_first && application::status::moves_the_revision_alone(&patch);
        (!is_told).then_some((report, patch))
    }

    fn send_status(&mut self, key: &AppKey, report: Box<Report>, patch: Value) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        self.turns.n_writes += 1;
        entry.writer.is_writing = true;
        entry.writer.current = Some(report);
        entry.writer.n_created = entry.created.len();
        entry.writer.has_rested = false;
        entry.writer.sent_version = entry.stored.resource_version.clone();
        self.metrics.status_writes.add(1);
        let (cluster, key) = (self.cluster.clone(), key.clone());
        self.spawn(async move {
            let by = (Priority::Background, names::FIELD_MANAGER);
            let outcome = match patch_application(&cluster, by, &key, &patch).await {
                // Somebody wrote in between: what they wrote is what the next try starts from.
                Err(error) if error.class == ErrorClass::Conflict => reread(&cluster, &key, error).await,
                other => other.map(|object| (object, true)),
            };
            Input::StatusWritten(key, outcome.map(|(object, is_written)| (Box::new(object), is_written)))
        });
    }

    /// Waits before the next write of an app's status; what it says is made afterwards, from what is known by then.
    fn wait_to_write(&mut self, key: &AppKey) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        entry.writer.is_resting = true;
        let (wait, key) = (entry.writer.rest(), key.clone());
        self.spawn(async move {
            tokio::time::sleep(wait).await;
            Input::StatusDue(key)
        });
    }

    /// Goes on after a rest.
    pub(crate) fn status_due(&mut self, key: &AppKey) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        entry.writer.is_resting = false;
        entry.writer.has_rested = true;
        self.next_write(key);
    }

    /// Takes in whether a status was written.
    pub(crate) fn status_written(&mut self, key: &AppKey, outcome: Result<(Box<Object>, bool), CallError>) {
        self.turns.n_writes = self.turns.n_writes.saturating_sub(1);
        self.written(key, outcome);
        self.take_turns();
    }

    fn written(&mut self, key: &AppKey, outcome: Result<(Box<Object>, bool), CallError>) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        entry.writer.is_writing = false;
        let report = entry.writer.current.take();
        match outcome {
            Ok((object, true)) => {
                entry.writer.n_failed = 0;
                entry.writer.n_conflicts = 0;
                // What was created since is told by the next write.
                let told = entry.writer.n_created.min(entry.created.len());
                entry.created.drain(..told);
                entry.created.shrink_to_fit();
                self.application_written(key, *object);
            }
            Ok((object, false)) => {
                entry.writer.next = entry.writer.next.take().or(report);
                entry.writer.n_conflicts += 1;
                // It was read after the version that we knew was refused, so it counts, whatever the numbers say: those of a
                // cluster that was restored from a backup are lower.
                if entry.stored.resource_version == entry.writer.sent_version {
                    entry.is_listed_anew = true;
                }
                // What cannot be read is told by the watch; here it may have been cut.
                if !self.unread.contains_key(key) {
                    self.application_seen(key, *object);
                }
            }
            Err(error) if error.class == ErrorClass::Withheld => {
                entry.writer.next = entry.writer.next.take().or(report);
            }
            Err(error) if error.class == ErrorClass::NotFound => {}
            Err(error)
                if is_too_large(&error)
                    && report.as_ref().is_some_and(|report| entry.writer.fit.was_too_large(report)) =>
            {
                tracing::warn!(app = %key, %error, "the status is too large to be stored; it is written with less detail");
                entry.writer.next = entry.writer.next.take().or(report);
            }
            Err(error) => {
                tracing::warn!(app = %key, %error, "the status could not be written");
                entry.writer.n_failed += 1;
                if entry.writer.next.is_none() {
                    entry.writer.next = report;
                }
            }
        }
        self.next_write(key);
    }

    /// Starts writes that waited, as far as there is room.
    pub(crate) fn take_turns(&mut self) {
        while self.turns.has_room()
            && let Some(key) = self.turns.due.pop_front()
        {
            self.next_write(&key);
        }
        if !self.turns.is_busy() {
            for key in std::mem::take(&mut self.turns.progress) {
                self.next_write(&key);
            }
        }
    }
}

async fn reread(
    cluster: &cluster::Cluster,
    key: &AppKey,
    error: CallError,
) -> Result<(Object, bool), CallError> {
    let found = get_application(cluster, Priority::Background, key).await?;
    found.map(|object| (object, false)).ok_or(CallError { class: ErrorClass::NotFound, ..error })
}

impl Writer {
    /// Returns the wait before the next write. The first conflict costs none: somebody wrote in between, as happens.
    fn rest(&self) -> Duration {
        match self.n_failed + self.n_conflicts.saturating_sub(1) {
            0 => Duration::ZERO,
            n => Duration::from_millis(250).saturating_mul(1 << n.min(7)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Harness, shop};
    use application::status::Detail;

    #[tokio::test]
    async fn what_came_while_a_report_was_refused_for_its_size_is_judged_by_its_own() {
        let mut harness = Harness::new(&[]).await;
        let agent = &mut harness.agent;
        let mut write = |second| agent.write_status(&shop(), Box::new(crate::fit::tests::report(second)));
        write(10);
        write(20);
        let refused = CallError { status: Some(413), ..CallError::new(ErrorClass::Invalid, "no") };
        agent.status_written(&shop(), Err(refused.clone()));
        let detail = |agent: &mut Agent, second| {
            let writer = &mut agent.apps.get_mut(&shop()).unwrap().writer;
            assert!(writer.is_writing);
            writer.fit.detail_of(&crate::fit::tests::report(second))
        };
        assert_eq!(detail(agent, 20), Detail::Whole);
        agent.status_written(&shop(), Err(refused));
        assert_eq!(detail(agent, 20), Detail::Failures);
    }

    #[test]
    fn a_first_conflict_is_answered_at_once_and_later_ones_are_waited_out() {
        let rest =
            |n_failed, n_conflicts| Writer { n_failed, n_conflicts, ..Writer::default() }.rest().as_millis();
        assert_eq!([0, 1, 2, 3, 9].map(|n| rest(0, n)), [0, 0, 500, 1_000, 32_000]);
        assert_eq!([0, 1, 2, 9].map(|n| rest(n, 0)), [0, 500, 1_000, 32_000]);
    }
}
