//! What does the Application's status say? A pure function of the state; it is written only when it changed.

use crate::rollback::{Content, Hold, Quarantine};
use crate::state::{Activity, RefreshView, SourceView, State};
use crate::{conditions, deletion, operation, trigger, unreadable};
use model::{
    App, Comparison, DesiredHash, Headway, Health, HealthStatus, Held, HeldStage, ObjectKey, ObjectResult,
    Operation, OperationPhase, Reason, ResourceSelector, Revision, Seconds, SyncStatus, Timestamp,
};
use std::sync::Arc;

/// How long a sync or a deletion may run before its progress is worth a write, and a repository be silent before the status says what is
/// known without it; most are over, and most have answered, by then.
pub(crate) const QUIET: Seconds = Seconds::new(2);
/// How long the repository may be unreachable before the Application says so; a one-minute blip is a metric.
pub(crate) const BLIND_GRACE: Seconds = Seconds::new(300);

/// Condition types of Argo CD that we write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionKind {
    /// The Application or its project rules it out.
    InvalidSpecError,
    /// Git or the cluster could not be read or compared.
    ComparisonError,
    /// Auto-sync does not go on.
    SyncError,
    /// A setting that concerns the app cannot be read; the app goes on by what it said before.
    UnknownError,
    /// Another app owns objects of this one.
    SharedResourceWarning,
    /// An object stands twice in the manifests.
    RepeatedResourceWarning,
    /// A check of the app's own does not hold, or cannot be made.
    CheckWarning,
    /// The deletion does not go on.
    DeletionError,
    /// A commit turned out bad, and the app was brought back to what was stable.
    RolledBack,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    /// Its type.
    pub kind: ConditionKind,
    /// The sentence.
    pub message: String,
}

/// Everything that the status of an Application is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Sync status.
    pub sync: SyncStatus,
    /// The revision that was compared.
    pub revision: Option<Revision>,
    /// Hash of what was compared.
    pub hash: Option<DesiredHash>,
    /// Health.
    pub health: Health,
    /// The objects; `None` keeps those that the status lists.
    pub comparison: Option<Arc<Comparison>>,
    /// Conditions, sorted.
    pub conditions: Vec<Condition>,
    /// The sync under way, or the last one; `None` keeps what the status says.
    pub operation: Option<OperationReport>,
    /// Whether `operation` is to be removed from the Application.
    pub clear_operation: bool,
    /// Whether the refresh annotation is to be removed.
    pub clear_refresh: bool,
    /// Whether the annotation is to be removed by which somebody asked for something beside a sync.
    pub clear_request: bool,
    /// Argo CD's word for the kind of source.
    pub source_type: String,
    /// At which release the app is kept instead.
    pub held: Option<Held>,
    /// Contents that failed by their own fault.
    pub quarantine: Quarantine,
}

/// What `status.operationState` is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationReport {
    /// Argo CD's phase.
    pub phase: OperationPhase,
    /// The sentence.
    pub message: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended, or when the failed attempt ended that is going to be repeated.
    pub finished_at: Option<Timestamp>,
    /// Repeats so far.
    pub retries: u32,
    /// One per object.
    pub results: Vec<ObjectResult>,
    /// The revision.
    pub revision: Option<Revision>,
    /// Hash of what was deployed.
    pub hash: Option<DesiredHash>,
    /// What was asked for; `None` for automated syncs.
    pub operation: Option<Operation>,
    /// The objects that it was about; empty for all.
    pub selective: Vec<ResourceSelector>,
    /// Self-heals in a row.
    pub heals: u32,
    /// Why it failed; `None` while it runs, and where it did not.
    pub reason: Option<Reason>,
    /// Whether the content was at fault: no repeat before there is other content. Never while it runs.
    pub is_condemned: bool,
    /// Whether it becomes an entry of history once it succeeded.
    pub is_release: bool,
    /// How far it has got, while it waits for health. A reader learns nothing by it, so it is written with the rest only.
    pub headway: Option<Headway>,
}

