//! What does the agent hold of each Application?

use crate::agent::Task;
use crate::desired::DesiredSet;
use crate::fit::Fit;
use crate::keeping::Kept;
use crate::refreshing::Refreshes;
use crate::stages::Stage;
use crate::stored::Stored;
use crate::undecided::Undecided;
use application::{Project, status};
use engine::takeover::Inheritance;
use engine::{Report, State};
use model::{
    App, AppKey, DesiredHash, Digest, GroupKind, ObjectKey, OperationPhase, Problem, Reason, Timestamp,
    tracking,
};
use serde_json::Value;
use std::cell::LazyCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

/// One Application.
pub(crate) struct AppEntry {
    /// The object as last read or written.
    pub stored: Stored,
    /// What it asked for when it was read last; `None` before.
    pub read: Option<Digest>,
    /// Whether what is read next counts whatever its resourceVersion: a list began, or the version that we know was refused.
    pub is_listed_anew: bool,
    /// What it says; the last valid reading.
    pub app: Option<Arc<App>>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
    /// What the engine remembers.
    pub state: State,
    /// Counts changes of source, destination and project: renderings of an older spec are dropped.
    pub spec_serial: u64,
    /// The rendering under way of what Git holds; an older one's answer is not wanted.
    pub rendering: Option<Task>,
    /// The rendering under way for a sync whose revision somebody chose.
    pub preparing: Option<Task>,
    /// Rendered sets that something still refers to.
    pub sets: BTreeMap<DesiredHash, Arc<DesiredSet>>,
    /// The app's project.
    pub project: Arc<Project>,
    /// Value of the part-of label.
    pub part_of: String,
    /// Argo CD's instance name.
    pub instance: String,
    /// What it inherits from an earlier life and is not settled; `None` until that may be looked at.
    pub inheritance: Option<Inheritance>,
    /// Whether Argo CD's controller wrote what the status lists.
    pub is_listed_by_argo_cd: bool,
    /// Objects that our syncs created since the status was last written, with their uids.
    pub created: Vec<(ObjectKey, String)>,
    /// Objects whose deletion with the app was agreed to: at which resourceVersion, and when.
    pub asked_to_go: BTreeMap<ObjectKey, (String, Instant)>,
    /// Objects whose deletion with the app met a conflict in the last pass: at which resourceVersion.
    pub conflicts: BTreeMap<ObjectKey, String>,
    /// Syncs that ended since the agent started, by phase and whether they were dry runs.
    pub syncs: BTreeMap<(&'static str, bool), u64>,
    /// Rollbacks that ended, by how.
    pub rollbacks: BTreeMap<Reason, u64>,
    /// Number of the sync under way, 0 for none: what earlier syncs still have under way stops at it.
    pub fence: Arc<AtomicU64>,
    /// What is known of its releases, and which are to be written.
    pub kept: Kept,
    /// When it asked to be woken.
    pub wake: Option<Timestamp>,
    /// The stage under way.
    pub stage: Option<Stage>,
    /// The status writer.
    pub writer: Writer,
    /// Kinds that its status listed last; none where it never listed anything.
    pub listed: BTreeSet<GroupKind>,
    /// What the status told of the last sync when we had to stop writing.
    pub told_at_leave: Option<engine::Attempt>,
    /// Who waits for the end of a refresh.
    pub refreshes: Refreshes,
    /// Objects that other apps may hold or that carry no label yet and were looked up one by one.
    pub probed: BTreeMap<ObjectKey, Probe>,
    /// Objects that cannot be compared.
    pub undecided: Undecided,
}

/// Whether an object that no watch shows exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Being looked up.
    Asked,
    /// It does not.
    Absent,
    /// Nobody could tell; it is asked again.
    Unanswered,
}

/// One write at a time; the newest report wins.
#[derive(Default)]
pub(crate) struct Writer {
    /// Whether a write is under way.
    pub is_writing: bool,
    /// What to write next.
    pub next: Option<Box<Report>>,
    /// What the write under way writes.
    pub current: Option<Box<Report>>,
    /// How many created objects the write under way tells of.
    pub n_created: usize,
    /// Writes that failed in a row.
    pub n_failed: u32,
    /// Writes in a row that somebody else's had come before.
    pub n_conflicts: u32,
    /// Whether the next write waits, and whether it has waited.
    pub is_resting: bool,
    pub has_rested: bool,
    /// The resourceVersion that the write under way starts from.
    pub sent_version: Box<str>,
    /// How much of a report the API server stores.
    pub fit: Fit,
    /// Whether this process has put a report side by side with the status.
    pub has_compared: bool,
}

