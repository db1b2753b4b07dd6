//! How does a report become the status of an Application, and how is a status remembered?

use application::State;
use application::condition::{Condition, ConditionKind};
use application::status::{self, Detail, Draft, OperationState, SyncPart};
use engine::{Attempt, OperationReport, Report};
use model::{
    App, Bad, DesiredHash, NotYet, ObjectKey, Operation, OperationPhase, Reason, Revision, Timestamp, names,
};
use serde_json::Value;
use std::collections::BTreeSet;

/// Makes the merge patch that brings the Application's status to a report; `None` where it says so already. `live` is all
/// that the app has in the cluster, with uids, where that is known: what we created and is gone is forgotten, by a write
/// that happens anyway.
pub(crate) fn patch(
    raw: &Value,
    app: &App,
    (report, detail): (&Report, Detail),
    (own, live): (&State, Option<Vec<(&ObjectKey, &str)>>),
    control_namespace: &str,
    now: Timestamp,
) -> Option<Value> {
    let made = |own: &State| {
        status::patch(raw, &draft(raw, app, report, own, now).cut(detail), control_namespace, now)
    };
    let patch = made(own)?;
    let mut kept = own.clone();
    let Some(live) = live else { return Some(patch) };
    kept.retain_created(live);
    if kept.n_created() == own.n_created() { Some(patch) } else { made(&kept) }
}

fn draft(raw: &Value, app: &App, report: &Report, own: &State, now: Timestamp) -> Draft {
    let operation = report.operation.as_ref();
    Draft {
        sync: Some(SyncPart { status: report.sync, revision: report.revision.clone() }),
        health: report.health.clone(),
        objects: report.comparison.as_ref().map(|comparison| comparison.objects.clone()),
        images: report.comparison.as_ref().map(|comparison| comparison.images.clone()),
        links: report.comparison.as_ref().map(|comparison| comparison.links.clone()),
        conditions: report.conditions.iter().map(condition).collect(),
        operation: operation.map(|operation| operation_state(operation, app)),
        append_history: operation.is_some_and(|operation| is_new_release(raw, own, operation)),
        source_type: (!report.source_type.is_empty()).then(|| report.source_type.clone()),
        clear_operation: report.clear_operation,
        clear_refresh: report.clear_refresh,
        clear_request: report.clear_request,
        state: remembered_state(own, report),
        reconciled_at: now,
    }
}

fn condition(condition: &engine::Condition) -> Condition {
    let kind = match condition.kind {
        engine::ConditionKind::InvalidSpecError => ConditionKind::InvalidSpecError,
        engine::ConditionKind::ComparisonError => ConditionKind::ComparisonError,
        engine::ConditionKind::SyncError => ConditionKind::SyncError,
        engine::ConditionKind::UnknownError => ConditionKind::UnknownError,
        engine::ConditionKind::SharedResourceWarning => ConditionKind::SharedResourceWarning,
        engine::ConditionKind::RepeatedResourceWarning => ConditionKind::RepeatedResourceWarning,
        engine::ConditionKind::CheckWarning => ConditionKind::CheckWarning,
        engine::ConditionKind::DeletionError => ConditionKind::DeletionError,
        engine::ConditionKind::RolledBack => ConditionKind::RolledBack,
    };
    Condition::new(kind, condition.message.clone())
}

fn operation_state(operation: &OperationReport, app: &App) -> OperationState {
    let asked = operation.operation.as_ref();
    OperationState {
        phase: operation.phase,
        message: operation.message.clone(),
        started_at: operation.started_at,
        finished_at: operation.finished_at,
        retry_count: operation.retries,
        results: operation.results.clone(),
        revision: operation.revision.clone(),
        initiated_by: asked.map(|asked| asked.username.clone()).unwrap_or_default(),
        automated: asked.is_none(),
        prune: asked.map_or(app.automated.is_some_and(|automated| automated.prune), |asked| asked.prune),
        dry_run: asked.is_some_and(|asked| asked.dry_run),
        selective: operation.selective.clone(),
        heal_attempts: operation.heals,
    }
}

/// Returns whether a success is not in the history yet: it is written once, whatever is repeated. An automated sync that only
/// brings to its end what the last one deployed, such as by pruning what could not be seen then, is part of that.
fn is_new_release(raw: &Value, own: &State, operation: &OperationReport) -> bool {
    let last = raw.pointer("/status/history").and_then(Value::as_array).and_then(|history| history.last());
    let text = |field| last.and_then(|entry| entry.get(field)).and_then(Value::as_str).unwrap_or_default();
    let revision = operation.revision.as_ref().map_or("", |revision| revision.as_str());
    let is_of_last = text("revision") == revision;
    // Times are written to the second, and two commits may be deployed within one.
    let is_written = text("deployStartedAt") == operation.started_at.to_string();
    let hash = operation.hash.filter(|_| operation.operation.is_none());
    let is_rest = hash.is_some() && own.desired == hash && own.attempted == hash;
    operation.is_release && !(is_of_last && (is_written || is_rest))
}

/// Returns what the annotation remembers; `None` keeps what it says.
fn remembered_state(own: &State, report: &Report) -> Option<State> {
    let quarantine: Vec<Bad> = report.quarantine.iter().cloned().collect();
    let is_same = own.quarantine == quarantine && own.held == report.held;
    let operation = report.operation.as_ref().map(|operation| state(own, operation));
    if is_same {
        return operation;
    }
    let mut state = operation.unwrap_or_else(|| own.clone());
    (state.quarantine, state.held) = (quarantine, report.held.clone());
    Some(state)
}

