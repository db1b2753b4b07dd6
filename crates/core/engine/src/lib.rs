//! Decides what an app does next: state and event in, state and effects out. No I/O, no clock, no logging.
//!
//! ```text
//!            Resolved          Rendered            Compared
//!  (source) ─────────▶ Render ─────────▶ Compare ─────────▶ trigger::wish
//!                                                               │ Sync
//!   Idle ◀── finish ── Settling ◀── Applying ◀── Planning ◀── begin ──▶ Preparing (an operation's revision)
//!                                      │ held          ▲
//!                                      └──▶ Waiting ───┘
//!   any ──▶ Deleting (the Application goes)
//! ```
//!
//! The newest request wins: other desired content, a new operation or a deletion ends what is under way. An answer with an
//! older sync's number counts for nothing but that it came: what follows is compared, planned and sent only then
//! ([`Unanswered`]). Every effect may be repeated; a restart begins with [`State::new`].

mod checks;
pub mod claims;
mod clock;
mod conditions;
mod correction;
mod deferral;
mod deletion;
mod effect;
mod event;
mod judgement;
mod operation;
mod report;
mod requests;
mod retry;
pub mod rollback;
mod run;
mod settle;
mod soak;
mod source;
mod state;
mod suspect;
mod sync;
pub mod takeover;
mod trigger;
mod unanswered;
mod unreadable;
mod verdict;
pub mod waiting;
pub mod wording;

pub use checks::{Checks, Inspection};
pub use conditions::named_by;
pub use effect::{Effect, Mode, Note, Outcome, Reversal, Tone, Trust, Word};
pub use event::{CascadePass, Desired, Event, SourceFailure, Writes};
pub use report::{Condition, ConditionKind, OperationReport, Report};
pub use retry::Heals;
pub use rollback::{Content, Hold, NotRecalled, Quarantine};
pub use run::{Cause, Correction, Run, Step};
pub use soak::Soak;
pub use state::{Activity, Attempt, Deleting, RefreshView, SourceView, State, Unanswered};
pub use suspect::Suspect;
pub use trigger::read_only;
pub use unreadable::{Told, Unreadable};

use model::{App, Problem, Reason, Refresh, Timestamp};

/// Takes in an event and returns what to do. Pure: equal arguments give equal results.
pub fn step(mut state: State, event: Event, now: Timestamp, app: &App) -> (State, Vec<Effect>) {
    let mut out = Vec::new();
    clock::mind(&mut state, app, now);
    state.unanswered = state.unanswered.filter(|unanswered| now < unanswered.until);
    requests::withdraw(&mut state, app, now, &mut out);
    take_in(&mut state, event, now, app, &mut out);
    rollback::answer(&mut state, app, now, &mut out);
    requests::withdraw(&mut state, app, now, &mut out);
    deletion::advance(&mut state, app, now, &mut out);
    sync::advance(&mut state, app, now, &mut out);
    requests::close_abandoned(&mut state, app, now);
    tell(&mut state, app, now, &mut out);
    (state, out)
}

fn take_in(state: &mut State, event: Event, now: Timestamp, app: &App, out: &mut Vec<Effect>) {
    match event {
        Event::AppChanged => app_changed(state, now, app, out),
        Event::Refused(problems) => refuse(state, problems, now, app, out),
        Event::Resolved(revision) => source::resolved(state, revision, now, out),
        Event::SourceFailed(failure) => source::failed(state, failure, now, out),
        Event::Overheard(news) => source::overheard(state, news, now, out),
        Event::Rendered(desired) => source::rendered(state, desired, now, app, out),
        Event::RenderFailed { revision, problems } => source::invalid(state, revision, problems, out),
        Event::Unsupported { revision, not_yet } => source::unsupported(state, revision, not_yet),
        Event::Compared(comparison) => state.take_comparison(comparison),
        Event::Culprit { hash, reason, culprit } => suspect::found(state, hash, reason, &culprit, out),
        Event::Stable(stable) => rollback::know(state, stable),
        Event::Checked { hash, since, looks } => checks::answered(state, (hash, since), looks, now, out),
        Event::Differs { hash, keys } => soak::differs(state, hash, keys),
        Event::Reverted { hash, outcome } => rollback::reversal::done(state, hash, outcome, out),
        Event::Recalled { release, desired } => {
            rollback::recalled(state, release, desired, now, app, out);
        }
        Event::Prepared { sync, desired } => sync::prepared(state, sync, desired, now, app, out),
        Event::Planned { sync, plan } => sync::planned(state, sync, plan, now, app, out),
        Event::StageDone { sync, results } => sync::stage_done(state, sync, results, now, app, out),
        Event::Cascaded(pass) => deletion::passed(state, &pass, app, now, out),
        Event::LiveChanged => deletion::live_changed(state),
        Event::Settings(unreadable) => state.unreadable = unreadable,
        Event::GroundChanged => requests::ground_changed(state, now),
        Event::Woke => state.wake = None,
        Event::Writes(Writes::Allowed) => {
            if !state.may_write {
                // Somebody else may have written meanwhile.
                state.reported = None;
                rollback::untold::find(state);
            }
            state.may_write = true;
        }
        Event::Writes(Writes::Forbidden) => {
            state.may_write = false;
            rollback::untold::leave(state);
            // Nor may it be told what came of a request that still stands in the Application.
            state.answered = None;
            // Whoever writes next asks anew.
            if let Some(hold) = &mut state.hold {
                hold.asks_to_revert = false;
            }
            verdict::interrupt(state, now);
        }
    }
}