impl Writer {
    /// Returns the phase of the sync that the newest report tells of which is not known to be stored.
    pub(crate) fn phase(&self) -> Option<OperationPhase> {
        let report = self.next.as_ref().or(self.current.as_ref())?;
        Some(report.operation.as_ref()?.phase)
    }
}

impl AppEntry {
    /// Returns an Application that was just seen.
    pub(crate) fn new(
        key: &AppKey,
        stored: Stored,
        control_namespace: &str,
        state: State,
        project: Arc<Project>,
    ) -> Self {
        Self {
            stored,
            is_listed_anew: false,
            listed: BTreeSet::new(),
            read: None,
            app: None,
            problems: Vec::new(),
            state,
            spec_serial: 0,
            rendering: None,
            preparing: None,
            sets: BTreeMap::new(),
            project,
            part_of: tracking::part_of_label(key),
            instance: key.instance_name(control_namespace),
            inheritance: None,
            is_listed_by_argo_cd: false,
            created: Vec::new(),
            asked_to_go: BTreeMap::new(),
            conflicts: BTreeMap::new(),
            syncs: BTreeMap::new(),
            rollbacks: BTreeMap::new(),
            fence: Arc::default(),
            kept: Kept::default(),
            wake: None,
            stage: None,
            writer: Writer::default(),
            told_at_leave: None,
            refreshes: Refreshes::default(),
            probed: BTreeMap::new(),
            undecided: Undecided::default(),
        }
    }

    /// Takes in which kinds the status lists; returns whether they are others than before. What somebody wiped while we
    /// looked is known all the same.
    pub(crate) fn lists(&mut self, raw: &Value) -> bool {
        let listed = status::listed_kinds(raw);
        let is_news = !listed.is_empty() && self.listed != listed;
        if is_news {
            self.listed = listed;
        }
        is_news
    }

    /// Returns what tells whether a sync created this very object since the app's last release settled. Not known means no.
    pub(crate) fn created_since(&self) -> impl Fn(&ObjectKey, &str) -> bool {
        let release = self.state.stable.as_ref().map_or(0, |stable| stable.number);
        let own = LazyCell::new(|| crate::status::own_state(&self.stored.value()));
        move |object, uid| {
            let is_it = |(key, created): &(ObjectKey, String)| key == object && created == uid;
            self.created.iter().any(is_it) || own.was_created_since(object, uid, release)
        }
    }

    /// Returns whether the last comparison rested on all that the app has in the cluster.
    pub(crate) fn sees_all(&self) -> bool {
        self.state.comparison.as_ref().is_some_and(|comparison| comparison.is_complete)
    }

    /// Returns what Git wants now.
    pub(crate) fn current(&self) -> Option<&Arc<DesiredSet>> {
        self.sets.get(&self.state.desired.as_ref()?.hash)
    }

    /// Returns what live is kept at: what Git wants, or the release that the app is held at once that was read.
    pub(crate) fn enforced(&self) -> Option<&Arc<DesiredSet>> {
        let app = self.app.as_ref()?;
        self.sets.get(&self.state.enforced(app)?.hash)
    }

    /// Returns what Git wants where live is kept at something else.
    pub(crate) fn unenforced(&self) -> Option<&Arc<DesiredSet>> {
        let enforced = self.state.enforced(self.app.as_ref()?).map(|desired| desired.hash);
        self.current().filter(|set| enforced != Some(set.hash()))
    }

    /// Returns what the sync under way deploys if somebody chose a revision for it, and Git wants something else.
    pub(crate) fn chosen(&self) -> Option<&Arc<DesiredSet>> {
        let run = self.state.run().filter(|run| run.is_pinned())?;
        let hash = run.desired.as_ref()?.hash;
        let is_wanted = self.state.desired.as_ref().is_some_and(|desired| desired.hash == hash);
        self.sets.get(&hash).filter(|_| !is_wanted)
    }

