//! What if something drifts while a sync waits for health, or for its next try? It goes back at once, as part of the sync.

use crate::effect::{Effect, Tone};
use crate::run::{Cause, Correction, Run, Step};
use crate::state::{Activity, SourceView, State};
use crate::{note, sync};
use model::{App, Comparison, ObjectKey, ObjectOutcome, ObjectResult, Reason, Timestamp};
use std::collections::BTreeSet;

/// A sync that has applied what it could and whose objects self-heal keeps as they are.
struct Kept<'a> {
    run: &'a Run,
    /// When it is tried again, if it waits for that.
    next_try: Option<Timestamp>,
    comparison: &'a Comparison,
}

/// Corrects what drifted from what the sync under way deployed, each object in its time.
pub(crate) fn advance(state: &mut State, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    let Some(kept) = kept(state, app) else { return };
    let is_due = |key: &&ObjectKey| state.heals.next(key, None, now).1 <= now;
    let keys: BTreeSet<ObjectKey> = kept.drifted().filter(is_due).cloned().collect();
    if keys.is_empty() {
        return;
    }
    let next_try = kept.next_try;
    let mut run = kept.run.clone();
    out.push(story(&run, &keys));
    run.steps = plan::staged(keys.iter().cloned()).into_iter().map(|stage| Step::Apply(stage.keys)).collect();
    run.correction = Some(Correction { keys, progress_at: run.progress_at, next_try });
    sync::go_on(state, run, now, app, out);
}

/// Returns when something is corrected next although nothing happens.
pub(crate) fn wake(state: &State, app: &App, now: Timestamp) -> Option<Timestamp> {
    kept(state, app)?.drifted().map(|key| state.heals.next(key, None, now).1).min()
}

/// Returns what was corrected. What could not be fails nothing: the sync had brought it there, and it is tried again.
pub(crate) fn corrected(results: Vec<ObjectResult>, out: &mut Vec<Effect>) -> Vec<ObjectResult> {
    let (failed, corrected): (Vec<_>, Vec<_>) =
        results.into_iter().partition(|result| result.outcome.is_failure());
    for result in failed {
        if let ObjectOutcome::Failed(_, message) = result.outcome {
            let story = format!("{} could not be corrected, and is tried again: {message}", result.key);
            out.push(note(Reason::SelfHeal, story, Tone::Warning));
        }
    }
    corrected
}

/// Takes in that all of a correction is applied.
pub(crate) fn done(state: &mut State, run: &mut Run, correction: &Correction, now: Timestamp) {
    state.heals.corrected(&correction.keys, now);
    run.progress_at = correction.progress_at;
}

/// Says what goes back where. The drift itself was told as a warning.
pub(crate) fn story(run: &Run, keys: &BTreeSet<ObjectKey>) -> Effect {
    let revision = run.desired.as_ref().map_or("", |desired| desired.revision.short());
    let names = keys.iter().take(3).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    note(
        Reason::SelfHeal,
        match keys.len() {
            1 => format!("{names} goes back to {revision}"),
            n => format!("{n} drifted objects go back to {revision}: {names}"),
        },
        Tone::Plain,
    )
}

impl Kept<'_> {
    /// Returns what differs from what was applied. What could not be applied is for the next try.
    fn drifted(&self) -> impl Iterator<Item = &ObjectKey> {
        let failed: BTreeSet<&ObjectKey> = self.run.failures().map(|result| &result.key).collect();
        self.comparison.to_apply().filter(move |key| !failed.contains(key))
    }
}

/// Returns the sync under way if what it applied is to be kept. One that was about some objects says nothing of the others,
/// a dry run has applied nothing, and while nobody knows what Git wants nothing is corrected.
fn kept<'a>(state: &'a State, app: &App) -> Option<Kept<'a>> {
    let (run, next_try) = match &state.activity {
        Activity::Settling(run) => (run, None),
        Activity::Waiting(run, at) => (run, Some(*at)),
        Activity::Idle
        | Activity::Preparing(_)
        | Activity::Planning(_)
        | Activity::Applying(_)
        | Activity::Deleting(_) => return None,
    };
    let is_whole = run.is_whole() || matches!(run.cause, Cause::SelfHeal(..));
    let is_known = !matches!(state.source, SourceView::Invalid(..)) && state.rendering.is_none();
    let heals = app.automated.is_some_and(|automated| automated.self_heal);
    let (desired, comparison) = state.current()?;
    let is_its_own = run.desired.as_ref().is_some_and(|own| own.hash == desired.hash);
    let is_kept = is_whole && is_known && heals && is_its_own && comparison.is_settled;
    is_kept.then_some(Kept { run, next_try, comparison })
}
