//! How does a sync move from its wish to its verdict?

use crate::effect::{Effect, Mode, Tone};
use crate::event::Desired;
use crate::report::{failure_sentence, heals, read_only_sentence, selective};
use crate::run::{Cause, Run, Standing, Step};
use crate::state::{Activity, Attempt, State};
use crate::trigger::{self, Wish};
use crate::{note, retry};
use model::{
    App, ErrorClass, ObjectOutcome, ObjectResult, OperationPhase, Reason, Revision, SyncId, Timestamp,
};
use plan::Plan;
use std::sync::Arc;

/// How a sync ended.
struct Verdict {
    phase: OperationPhase,
    reason: Reason,
    message: String,
    is_condemned: bool,
}

impl Verdict {
    fn failed(reason: Reason, message: impl Into<String>, is_condemned: bool) -> Self {
        Self { phase: OperationPhase::Failed, reason, message: message.into(), is_condemned }
    }

    fn succeeded(message: &str) -> Self {
        Self {
            phase: OperationPhase::Succeeded,
            reason: Reason::Synced,
            message: message.into(),
            is_condemned: false,
        }
    }
}

/// Starts what is wanted if nothing is under way, repeats what is due, and judges what is settling.
pub(crate) fn advance(state: &mut State, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    if let Activity::Waiting(run, at) = &state.activity
        && *at <= now
    {
        let run = run.clone();
        make_plan(state, run, app, out);
    }
    judge(state, app, now, out);
    if state.activity == Activity::Idle
        && let Wish::Sync(cause) = trigger::wish(state, app, now)
    {
        begin(state, cause, app, now, out);
    }
}

/// Returns when something is due although nothing happens.
pub(crate) fn wake(state: &State, app: &App, now: Timestamp) -> Option<Timestamp> {
    match &state.activity {
        Activity::Idle => match trigger::wish(state, app, now) {
            Wish::Later(at) => Some(at),
            Wish::Nothing | Wish::Sync(_) => None,
        },
        Activity::Settling(run) => Some(run.next_judgement(app)),
        Activity::Waiting(_, at) => Some(*at),
        Activity::Preparing(_) | Activity::Planning(_) | Activity::Applying(_) | Activity::Deleting(_) => {
            None
        }
    }
}

fn begin(state: &mut State, cause: Cause, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    state.newest = state.newest.next();
    let mut run = Run::new(state.newest, cause, now);
    let Some(operation) = run.operation() else {
        state.desired.clone_into(&mut run.desired);
        let revision = run.desired.as_ref().map_or("", |desired| desired.revision.short()).to_owned();
        match &run.cause {
            Cause::SelfHeal(keys, _) => {
                let names = keys.iter().take(3).map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let n = keys.len();
                out.push(note(
                    Reason::SelfHeal,
                    format!("{n} drifted objects go back to {revision}: {names}"),
                    Tone::Warning,
                ));
            }
            Cause::NewDesired | Cause::Operation(_) => {
                out.push(note(Reason::NewRevision, format!("sync to {revision} begins"), Tone::Plain));
            }
        }
        make_plan(state, run, app, out);
        return;
    };
    let mut fields = trigger::read_only(state, app);
    fields.extend(operation.not_yet.iter().map(|not_yet| not_yet.field.clone()));
    if !fields.is_empty() {
        finish(state, run, Verdict::failed(Reason::NotYet, read_only_sentence(&fields), true), now, out);
        return;
    }
    let target_revision = if operation.revision.is_empty() {
        app.source.target_revision.clone()
    } else {
        operation.revision.clone()
    };
    let who = if operation.username.is_empty() { "somebody" } else { &operation.username };
    out.push(note(Reason::Requested, format!("{who} asked for a sync to {target_revision}"), Tone::Plain));
    out.push(Effect::Prepare { sync: run.id, target_revision });
    state.activity = Activity::Preparing(run);
}

/// Takes in what an operation deploys.
pub(crate) fn prepared(
    state: &mut State,
    sync: SyncId,
    desired: Result<Arc<Desired>, String>,
    now: Timestamp,
    app: &App,
    out: &mut Vec<Effect>,
) {
    let Activity::Preparing(run) = &state.activity else { return };
    if run.id != sync {
        return;
    }
    let mut run = run.clone();
    let desired = match desired {
        Ok(desired) => desired,
        Err(message) => {
            let verdict = Verdict {
                phase: OperationPhase::Error,
                reason: Reason::SourceInvalid,
                message,
                is_condemned: false,
            };
            finish(state, run, verdict, now, out);
            return;
        }
    };
    if !desired.not_yet.is_empty() {
        let fields: Vec<String> = desired.not_yet.iter().map(|not_yet| not_yet.field.clone()).collect();
        finish(state, run, Verdict::failed(Reason::NotYet, read_only_sentence(&fields), true), now, out);
        return;
    }
    if !run.is_pinned() {
        state.desired = Some(Arc::clone(&desired));
        out.push(Effect::Compare);
    }
    run.desired = Some(desired);
    make_plan(state, run, app, out);
}

