//! What follows when a person asks to go back, to resume, or to leave a commit alone?

use super::Hold;
use crate::effect::{Effect, Tone};
use crate::state::{SourceView, State};
use crate::{note, trigger, verdict};
use model::{
    Again, App, Asked, Bad, DesiredHash, Held, HeldStage, Reason, ReleaseRequest, Revision, Stable, Timestamp,
};

/// Carries out what a person asks for beside a sync, once it is known what Git holds.
pub(crate) fn advance(state: &mut State, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    let Some(request) = &app.request else {
        state.answered = None;
        return;
    };
    if !state.may_write || state.answered.as_ref() == Some(request) {
        return;
    }
    let refused = |why: &str| note(Reason::Requested, format!("nothing is done: {why}"), Tone::Warning);
    if let Some(reason) = trigger::ban(state, app) {
        out.push(refused(&format!("the Application may not be changed now ({reason})")));
        state.answered = Some(request.clone());
        return;
    }
    let is_away = matches!(state.source, SourceView::Failing(..)) && state.knows_releases;
    let needs_git = !matches!(request.what, Asked::RollBack { .. } | Asked::Unreadable(_));
    if state.desired.is_none() && (needs_git || !is_away) {
        // It is answered when Git has been read; going back needs no Git, where it is away.
        return;
    }
    state.answered = Some(request.clone());
    match &request.what {
        Asked::Unreadable(why) => out.push(refused(why)),
        Asked::Resume => resume(state, request, now, out),
        Asked::Quarantine => leave_alone(state, request, now, out),
        Asked::RollBack { to, until_resumed } => {
            roll_back(state, request, (to, *until_resumed), now, out);
        }
    }
}

fn who(request: &ReleaseRequest) -> &str {
    if request.username.is_empty() { "somebody" } else { &request.username }
}

/// Git decides again.
fn resume(state: &mut State, request: &ReleaseRequest, now: Timestamp, out: &mut Vec<Effect>) {
    if state.run().is_some_and(|run| state.is_of_hold(run)) {
        verdict::supersede(state, Reason::Requested, now, out);
    }
    let Some(hash) = state.desired.as_ref().map(|desired| desired.hash) else { return };
    state.quarantine.lift(hash);
    state.let_go();
    for attempt in state.last.iter_mut().chain(state.before.as_deref_mut()) {
        if attempt.hash == Some(hash) {
            attempt.is_condemned = false;
            attempt.may_repeat = true;
        }
    }
    out.push(note(Reason::Requested, format!("{} resumed: Git decides again", who(request)), Tone::Plain));
    out.push(Effect::Compare);
}

/// Returns what Git holds, or held when somebody read it last: what was tried last, else what is stable.
fn newest(state: &State) -> Option<(DesiredHash, Revision)> {
    let read = state.desired.as_ref().map(|desired| (desired.hash, desired.revision.clone()));
    let tried = || state.tried().and_then(|last| Some((last.hash?, last.revision.clone())));
    let stable = || state.stable.as_ref().map(|stable| (stable.hash, stable.revision.clone()));
    read.or_else(tried).or_else(stable)
}

/// Returns what stands in the quarantine of what nothing is wrong with but that a person says so.
fn unwanted(state: &State, message: String, now: Timestamp) -> Option<Bad> {
    let (hash, revision) = newest(state)?;
    Some(Bad {
        hash,
        revision,
        reason: Reason::Requested,
        message,
        seen_at: None,
        applied_at: None,
        started_at: now,
        failed_at: now,
    })
}

fn leave_alone(state: &mut State, request: &ReleaseRequest, now: Timestamp, out: &mut Vec<Effect>) {
    let message = format!("{} asked to leave it alone", who(request));
    let Some(bad) = unwanted(state, message, now) else { return };
    out.push(note(Reason::Quarantined, format!("{}: {}", bad.revision.short(), bad.message), Tone::Plain));
    verdict::supersede(state, Reason::Requested, now, out);
    state.soak = None;
    state.quarantine.add(bad);
    out.push(Effect::Compare);
}

fn roll_back(
    state: &mut State,
    request: &ReleaseRequest,
    (to, until_resumed): (&Stable, bool),
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    let message = format!("{} asked for it", who(request));
    let Some(bad) = unwanted(state, message, now) else { return };
    if bad.hash == to.hash && !until_resumed {
        let what = format!(
            "nothing is done: Git holds what release {} holds; sync, or hold until resumed",
            to.number
        );
        out.push(note(Reason::Requested, what, Tone::Warning));
        return;
    }
    verdict::supersede(state, Reason::Requested, now, out);
    state.soak = None;
    if bad.hash != to.hash {
        state.quarantine.add(bad.clone());
    }
    let held = Held {
        at: to.clone(),
        bad,
        stage: HeldStage::Restoring,
        again: Again::Quarantined,
        was_reverted: false,
        has_chance: false,
        until_resumed,
    };
    state.hold = Some(Hold::begin(held, now));
}
