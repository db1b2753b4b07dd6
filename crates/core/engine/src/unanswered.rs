//! What has a sync sent that ended before it was answered? What comes next is compared, planned and sent only afterwards.

use crate::effect::{Effect, Mode};
use crate::run::Step;
use crate::state::{Activity, State, Unanswered};
use model::{Seconds, SyncId, Timestamp};

/// How long what a sync has sent is waited for once it ended.
const UNANSWERED: Seconds = Seconds::new(2);

/// Leaves what is under way; what it has sent has yet to be answered.
pub(crate) fn leave(state: &mut State, now: Timestamp) {
    if let Activity::Applying(run) = &state.activity
        && run.mode() == Mode::Real
    {
        state.unanswered = Some(Unanswered { sync: run.id, until: now + UNANSWERED });
        if let Some(Step::Apply(keys)) = run.steps.front() {
            state.touched.extend(keys.iter().cloned());
        }
    }
    state.activity = Activity::Idle;
}

/// Takes in an answer; returns whether it was that of a sync that had ended.
pub(crate) fn answered(state: &mut State, sync: SyncId, out: &mut Vec<Effect>) -> bool {
    if state.unanswered.as_ref().is_none_or(|unanswered| unanswered.sync != sync) {
        return false;
    }
    state.unanswered = None;
    state.compare_anew(out);
    true
}
