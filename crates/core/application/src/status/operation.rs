//! How does the status tell of a sync? `status.operationState`, in Argo CD's form.

use super::set;
use model::{ObjectOutcome, ObjectResult, OperationPhase, ResourceSelector, Revision, Timestamp};
use serde_json::{Map, Value, json};

/// Repeats of automated syncs where the spec says nothing: for ever, in Argo CD's way to say so. Its own limit is 5.
const AUTOMATED_RETRIES: i64 = -1;

/// The sync under way, or the last one.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationState {
    /// Phase.
    pub phase: OperationPhase,
    /// The sentence.
    pub message: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; with phase `Running`, when the attempt ended that is going to be repeated.
    pub finished_at: Option<Timestamp>,
    /// Repeats so far.
    pub retry_count: u32,
    /// One per object, in the order in which they were recorded.
    pub results: Vec<ObjectResult>,
    /// What is deployed.
    pub revision: Option<Revision>,
    /// Who asked; empty where unknown or where the agent itself did.
    pub initiated_by: String,
    /// Whether the agent itself asked.
    pub automated: bool,
    /// Whether it prunes; told only where no `operation` on the Application says it.
    pub prune: bool,
    /// Whether it changes nothing; told only where no `operation` on the Application says it.
    pub dry_run: bool,
    /// The objects that it is about; empty for all.
    pub selective: Vec<ResourceSelector>,
    /// Self-heals in a row.
    pub heal_attempts: u32,
}

impl OperationState {
    pub(super) fn initiator(&self) -> Value {
        let mut by = Map::new();
        set(&mut by, "username", self.initiated_by.as_str().into());
        if self.automated {
            by.insert("automated".into(), true.into());
        }
        Value::Object(by)
    }
}

/// Returns `status.operationState`.
pub(super) fn state(raw: &Value, operation: &OperationState) -> Value {
    let mut state = Map::new();
    set(&mut state, "operation", requested(raw, operation));
    set(&mut state, "phase", operation.phase.as_str().into());
    set(&mut state, "message", operation.message.as_str().into());
    set(&mut state, "startedAt", operation.started_at.to_string().into());
    set(&mut state, "finishedAt", operation.finished_at.map(|at| at.to_string()).unwrap_or_default().into());
    if operation.retry_count > 0 {
        state.insert("retryCount".into(), operation.retry_count.into());
    }
    set(&mut state, "syncResult", sync_result(raw, operation));
    Value::Object(state)
}

fn sync_result(raw: &Value, operation: &OperationState) -> Value {
    let mut result = Map::new();
    // Argo CD's readers expect the field, empty or not.
    let revision = operation.revision.as_ref().map_or("", |revision| revision.as_str());
    result.insert("revision".into(), revision.into());
    set(&mut result, "source", synced_source(raw, operation));
    set(
        &mut result,
        "resources",
        operation.results.iter().map(|r| self::result(r, operation.phase)).collect(),
    );
    Value::Object(result)
}

/// Returns what the status says of this very sync so far. Times are written to the second, and two commits may be synced
/// within one; a sync that has only begun knows no revision yet.
fn told<'a>(raw: &'a Value, operation: &OperationState) -> Option<&'a Value> {
    let revision = operation.revision.as_ref().map_or("", |revision| revision.as_str());
    raw.pointer("/status/operationState").filter(|told| {
        let known = told["syncResult"]["revision"].as_str().unwrap_or_default();
        told["startedAt"] == operation.started_at.to_string().as_str()
            && (known.is_empty() || known == revision)
    })
}

/// Returns the source of the sync: the spec may name another one since.
fn synced_source(raw: &Value, operation: &OperationState) -> Value {
    let known = told(raw, operation).map(|told| &told["syncResult"]["source"]);
    known.filter(|source| source.is_object()).unwrap_or(&raw["spec"]["source"]).clone()
}

/// Returns what was asked for, word for word where it stands on the Application or stood there when the sync began, and
/// otherwise as Argo CD's own auto-sync would have asked.
fn requested(raw: &Value, operation: &OperationState) -> Value {
    let asked = raw.get("operation").filter(|asked| !asked.is_null());
    let told = told(raw, operation).filter(|told| told["operation"].is_object());
    let told_is_over = told.is_some_and(|told| {
        told["phase"].as_str().and_then(OperationPhase::parse).is_some_and(OperationPhase::is_completed)
    });
    let asked = asked.filter(|asked| (asked["initiatedBy"]["automated"] == true) == operation.automated);
    match (told, asked) {
        (Some(told), None) => told["operation"].clone(),
        (Some(told), Some(_)) if !told_is_over => told["operation"].clone(),
        (_, Some(asked)) => asked.clone(),
        (None, None) => made_up(raw, operation),
    }
}