/// Returns what the status should say now; `None` while there is nothing settled to say.
pub(crate) fn of(state: &State, app: &App, now: Timestamp) -> Option<Report> {
    let is_young = state.run().is_some_and(|run| now < run.begun_at + QUIET)
        || deletion::quiet_until(state).is_some_and(|until| now < until);
    // A repeat is worth a write by its outcome: that it was to come stands in the status.
    let is_repeating = match &state.activity {
        Activity::Planning(run) | Activity::Applying(run) => {
            run.correction.is_some() || (run.retries > 0 && state.reported.is_some())
        }
        Activity::Idle
        | Activity::Preparing(_)
        | Activity::Settling(_)
        | Activity::Waiting(..)
        | Activity::Deleting(_) => false,
    };
    // What follows it is worth a write, in a moment.
    let is_between = state.unanswered.is_some() || matches!(state.differs, Some((_, false)));
    if app.skip_reconcile || is_young || is_repeating || is_between {
        return None;
    }
    let conditions = conditions::of(state, app, now);
    if is_blind(state, app, &conditions, now) {
        return Some(blind(state, app, conditions));
    }
    let (desired, comparison) = state.current()?;
    let held = state.hold.as_ref().filter(|_| state.is_holding(app));
    if held.is_some_and(|hold| is_being_read(hold)) {
        return None;
    }
    if state.run().is_none() && !comparison.is_settled {
        return None;
    }
    let failed = conditions.iter().any(|condition| condition.kind == ConditionKind::ComparisonError);
    Some(Report {
        sync: if failed { SyncStatus::Unknown } else { comparison.sync },
        revision: Some(desired.revision.clone()),
        hash: Some(desired.hash),
        health: held_health(held.map(AsRef::as_ref)).unwrap_or(&comparison.health).clone(),
        comparison: state.comparison.clone(),
        conditions,
        operation: operation::of(state),
        clear_operation: clear_operation(state, app),
        clear_refresh: state.refresh == RefreshView::Done,
        clear_request: clear_request(state, app),
        source_type: desired.source_type.clone(),
        held: state.hold.as_ref().map(|hold| hold.held.clone()),
        quarantine: state.quarantine.clone(),
    })
}

/// Returns whether what the app is held at is about to be known: what would be said without it changes in a moment.
fn is_being_read(hold: &Hold) -> bool {
    let is_there = matches!(hold.held.stage, HeldStage::Restored | HeldStage::Kept);
    let is_coming = matches!(hold.content, Content::Asked | Content::Known(_));
    is_there && is_coming && hold.comparison.is_none()
}

/// Returns how healthy the release is that the app is kept at, once it is there and was looked at.
fn held_health(hold: Option<&Hold>) -> Option<&Health> {
    match hold?.held.stage {
        HeldStage::Restoring | HeldStage::Failed(_) => None,
        HeldStage::Restored | HeldStage::Kept | HeldStage::Inconclusive(_) => {
            Some(&hold?.comparison.as_ref()?.health)
        }
    }
}

/// Returns whether there is nothing to compare, and none to be expected soon: only then the status says so. A
/// comparison that is on its way is waited for.
fn is_blind(state: &State, app: &App, conditions: &[Condition], now: Timestamp) -> bool {
    if !state.refused.is_empty() || untold_until(state, app).is_some_and(|until| until <= now) {
        return true;
    }
    let has = |kind| conditions.iter().any(|condition| condition.kind == kind);
    if state.current().is_none() && has(ConditionKind::DeletionError) {
        return true;
    }
    let must_answer = clear_operation(state, app)
        || clear_request(state, app)
        || state.refresh == RefreshView::Done
        || state.run().is_some();
    state.desired.is_none()
        && match &state.source {
            SourceView::Unknown | SourceView::At(_) => false,
            SourceView::Failing(..) => has(ConditionKind::ComparisonError) || must_answer,
            SourceView::Invalid(..) | SourceView::Unsupported(..) => true,
        }
}

