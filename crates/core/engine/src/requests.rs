//! What do people and the ground want of a sync: another one, its end, another try?

use crate::effect::Effect;
use crate::run::Cause;
use crate::state::{Activity, State};
use crate::trigger;
use crate::unanswered;
use crate::verdict;
use crate::verdict::{Verdict, finish, supersede};
use model::{App, HeldStage, OperationPhase, Reason, Timestamp};

/// Ends a sync that may not go on, or that nobody wants any more.
pub(crate) fn withdraw(state: &mut State, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    let Some(run) = state.run() else { return };
    if !state.may_write {
        verdict::interrupt(state, now);
        return;
    }
    let is_unwanted = matches!(state.activity, Activity::Waiting(..))
        && match &run.cause {
            Cause::NewDesired => app.automated.is_none(),
            Cause::SelfHeal(..) => !app.automated.is_some_and(|automated| automated.self_heal),
            Cause::Operation(_) => app.operation.is_none(),
            Cause::Rollback => state.hold.is_none(),
        };
    if let Some(reason) = trigger::ban(state, app) {
        supersede(state, reason, now, out);
    } else if is_unwanted {
        supersede(state, Reason::SpecChanged, now, out);
    }
}

/// Ends in the status what an earlier life of the agent left running and nobody asks for any more.
pub(crate) fn close_abandoned(state: &mut State, app: &App, now: Timestamp) {
    // What is left alone is no more asked for, nor what could not be gone back to.
    let is_left = match &state.hold {
        None => state.quarantined().is_some(),
        // Before Git was read nobody knows what it wants.
        Some(hold) => {
            let is_stuck = matches!(hold.held.stage, HeldStage::Failed(_)) && state.desired.is_some();
            is_stuck && !state.wants_other(app)
        }
    };
    let is_asked_for = app.operation.is_some() || (app.automated.is_some() && !is_left);
    if !state.may_write || state.spec.is_none() || is_asked_for || state.activity != Activity::Idle {
        return;
    }
    if let Some(last) = state.last.as_mut().filter(|last| !last.phase.is_completed()) {
        last.phase = OperationPhase::Error;
        last.reason = Reason::Superseded;
        last.message = "interrupted, and nobody asks for it any more".into();
        last.finished_at = now;
        last.is_old = false;
    }
}

/// Takes in requests that stand in the Application: a new operation, or the end of the one under way.
pub(crate) fn app_changed(state: &mut State, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    if !app.terminate {
        state.is_terminated = false;
    } else if !state.is_terminated {
        state.is_terminated = true;
        terminate(state, app, now, out);
        return;
    }
    let Some(operation) = &app.operation else { return };
    let is_new = state.handled.as_ref() != Some(operation);
    let is_running = state.run().is_some_and(|run| run.operation() == Some(operation));
    if is_new && !is_running {
        supersede(state, Reason::Requested, now, out);
    }
}

fn terminate(state: &mut State, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    let verdict = Verdict::failed(Reason::Terminated, "Operation terminated", true);
    if let Some(run) = state.run().cloned() {
        unanswered::leave(state, now);
        finish(state, run, verdict, app, now, out);
    } else if let Some(last) = state.last.as_mut().filter(|last| !last.phase.is_completed()) {
        verdict::rewrite(last, verdict, now);
    } else {
        // It had ended already; the status says otherwise until it is told again.
        if let Some(last) = &mut state.last {
            last.is_old = false;
        }
        state.reported = None;
    }
    state.handled.clone_from(&app.operation);
}

/// What was held may succeed now.
pub(crate) fn ground_changed(state: &mut State, now: Timestamp) {
    if let Some(at) = state.next_try_mut() {
        *at = now;
    }
    if let Some(last) = &mut state.last {
        last.may_repeat = true;
    }
}
