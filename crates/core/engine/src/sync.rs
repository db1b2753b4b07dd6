//! How does a sync move from its wish to its verdict?

use crate::conditions::{read_only_sentence, refusal_sentence};
use crate::effect::{Effect, Mode, Tone};
use crate::event::Desired;
use crate::run::{Cause, Run, Step};
use crate::state::{Activity, State};
use crate::trigger::{self, Wish};
use crate::verdict::{self, Verdict, finish, supersede, take_back};
use crate::{correction, judgement, note, rollback, soak, unanswered};
use model::{
    App, ErrorClass, HealthStatus, ObjectKey, ObjectOutcome, ObjectResult, Operation, OperationPhase,
    Problem, Reason, SyncId, Timestamp,
};
use plan::Plan;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Starts what is wanted if nothing is under way, repeats what is due, and judges what is settling.
pub(crate) fn advance(state: &mut State, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    if state.unanswered.is_none()
        && let Some(mut run) = due(state, app, now)
        && !(run.is_about_git() && soak::must_differ(state, out))
    {
        if matches!(state.activity, Activity::Waiting(..)) {
            run.tried_at = now;
        }
        make_plan(state, run, app, out);
    }
    correction::advance(state, app, now, out);
    judgement::judge(state, app, now, out);
    take_back(state, app, now, out);
    soak::advance(state, app, now, out);
    rollback::advance(state, app, now, out);
    if state.activity == Activity::Idle
        && state.unanswered.is_none()
        && let Wish::Sync(cause) = trigger::wish(state, app, now)
    {
        begin(state, cause, app, now, out);
    }
}

/// Returns the sync whose plan is to be made now.
fn due(state: &State, app: &App, now: Timestamp) -> Option<Run> {
    let run = match &state.activity {
        // What is planned was compared: else nothing would be known of what to prune.
        Activity::Waiting(run, at) => {
            let is_due = *at <= now || is_well(state, run);
            (is_due && state.view_of(run).is_some()).then_some(run)
        }
        Activity::Preparing(run) => {
            let hash = run.desired.as_ref().map(|desired| desired.hash);
            let compared = state.view_of(run).map(|comparison| comparison.hash);
            (hash.is_some() && hash == compared).then_some(run)
        }
        // Consent to deletions came.
        Activity::Settling(run) => {
            let since = run.started_at.as_millis() / 1000;
            let consented = app.deletion_approved.is_some_and(|at| at.as_millis() / 1000 >= since);
            (!run.unconfirmed.is_empty() && consented && state.view_of(run).is_some()).then_some(run)
        }
        Activity::Idle | Activity::Planning(_) | Activity::Applying(_) | Activity::Deleting(_) => None,
    };
    run.cloned()
}

/// Returns whether a sync that waits for its next try waited for nothing but health, and everything is healthy by now.
fn is_well(state: &State, run: &Run) -> bool {
    run.failures().next().is_none() && state.view_of(run).is_some_and(|comparison| run.is_settled(comparison))
}

/// Returns when something is due although nothing happens.
pub(crate) fn wake(state: &State, app: &App, now: Timestamp) -> Option<Timestamp> {
    match &state.activity {
        Activity::Idle => match trigger::wish(state, app, now) {
            Wish::Later(at) => Some(at),
            Wish::Nothing | Wish::Sync(_) => None,
        },
        Activity::Settling(run) => {
            let judgement = run.next_judgement(app);
            let judgement = run.deferral.due(app).map_or(judgement, |due| due.min(judgement));
            Some(correction::wake(state, app, now).map_or(judgement, |at| at.min(judgement)))
        }
        Activity::Waiting(_, at) => Some(correction::wake(state, app, now).map_or(*at, |heal| heal.min(*at))),
        Activity::Preparing(_) | Activity::Planning(_) | Activity::Applying(_) | Activity::Deleting(_) => {
            None
        }
    }
}

fn begin(state: &mut State, cause: Cause, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    if cause == Cause::NewDesired && soak::must_differ(state, out) {
        return;
    }
    state.newest = state.newest.next();
    let mut run = Run::new(state.newest, cause, now);
    if !matches!(run.cause, Cause::SelfHeal(..)) && run.is_full() && run.mode() == Mode::Real {
        state.heals.clear();
    }
    if let Cause::Operation(operation) = &run.cause {
        let operation = operation.clone();
        begin_operation(state, run, &operation, app, now, out);
        return;
    }
    if run.cause == Cause::Rollback {
        rollback::begin(state, run, out);
        return;
    }
    run.desired = state.enforced(app).cloned();
    run.note_seen(state);
    if run.cause == Cause::NewDesired {
        resume(state, &mut run, now);
        let revision = run.desired.as_ref().map_or("", |desired| desired.revision.short());
        out.push(note(Reason::NewRevision, format!("sync to {revision} begins"), Tone::Plain));
    }
    make_plan(state, run, app, out);
}

