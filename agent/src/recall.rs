//! Which state of an engine does an Application tell of?
//!
//! An agent decides waits by all that it knows ([`engine::waiting`]). Whoever has only the cluster makes of the status what
//! the agent knew when it wrote that, and lets the same function decide. What a status does not tell: the content of a
//! commit that was never synced, so that one with the content of another counts as never tried; whether what keeps a
//! repository from being read may pass; and a sync that was followed by a dry run or by a sync of single objects, but for
//! its success.

use crate::facts::Facts;
use crate::status;
use engine::wording::{APPLYING, CANNOT_BE_DEPLOYED, CANNOT_BE_READ, FAILED, RETRYING, WHY};
use engine::{Activity, Attempt, Cause, Desired, Run, SourceFailure, SourceView, State};
use model::{
    App, Comparison, DesiredHash, ErrorClass, Evidence, Health, HealthStatus, NotYet, ObjectKey,
    ObjectOutcome, ObjectResult, ObjectStatus, Operation, OperationPhase, Problem, Reason, Revision, Seconds,
    SyncId, SyncStatus, Timestamp, digest,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Returns what the agent knew when it wrote an Application's status, and the app.
pub(crate) fn state(raw: &Value) -> (State, App) {
    let facts = Facts(raw);
    let (app, refused) = app(raw);
    let mut state = State::new(None, true);
    state.refused = refused;
    status::remember_held(&mut state, raw);
    state.source = source(facts);
    state.desired = desired(raw, &app).map(Arc::new);
    state.comparison =
        state.desired.as_ref().and_then(|desired| comparison(facts, desired.hash)).map(Arc::new);
    let Some(told) = application::status::last_operation(raw) else { return (state, app) };
    if told.phase.is_completed() {
        state.last = attempt(raw, &told);
        let says_little = !is_try(&told) || is_partial(&told);
        state.before = before(raw, &state, &told).filter(|_| says_little).map(Box::new);
    } else {
        state.activity = activity(raw, &told, state.desired.as_deref());
    }
    (state, app)
}

/// Returns the sync that a status tells of as it was asked for; `None` where the agent itself wanted it.
fn asked_for(raw: &Value) -> Option<Operation> {
    let operation = &raw["status"]["operationState"]["operation"];
    if operation["initiatedBy"]["automated"] == true || !operation.is_object() {
        return None;
    }
    // As it stood on the Application, so that the two can be told apart.
    let nobody = App::named(application::app_key(raw));
    application::requests(&json!({ "operation": operation }), nobody).operation
}

fn app(raw: &Value) -> (App, Vec<Problem>) {
    let told = conditions(Facts(raw), "InvalidSpecError").map(Problem::new).collect();
    match application::read(raw) {
        Ok(app) => (app, told),
        Err(problems) => (application::requests(raw, App::named(application::app_key(raw))), problems),
    }
}

fn conditions<'a>(facts: Facts<'a>, kind: &str) -> impl Iterator<Item = &'a str> {
    let of_kind = facts.list("/status/conditions").iter().filter(move |condition| condition["type"] == kind);
    of_kind.filter_map(|condition| condition["message"].as_str())
}

fn source(facts: Facts<'_>) -> SourceView {
    let errors = || conditions(facts, "ComparisonError");
    let refused = errors().filter_map(|message| message.strip_prefix(CANNOT_BE_DEPLOYED)?.split_once(": "));
    let refused: Vec<(&str, &str)> = refused.collect();
    if let Some((revision, _)) = refused.first() {
        let problems = refused.iter().map(|(_, problem)| Problem::new(*problem)).collect();
        return SourceView::Invalid(Revision::new(*revision), problems);
    }
    if let Some(message) = errors().find_map(|message| message.strip_prefix(CANNOT_BE_READ)) {
        let failure =
            SourceFailure { message: message.into(), is_transient: false, lacks_credentials: false };
        return SourceView::Failing(failure, Timestamp::from_millis(0));
    }
    match facts.revision() {
        "" => SourceView::Unknown,
        revision => SourceView::At(Revision::new(revision)),
    }
}

/// Returns what Git wants. The status tells the hash of what was tried or deployed only; whatever else has one of its own.
fn desired(raw: &Value, app: &App) -> Option<Desired> {
    let revision = Some(Facts(raw).revision()).filter(|revision| !revision.is_empty())?;
    let own = status::own_state(raw);
    let tried = application::status::last_operation(raw);
    let tried = tried.filter(|tried| is_try(tried) && tried.phase.is_completed());
    let is_tried = tried.as_ref().and_then(|tried| tried.revision.as_ref()).map(Revision::as_str);
    let deployed = own.revision.as_ref().map(Revision::as_str);
    let known = if is_tried == Some(revision) || has_failed(Facts(raw)).is_some() {
        own.attempted
    } else {
        own.desired.filter(|_| deployed == Some(revision))
    };
    let of_spec: BTreeSet<&str> = app.not_yet.iter().map(|not_yet| not_yet.field.as_str()).collect();
    let told = status::told(raw);
    let of_objects = told.iter().filter(|field| !of_spec.contains(field.as_str()));
    let unknown = unknown_content(Revision::new(revision));
    Some(Desired {
        hash: known.unwrap_or(unknown.hash),
        n_objects: Facts(raw).list("/status/resources").len(),
        not_yet: of_objects.map(|field| NotYet { field: field.clone() }).collect(),
        ..unknown
    })
}

