//! What if the lease was lost before anybody was told what follows from a verdict? Whoever has it again reads from the Application where
//! the app is held and what is quarantined, and that knows nothing of it: the sync is found as left under way, and judged once more.

use crate::state::{Attempt, State};
use model::{OperationPhase, Reason};

/// Notes that something follows from the last verdict.
pub(crate) fn leave(state: &mut State) {
    state.decided = state.last.as_ref().filter(|last| is_followed(state, last)).map(|last| last.finished_at);
}

/// Takes in that we write again: what follows from the last verdict may have been forgotten.
pub(crate) fn find(state: &mut State) {
    let Some(decided) = state.decided.take() else { return };
    let is_lost = |last: &Attempt| {
        last.phase == OperationPhase::Failed && last.finished_at == decided && !is_followed(state, last)
    };
    if !state.last.as_ref().is_some_and(is_lost) {
        return;
    }
    let Some(last) = &mut state.last else { return };
    (last.phase, last.reason) = (OperationPhase::Running, Reason::Superseded);
    (last.is_condemned, last.is_old) = (false, true);
    if last.operation.is_some() {
        // Who asked has not been answered either.
        state.handled = None;
    }
}

/// Returns whether the content of a sync is left alone for how that ended.
fn is_followed(state: &State, last: &Attempt) -> bool {
    let held = state.hold.as_ref().map(|hold| &hold.held.bad);
    let known = last.hash.and_then(|hash| state.quarantine.get(hash));
    let is_it = |bad: &&model::Bad| Some(bad.hash) == last.hash && bad.failed_at == last.finished_at;
    held.into_iter().chain(known).any(|bad| is_it(&bad))
}
