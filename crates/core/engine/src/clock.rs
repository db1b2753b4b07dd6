//! What if something happened at a time that is yet to come? Then another clock told it, or this one was set back since.

use crate::retry;
use crate::state::{Activity, SourceView, State};
use model::{Again, App, Seconds, Timestamp};

/// How far clocks may differ and be taken for the same.
const TOLERANCE: Seconds = Seconds::new(60);

/// Has what is to have happened in the future have happened now, so that what waits for it waits as long as ever, and no
/// longer.
pub(crate) fn mind(state: &mut State, app: &App, now: Timestamp) {
    let latest = now + TOLERANCE;
    let last = state.last.iter_mut().flat_map(|last| [&mut last.started_at, &mut last.finished_at]);
    let source = match &mut state.source {
        SourceView::Failing(_, since) => Some(since),
        SourceView::Unknown | SourceView::At(_) | SourceView::Invalid(..) | SourceView::Unsupported(..) => {
            None
        }
    };
    let past = last.chain(source).chain([&mut state.spec_since]).chain(state.heals.times_mut());
    past.filter(|at| **at > latest).for_each(|at| *at = now);
    if let Some(run) = state.run_mut() {
        let past = [&mut run.started_at, &mut run.tried_at, &mut run.progress_at].into_iter();
        let past = past.chain(&mut run.broken_since).chain(run.deferral.since_mut());
        past.filter(|at| **at > latest).for_each(|at| *at = now);
    }
    if let Activity::Waiting(_, at) = &mut state.activity {
        *at = (latest + retry::longest_wait(app)).min(*at);
    }
    if let Some(soak) = &mut state.soak {
        let past = soak.well_since.iter_mut().chain(&mut soak.unwell_since).chain(soak.checks.since_mut());
        past.filter(|at| **at > latest).for_each(|at| *at = now);
    }
    if let Some(hold) = &mut state.hold
        && let Again::At(at, _) = &mut hold.held.again
    {
        *at = (latest + retry::longest_wait(app)).min(*at);
    }
    if let Some(unanswered) = &mut state.unanswered {
        unanswered.until = latest.min(unanswered.until);
    }
}