/// Returns what is known of a commit of which nothing is told: its content is unlike any other's.
fn unknown_content(revision: Revision) -> Desired {
    Desired {
        hash: DesiredHash(digest(format!("the content of {revision}").as_bytes())),
        revision,
        n_objects: 0,
        source_type: String::new(),
        progress_deadline: Seconds::ZERO,
        not_yet: Vec::new(),
        repeated: Vec::new(),
        overruled: Vec::new(),
        lasting: Vec::new(),
    }
}

/// Returns why the last sync failed that was about what Git wants now, where live still differs from that.
fn has_failed(facts: Facts<'_>) -> Option<&str> {
    let mut told = conditions(facts, "SyncError");
    told.find_map(|message| Some(message.strip_prefix(FAILED)?.split_once(WHY)?.1))
}

fn comparison(facts: Facts<'_>, hash: DesiredHash) -> Option<Comparison> {
    let shared: Vec<String> = conditions(facts, "SharedResourceWarning").map(str::to_owned).collect();
    let listed = facts.list("/status/resources");
    let mut objects: Vec<ObjectStatus> = listed.iter().map(|entry| object(Facts(entry), &shared)).collect();
    let told = sync_status(facts.text("/status/sync/status"))?;
    let statuses: Vec<SyncStatus> = objects.iter().filter_map(|object| object.sync).collect();
    let worst = [SyncStatus::OutOfSync, SyncStatus::Unknown, SyncStatus::Synced];
    let rolled_up = worst.into_iter().find(|status| statuses.contains(status));
    // While the repository cannot be read the whole is unknown, and what was compared before stays as it is.
    let is_kept = conditions(facts, "ComparisonError")
        .any(|message| [CANNOT_BE_READ, CANNOT_BE_DEPLOYED].iter().any(|begin| message.starts_with(begin)));
    let sync = rolled_up.filter(|_| is_kept).unwrap_or(told);
    if sync == SyncStatus::OutOfSync && !statuses.contains(&SyncStatus::OutOfSync) {
        // A status that is too large to be stored lists the objects as they were while it fitted.
        objects.push(unlisted(facts));
    }
    let is_refused = objects.iter().any(|object| !object.refused.is_empty());
    Some(Comparison {
        hash,
        objects,
        sync,
        health: health(facts.text("/status/health/status"), facts.text("/status/health/message")),
        is_complete: sync != SyncStatus::Unknown,
        is_settled: sync != SyncStatus::Unknown || is_refused,
        progress: digest(b""),
        shared,
        unseen: Vec::new(),
        images: Vec::new(),
        links: Vec::new(),
    })
}

fn sync_status(word: &str) -> Option<SyncStatus> {
    let all = [SyncStatus::Synced, SyncStatus::OutOfSync, SyncStatus::Unknown];
    all.into_iter().find(|status| status.as_str() == word)
}

fn health(status: &str, message: &str) -> Health {
    Health::new(HealthStatus::parse(status).unwrap_or(HealthStatus::Unknown), message)
}

fn key(entry: Facts<'_>) -> ObjectKey {
    let [group, kind, namespace, name] =
        ["/group", "/kind", "/namespace", "/name"].map(|field| entry.text(field).to_owned());
    ObjectKey { group, kind, namespace, name }
}

fn object(entry: Facts<'_>, shared: &[String]) -> ObjectStatus {
    let key = key(entry);
    let sync = sync_status(entry.text("/status"));
    let refused = shared.iter().find(|message| message.contains(&key.to_string()));
    let refused = refused.filter(|_| sync == Some(SyncStatus::Unknown)).cloned().unwrap_or_default();
    let health = Some(health(entry.text("/health/status"), entry.text("/health/message")))
        .filter(|_| entry.0["health"].is_object());
    ObjectStatus {
        key,
        version: entry.text("/version").to_owned(),
        sync,
        health,
        evidence: Evidence::None,
        available: None,
        is_live: true,
        requires_pruning: entry.0["requiresPruning"] == true,
        requires_confirmation: false,
        refused,
    }
}

fn unlisted(facts: Facts<'_>) -> ObjectStatus {
    let key = ObjectKey::new("argoproj.io", "Application", facts.namespace(), facts.name());
    ObjectStatus { key, sync: Some(SyncStatus::OutOfSync), ..object(Facts(&Value::Null), &[]) }
}