fn make_plan(state: &mut State, run: Run, app: &App, out: &mut Vec<Effect>) {
    let hash = run.desired.as_ref().expect("a plan is made of something desired").hash;
    out.push(Effect::Plan { sync: run.id, hash, selection: run.selection(), prune: run.prune(app) });
    state.activity = Activity::Planning(run);
}

/// Takes in a plan.
pub(crate) fn planned(
    state: &mut State,
    sync: SyncId,
    plan: Plan,
    now: Timestamp,
    app: &App,
    out: &mut Vec<Effect>,
) {
    let Activity::Planning(run) = &state.activity else { return };
    if run.id != sync {
        return;
    }
    let mut run = run.clone();
    run.take_plan(plan, state.comparison.as_deref());
    go_on(state, run, now, app, out);
}

/// Takes in a stage's results.
pub(crate) fn stage_done(
    state: &mut State,
    sync: SyncId,
    results: Vec<ObjectResult>,
    now: Timestamp,
    app: &App,
    out: &mut Vec<Effect>,
) {
    let Activity::Applying(run) = &state.activity else { return };
    if run.id != sync {
        return;
    }
    let mut run = run.clone();
    run.steps.pop_front();
    run.record(results);
    if run.failures().next().is_some() {
        // Nothing is deleted while something that may depend on it, or replace it, is not in place.
        run.steps.retain(|step| matches!(step, Step::Apply(_)));
    }
    go_on(state, run, now, app, out);
}

/// Carries out the next step, or ends the sync.
fn go_on(state: &mut State, mut run: Run, now: Timestamp, app: &App, out: &mut Vec<Effect>) {
    if let Some(effect) = run.next_effect() {
        out.push(effect);
        state.activity = Activity::Applying(run);
        return;
    }
    run.progress_at = now;
    if run.failures().next().is_some() {
        failed_to_apply(state, run, now, app, out);
        return;
    }
    match run.mode() {
        Mode::DryRun => finish(state, run, Verdict::succeeded("successfully synced (dry run)"), now, out),
        Mode::Real => {
            out.push(Effect::Compare);
            // What was compared before the apply says nothing about it.
            state.comparison = None;
            state.activity = Activity::Settling(run);
        }
    }
}

fn failed_to_apply(state: &mut State, mut run: Run, now: Timestamp, app: &App, out: &mut Vec<Effect>) {
    let classes: Vec<ErrorClass> = run
        .failures()
        .filter_map(|result| match &result.outcome {
            ObjectOutcome::Failed(class, _) => Some(*class),
            ObjectOutcome::Created
            | ObjectOutcome::Configured
            | ObjectOutcome::Unchanged
            | ObjectOutcome::Pruned
            | ObjectOutcome::PruneSkipped(_) => None,
        })
        .collect();
    let is_condemned = classes.iter().all(|class| class.condemns());
    let message = failure_sentence(&run);
    let next = if is_condemned { None } else { retry::next_attempt(app, run.operation(), run.retries, now) };
    if let Some(at) = next {
        out.push(note(Reason::ApplyHeld, format!("{message}; trying again at {at}"), Tone::Warning));
        run.retries += 1;
        state.activity = Activity::Waiting(run, at);
        out.push(Effect::Compare);
    } else {
        let reason = if is_condemned { Reason::Refused } else { Reason::ApplyHeld };
        let retried =
            if run.retries > 0 { format!(" (retried {} times).", run.retries) } else { String::new() };
        finish(state, run, Verdict::failed(reason, message + &retried, is_condemned), now, out);
        out.push(Effect::Compare);
    }
}

/// Judges a settling sync by how the app compares now.
fn judge(state: &mut State, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    let Activity::Settling(run) = &mut state.activity else { return };
    let Some(comparison) = state.comparison.as_deref() else {
        if now >= run.deadline(app) {
            let run = run.clone();
            let message = "the cluster could not be compared before the deadline";
            finish(state, run, Verdict::failed(Reason::HealthTimeout, message, false), now, out);
        }
        return;
    };
    match run.standing(comparison, app, now) {
        Standing::Waits(text) => run.waits_for = text,
        Standing::Settled => {
            let run = run.clone();
            finish(state, run, Verdict::succeeded("successfully synced (all tasks run)"), now, out);
        }
        Standing::Failed(reason, message) => {
            let run = run.clone();
            let is_condemned = reason == Reason::Degraded;
            finish(state, run, Verdict::failed(reason, message, is_condemned), now, out);
        }
    }
}

