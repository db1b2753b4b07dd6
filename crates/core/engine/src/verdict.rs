//! How does a sync end, and what is remembered of it?

use crate::effect::{Effect, Mode, Tone};
use crate::operation::{failure_sentence, heals, selective};
use crate::run::{Cause, Run};
use crate::state::{Activity, Attempt, State};
use crate::unanswered::leave;
use crate::{note, retry, rollback, soak, trigger};
use model::{
    App, HealthStatus, ObjectOutcome, ObjectResult, OperationPhase, Reason, Revision, SyncStatus, Timestamp,
};

/// How a sync ended.
pub(crate) struct Verdict {
    pub(crate) phase: OperationPhase,
    pub(crate) reason: Reason,
    pub(crate) message: String,
    pub(crate) is_condemned: bool,
}

impl Verdict {
    pub(crate) fn failed(reason: Reason, message: impl Into<String>, is_condemned: bool) -> Self {
        Self { phase: OperationPhase::Failed, reason, message: message.into(), is_condemned }
    }

    /// Nothing could even be begun.
    pub(crate) fn error(reason: Reason, message: impl Into<String>) -> Self {
        Self { phase: OperationPhase::Error, reason, message: message.into(), is_condemned: false }
    }

    pub(crate) fn succeeded(message: &str) -> Self {
        Self {
            phase: OperationPhase::Succeeded,
            reason: Reason::Synced,
            message: message.into(),
            is_condemned: false,
        }
    }
}

/// Ends a sync with a verdict.
pub(crate) fn finish(
    state: &mut State,
    run: Run,
    verdict: Verdict,
    app: &App,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    out.push(story(&run, &verdict, now));
    // An operation that its author took away or replaced meanwhile was not handled: the same one may come again.
    if run.operation().is_some() && run.operation() == app.operation.as_ref() {
        state.handled.clone_from(&app.operation);
    }
    if let Cause::SelfHeal(keys, _) = &run.cause {
        state.heals.corrected(keys, now);
    }
    let hash = match run.mode() {
        Mode::Real => run.desired.as_ref().map(|desired| desired.hash),
        Mode::DryRun => state.tried().and_then(|tried| tried.hash),
    };
    if verdict.phase == OperationPhase::Succeeded {
        if run.is_full() && run.mode() == Mode::Real {
            state.touched.clear();
        }
        soak::begin(state, &run, now);
    }
    state.activity = Activity::Idle;
    rollback::follow(state, &run, &verdict, app, now, out);
    remember(state, attempt(run, verdict, hash, now));
}

/// Ends a try of which something could not be applied.
pub(crate) fn failed_to_apply(state: &mut State, run: Run, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    let condemns = |result: &ObjectResult| match &result.outcome {
        ObjectOutcome::Failed(class, _) => class.condemns(),
        ObjectOutcome::Created
        | ObjectOutcome::Configured
        | ObjectOutcome::Unchanged
        | ObjectOutcome::Pruned
        | ObjectOutcome::PruneSkipped(_) => false,
    };
    let is_condemned = run.failures().all(condemns);
    let reason = if is_condemned { Reason::Refused } else { Reason::ApplyHeld };
    let verdict = Verdict::failed(reason, failure_sentence(&run), is_condemned);
    fail(state, run, verdict, app, now, out);
    if matches!(state.activity, Activity::Waiting(..)) {
        state.compare_anew(out);
    } else {
        out.push(Effect::Compare);
    }
}