/// Goes on where the attempt before left off: repeats are counted on, and what an earlier life of the agent may have
/// set in motion is waited for.
fn resume(state: &State, run: &mut Run, now: Timestamp) {
    let (Some(last), Some((desired, comparison))) = (state.tried(), state.current()) else { return };
    match last.phase {
        OperationPhase::Running | OperationPhase::Terminating => {
            // Which of them it touched is not known; claiming a success that is none would be worse.
            let is_open = |o: &&model::ObjectStatus| {
                let status = o.health.as_ref().map(|health| health.status);
                matches!(status, Some(HealthStatus::Progressing | HealthStatus::Degraded))
            };
            // Unless it is known what the commit changes: what ails for other reasons is not its fault.
            if !soak::knows_touched(state, desired.hash) {
                run.watched.extend(comparison.objects.iter().filter(is_open).map(|o| o.key.clone()));
            }
            let is_same =
                last.revision == desired.revision && last.operation.is_none() && last.selective.is_empty();
            if is_same && last.phase == OperationPhase::Running {
                run.go_on_from(last, now);
            }
        }
        OperationPhase::Failed | OperationPhase::Error if last.was_about(desired) && !last.may_repeat => {
            run.retries = last.retries.saturating_add(1);
        }
        OperationPhase::Failed | OperationPhase::Error | OperationPhase::Succeeded => {}
    }
}

fn begin_operation(
    state: &mut State,
    run: Run,
    operation: &Operation,
    app: &App,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    if !state.refused.is_empty() {
        let message = state.refused.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ");
        finish(state, run, Verdict::error(Reason::NotPermitted, message), app, now, out);
        return;
    }
    let mut fields = trigger::read_only(state, app);
    let is_read_only = !fields.is_empty();
    fields.extend(operation.not_yet.iter().map(|not_yet| not_yet.field.clone()));
    if !fields.is_empty() {
        let sentence = if is_read_only { read_only_sentence(&fields) } else { refusal_sentence(&fields) };
        finish(state, run, Verdict::failed(Reason::NotYet, sentence, true), app, now, out);
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
            finish(state, run, Verdict::error(Reason::SourceInvalid, message), app, now, out);
            return;
        }
    };
    if !desired.not_yet.is_empty() {
        let fields: Vec<String> = desired.not_yet.iter().map(|not_yet| not_yet.field.clone()).collect();
        let verdict = Verdict::failed(Reason::NotYet, read_only_sentence(&fields), true);
        finish(state, run, verdict, app, now, out);
        return;
    }
    run.desired = Some(Arc::clone(&desired));
    run.note_seen(state);
    if !run.is_pinned() {
        state.desired = Some(desired);
    }
    out.push(Effect::Compare);
    state.activity = Activity::Preparing(run);
}