fn finish(state: &mut State, run: Run, verdict: Verdict, now: Timestamp, out: &mut Vec<Effect>) {
    let tone = match verdict.phase {
        OperationPhase::Succeeded | OperationPhase::Running => Tone::Plain,
        OperationPhase::Failed | OperationPhase::Error | OperationPhase::Terminating => Tone::Warning,
    };
    let revision = run.desired.as_ref().map_or_else(|| Revision::new(""), |desired| desired.revision.clone());
    let took = now.since(run.started_at);
    let story = match verdict.phase {
        OperationPhase::Succeeded => format!("sync to {} succeeded in {took}", revision.short()),
        OperationPhase::Failed
        | OperationPhase::Error
        | OperationPhase::Running
        | OperationPhase::Terminating => {
            format!("sync to {} failed after {took}: {}", revision.short(), verdict.message)
        }
    };
    out.push(note(verdict.reason, story, tone));
    let heals = heals(&run.cause);
    let selective = selective(&run.cause);
    let operation = run.operation().cloned();
    if operation.is_some() {
        state.handled.clone_from(&operation);
    }
    // A dry run says nothing about whether the desired state was tried.
    let hash = match run.mode() {
        Mode::Real => run.desired.as_ref().map(|desired| desired.hash),
        Mode::DryRun => state.last.as_ref().and_then(|last| last.hash),
    };
    state.last = Some(Attempt {
        hash,
        revision,
        phase: verdict.phase,
        reason: verdict.reason,
        message: verdict.message,
        started_at: run.started_at,
        finished_at: now,
        retries: run.retries,
        results: run.results,
        operation,
        selective,
        heals,
        is_condemned: verdict.is_condemned,
        may_repeat: false,
        was_blind: run.was_blind,
        is_old: false,
    });
    state.activity = Activity::Idle;
}

/// Ends what is under way because something newer takes over; nothing is recorded of it.
pub(crate) fn supersede(state: &mut State, reason: Reason, out: &mut Vec<Effect>) {
    if state.run().is_some() {
        out.push(note(Reason::Superseded, format!("the sync under way ends: {reason}"), Tone::Plain));
        state.newest = state.newest.next();
        state.activity = Activity::Idle;
    }
}

/// Other content was rendered: it takes over from an automated sync, or from a manual one that follows the branch.
pub(crate) fn preempt(state: &mut State, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    let replaces = state.run().is_some_and(|run| !run.is_pinned()) && app.automated.is_some();
    if replaces {
        // The operation asked for whatever the branch holds: the newer commit is an answer to it as well.
        if let Some(operation) = state.run().and_then(Run::operation).cloned() {
            state.newest = state.newest.next();
            state.activity = Activity::Idle;
            begin(state, Cause::Operation(operation), app, now, out);
        } else {
            supersede(state, Reason::NewRevision, out);
        }
    }
    state.comparison = None;
}

/// Takes in requests that stand in the Application: a new operation, or the end of the one under way.
pub(crate) fn app_changed(state: &mut State, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    if app.terminate {
        let verdict = Verdict::failed(Reason::Terminated, "Operation terminated", true);
        if let Some(run) = state.run().cloned() {
            finish(state, run, verdict, now, out);
            if app.operation.is_some() {
                state.handled.clone_from(&app.operation);
            }
        } else if let Some(last) = &mut state.last
            && !last.phase.is_completed()
        {
            last.phase = verdict.phase;
            last.message = verdict.message;
            last.is_condemned = true;
            last.is_old = false;
            last.finished_at = now;
            state.handled.clone_from(&app.operation);
        }
        return;
    }
    let Some(operation) = &app.operation else { return };
    let is_new = state.handled.as_ref() != Some(operation);
    let is_running = state.run().is_some_and(|run| run.operation() == Some(operation));
    if is_new && !is_running {
        supersede(state, Reason::Requested, out);
    }
    // Consent to deletions came: the plan is made again with it.
    if let Activity::Settling(run) = &state.activity
        && !run.unconfirmed.is_empty()
        && app.deletion_approved.is_some_and(|at| at.as_millis() / 1000 >= run.started_at.as_millis() / 1000)
    {
        let run = run.clone();
        make_plan(state, run, app, out);
    }
}

/// What was held may succeed now.
pub(crate) fn ground_changed(state: &mut State, now: Timestamp) {
    if let Activity::Waiting(_, at) = &mut state.activity {
        *at = now;
    }
    if let Some(last) = &mut state.last {
        last.may_repeat = true;
    }
}