/// Ends a try that failed: what holds is repeated as often as it may be, what condemns waits for other content.
pub(crate) fn fail(
    state: &mut State,
    mut run: Run,
    mut verdict: Verdict,
    app: &App,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    // Once is enough for what is only held up: it is told of each try.
    if verdict.is_condemned || run.retries == 0 {
        out.extend(run.suspect(verdict.reason).map(|suspect| Effect::Inquire(Box::new(suspect))));
    }
    if let Some(message) = rollback::held_back::must_go_back(state, &run, &verdict, app, now) {
        verdict.message = message;
        let bad = rollback::bad(&run, verdict.reason, verdict.message.clone(), now);
        finish(state, run, verdict, app, now, out);
        if let Some(bad) = bad {
            rollback::held_back::go_back(state, bad, app, now);
        }
        return;
    }
    let next = match &run.cause {
        // It has to be brought there however long that takes; whether it is well there is told at once.
        Cause::Rollback if verdict.reason == Reason::ApplyHeld => {
            Some(retry::next_rollback(run.retries, now))
        }
        Cause::Rollback => None,
        Cause::NewDesired | Cause::SelfHeal(..) | Cause::Operation(_) if verdict.is_condemned => None,
        Cause::NewDesired | Cause::SelfHeal(..) | Cause::Operation(_) => {
            retry::next_attempt(app, run.operation(), run.retries, now)
        }
    };
    if let Some(at) = next {
        out.push(note(verdict.reason, format!("{}; trying again at {at}", verdict.message), Tone::Warning));
        run.retries += 1;
        run.progress_at = now;
        run.progress = None;
        run.seen.clear();
        run.broken_since = None;
        run.waits_for = verdict.message;
        state.activity = Activity::Waiting(run, at);
        return;
    }
    if run.retries > 0 {
        verdict.message = format!("{} (retried {} times).", verdict.message, run.retries);
    }
    finish(state, run, verdict, app, now, out);
}

/// Ends what is under way because something newer takes over, or because it may not go on.
pub(crate) fn supersede(state: &mut State, reason: Reason, now: Timestamp, out: &mut Vec<Effect>) {
    let Some(run) = state.run().cloned() else { return };
    out.push(note(Reason::Superseded, format!("the sync under way ends: {}", why(reason)), Tone::Plain));
    let has_begun = match &state.activity {
        Activity::Applying(_) | Activity::Settling(_) | Activity::Waiting(..) => run.mode() == Mode::Real,
        Activity::Idle | Activity::Preparing(_) | Activity::Planning(_) | Activity::Deleting(_) => false,
    };
    let operation = state.reported.as_ref().and_then(|report| report.operation.as_ref());
    let was_told = operation.is_some_and(|operation| {
        operation.phase == OperationPhase::Running && operation.started_at == run.started_at
    });
    if has_begun {
        rollback::disturbed(state, &run);
    }
    // What began may have changed something, and what was told must not be seen running for ever.
    if has_begun || was_told {
        let verdict = Verdict::failed(Reason::Superseded, format!("superseded: {}", why(reason)), false);
        remember(state, attempt(run, verdict, None, now));
    }
    state.newest = state.newest.next();
    leave(state, now);
}

/// Leaves what is under way to whoever holds the lease now. If that is us again, a sync that had begun is found as an
/// earlier life of the agent would have left it: running.
pub(crate) fn interrupt(state: &mut State, now: Timestamp) {
    let has_begun = match &state.activity {
        Activity::Applying(run) | Activity::Settling(run) | Activity::Waiting(run, _) => {
            run.mode() == Mode::Real
        }
        // An earlier try of it has.
        Activity::Planning(run) => run.retries > 0,
        Activity::Idle | Activity::Preparing(_) | Activity::Deleting(_) => false,
    };
    if let Some(run) = state.run().filter(|_| has_begun).cloned() {
        let hash = run.desired.as_ref().map(|desired| desired.hash);
        let verdict = Verdict {
            phase: OperationPhase::Running,
            reason: Reason::Superseded,
            message: run.waits_for.clone(),
            is_condemned: false,
        };
        let mut attempt = attempt(run, verdict, hash, now);
        attempt.is_old = true;
        remember(state, attempt);
    }
    leave(state, now);
}

