//! Is the commit that was bad taken back in Git, too? Once the app is back at what was stable, and once only: whoever brings the
//! content back after that has a reason.

use super::story;
use crate::effect::{Effect, Reversal, Tone};
use crate::note;
use crate::state::State;
use model::{Again, DesiredHash, HeldStage, Reason};

/// Asks for it, once in this life of the agent; whether the repository is to be written at all is not known here.
pub(crate) fn advance(state: &mut State, out: &mut Vec<Effect>) {
    if !state.wants_to_revert() {
        return;
    }
    let Some(hold) = state.hold.as_deref_mut() else { return };
    if std::mem::replace(&mut hold.asks_to_revert, true) {
        return;
    }
    let kept = &hold.held;
    out.push(Effect::Revert(Box::new(Reversal {
        bad: kept.bad.clone(),
        at: kept.at.clone(),
        story: story::told(kept),
    })));
}

impl State {
    /// Returns whether what Git holds is to be taken back in it: not what a person asked for, what is only held up, and what had
    /// never settled, for that is no commit's fault; nor where not all of the release could be restored; nor what was lifted since, or is not what Git holds any more.
    pub fn wants_to_revert(&self) -> bool {
        let Some(hold) = &self.hold else { return false };
        let kept = &hold.held;
        // Git would ask for what the cluster refuses: people have to say there what stays.
        let is_whole = hold.desired().is_some_and(|desired| desired.lasting.is_empty());
        let is_left = kept.was_reverted || kept.until_resumed || kept.at.is_nothing();
        is_whole
            && kept.stage == HeldStage::Restored
            && kept.again == Again::Quarantined
            && !(is_left || story::is_asked_for(&kept.bad))
            && self.quarantine.contains(kept.bad.hash)
            && self.desired.as_ref().is_some_and(|desired| desired.hash == kept.bad.hash)
    }
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
