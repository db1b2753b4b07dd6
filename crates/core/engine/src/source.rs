//! What follows from what the repository says?

use crate::effect::{Effect, Tone, Trust};
use crate::event::{Desired, SourceFailure};
use crate::report::BLIND_GRACE;
use crate::state::{RefreshView, SourceView, State};
use crate::{note, sync};
use model::{App, NotYet, Problem, Reason, Refresh, Revision, Timestamp};
use std::sync::Arc;

/// Returns whether the repository has said what it holds, or is not going to. Where nothing is rendered, what it holds may yet
/// make the app read-only, so that a failure that may pass is waited out for a while.
pub(crate) fn is_heard(state: &State, now: Timestamp) -> bool {
    let is_unheard = state.source == SourceView::Unknown || state.rendering.is_some();
    !is_unheard && patience(state).is_none_or(|(until, _)| until <= now)
}

/// Returns until when a failure is waited out, and the failure.
pub(crate) fn patience(state: &State) -> Option<(Timestamp, &SourceFailure)> {
    match &state.source {
        SourceView::Failing(failure, since) if failure.is_transient && state.desired.is_none() => {
            Some((*since + BLIND_GRACE, failure))
        }
        SourceView::Failing(..)
        | SourceView::Unknown
        | SourceView::At(_)
        | SourceView::Invalid(..)
        | SourceView::Unsupported(..) => None,
    }
}

/// Takes in what the tracked revision is.
pub(crate) fn resolved(state: &mut State, revision: Revision, now: Timestamp, out: &mut Vec<Effect>) {
    if state.seen.as_ref().is_none_or(|(seen, _)| *seen != revision) {
        state.seen = Some((revision.clone(), now));
    }
    if !state.refused.is_empty() {
        return;
    }
    let hard =
        matches!(state.refresh, RefreshView::Asked(Refresh::Hard) | RefreshView::Looked(Refresh::Hard));
    let is_known = state.desired.as_ref().is_some_and(|desired| desired.revision == revision);
    let is_bad = match &state.source {
        SourceView::Invalid(bad, _) | SourceView::Unsupported(bad, _) => *bad == revision,
        SourceView::Unknown | SourceView::At(_) | SourceView::Failing(..) => false,
    };
    let is_rendering = state.rendering.as_ref() == Some(&revision);
    if !is_bad {
        state.source = SourceView::At(revision.clone());
    }
    if is_known && !hard {
        // The ref moved back: what the newer revision needed is no longer needed.
        state.unsupported = Vec::new();
    }
    // However many hard refreshes come while one of them renders: to begin anew with each would end none.
    let is_answered = is_rendering && (state.renders_anew || !hard);
    if !is_answered && (hard || !(is_known || is_bad)) {
        let trust = if hard { Trust::Nothing } else { Trust::Cache };
        (state.rendering, state.renders_anew) = (Some(revision.clone()), hard);
        out.push(Effect::Render { revision, trust });
        looked(state);
    } else if is_answered {
        looked(state);
    } else {
        // A newer revision that was being rendered is no longer wanted: the ref moved back.
        state.rendering = None;
        refreshed(state);
    }
}

/// Takes in that the repository could not be read. What was deployed last stays in force.
pub(crate) fn failed(state: &mut State, failure: SourceFailure, now: Timestamp, out: &mut Vec<Effect>) {
    state.rendering = None;
    refreshed(state);
    if !state.refused.is_empty() {
        return;
    }
    let since = match &state.source {
        // A network that blinks does not make what is known to be wrong any better.
        SourceView::Invalid(..) | SourceView::Unsupported(..) if failure.is_transient => return,
        SourceView::Failing(known, _) if failure.is_transient && !known.is_transient => return,
        SourceView::Failing(_, since) => *since,
        SourceView::Unknown | SourceView::At(_) | SourceView::Invalid(..) | SourceView::Unsupported(..) => {
            now
        }
    };
    let is_known = matches!(&state.source, SourceView::Failing(known, _) if *known == failure);
    if !is_known && !failure.is_transient {
        out.push(note(Reason::SourceInvalid, failure.message.clone(), Tone::Warning));
    }
    state.source = SourceView::Failing(failure, since);
}

/// Takes in what came of a look that began before a refresh was asked for, which is not answered by it.
pub(crate) fn overheard(
    state: &mut State,
    news: Result<Revision, SourceFailure>,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    let before = state.refresh;
    match news {
        Ok(revision) => resolved(state, revision, now, out),
        Err(failure) => failed(state, failure, now, out),
    }
    if let RefreshView::Asked(_) = before {
        state.refresh = before;
    }
}

/// Takes in a rendered revision.
pub(crate) fn rendered(
    state: &mut State,
    desired: Arc<Desired>,
    now: Timestamp,
    app: &App,
    out: &mut Vec<Effect>,
) {
    if state.rendering.as_ref() != Some(&desired.revision) {
        return;
    }
    state.rendering = None;
    state.unsupported = Vec::new();
    state.remembered = Vec::new();
    state.source = SourceView::At(desired.revision.clone());
    // Rendered once more, because what rendering looks at beside the files changed, it may be what is being synced.
    let running = state.run().and_then(|run| run.desired.as_ref());
    let is_same = state.desired.as_ref().or(running).is_some_and(|old| old.hash == desired.hash);
    if !is_same {
        let told = desired.overruled.iter();
        out.extend(told.map(|sentence| note(Reason::OneWriter, sentence.clone(), Tone::Warning)));
    }
    state.desired = Some(desired);
    rendered_at_last(state);
    if !is_same {
        sync::preempt(state, app, now, out);
    }
    out.push(Effect::Compare);
}

/// Takes in that a revision's content is wrong.
pub(crate) fn invalid(state: &mut State, revision: Revision, problems: Vec<Problem>, out: &mut Vec<Effect>) {
    if state.rendering.as_ref() != Some(&revision) {
        return;
    }
    state.rendering = None;
    rendered_at_last(state);
    let message = problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ");
    out.push(note(
        Reason::SourceInvalid,
        format!("{} cannot be deployed: {message}", revision.short()),
        Tone::Warning,
    ));
    state.source = SourceView::Invalid(revision, problems);
}

/// Takes in that a revision needs something that we do not act on yet.
pub(crate) fn unsupported(state: &mut State, revision: Revision, not_yet: Vec<NotYet>) {
    if state.rendering.as_ref() != Some(&revision) {
        return;
    }
    state.rendering = None;
    rendered_at_last(state);
    state.unsupported.clone_from(&not_yet);
    state.remembered = Vec::new();
    state.source = SourceView::Unsupported(revision, not_yet);
}

/// Notes that a refresh got its answer.
pub(crate) fn refreshed(state: &mut State) {
    match state.refresh {
        RefreshView::Asked(_) | RefreshView::Looked(_) => state.refresh = RefreshView::Done,
        RefreshView::None | RefreshView::Done => {}
    }
}

/// Notes that what a refresh found is being rendered.
fn looked(state: &mut State) {
    match state.refresh {
        RefreshView::Asked(refresh) => state.refresh = RefreshView::Looked(refresh),
        RefreshView::Looked(_) | RefreshView::None | RefreshView::Done => {}
    }
}

/// Notes that what was found is rendered, as far as it can be; one that was asked for since is not answered by it.
fn rendered_at_last(state: &mut State) {
    state.is_new = false;
    match state.refresh {
        RefreshView::Looked(_) => state.refresh = RefreshView::Done,
        RefreshView::Asked(_) | RefreshView::None | RefreshView::Done => {}
    }
}