/// Takes a verdict about health back once everything is in sync and healthy: it was only late.
pub(crate) fn take_back(state: &mut State, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    if state.activity != Activity::Idle || !state.may_write || trigger::ban(state, app).is_some() {
        return;
    }
    let Some((desired, comparison)) = state.current() else { return };
    let is_healthy = matches!(comparison.health.status, HealthStatus::Healthy | HealthStatus::Suspended);
    if comparison.sync != SyncStatus::Synced || !is_healthy {
        return;
    }
    let hash = desired.hash;
    for attempt in state.last.iter_mut().chain(state.before.as_deref_mut()) {
        let is_about_health = matches!(attempt.reason, Reason::HealthTimeout | Reason::Degraded);
        if attempt.phase != OperationPhase::Failed || !is_about_health || attempt.hash != Some(hash) {
            continue;
        }
        let verdict =
            Verdict::succeeded("successfully synced (all tasks run), but healthy only after it had failed");
        let story = format!("sync to {} succeeded after all", attempt.revision.short());
        out.push(note(verdict.reason, story, Tone::Plain));
        rewrite(attempt, verdict, now);
        // What a person wants left alone was not left alone for its health.
        if state.quarantine.get(hash).is_some_and(|bad| bad.reason != Reason::Requested) {
            state.quarantine.lift(hash);
        }
    }
}

/// Gives a sync that is not under way another end, which has to be told.
pub(crate) fn rewrite(attempt: &mut Attempt, verdict: Verdict, now: Timestamp) {
    attempt.phase = verdict.phase;
    attempt.reason = verdict.reason;
    attempt.message = verdict.message;
    attempt.is_condemned = verdict.is_condemned;
    attempt.finished_at = now;
    attempt.is_old = false;
}

/// Says why a sync ended before its time.
fn why(reason: Reason) -> &'static str {
    match reason {
        Reason::NewRevision => "a newer commit takes over",
        Reason::Requested => "another request takes over",
        Reason::SpecChanged => "the Application changed",
        Reason::NotPermitted => "the Application is not permitted to go on",
        Reason::NotYet => "the Application needs something that is not supported yet",
        Reason::Deleted => "the Application is being deleted",
        other => other.as_str(),
    }
}

fn attempt(run: Run, verdict: Verdict, hash: Option<model::DesiredHash>, now: Timestamp) -> Attempt {
    Attempt {
        headway: if verdict.phase.is_completed() { None } else { run.headway() },
        hash,
        revision: run.desired.as_ref().map_or_else(|| Revision::new(""), |desired| desired.revision.clone()),
        phase: verdict.phase,
        reason: verdict.reason,
        message: verdict.message,
        started_at: run.started_at,
        finished_at: now,
        retries: run.retries,
        operation: run.operation().cloned(),
        selective: selective(&run.cause),
        heals: heals(&run.cause),
        results: run.results,
        is_condemned: verdict.is_condemned,
        may_repeat: false,
        was_blind: run.was_blind,
        is_old: false,
    }
}

/// Makes an attempt the last one. One that says little about the desired state leaves the word to the one before it.
fn remember(state: &mut State, attempt: Attempt) {
    let is_partial = attempt.operation.as_ref().is_some_and(|operation| {
        // Nobody knows what it would have deployed: nothing was begun.
        let has_not_begun = attempt.revision.as_str().is_empty();
        operation.dry_run || has_not_begun || !operation.resources.is_empty()
    });
    if is_partial {
        if state.before.is_none() {
            state.before = state.last.take().map(Box::new);
        }
    } else {
        state.before = None;
    }
    state.last = Some(attempt);
}

fn story(run: &Run, verdict: &Verdict, now: Timestamp) -> Effect {
    let subject =
        run.desired.as_ref().map_or("sync".into(), |desired| format!("sync to {}", desired.revision.short()));
    let took = now.since(run.started_at);
    match verdict.phase {
        OperationPhase::Succeeded => {
            note(verdict.reason, format!("{subject} succeeded in {took}"), Tone::Plain)
        }
        OperationPhase::Failed
        | OperationPhase::Error
        | OperationPhase::Running
        | OperationPhase::Terminating => {
            note(verdict.reason, format!("{subject} failed after {took}: {}", verdict.message), Tone::Warning)
        }
    }
}
