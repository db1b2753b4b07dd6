//! What does the Application's status say? A pure function of the state; it is written only when it changed.

use crate::deletion;
use crate::run::{Cause, Run};
use crate::state::{Activity, Attempt, RefreshView, SourceView, State};
use crate::trigger;
use model::{
    App, Comparison, DesiredHash, Health, HealthStatus, ObjectKey, ObjectResult, Operation, OperationPhase,
    ResourceSelector, Revision, Seconds, SyncStatus, Timestamp,
};
use std::sync::Arc;

/// How long a sync may run before its progress is worth a write; most are over by then.
const QUIET: Seconds = Seconds::new(2);
/// How long the repository may be unreachable before the Application says so; a one-minute blip is a metric.
const BLIND_GRACE: Seconds = Seconds::new(300);

/// Condition types of Argo CD that we write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionKind {
    /// The Application or its project rules it out.
    InvalidSpecError,
    /// Git or the cluster could not be read or compared.
    ComparisonError,
    /// Auto-sync does not go on.
    SyncError,
    /// Another app owns objects of this one.
    SharedResourceWarning,
    /// An object stands twice in the manifests.
    RepeatedResourceWarning,
    /// The deletion does not go on.
    DeletionError,
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
    /// Argo CD's word for the kind of source.
    pub source_type: String,
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
    /// Whether the content was at fault: no repeat before there is other content. Never while it runs.
    pub is_condemned: bool,
    /// Whether it becomes an entry of history once it succeeded.
    pub is_release: bool,
}

/// Returns what the status should say now; `None` while there is nothing settled to say.
pub(crate) fn of(state: &State, app: &App, now: Timestamp) -> Option<Report> {
    if app.skip_reconcile {
        return None;
    }
    let comparison = state.current().map(|(_, comparison)| comparison);
    let conditions = conditions(state, app, now);
    if !state.refused.is_empty()
        || (comparison.is_none() && (!conditions.is_empty() || app.deletion.is_some()))
    {
        return Some(blind(state, conditions));
    }
    let (comparison, desired) = (comparison?, state.desired.as_ref()?);
    let run = state.run();
    if run.is_some_and(|run| now < run.started_at + QUIET) || (run.is_none() && !comparison.is_settled) {
        return None;
    }
    let failed = conditions.iter().any(|condition| condition.kind == ConditionKind::ComparisonError);
    Some(Report {
        sync: if failed { SyncStatus::Unknown } else { comparison.sync },
        revision: Some(desired.revision.clone()),
        hash: Some(desired.hash),
        health: comparison.health.clone(),
        comparison: state.comparison.clone(),
        conditions,
        operation: operation(state),
        clear_operation: clear_operation(state, app),
        clear_refresh: state.refresh == RefreshView::Done,
        source_type: desired.source_type.clone(),
    })
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
        || old.operation != new.operation
        || old.clear_operation != new.clear_operation
        || old.clear_refresh != new.clear_refresh
        || old.source_type != new.source_type
}

/// Returns when the report may change although nothing happens.
pub(crate) fn next_change(state: &State, now: Timestamp) -> Option<Timestamp> {
    let run = state.run().map(|run| run.started_at + QUIET);
    let blind = match &state.source {
        SourceView::Failing(failure, since) if failure.is_transient => Some(*since + BLIND_GRACE),
        SourceView::Failing(..)
        | SourceView::Unknown
        | SourceView::At(_)
        | SourceView::Invalid(..)
        | SourceView::Unsupported(..) => None,
    };
    run.into_iter().chain(blind).filter(|at| *at > now).min()
}

fn blind(state: &State, conditions: Vec<Condition>) -> Report {
    Report {
        sync: SyncStatus::Unknown,
        revision: None,
        hash: None,
        health: Health::new(HealthStatus::Unknown, ""),
        comparison: None,
        conditions,
        operation: operation(state),
        clear_operation: state.handled.is_some(),
        clear_refresh: state.refresh == RefreshView::Done,
        source_type: String::new(),
    }
}

fn clear_operation(state: &State, app: &App) -> bool {
    app.operation.is_some() && state.handled == app.operation
}

fn conditions(state: &State, app: &App, now: Timestamp) -> Vec<Condition> {
    let mut conditions = Vec::new();
    let mut add = |kind, message: String| conditions.push(Condition { kind, message });
    for problem in &state.refused {
        add(ConditionKind::InvalidSpecError, problem.to_string());
    }
    match &state.source {
        SourceView::Failing(failure, since) if !failure.is_transient || now >= *since + BLIND_GRACE => {
            add(ConditionKind::ComparisonError, format!("Failed to load target state: {}", failure.message));
        }
        SourceView::Invalid(revision, problems) => {
            for problem in problems {
                add(
                    ConditionKind::ComparisonError,
                    format!("Failed to load target state at {}: {problem}", revision.short()),
                );
            }
        }
        SourceView::Failing(..) | SourceView::Unknown | SourceView::At(_) | SourceView::Unsupported(..) => {}
    }
    let fields = trigger::read_only(state, app);
    if !fields.is_empty() {
        add(ConditionKind::SyncError, read_only_sentence(&fields));
    }
    if let Some(message) = auto_sync_obstacle(state, app) {
        add(ConditionKind::SyncError, message);
    }
    for message in state.desired.iter().flat_map(|desired| &desired.repeated) {
        add(ConditionKind::RepeatedResourceWarning, message.clone());
    }
    for message in state.current().into_iter().flat_map(|(_, comparison)| &comparison.shared) {
        add(ConditionKind::SharedResourceWarning, message.clone());
    }
    for message in deletion::obstacles(state, app) {
        add(ConditionKind::DeletionError, message);
    }
    conditions.sort();
    conditions.dedup();
    conditions
}