/// Returns what the annotation remembers after a sync ended: what was tried, and what went well.
fn state(own: &State, operation: &OperationReport) -> State {
    let mut state = own.clone();
    state.headway.clone_from(&operation.headway);
    let has_begun = operation.revision.is_some();
    let is_no_try = operation.operation.as_ref().is_some_and(|asked| asked.dry_run || !has_begun);
    if !operation.phase.is_completed() || is_no_try {
        return state;
    }
    state.attempted = operation.hash;
    state.heals = operation.heals;
    state.reason = operation.reason;
    state.is_condemned = operation.is_condemned;
    if operation.phase == OperationPhase::Succeeded {
        state.desired = operation.hash;
        state.revision.clone_from(&operation.revision);
    }
    state
}

/// Returns our own state of an Application.
pub(crate) fn own_state(raw: &Value) -> State {
    let annotations = raw.pointer("/metadata/annotations");
    let text = annotations.and_then(|a| a.get(names::STATE_ANNOTATION)).and_then(Value::as_str);
    match text.map(State::read) {
        None => State::default(),
        Some((state, None)) => state,
        Some((state, Some(note))) => {
            tracing::warn!(note, "the annotation is not ours to read");
            state
        }
    }
}

/// Takes in which contents were bad, and at which release an earlier life kept the app.
pub(crate) fn remember_held(state: &mut engine::State, raw: &Value) {
    let own = own_state(raw);
    state.quarantine = own.quarantine.into_iter().collect();
    // What the release holds is read again: whoever wrote meanwhile may have left what cannot be taken back.
    state.hold = own.held.map(|held| Box::new(engine::Hold::new(held)));
    (state.soak, state.released) = (None, None);
}

/// Returns what an earlier life knew to make an app read-only, ours by its condition, Argo CD's by what it deployed and how.
pub(crate) fn remembered_not_yet(raw: &Value) -> Vec<NotYet> {
    let mut named = told(raw);
    // A spec that was invalid as a whole says nothing of the objects.
    named.remove("spec");
    if !named.is_empty() {
        return named.into_iter().map(|field| NotYet { field }).collect();
    }
    let mut deployed = status::deployed_not_yet(raw);
    deployed.sort();
    deployed.dedup();
    deployed
}

/// Returns what a status says makes the app read-only.
pub(crate) fn told(raw: &Value) -> BTreeSet<String> {
    engine::named_by(status::condition_messages(raw))
}

/// Returns the last sync that a status remembers, of an earlier life of ours or of Argo CD's.
pub(crate) fn remembered(raw: &Value) -> Option<Attempt> {
    let last = status::last_operation(raw)?;
    let own = own_state(raw);
    // The annotation tells of the last sync that was neither a dry run nor ended before anything was begun: what such a one
    // went like says nothing of what was tried.
    let is_no_try = last.dry_run || (!last.automated && last.revision.is_none());
    let is_told = !is_no_try || own.reason.is_none() || own.is_condemned;
    let phase = if is_no_try && last.phase.is_completed() && own.reason.is_none() {
        OperationPhase::Succeeded
    } else {
        last.phase
    };
    let hash: Option<DesiredHash> = own.attempted.or(own.desired).filter(|_| is_told);
    let asked = (!last.automated).then(|| Operation {
        username: last.username.clone(),
        dry_run: last.dry_run,
        resources: last.selective.clone(),
        ..Operation::default()
    });
    Some(Attempt {
        hash,
        revision: last.revision.unwrap_or_else(|| Revision::new("")),
        phase,
        reason: own.reason.unwrap_or(Reason::Synced),
        message: last.message,
        started_at: last.started_at,
        finished_at: last.finished_at.unwrap_or(last.started_at),
        retries: last.retry_count,
        results: Vec::new(),
        operation: asked,
        selective: last.selective,
        heals: own.heals.max(last.heal_attempts),
        is_condemned: own.is_condemned,
        may_repeat: false,
        was_blind: false,
        is_old: true,
        headway: own.headway,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::tests::report;
    use model::Digest;
    use serde_json::json;

    #[test]
    fn what_ends_a_deployment_is_in_the_history_once() {
        let hash = |text: &str| Some(DesiredHash(Digest::of_json(&json!(text))));
        let raw =
            json!({"status": {"history": [{"revision": "one", "deployStartedAt": "1970-01-01T00:00:01Z"}]}});
        let is_new = |second: i64, revision: &str, own: (Option<DesiredHash>, Option<DesiredHash>), asked| {
            let mut operation = report(second).operation.unwrap();
            operation.is_release = true;
            operation.revision = Some(Revision::new(revision));
            operation.hash = hash("one");
            operation.operation = asked;
            let mut remembered = State::default();
            (remembered.desired, remembered.attempted) = own;
            is_new_release(&raw, &remembered, &operation)
        };
        let deployed = (hash("one"), hash("one"));
        assert!(!is_new(1, "one", (None, None), None), "it is written");
        assert!(is_new(1, "two", (None, None), None), "another one in the same second");
        assert!(!is_new(9, "one", deployed, None), "the rest of it");
        assert!(is_new(9, "one", deployed, Some(model::Operation::default())), "somebody asked for it again");
        assert!(is_new(9, "two", deployed, None), "the same content by another commit");
        assert!(is_new(9, "one", (hash("one"), hash("bad")), None), "back from what failed");
        assert!(is_new(9, "one", (hash("old"), hash("one")), None), "it had failed before");
    }
}
