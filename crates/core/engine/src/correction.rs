//! What if something drifts while a sync waits for health? It goes back at once, as part of the sync.

use crate::effect::{Effect, Tone};
use crate::run::{Cause, Correction, Run, Step};
use crate::state::{Activity, SourceView, State};
use crate::{note, sync};
use model::{App, Comparison, ObjectKey, ObjectOutcome, ObjectResult, Reason, Timestamp};
use std::collections::BTreeSet;

/// Corrects what drifted from what the settling sync deployed, each object in its time.
pub(crate) fn advance(state: &mut State, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    let Some((run, comparison)) = settling(state, app) else { return };
    let is_due = |key: &&ObjectKey| state.heals.next(key, None, now).1 <= now;
    let keys: BTreeSet<ObjectKey> = comparison.to_apply().filter(is_due).cloned().collect();
    if keys.is_empty() {
        return;
    }
    let mut run = run.clone();
    out.push(story(&run, &keys));
    run.steps = plan::staged(keys.iter().cloned()).into_iter().map(|stage| Step::Apply(stage.keys)).collect();
    run.correction = Some(Correction { keys, progress_at: run.progress_at });
    sync::go_on(state, run, now, app, out);
}

/// Returns when something is corrected next although nothing happens.
pub(crate) fn wake(state: &State, app: &App, now: Timestamp) -> Option<Timestamp> {
    let (_, comparison) = settling(state, app)?;
    comparison.to_apply().map(|key| state.heals.next(key, None, now).1).min()
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
        format!("{} drifted objects go back to {revision}: {names}", keys.len()),
        Tone::Plain,
    )
}

/// Returns a settling sync whose objects self-heal keeps as they are, and how they compare. One that was about some objects
/// says nothing of the others; while nobody knows what Git wants nothing is corrected.
fn settling<'a>(state: &'a State, app: &App) -> Option<(&'a Run, &'a Comparison)> {
    let Activity::Settling(run) = &state.activity else { return None };
    let is_whole = match &run.cause {
        Cause::NewDesired | Cause::SelfHeal(..) => true,
        Cause::Operation(_) => run.is_full() && !run.is_pinned(),
    };
    let is_known = !matches!(state.source, SourceView::Invalid(..)) && state.rendering.is_none();
    let heals = app.automated.is_some_and(|automated| automated.self_heal);
    let (desired, comparison) = state.current()?;
    let is_its_own = run.desired.as_ref().is_some_and(|own| own.hash == desired.hash);
    (is_whole && is_known && heals && is_its_own && comparison.is_settled).then_some((run, comparison))
}