fn make_plan(state: &mut State, run: Run, app: &App, out: &mut Vec<Effect>) {
    let hash = run.desired.as_ref().expect("a plan is made of something desired").hash;
    let prune = run.prune(app, state.is_of_hold(&run));
    out.push(Effect::Plan { sync: run.id, hash, selection: run.selection(), prune });
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
    let before = state.view_of(&run).cloned();
    run.take_plan(plan, before.as_deref());
    run.put_off(state, app);
    run.note_leaving();
    if run.is_full() {
        let objects = before.iter().flat_map(|comparison| comparison.objects.iter());
        let leftovers: BTreeSet<&ObjectKey> =
            objects.filter(|object| object.requires_pruning).map(|object| &object.key).collect();
        // What another commit left behind is not this one's.
        let touched = state.touched.iter().filter(|key| !leftovers.contains(key)).cloned();
        run.watched.extend(touched);
    }
    if run.heals_nothing() {
        // Nobody needs to hear of it, and it is not tried again.
        state.activity = Activity::Idle;
        if let Some(tried) = state.tried_mut() {
            tried.results.extend(run.results);
        }
        return;
    }
    if let Cause::SelfHeal(keys, _) = &run.cause
        && run.retries == 0
    {
        out.push(correction::story(&run, keys));
    }
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
    if unanswered::answered(state, sync, out) {
        return;
    }
    let Activity::Applying(run) = &state.activity else { return };
    if run.id != sync {
        return;
    }
    let is_withheld =
        |result: &ObjectResult| matches!(result.outcome, ObjectOutcome::Failed(ErrorClass::Withheld, _));
    if results.iter().any(is_withheld) {
        // Nothing was sent, which says nothing of the content: whoever may write goes on.
        verdict::interrupt(state, now);
        state.unanswered = None;
        return;
    }
    let mut run = run.clone();
    run.steps.pop_front();
    let results = if run.correction.is_some() { correction::corrected(results, out) } else { results };
    let is_changed = |result: &&ObjectResult| match result.outcome {
        ObjectOutcome::Created | ObjectOutcome::Configured => true,
        ObjectOutcome::Unchanged
        | ObjectOutcome::Pruned
        | ObjectOutcome::PruneSkipped(_)
        | ObjectOutcome::Failed(..) => false,
    };
    if run.mode() == Mode::Real {
        state.touched.extend(results.iter().filter(is_changed).map(|result| result.key.clone()));
    }
    run.applied_at =
        results.iter().any(|result| result.outcome.is_change()).then_some(now).or(run.applied_at);
    run.record(results);
    if run.failures().next().is_some() {
        // Nothing is deleted while something that may depend on it, or replace it, is not in place.
        run.steps.retain(|step| matches!(step, Step::Apply(_)));
        run.deferral.clear();
    }
    go_on(state, run, now, app, out);
}

/// Carries out the next step, or ends the sync.
pub(crate) fn go_on(state: &mut State, mut run: Run, now: Timestamp, app: &App, out: &mut Vec<Effect>) {
    run.keep_what_git_wants(&prunable(state, &run));
    if let Some(effect) = run.next_effect() {
        out.push(effect);
        state.activity = Activity::Applying(run);
        return;
    }
    match run.correction.take() {
        Some(correction) => {
            correction::done(state, &mut run, &correction, now);
            if let Some(at) = correction.next_try {
                state.activity = Activity::Waiting(run, at);
                state.compare_anew(out);
                return;
            }
        }
        // What was found under way and is only waited for gets no more time by that.
        None if run.progress.is_some() && !run.has_changed() => {}
        None => run.progress_at = now,
    }
    if run.failures().next().is_some() {
        verdict::failed_to_apply(state, run, app, now, out);
        return;
    }
    match run.mode() {
        Mode::DryRun => {
            finish(state, run, Verdict::succeeded("successfully synced (dry run)"), app, now, out);
        }
        Mode::Real => {
            state.activity = Activity::Settling(run);
            state.compare_anew(out);
        }
    }
}

/// Returns what the newest whole view of the cluster still shows as no longer wanted. A plan may be older than that.
fn prunable(state: &State, run: &Run) -> BTreeSet<ObjectKey> {
    let hash = run.desired.as_ref().map(|desired| desired.hash);
    let comparison = state.view_of(run).filter(|c| c.is_complete && Some(c.hash) == hash);
    comparison.into_iter().flat_map(|comparison| comparison.to_prune()).cloned().collect()
}

/// Other content was rendered: it takes over from an automated sync, or from a manual one that follows the branch.
pub(crate) fn preempt(state: &mut State, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    // One that is still looking up what the branch holds will see the newer commit by itself.
    let is_looking = matches!(&state.activity, Activity::Preparing(run) if run.desired.is_none());
    let is_going_back = state.run().is_some_and(|run| state.is_of_hold(run));
    let replaces = if is_going_back {
        state.wants_other(app)
    } else {
        !is_looking
            && (app.automated.is_some() || matches!(state.activity, Activity::Preparing(_)))
            && state.run().is_some_and(|run| !run.is_pinned())
    };
    if replaces {
        // The operation asked for whatever the branch holds: the newer commit is an answer to it as well.
        if let Some(operation) = state.run().and_then(Run::operation).cloned() {
            state.newest = state.newest.next();
            unanswered::leave(state, now);
            begin(state, Cause::Operation(operation), app, now, out);
        } else {
            supersede(state, Reason::NewRevision, now, out);
        }
    }
    state.comparison = None;
}