/// Returns whether our annotation tells of a sync: a dry run tries nothing, and one that was ended before its commit was
/// known neither.
fn is_try(told: &application::status::LastOperation) -> bool {
    !told.dry_run && (told.automated || told.revision.is_some())
}

fn is_partial(told: &application::status::LastOperation) -> bool {
    !told.automated && !told.selective.is_empty()
}

/// Returns the last sync, which is over.
fn attempt(raw: &Value, told: &application::status::LastOperation) -> Option<Attempt> {
    let own = Some(status::own_state(raw)).filter(|own| is_try(told) && own.attempted.is_some());
    let (is_condemned, reason) = match &own {
        Some(own) => (own.is_condemned, own.reason),
        // Argo CD's word, or of what nothing is remembered: that it may pass is not known.
        None => (true, None),
    };
    let has_failed = told.phase != OperationPhase::Succeeded;
    Some(Attempt {
        hash: own.as_ref().and_then(|own| own.attempted),
        revision: told.revision.clone().unwrap_or_else(|| Revision::new("")),
        phase: told.phase,
        reason: reason.unwrap_or(Reason::Synced),
        message: told.message.clone(),
        started_at: told.started_at,
        finished_at: told.finished_at?,
        retries: told.retry_count,
        results: failures(raw),
        operation: asked_for(raw),
        selective: told.selective.clone(),
        heals: told.heal_attempts,
        is_condemned: is_condemned && has_failed,
        may_repeat: false,
        was_blind: false,
        is_old: true,
        headway: None,
    })
}

/// Returns the last sync of all objects, where another one followed that says little of what Git wants.
fn before(raw: &Value, state: &State, told: &application::status::LastOperation) -> Option<Attempt> {
    let last = state.last.clone()?;
    let own = status::own_state(raw);
    let whole = Attempt { operation: None, selective: Vec::new(), results: Vec::new(), ..last };
    let succeeded = |revision, hash| Attempt {
        hash,
        revision,
        phase: OperationPhase::Succeeded,
        reason: Reason::Synced,
        message: "successfully synced (all tasks run)".into(),
        is_condemned: false,
        ..whole.clone()
    };
    if let (Some(message), Some(desired)) = (has_failed(Facts(raw)), &state.desired) {
        let (hash, revision) = (Some(desired.hash), desired.revision.clone());
        let is_condemned = is_partial(told) || own.is_condemned;
        let phase = OperationPhase::Failed;
        return Some(Attempt { hash, revision, phase, message: message.into(), is_condemned, ..whole });
    }
    if !is_partial(told) && own.reason.is_none() {
        return own.revision.filter(|_| own.attempted == own.desired).map(|it| succeeded(it, own.desired));
    }
    let history = Facts(raw).list("/status/history").last()?;
    Some(succeeded(Revision::new(Facts(history).text("/revision")), None))
}

fn failures(raw: &Value) -> Vec<ObjectResult> {
    let results = Facts(raw).list("/status/operationState/syncResult/resources").iter();
    let failed = results.filter(|result| result["status"] == "SyncFailed").map(Facts);
    failed
        .map(|result| ObjectResult {
            key: key(result),
            version: result.text("/version").to_owned(),
            outcome: ObjectOutcome::Failed(ErrorClass::Invalid, result.text("/message").to_owned()),
            images: Vec::new(),
        })
        .collect()
}

/// Returns the sync under way.
fn activity(raw: &Value, told: &application::status::LastOperation, desired: Option<&Desired>) -> Activity {
    let cause = asked_for(raw).map_or(Cause::NewDesired, Cause::Operation);
    let mut run = Run::new(SyncId::default(), cause, told.started_at);
    run.desired = told.revision.as_ref().map(|revision| Arc::new(deployed(revision, desired)));
    run.retries = told.retry_count;
    run.results = failures(raw);
    let (failed, next) = told.message.split_once(RETRYING).unwrap_or((&told.message, ""));
    if let Some(failed_at) = told.finished_at {
        // Without the stop that it was ended with.
        run.waits_for = failed.strip_suffix('.').unwrap_or(failed).into();
        let at = next.split_once(" at ").and_then(|(_, at)| at.trim_end_matches('.').parse().ok());
        return Activity::Waiting(run, at.unwrap_or(failed_at));
    }
    if told.message == APPLYING || told.message.is_empty() {
        return Activity::Applying(run);
    }
    run.waits_for.clone_from(&told.message);
    Activity::Settling(run)
}

fn deployed(revision: &Revision, desired: Option<&Desired>) -> Desired {
    let wanted = desired.filter(|desired| desired.revision == *revision).cloned();
    wanted.unwrap_or_else(|| unknown_content(revision.clone()))
}
