//! What if a commit is only held up, and less serves meanwhile than before? Then the app goes back to what was stable, and the
//! commit is tried again: a few times, for what holds passes, and who goes to and fro helps nobody.

use super::{Decision, Facts, Hold, decide, target};
use crate::effect::{Effect, Tone};
use crate::run::Run;
use crate::state::State;
use crate::verdict::Verdict;
use crate::{note, retry, rollback};
use model::{Again, App, Available, Bad, Comparison, Held, HeldStage, Reason, SyncStatus, Timestamp};

/// How often an app goes back from one commit that is held up.
pub(crate) const MOST: u32 = 3;

/// Notes how much serves while the app is well at its stable release.
pub(crate) fn note_serving(state: &mut State) {
    let Some(stable) = state.stable.as_ref().map(|stable| stable.hash) else { return };
    let of_hold = state.hold.as_ref().and_then(|hold| hold.comparison.as_deref());
    let views = state.comparison.as_deref().into_iter().chain(of_hold);
    let is_rest = |view: &&Comparison| view.hash == stable && rollback::is_well(view);
    let Some(view) = views.into_iter().find(is_rest) else { return };
    // Each event of an app at rest comes here, and hardly any changes it.
    let serving = || view.objects.iter().filter_map(|object| Some((&object.key, object.available?.now)));
    if !serving().eq(state.serving.iter().map(|(key, now)| (key, *now))) {
        state.serving = serving().map(|(key, now)| (key.clone(), now)).collect();
    }
}

/// Returns what less serves of than under the stable release, as far as the commit wants it to serve as much.
fn lost(state: &State, run: &Run) -> Option<String> {
    let view = state.view_of(run).filter(|view| view.is_complete && view.sync != SyncStatus::Unknown)?;
    let serves_less = |object: &&model::ObjectStatus| {
        // What else ails is not this commit's doing, and would not be better for going back.
        let before = state.serving.get(&object.key).filter(|_| state.touched.contains(&object.key));
        let Some(before) = before else { return false };
        object.available.is_some_and(|Available { now, wanted }| now < wanted.min(*before))
    };
    let object = view.objects.iter().filter(|object| !object.requires_pruning).find(serves_less)?;
    let (before, now) = (state.serving.get(&object.key)?, object.available?.now);
    Some(format!("{now} of {before} pods of {} are left", object.key))
}

/// Returns what is said of a try of a sync that is only held up, where the app goes back until the next one.
pub(crate) fn must_go_back(
    state: &State,
    run: &Run,
    verdict: &Verdict,
    app: &App,
    now: Timestamp,
) -> Option<String> {
    let hash = run.desired.as_ref()?.hash;
    let goes_back = || decide(&Facts::of(app, hash, state.stable.as_ref())) == Decision::Restore;
    // In the middle of any rollout there are fewer.
    let is_early = now < run.begun_at + run.patience(app);
    if verdict.is_condemned || is_early || !run.is_whole() || app.automated.is_none() || !goes_back() {
        return None;
    }
    target(state)?;
    lost(state, run).map(|lost| format!("{}; {lost}", verdict.message))
}

/// Goes back for a while.
pub(crate) fn go_back(state: &mut State, bad: Bad, app: &App, now: Timestamp) {
    let Some(at) = target(state).cloned() else { return };
    let known = state.hold.as_ref().map(|hold| &hold.held).filter(|held| held.bad.hash == bad.hash);
    let times = match known.map(|held| held.again) {
        Some(Again::Now(times)) => times + 1,
        Some(Again::At(..) | Again::No | Again::Quarantined) | None => 1,
    };
    let again = if times < MOST { Again::At(now + retry::longest_wait(app), times) } else { Again::No };
    let held = Held {
        at,
        bad,
        stage: HeldStage::Restoring,
        again,
        was_reverted: false,
        has_chance: false,
        until_resumed: false,
    };
    state.hold = Some(Hold::begin(held, now));
}

/// Has a commit tried again whose time has come.
pub(crate) fn advance(state: &mut State, now: Timestamp, out: &mut Vec<Effect>) {
    let Some(held) = state.hold.as_mut().map(|hold| &mut hold.held) else { return };
    match (held.again, &held.stage) {
        (Again::At(at, times), HeldStage::Restored | HeldStage::Kept) if at <= now => {
            held.again = Again::Now(times);
            let story = format!("{} is tried again, for it was only held up", held.bad.revision.short());
            out.push(note(Reason::Retry, story, Tone::Plain));
            out.push(Effect::Compare);
        }
        (Again::At(..) | Again::Now(_) | Again::No | Again::Quarantined, _) => {}
    }
}

/// Returns when that is.
pub(crate) fn wake(state: &State) -> Option<Timestamp> {
    match state.hold.as_ref()?.held {
        Held { again: Again::At(at, _), stage: HeldStage::Restored | HeldStage::Kept, .. } => Some(at),
        _ => None,
    }
}