/// Says that an app is read-only, and because of what.
pub(crate) fn read_only_sentence(fields: &[String]) -> String {
    format!(
        "Read-only: Tautline does not act on {} yet, so it compares this app and changes nothing. \
         Remove what is named, or leave the app to Argo CD",
        fields.join(", ")
    )
}

fn auto_sync_obstacle(state: &State, app: &App) -> Option<String> {
    let automated = app.automated?;
    let (desired, comparison) = state.current()?;
    if trigger::would_wipe(automated, comparison) {
        return Some(format!(
            "Skipping sync attempt to [{}]: auto-sync will wipe out all resources. Set syncPolicy.automated.allowEmpty, or sync with prune by hand",
            desired.revision
        ));
    }
    let last = state.last.as_ref()?;
    let is_current = last.hash.map_or(last.revision == desired.revision, |hash| hash == desired.hash);
    let failed = match last.phase {
        OperationPhase::Failed | OperationPhase::Error => true,
        OperationPhase::Running | OperationPhase::Terminating | OperationPhase::Succeeded => false,
    };
    let open = comparison.sync != SyncStatus::Synced;
    (is_current && failed && open && state.run().is_none())
        .then(|| format!("Failed last sync attempt to [{}]: {}", last.revision, last.message))
}

fn operation(state: &State) -> Option<OperationReport> {
    if let Some(run) = state.run() {
        let (finished_at, message) = match &state.activity {
            Activity::Waiting(run, at) => (
                Some(run.progress_at),
                format!("{}. Retrying attempt #{} at {at}.", failure_sentence(run), run.retries),
            ),
            Activity::Settling(run) => (None, run.waits_for.clone()),
            Activity::Idle
            | Activity::Preparing(_)
            | Activity::Planning(_)
            | Activity::Applying(_)
            | Activity::Deleting(_) => (None, "applying".into()),
        };
        return Some(running(run, finished_at, message));
    }
    state.last.as_ref().filter(|last| !last.is_old).map(ended)
}

fn running(run: &Run, finished_at: Option<Timestamp>, message: String) -> OperationReport {
    OperationReport {
        phase: OperationPhase::Running,
        message,
        started_at: run.started_at,
        finished_at,
        retries: run.retries,
        results: run.results.clone(),
        revision: run.desired.as_ref().map(|desired| desired.revision.clone()),
        hash: run.desired.as_ref().map(|desired| desired.hash),
        operation: run.operation().cloned(),
        selective: selective(&run.cause),
        heals: heals(&run.cause),
        is_condemned: false,
        is_release: false,
    }
}

fn ended(last: &Attempt) -> OperationReport {
    let is_dry_run = last.operation.as_ref().is_some_and(|operation| operation.dry_run);
    OperationReport {
        phase: last.phase,
        message: last.message.clone(),
        started_at: last.started_at,
        finished_at: Some(last.finished_at),
        retries: last.retries,
        results: last.results.clone(),
        revision: Some(last.revision.clone()),
        hash: last.hash,
        operation: last.operation.clone(),
        selective: last.selective.clone(),
        heals: last.heals,
        is_condemned: last.is_condemned,
        is_release: last.phase == OperationPhase::Succeeded
            && last.selective.is_empty()
            && last.heals == 0
            && !is_dry_run,
    }
}

/// Returns the objects that a sync is about, as its operation names them; empty for all. Self-heal names no namespace
/// (Argo CD).
pub(crate) fn selective(cause: &Cause) -> Vec<ResourceSelector> {
    match cause {
        Cause::NewDesired => Vec::new(),
        Cause::SelfHeal(keys, _) => keys
            .iter()
            .map(|key| ResourceSelector {
                group: key.group.clone(),
                kind: key.kind.clone(),
                namespace: String::new(),
                name: key.name.clone(),
            })
            .collect(),
        Cause::Operation(operation) => operation.resources.clone(),
    }
}

/// Returns how many self-heals in a row a sync makes.
pub(crate) fn heals(cause: &Cause) -> u32 {
    match cause {
        Cause::SelfHeal(_, heals) => *heals,
        Cause::NewDesired | Cause::Operation(_) => 0,
    }
}

/// Says which objects failed, the first three by name.
pub(crate) fn failure_sentence(run: &Run) -> String {
    let failures: Vec<String> = run
        .failures()
        .map(|result| match &result.outcome {
            model::ObjectOutcome::Failed(_, message) => format!("{}: {message}", result.key),
            model::ObjectOutcome::Created
            | model::ObjectOutcome::Configured
            | model::ObjectOutcome::Unchanged
            | model::ObjectOutcome::Pruned
            | model::ObjectOutcome::PruneSkipped(_) => result.key.to_string(),
        })
        .collect();
    let named = failures.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
    let more = failures.len().saturating_sub(3);
    let tail = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("one or more objects failed to apply, reason: {named}{tail}")
}
