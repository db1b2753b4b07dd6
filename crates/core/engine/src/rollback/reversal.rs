//! Is the commit that was bad taken back in Git, too? Once the app is back at what was stable, and once only: whoever brings the
//! content back after that has a reason.

use super::{Hold, story};
use crate::effect::{Effect, Reversal, Tone};
use crate::note;
use crate::state::State;
use model::{Again, DesiredHash, HeldStage, Reason};

/// Asks for it, once in this life of the agent; whether the repository is to be written at all is not known here.
pub(crate) fn advance(state: &mut State, out: &mut Vec<Effect>) {
    let wanted = state.desired.as_ref().map(|desired| desired.hash);
    let Some(hold) = state.hold.as_deref_mut().filter(|hold| Some(hold.held.bad.hash) == wanted) else {
        return;
    };
    if !is_due(hold)
        || !state.quarantine.contains(hold.held.bad.hash)
        || std::mem::replace(&mut hold.asks_to_revert, true)
    {
        return;
    }
    let kept = &hold.held;
    out.push(Effect::Revert(Box::new(Reversal {
        bad: kept.bad.clone(),
        at: kept.at.clone(),
        story: story::told(kept),
    })));
}

/// What a person asked for, what is only held up and what had never settled is no commit's fault.
fn is_due(hold: &Hold) -> bool {
    let kept = &hold.held;
    kept.stage == HeldStage::Restored
        && kept.again == Again::Quarantined
        && !(kept.was_reverted
            || kept.until_resumed
            || kept.at.is_nothing()
            || story::is_asked_for(&kept.bad))
}

/// Takes in what came of it.
pub(crate) fn done(
    state: &mut State,
    hash: DesiredHash,
    outcome: Result<String, String>,
    out: &mut Vec<Effect>,
) {
    let Some(hold) = state.hold.as_deref_mut().filter(|hold| hold.held.bad.hash == hash) else { return };
    hold.held.was_reverted = true;
    out.push(match outcome {
        Ok(sentence) => note(Reason::Reverted, sentence, Tone::Plain),
        Err(sentence) => note(Reason::RevertFailed, sentence, Tone::Warning),
    });
}