    /// Notes what the status tells when somebody else may write from now on.
    pub(crate) fn leave(&mut self) {
        self.told_at_leave = crate::status::remembered(&self.stored.value());
    }

    /// Takes in what the status tells of a sync that began after the last one we know of: somebody else wrote meanwhile, and
    /// may have been cut short.
    pub(crate) fn take_in_told(&mut self) {
        let second = |attempt: &engine::Attempt| attempt.started_at.as_millis() / 1000;
        let at_leave = self.told_at_leave.take();
        let Some(told) = crate::status::remembered(&self.stored.value()) else { return };
        if at_leave.as_ref() == Some(&told) {
            // Nobody wrote. What we had begun by then may not be told yet, and may have begun in the same second.
            return;
        }
        let is_news = self.state.last.as_ref().is_none_or(|last| match second(&told).cmp(&second(last)) {
            Ordering::Greater => true,
            // The status counts in seconds: two that began in the same one are told apart by what they are.
            Ordering::Equal => (told.phase, &told.revision) != (last.phase, &last.revision),
            Ordering::Less => false,
        });
        if is_news {
            self.state.last = Some(told);
            self.state.before = None;
        }
    }

    /// Drops rendered sets that nothing refers to any more.
    pub(crate) fn drop_old_sets(&mut self) {
        let current = self.state.desired.as_ref().map(|desired| desired.hash);
        let running = self.state.run().and_then(|run| run.desired.as_ref()).map(|desired| desired.hash);
        let held = self.state.hold.as_ref().and_then(|hold| hold.desired()).map(|desired| desired.hash);
        let soaking = self.state.soak.as_ref().and_then(|soak| soak.run.desired.as_ref());
        let needed = [current, running, held, soaking.map(|desired| desired.hash)];
        self.sets.retain(|hash, _| needed.contains(&Some(*hash)));
    }
}

/// Returns an app for an Application that was never valid: enough to report what is wrong with it, and read-only.
pub(crate) fn placeholder(key: &AppKey, raw: &Value) -> App {
    let text = |pointer: &str| raw.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    App {
        uid: text("/metadata/uid"),
        project: text("/spec/project"),
        not_yet: vec![model::NotYet { field: "spec".into() }],
        deletion: application::deletion(raw),
        ..App::named(key.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::Attempt;
    use model::OperationPhase::{self, Failed, Running, Succeeded};
    use model::Revision;
    use serde_json::json;

    fn stored(phase: OperationPhase, revision: &str) -> Stored {
        Stored::new(&json!({
            "metadata": {"name": "shop", "namespace": "argocd", "uid": "u", "resourceVersion": "7"},
            "status": {"operationState": {
                "phase": phase.as_str(), "startedAt": "2026-01-01T00:00:00Z", "message": "",
                "operation": {"sync": {"revision": revision}, "initiatedBy": {"automated": true}},
                "syncResult": {"revision": revision},
            }},
        }))
    }

    fn told(entry: &AppEntry) -> (OperationPhase, Revision) {
        let last = entry.state.last.as_ref().unwrap();
        (last.phase, last.revision.clone())
    }

    /// An app whose status tells of a success, with a sync of ours that was cut short in the same second.
    fn cut_short() -> AppEntry {
        let key = AppKey::new("argocd", "shop");
        let stored = stored(Succeeded, "old");
        let last = crate::status::remembered(&stored.value()).unwrap();
        let project = Arc::new(Project::built_in_default());
        let mut entry = AppEntry::new(&key, stored, "argocd", State::new(None, false), project);
        let revision = Revision::new("new");
        entry.state.last = Some(Attempt { phase: Running, revision, is_old: true, ..last });
        entry
    }

    #[test]
    fn a_sync_that_was_cut_short_is_not_forgotten_for_what_was_told_before_it() {
        let mut entry = cut_short();
        entry.leave();
        entry.take_in_told();
        assert_eq!(told(&entry), (Running, Revision::new("new")));
    }

    #[test]
    fn what_another_writer_told_meanwhile_counts() {
        let mut entry = cut_short();
        entry.leave();
        entry.stored = stored(Failed, "theirs");
        entry.take_in_told();
        assert_eq!(told(&entry), (Failed, Revision::new("theirs")));
    }
}
