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
//! The newest request wins: other desired content, a new operation or a deletion ends what is under way, and answers
//! with an older sync's number are dropped. Every effect may be repeated; a restart begins with [`State::new`].

pub mod claims;
mod deletion;
mod effect;
mod event;
mod report;
mod retry;
mod run;
mod state;
mod sync;
mod trigger;

pub use effect::{Effect, Mode, Note, Tone, Trust};
pub use event::{CascadePass, Desired, Event, SourceFailure, Writes};
pub use report::{Condition, ConditionKind, OperationReport, Report};
pub use run::{Cause, Run, Step};
pub use state::{Activity, Attempt, Deleting, RefreshView, SourceView, State};
pub use trigger::read_only;

use model::{App, Problem, Reason, Revision, Timestamp};
use std::sync::Arc;

/// Takes in an event and returns what to do. Pure: equal arguments give equal results.
pub fn step(mut state: State, event: Event, now: Timestamp, app: &App) -> (State, Vec<Effect>) {
    let mut out = Vec::new();
    take_in(&mut state, event, now, app, &mut out);
    deletion::advance(&mut state, app, now, &mut out);
    sync::advance(&mut state, app, now, &mut out);
    tell(&mut state, app, now, &mut out);
    (state, out)
}

fn take_in(state: &mut State, event: Event, now: Timestamp, app: &App, out: &mut Vec<Effect>) {
    match event {
        Event::AppChanged => app_changed(state, now, app, out),
        Event::Refused(problems) => refuse(state, problems, out),
        Event::Resolved(revision) => resolved(state, revision, out),
        Event::SourceFailed(failure) => {
            let since = match &state.source {
                SourceView::Failing(_, since) => *since,
                SourceView::Unknown
                | SourceView::At(_)
                | SourceView::Invalid(..)
                | SourceView::Unsupported(..) => now,
            };
            if !matches!(&state.source, SourceView::Failing(old, _) if *old == failure)
                && !failure.is_transient
            {
                out.push(note(Reason::SourceInvalid, failure.message.clone(), Tone::Warning));
            }
            state.source = SourceView::Failing(failure, since);
            state.rendering = None;
            refreshed(state);
        }
        Event::Rendered(desired) => rendered(state, desired, now, app, out),
        Event::RenderFailed { revision, problems } => {
            if state.rendering.as_ref() == Some(&revision) {
                state.rendering = None;
                let message = problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ");
                out.push(note(
                    Reason::SourceInvalid,
                    format!("{} cannot be deployed: {message}", revision.short()),
                    Tone::Warning,
                ));
                state.source = SourceView::Invalid(revision, problems);
                refreshed(state);
            }
        }
        Event::Unsupported { revision, not_yet } => {
            if state.rendering.as_ref() == Some(&revision) {
                state.rendering = None;
                sync::supersede(state, Reason::NotYet, out);
                state.source = SourceView::Unsupported(revision, not_yet);
                refreshed(state);
            }
        }
        Event::Compared(comparison) => state.comparison = Some(comparison),
        Event::Prepared { sync, desired } => sync::prepared(state, sync, desired, now, app, out),
        Event::Planned { sync, plan } => sync::planned(state, sync, plan, now, app, out),
        Event::StageDone { sync, results } => sync::stage_done(state, sync, results, now, app, out),
        Event::Cascaded(pass) => deletion::passed(state, &pass, now, out),
        Event::LiveChanged => deletion::live_changed(state),
        Event::GroundChanged => sync::ground_changed(state, now),
        Event::Woke => state.wake = None,
        Event::Writes(Writes::Allowed) => state.may_write = true,
        Event::Writes(Writes::Forbidden) => {
            state.may_write = false;
            state.activity = Activity::Idle;
        }
    }
}