fn made_up(raw: &Value, operation: &OperationState) -> Value {
    let spec = &raw["spec"];
    let mut sync = Map::new();
    set(&mut sync, "revision", operation.revision.as_ref().map_or("", |revision| revision.as_str()).into());
    for (field, on) in [("prune", operation.prune), ("dryRun", operation.dry_run)] {
        if on {
            sync.insert(field.into(), true.into());
        }
    }
    set(&mut sync, "source", spec["source"].clone());
    set(&mut sync, "syncOptions", spec["syncPolicy"]["syncOptions"].clone());
    set(&mut sync, "resources", operation.selective.iter().map(selector).collect());
    if operation.heal_attempts > 0 {
        sync.insert("autoHealAttemptsCount".into(), operation.heal_attempts.into());
    }
    let retry = match spec["syncPolicy"].get("retry") {
        Some(retry) if retry.is_object() => retry.clone(),
        Some(_) | None if operation.automated => json!({"limit": AUTOMATED_RETRIES}),
        Some(_) | None => json!({}),
    };
    let mut asked = Map::new();
    set(&mut asked, "initiatedBy", operation.initiator());
    asked.insert("retry".into(), retry);
    asked.insert("sync".into(), Value::Object(sync));
    Value::Object(asked)
}

fn selector(selector: &ResourceSelector) -> Value {
    let mut entry = Map::new();
    for (field, text) in [
        ("group", &selector.group),
        ("kind", &selector.kind),
        ("namespace", &selector.namespace),
        ("name", &selector.name),
    ] {
        set(&mut entry, field, text.as_str().into());
    }
    Value::Object(entry)
}

/// Writes what a sync in this phase did to an object.
pub fn result(result: &ObjectResult, phase: OperationPhase) -> Value {
    let mut entry = Map::new();
    let key = &result.key;
    // Argo CD's own CRD wants all five, empty or not.
    for (field, text) in [
        ("group", &key.group),
        ("version", &result.version),
        ("kind", &key.kind),
        ("namespace", &key.namespace),
        ("name", &key.name),
    ] {
        entry.insert(field.into(), text.as_str().into());
    }
    let (status, hook_phase) = words(&result.outcome, phase);
    set(&mut entry, "status", status.into());
    set(&mut entry, "message", result_line(result).into());
    set(&mut entry, "hookPhase", hook_phase.as_str().into());
    set(&mut entry, "syncPhase", "Sync".into());
    set(&mut entry, "images", json!(result.images));
    Value::Object(entry)
}

/// Returns Argo CD's result word, and the phase that it writes for plain objects as well: an applied object is `Running`
/// until the sync that waits for its health has succeeded.
fn words(outcome: &ObjectOutcome, phase: OperationPhase) -> (&'static str, OperationPhase) {
    match outcome {
        ObjectOutcome::Created | ObjectOutcome::Configured | ObjectOutcome::Unchanged => {
            let settled = phase == OperationPhase::Succeeded;
            ("Synced", if settled { OperationPhase::Succeeded } else { OperationPhase::Running })
        }
        ObjectOutcome::Pruned => ("Pruned", OperationPhase::Succeeded),
        ObjectOutcome::PruneSkipped(_) => ("PruneSkipped", OperationPhase::Succeeded),
        ObjectOutcome::Failed(..) => ("SyncFailed", OperationPhase::Failed),
    }
}

/// Returns the line that people read of one result: kubectl's, such as `deployment.apps/ui created`, or the reason.
pub fn result_line(result: &ObjectResult) -> String {
    let key = &result.key;
    let group = if key.group.is_empty() { String::new() } else { format!(".{}", key.group) };
    let name = format!("{}{group}/{}", key.kind.to_lowercase(), key.name);
    match &result.outcome {
        ObjectOutcome::Created => format!("{name} created"),
        ObjectOutcome::Configured => format!("{name} configured"),
        ObjectOutcome::Unchanged => format!("{name} unchanged"),
        ObjectOutcome::Pruned => format!("{name} pruned"),
        ObjectOutcome::PruneSkipped(why) | ObjectOutcome::Failed(_, why) => why.clone(),
    }
}
