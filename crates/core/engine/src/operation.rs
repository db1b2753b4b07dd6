//! What does `status.operationState` say?

use crate::report::OperationReport;
use crate::run::{Cause, Run};
use crate::state::{Activity, Attempt, State};
use crate::wording::{APPLYING, RETRYING};
use model::{ObjectOutcome, OperationPhase, ResourceSelector, Timestamp};

/// Returns the sync under way, or the last one of this life of the agent.
pub(crate) fn of(state: &State) -> Option<OperationReport> {
    if let Some(run) = state.run() {
        let (finished_at, message) = match &state.activity {
            Activity::Waiting(run, at) => (
                Some(run.progress_at),
                format!("{}{RETRYING}{} at {at}.", ended_sentence(&run.waits_for), run.retries),
            ),
            Activity::Settling(run) => (None, run.waits_for.clone()),
            Activity::Idle
            | Activity::Preparing(_)
            | Activity::Planning(_)
            | Activity::Applying(_)
            | Activity::Deleting(_) => (None, APPLYING.into()),
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
        reason: None,
        is_condemned: false,
        is_release: false,
        headway: run.headway(),
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
        revision: (!last.revision.as_str().is_empty()).then(|| last.revision.clone()),
        hash: last.hash,
        operation: last.operation.clone(),
        selective: last.selective.clone(),
        heals: last.heals,
        reason: (last.phase != OperationPhase::Succeeded).then_some(last.reason),
        is_condemned: last.is_condemned,
        is_release: last.phase == OperationPhase::Succeeded
            && last.selective.is_empty()
            && last.heals == 0
            && !is_dry_run,
        headway: None,
    }
}

/// Returns the objects that a sync is about, as its operation names them; empty for all. Self-heal names no namespace
/// (Argo CD).
pub(crate) fn selective(cause: &Cause) -> Vec<ResourceSelector> {
    match cause {
        Cause::NewDesired | Cause::Rollback => Vec::new(),
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
        Cause::NewDesired | Cause::Operation(_) | Cause::Rollback => 0,
    }
}

/// Returns a text with the stop that it lacks.
pub(crate) fn ended_sentence(text: &str) -> String {
    let is_ended = text.ends_with(['.', '?', '!']);
    if is_ended { text.into() } else { format!("{text}.") }
}

/// Says which objects failed, the first three by name.
pub(crate) fn failure_sentence(run: &Run) -> String {
    let failures: Vec<String> = run
        .failures()
        .map(|result| match &result.outcome {
            ObjectOutcome::Failed(_, message) => format!("{}: {message}", result.key),
            ObjectOutcome::Created
            | ObjectOutcome::Configured
            | ObjectOutcome::Unchanged
            | ObjectOutcome::Pruned
            | ObjectOutcome::PruneSkipped(_) => result.key.to_string(),
        })
        .collect();
    let named = failures.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
    let more = failures.len().saturating_sub(3);
    let tail = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("one or more objects failed to apply, reason: {named}{tail}")
}