fn app_changed(state: &mut State, now: Timestamp, app: &App, out: &mut Vec<Effect>) {
    let was_refused = !std::mem::take(&mut state.refused).is_empty();
    let spec = Some((app.source.clone(), app.destination.clone()));
    if state.spec != spec {
        let is_new = state.spec.is_none();
        state.spec = spec;
        state.desired = None;
        state.comparison = None;
        state.rendering = None;
        state.source = SourceView::Unknown;
        if !is_new {
            sync::supersede(state, Reason::SpecChanged, out);
        }
        out.push(Effect::Resolve);
    } else if was_refused {
        out.push(Effect::Resolve);
    } else if state.desired.is_some() {
        // Rules of the comparison may have changed.
        out.push(Effect::Compare);
    }
    match (app.refresh, state.refresh) {
        (None, RefreshView::Done) => state.refresh = RefreshView::None,
        (Some(refresh), RefreshView::None) => {
            state.refresh = RefreshView::Running(refresh);
            out.push(Effect::Resolve);
        }
        (None, RefreshView::None | RefreshView::Running(_))
        | (Some(_), RefreshView::Running(_) | RefreshView::Done) => {}
    }
    if app.operation.is_none() {
        state.handled = None;
    }
    sync::app_changed(state, app, now, out);
}

fn refuse(state: &mut State, problems: Vec<Problem>, out: &mut Vec<Effect>) {
    if state.refused == problems {
        return;
    }
    let message = problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ");
    out.push(note(Reason::NotPermitted, message, Tone::Warning));
    sync::supersede(state, Reason::NotPermitted, out);
    state.refused = problems;
    state.comparison = None;
    state.source = SourceView::Unknown;
    // A valid spec starts anew.
    state.spec = None;
    refreshed(state);
}

fn resolved(state: &mut State, revision: Revision, out: &mut Vec<Effect>) {
    if !state.refused.is_empty() {
        return;
    }
    let hard = state.refresh == RefreshView::Running(model::Refresh::Hard);
    let is_known = state.desired.as_ref().is_some_and(|desired| desired.revision == revision);
    let is_invalid = match &state.source {
        SourceView::Invalid(bad, _) | SourceView::Unsupported(bad, _) => *bad == revision,
        SourceView::Unknown | SourceView::At(_) | SourceView::Failing(..) => false,
    };
    let is_rendering = state.rendering.as_ref() == Some(&revision);
    if !is_invalid {
        state.source = SourceView::At(revision.clone());
    }
    if hard || !(is_known || is_rendering || is_invalid) {
        let trust = if hard { Trust::Nothing } else { Trust::Cache };
        state.rendering = Some(revision.clone());
        out.push(Effect::Render { revision, trust });
    } else if !is_rendering {
        // A newer revision that was being rendered is no longer wanted: the ref moved back.
        state.rendering = None;
        refreshed(state);
    }
}

fn rendered(state: &mut State, desired: Arc<Desired>, now: Timestamp, app: &App, out: &mut Vec<Effect>) {
    if state.rendering.as_ref() != Some(&desired.revision) {
        return;
    }
    state.rendering = None;
    state.source = SourceView::At(desired.revision.clone());
    let is_same = state.desired.as_ref().is_some_and(|old| old.hash == desired.hash);
    state.desired = Some(desired);
    refreshed(state);
    if !is_same {
        sync::preempt(state, app, now, out);
    }
    out.push(Effect::Compare);
}

fn refreshed(state: &mut State) {
    match state.refresh {
        RefreshView::Running(_) => state.refresh = RefreshView::Done,
        RefreshView::None | RefreshView::Done => {}
    }
}

fn tell(state: &mut State, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    if state.may_write
        && let Some(report) = report::of(state, app, now)
        && report::differs(state.reported.as_deref(), &report)
    {
        state.reported = Some(Box::new(report.clone()));
        out.push(Effect::Report(Box::new(report)));
    }
    let wakes = [report::next_change(state, now), deletion::wake(state), sync::wake(state, app, now)];
    let wake = wakes.into_iter().flatten().filter(|at| *at > now).min();
    if wake != state.wake {
        state.wake = wake;
        out.extend(wake.map(Effect::WakeAt));
    }
}

pub(crate) fn note(reason: Reason, message: impl Into<String>, tone: Tone) -> Effect {
    Effect::Note(Note { reason, message: message.into(), tone })
}
