//! What do we know of an app, and what is under way for it?

use crate::effect::Effect;
use crate::event::{Desired, SourceFailure};
use crate::report::Report;
use crate::retry::Heals;
use crate::rollback::{Hold, Quarantine};
use crate::run::Run;
use crate::soak::Soak;
use crate::unreadable::Unreadable;
use model::{
    Comparison, DesiredHash, Destination, Headway, NotYet, ObjectKey, ObjectResult, Operation,
    OperationPhase, Problem, Reason, Refresh, ReleaseRequest, ResourceSelector, Revision, Source, Stable,
    SyncId, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything that the engine remembers of one app.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// What is under way.
    pub activity: Activity,
    /// What a sync that ended has sent and was not answered.
    pub unanswered: Option<Unanswered>,
    /// What was last heard of the repository.
    pub source: SourceView,
    /// The revision being rendered.
    pub rendering: Option<Revision>,
    /// Whether it is rendered from its files, whatever is kept of earlier renderings.
    pub renders_anew: bool,
    /// What Git wants: the last rendering that went well stays in force.
    pub desired: Option<Arc<Desired>>,
    /// How that compares.
    pub comparison: Option<Arc<Comparison>>,
    /// How often which object was corrected.
    pub heals: Heals,
    /// The last sync that ended.
    pub last: Option<Attempt>,
    /// The last sync that tried the whole desired state, where `last` is a dry run or a selective one of a person.
    pub before: Option<Box<Attempt>>,
    /// Whether it is known what can be gone back to.
    pub knows_releases: bool,
    /// What settled last, and can be gone back to.
    pub stable: Option<Stable>,
    /// What was deployed and is to stay well for a while.
    pub soak: Option<Box<Soak>>,
    /// What was found to be stable, and is being kept as a release.
    pub released: Option<DesiredHash>,
    /// What syncs changed, or may have, since one of all objects went well: whoever comes after one that was cut short answers
    /// for it as well.
    pub touched: BTreeSet<ObjectKey>,
    /// Whether this life has seen the app at rest: no earlier one was cut short.
    pub was_at_rest: bool,
    /// For what it was asked in which objects it differs from the last release, and whether that is known.
    pub differs: Option<(DesiredHash, bool)>,
    /// Contents that failed by their own fault.
    pub quarantine: Quarantine,
    /// What the app is kept at instead of what Git wants.
    pub hold: Option<Box<Hold>>,
    /// When the last verdict came from which something followed by the time we were to write no more.
    pub decided: Option<Timestamp>,
    /// How many pods of each workload served when the app was last well at its stable release.
    pub serving: BTreeMap<ObjectKey, u32>,
    /// The newest revision, and when it was seen first.
    pub seen: Option<(Revision, Timestamp)>,
    /// What the newest revision needs that we do not act on yet; it stays until another revision was rendered.
    pub unsupported: Vec<NotYet>,
    /// Whether nothing was ever known of it: it had no status when it was first seen, and nothing was rendered since.
    pub is_new: bool,
    /// Whether it had no status when it was first seen: no life of the agent has told anything of it.
    pub was_untold: bool,
    /// What the status says makes the app read-only, as it was last seen.
    pub told: BTreeSet<String>,
    /// What was last known to make the app read-only, by an earlier life or of another spec; it counts until something is
    /// rendered, or cannot be for such a reason.
    pub remembered: Vec<NotYet>,
    /// Whether the request to end a sync was carried out and its removal has not been seen yet.
    pub is_terminated: bool,
    /// Why nothing may be done at all; empty if something may.
    pub refused: Vec<Problem>,
    /// What holds the app's deletion up, as it was told last.
    pub obstacles: Vec<String>,
    /// Which settings that concern the app cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// Whether we are the one writer.
    pub may_write: bool,
    /// Number of the newest sync.
    pub newest: SyncId,
    /// An operation that was carried out and whose removal from the Application has not been seen yet.
    pub handled: Option<Operation>,
    /// A request beside a sync that was answered and whose removal has not been seen yet.
    pub answered: Option<ReleaseRequest>,
    /// A refresh that is being carried out, or was and whose removal has not been seen yet.
    pub refresh: RefreshView,
    /// Which request for a refresh that is.
    pub refresh_stamp: String,
    /// Source and destination that all of this is about.
    pub spec: Option<(Source, Destination)>,
    /// Since when they are what they are.
    pub spec_since: Timestamp,
    /// What was last reported.
    pub reported: Option<Box<Report>>,
    /// When we asked to be woken.
    pub wake: Option<Timestamp>,
}

/// What is under way for an app.
#[derive(Clone, Debug, PartialEq)]
pub enum Activity {
    /// Nothing. Next: `Preparing` or `Planning` when a sync is wanted, `Deleting` when the Application goes.
    Idle,
    /// The revision that an operation names is being rendered, then compared. Next: `Planning`, or `Idle` if it cannot be.
    Preparing(Run),
    /// The plan is being made. Next: `Applying`.
    Planning(Run),
    /// The stage that `Run::stage` points at is being carried out. Next: the next stage, then `Settling`.
    Applying(Run),
    /// Everything is applied; objects are becoming healthy. Next: `Idle`.
    Settling(Run),
    /// The sync failed in a way that may pass. Next: `Planning` at the time given.
    Waiting(Run, Timestamp),
    /// The objects of a deleted Application are going. Next: nothing, the Application goes.
    Deleting(Deleting),
}