fn app_changed(state: &mut State, now: Timestamp, app: &App, out: &mut Vec<Effect>) {
    // What the spec itself asks for is known from it.
    state.remembered.retain(|not_yet| !app.not_yet.iter().any(|known| known.field.contains(&not_yet.field)));
    let was_refused = !std::mem::take(&mut state.refused).is_empty();
    let mut must_resolve = asks_for_refresh(state, app) || was_refused;
    let spec = Some((app.source.clone(), app.destination.clone()));
    if state.spec != spec {
        if state.spec.is_some() {
            verdict::supersede(state, Reason::SpecChanged, now, out);
            state.soak = None;
            // A person's word counts whatever the spec says by now.
            if state.hold.as_ref().is_some_and(|hold| !hold.held.until_resumed) {
                state.let_go();
            }
        }
        state.spec = spec;
        state.spec_since = now;
        state.forget_desired();
        state.comparison = None;
        must_resolve = true;
    }
    let is_forgotten = state.desired.is_none() && state.rendering.is_none();
    if must_resolve || (is_forgotten && matches!(state.source, SourceView::At(_))) {
        out.push(Effect::Resolve);
    } else if state.desired.is_some() {
        // Rules of the comparison may have changed.
        out.push(Effect::Compare);
    }
    if app.operation.is_none() {
        state.handled = None;
    }
    deletion::app_changed(state, app);
    requests::app_changed(state, app, now, out);
}

/// Takes in whether a refresh is asked for; returns whether it is a new one.
fn asks_for_refresh(state: &mut State, app: &App) -> bool {
    // Whoever asks once more wants it looked at once more: what is under way may have begun before.
    let is_another = state.refresh_stamp != app.refresh_stamp;
    state.refresh_stamp.clone_from(&app.refresh_stamp);
    let (next, is_new) = match (app.refresh, state.refresh) {
        (None, _) => (RefreshView::None, false),
        (Some(refresh), RefreshView::None) => (RefreshView::Asked(refresh), true),
        (Some(Refresh::Hard), RefreshView::Asked(Refresh::Normal) | RefreshView::Looked(Refresh::Normal)) => {
            (RefreshView::Asked(Refresh::Hard), true)
        }
        (Some(_), RefreshView::Asked(unanswered) | RefreshView::Looked(unanswered)) if is_another => {
            (RefreshView::Asked(unanswered), true)
        }
        (Some(refresh), RefreshView::Done) if is_another => (RefreshView::Asked(refresh), true),
        (Some(_), known @ (RefreshView::Asked(_) | RefreshView::Looked(_) | RefreshView::Done)) => {
            (known, false)
        }
    };
    state.refresh = next;
    if is_new && let Some(reported) = &mut state.reported {
        // That the last one was to be taken off says nothing about this one.
        reported.clear_refresh = false;
    }
    is_new
}

fn refuse(state: &mut State, problems: Vec<Problem>, now: Timestamp, app: &App, out: &mut Vec<Effect>) {
    if app.operation.is_none() {
        state.handled = None;
    }
    asks_for_refresh(state, app);
    source::refreshed(state);
    if state.refused == problems {
        return;
    }
    let message = problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ");
    out.push(note(Reason::NotPermitted, message, Tone::Warning));
    verdict::supersede(state, Reason::NotPermitted, now, out);
    state.refused = problems;
    state.comparison = None;
    state.rendering = None;
    state.source = SourceView::Unknown;
    // A valid spec starts anew.
    state.spec = None;
}

fn tell(state: &mut State, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    deletion::tell(state, app, now, out);
    // Once the finalizers are to go, a status would only get in their way.
    if state.may_write
        && !deletion::is_done(state)
        && let Some(report) = report::of(state, app, now)
        && report::differs(state.reported.as_deref(), &report)
    {
        state.reported = Some(Box::new(report.clone()));
        out.push(Effect::Report(Box::new(report)));
    }
    let patience = state.unanswered.as_ref().map(|unanswered| unanswered.until);
    let wakes = [
        report::next_change(state, app, now),
        deletion::wake(state, now),
        sync::wake(state, app, now),
        soak::wake(state, app),
        rollback::wake(state),
        patience,
    ];
    let wake = wakes.into_iter().flatten().filter(|at| *at > now).min();
    if wake != state.wake {
        state.wake = wake;
        out.extend(wake.map(Effect::WakeAt));
    }
}

pub(crate) fn note(reason: Reason, message: impl Into<String>, tone: Tone) -> Effect {
    Effect::Note(Note { reason, message: message.into(), tone })
}