/// Returns until when the repository is waited for before the status says what the spec alone makes read-only, or no
/// longer does; `None` where it says so already, or where it is said with what Git wants.
fn untold_until(state: &State, app: &App) -> Option<Timestamp> {
    if state.desired.is_some() {
        return None;
    }
    let of_spec = conditions::as_named(app.not_yet.iter().map(|not_yet| not_yet.field.as_str()));
    let of_all = trigger::read_only(state, app);
    let of_all = conditions::as_named(of_all.iter().map(String::as_str));
    let reported = state.reported.as_deref();
    let told =
        reported.map(|report| conditions::named_by(report.conditions.iter().map(|c| c.message.as_str())));
    let told = told.as_ref().unwrap_or(&state.told);
    let is_told = of_spec.is_subset(told) && told.is_subset(&of_all);
    (!is_told).then_some(state.spec_since + QUIET)
}

/// Returns whether `new` says something that a reader of the status must learn. Counts and restarts in messages do not.
pub(crate) fn differs(old: Option<&Report>, new: &Report) -> bool {
    let Some(old) = old else { return true };
    let statuses = |report: &Report| -> Vec<(ObjectKey, Option<SyncStatus>, Option<HealthStatus>)> {
        let objects = report.comparison.iter().flat_map(|comparison| comparison.objects.iter());
        objects.map(|o| (o.key.clone(), o.sync, o.health.as_ref().map(|health| health.status))).collect()
    };
    let same_objects = match (&old.comparison, &new.comparison) {
        (Some(old), Some(new)) if Arc::ptr_eq(old, new) => true,
        _ => statuses(old) == statuses(new),
    };
    !same_objects
        || old.sync != new.sync
        || old.hash != new.hash
        || old.health.status != new.health.status
        || old.conditions != new.conditions
        || !same_operation(old.operation.as_ref(), new.operation.as_ref())
        || old.clear_operation != new.clear_operation
        || old.clear_refresh != new.clear_refresh
        || old.clear_request != new.clear_request
        || old.source_type != new.source_type
        || old.held != new.held
        || old.quarantine != new.quarantine
}

/// Returns whether two syncs look the same to a reader: what one waits for is told in words and counts, and the counts
/// do not count.
fn same_operation(old: Option<&OperationReport>, new: Option<&OperationReport>) -> bool {
    let (Some(old), Some(new)) = (old, new) else { return old.is_none() && new.is_none() };
    let words = |text: &str| -> String { text.chars().filter(|c| !c.is_ascii_digit()).collect() };
    old.phase == new.phase
        && words(&old.message) == words(&new.message)
        && old.started_at == new.started_at
        && old.finished_at == new.finished_at
        && old.retries == new.retries
        && old.results == new.results
        && old.revision == new.revision
        && old.hash == new.hash
        && old.operation == new.operation
        && old.selective == new.selective
        && old.heals == new.heals
        && old.reason == new.reason
        && old.is_condemned == new.is_condemned
        && old.is_release == new.is_release
}

/// Returns when the report may change although nothing happens.
pub(crate) fn next_change(state: &State, app: &App, now: Timestamp) -> Option<Timestamp> {
    let run = state.run().map(|run| run.begun_at + QUIET).or_else(|| deletion::quiet_until(state));
    let blind = match &state.source {
        SourceView::Failing(failure, since) if failure.is_transient => Some(*since + BLIND_GRACE),
        SourceView::Failing(..)
        | SourceView::Unknown
        | SourceView::At(_)
        | SourceView::Invalid(..)
        | SourceView::Unsupported(..) => None,
    };
    let setting = unreadable::next_change(state, now);
    let spec = untold_until(state, app);
    [run, blind, setting, spec].into_iter().flatten().filter(|at| *at > now).min()
}

fn blind(state: &State, app: &App, conditions: Vec<Condition>) -> Report {
    Report {
        sync: SyncStatus::Unknown,
        revision: None,
        hash: None,
        health: Health::new(HealthStatus::Unknown, ""),
        comparison: None,
        conditions,
        operation: operation::of(state),
        clear_operation: clear_operation(state, app),
        clear_refresh: state.refresh == RefreshView::Done,
        clear_request: clear_request(state, app),
        source_type: String::new(),
        held: state.hold.as_ref().map(|hold| hold.held.clone()),
        quarantine: state.quarantine.clone(),
    }
}

fn clear_request(state: &State, app: &App) -> bool {
    app.request.is_some() && state.answered == app.request
}

fn clear_operation(state: &State, app: &App) -> bool {
    app.operation.is_some() && state.handled == app.operation
}