/// A stage of a sync that ended while it was carried out: what it has sent may yet be done, also after what comes next was
/// compared. Nothing begins until it is answered, which takes milliseconds; what hangs is waited for until a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// Of which sync.
    pub sync: SyncId,
    /// How long to wait.
    pub until: Timestamp,
}

/// How far the deletion of an Application's objects has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleting {
    /// When it began.
    pub since: Timestamp,
    /// Whether a pass is under way.
    pub is_passing: bool,
    /// Whether something changed during the pass, so that another one is due.
    pub is_dirty: bool,
    /// Passes that failed in a row.
    pub n_failed: u32,
    /// When to try again after a failure.
    pub retry_at: Option<Timestamp>,
    /// What to tell: what the deletion waits for.
    pub waits_for: String,
    /// What is still there after the last pass.
    pub left: Option<Left>,
    /// Whether everything is gone and our finalizers may go.
    pub is_done: bool,
}

/// Objects of a deleted Application that are still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Each with what holds it up, sorted.
    pub objects: Vec<String>,
    /// Since when they are the same.
    pub since: Timestamp,
}

/// What was last heard of the repository.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceView {
    /// Nothing yet.
    Unknown,
    /// The tracked revision.
    At(Revision),
    /// It fails, since a time.
    Failing(SourceFailure, Timestamp),
    /// This revision's content is wrong.
    Invalid(Revision, Vec<Problem>),
    /// This revision needs something that we do not act on yet.
    Unsupported(Revision, Vec<NotYet>),
}

/// Where a refresh stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshView {
    /// Nobody asks.
    None,
    /// The repository is being asked.
    Asked(Refresh),
    /// It answered, and what it answered is being rendered.
    Looked(Refresh),
    /// Done; the annotation is to go.
    Done,
}

/// A sync that ended, or one that an earlier life of the agent left behind in the status.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// What was to be deployed; `None` where only the revision is known.
    pub hash: Option<DesiredHash>,
    /// The revision.
    pub revision: Revision,
    /// How it ended.
    pub phase: OperationPhase,
    /// Why, in one word.
    pub reason: Reason,
    /// The sentence of the operation state.
    pub message: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Repeats that it took.
    pub retries: u32,
    /// One per object.
    pub results: Vec<ObjectResult>,
    /// Who asked: `None` for the agent itself.
    pub operation: Option<Operation>,
    /// The objects that it was about; empty for all.
    pub selective: Vec<ResourceSelector>,
    /// Self-heals of the same desired state in a row.
    pub heals: u32,
    /// Whether the content was at fault: no repeat before there is other content.
    pub is_condemned: bool,
    /// Whether the ground changed since, so that a repeat makes sense although the limit is reached.
    pub may_repeat: bool,
    /// Whether something could not be pruned because the cluster was not seen whole, or was not to be while the app went back.
    pub was_blind: bool,
    /// Whether this was reported already, by an earlier life of the agent.
    pub is_old: bool,
    /// How far it had got, if it is found under way.
    pub headway: Option<Headway>,
}

impl Attempt {
    /// Returns whether this desired state was tried. A dry run tries nothing, and a sync that something took over from
    /// nothing to its end.
    pub fn was_about(&self, desired: &Desired) -> bool {
        let is_dry_run = self.operation.as_ref().is_some_and(|operation| operation.dry_run);
        self.reason != Reason::Superseded
            && self.hash.map_or(!is_dry_run && self.revision == desired.revision, |hash| hash == desired.hash)
    }
}

impl State {
    /// Returns the state of an app that was just seen; `last` is what its status remembers.
    pub fn new(last: Option<Attempt>, may_write: bool) -> Self {
        Self {
            activity: Activity::Idle,
            unanswered: None,
            source: SourceView::Unknown,
            rendering: None,
            renders_anew: false,
            desired: None,
            comparison: None,
            heals: Heals::default(),
            last,
            before: None,
            knows_releases: false,
            stable: None,
            soak: None,
            released: None,
            touched: BTreeSet::new(),
            was_at_rest: false,
            differs: None,
            quarantine: Quarantine::default(),
            hold: None,
            decided: None,
            serving: BTreeMap::new(),
            seen: None,
            unsupported: Vec::new(),
            is_new: false,
            was_untold: false,
            told: BTreeSet::new(),
            remembered: Vec::new(),
            is_terminated: false,
            refused: Vec::new(),
            obstacles: Vec::new(),
            unreadable: Vec::new(),
            may_write,
            newest: SyncId::default(),
            handled: None,
            answered: None,
            refresh: RefreshView::None,
            refresh_stamp: String::new(),
            spec: None,
            spec_since: Timestamp::from_millis(0),
            reported: None,
            wake: None,
        }
    }

    /// Forgets what Git wants, for that was about something else; not what made the app read-only.
    pub fn forget_desired(&mut self) {
        let rendered = self.desired.take();
        let rendered = rendered.iter().flat_map(|desired| desired.not_yet.iter());
        let known: Vec<NotYet> = rendered.chain(&self.unsupported).cloned().collect();
        if !known.is_empty() {
            self.remembered = known;
        }
        self.unsupported = Vec::new();
        self.rendering = None;
        self.source = SourceView::Unknown;
    }

    /// Returns the comparison if it is of what Git wants now.
    pub fn current(&self) -> Option<(&Desired, &Comparison)> {
        let (desired, comparison) = (self.desired.as_deref()?, self.comparison.as_deref()?);
        (desired.hash == comparison.hash).then_some((desired, comparison))
    }

    /// Returns the comparison that a sync is planned and judged by: a revision that somebody chose is compared by itself,
    /// whatever Git wants meanwhile.
    pub fn view_of<'a>(&'a self, run: &'a Run) -> Option<&'a Arc<Comparison>> {
        if let Some(hold) = self.hold.as_ref().filter(|_| self.is_of_hold(run)) {
            return hold.comparison.as_ref();
        }
        if !run.is_pinned() {
            return self.comparison.as_ref();
        }
        let hash = run.desired.as_ref()?.hash;
        let views = [&self.comparison, &run.comparison];
        views.into_iter().flatten().find(|comparison| comparison.hash == hash)
    }

    pub(crate) fn take_comparison(&mut self, comparison: Arc<Comparison>) {
        let hash = Some(comparison.hash);
        let is_wanted = self.desired.as_ref().map(|desired| desired.hash) == hash;
        let is_held = self.hold.as_deref_mut().filter(|hold| hold.held.at.hash == comparison.hash);
        let is_held = is_held.map(|hold| hold.comparison = Some(Arc::clone(&comparison))).is_some();
        let is_of =
            |run: &&mut Run| run.is_pinned() && run.desired.as_ref().map(|desired| desired.hash) == hash;
        match self.run_mut().filter(is_of) {
            Some(run) if !is_wanted => run.comparison = Some(comparison),
            Some(_) | None if !is_wanted && is_held => {}
            Some(_) | None => self.comparison = Some(comparison),
        }
    }

    /// Has the app compared after something was applied: what was compared before says nothing of that.
    pub(crate) fn compare_anew(&mut self, out: &mut Vec<Effect>) {
        self.comparison = None;
        if let Some(run) = self.run_mut() {
            run.comparison = None;
        }
        if let Some(hold) = &mut self.hold {
            hold.comparison = None;
        }
        out.push(Effect::Compare);
    }

    /// Returns the last attempt that says something about the desired state as a whole.
    pub fn tried(&self) -> Option<&Attempt> {
        self.before.as_deref().or(self.last.as_ref())
    }

    /// Returns whether this content was deployed as a whole.
    pub fn has_deployed(&self, hash: DesiredHash) -> bool {
        let succeeded = self.tried().filter(|last| last.phase == OperationPhase::Succeeded);
        succeeded.is_some_and(|last| last.hash == Some(hash))
    }

    pub(crate) fn tried_mut(&mut self) -> Option<&mut Attempt> {
        self.before.as_deref_mut().or(self.last.as_mut())
    }

    /// Returns when the sync under way is tried again, if it waits for that or is corrected meanwhile.
    pub(crate) fn next_try_mut(&mut self) -> Option<&mut Timestamp> {
        match &mut self.activity {
            Activity::Waiting(_, at) => Some(at),
            Activity::Applying(run) => run.correction.as_mut()?.next_try.as_mut(),
            Activity::Idle
            | Activity::Preparing(_)
            | Activity::Planning(_)
            | Activity::Settling(_)
            | Activity::Deleting(_) => None,
        }
    }

    /// Returns the deletion under way.
    pub(crate) fn deleting(&self) -> Option<&Deleting> {
        match &self.activity {
            Activity::Deleting(deleting) => Some(deleting),
            Activity::Idle
            | Activity::Preparing(_)
            | Activity::Planning(_)
            | Activity::Applying(_)
            | Activity::Settling(_)
            | Activity::Waiting(..) => None,
        }
    }

    /// Returns the sync under way.
    pub fn run(&self) -> Option<&Run> {
        match &self.activity {
            Activity::Idle | Activity::Deleting(_) => None,
            Activity::Preparing(run)
            | Activity::Planning(run)
            | Activity::Applying(run)
            | Activity::Settling(run)
            | Activity::Waiting(run, _) => Some(run),
        }
    }

    pub(crate) fn run_mut(&mut self) -> Option<&mut Run> {
        match &mut self.activity {
            Activity::Idle | Activity::Deleting(_) => None,
            Activity::Preparing(run)
            | Activity::Planning(run)
            | Activity::Applying(run)
            | Activity::Settling(run)
            | Activity::Waiting(run, _) => Some(run),
        }
    }
}
