//! Which object decided that a commit failed, and who turned out to be to blame?

use crate::effect::{Effect, Mode, Tone};
use crate::run::Run;
use crate::state::{Activity, Attempt, State};
use crate::{note, rollback};
use model::{Culprit, DesiredHash, ObjectKey, ObjectOutcome, OperationPhase, Reason, Revision, Timestamp};

/// What decided that a commit failed, and what has to be known to ask who is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// Hash of the content that failed.
    pub hash: DesiredHash,
    /// The commit that brought it.
    pub revision: Revision,
    /// The object.
    pub object: ObjectKey,
    /// Why it failed, in one word.
    pub reason: Reason,
    /// What is said of the object.
    pub message: String,
    /// When the sync of it began: what happened before says nothing of it.
    pub since: Timestamp,
}

impl Run {
    /// Returns whether the sync deploys this content.
    fn is_at(&self, hash: DesiredHash) -> bool {
        self.desired.as_ref().is_some_and(|desired| desired.hash == hash)
    }

    /// Returns what decided that the sync failed by its content: the object whose health did, or the first that was refused.
    pub fn suspect(&self, reason: Reason) -> Option<Suspect> {
        let desired = self.desired.as_ref().filter(|_| self.mode() == Mode::Real)?;
        let refused = || {
            self.failures().find_map(|result| match &result.outcome {
                ObjectOutcome::Failed(class, message) if class.condemns() => {
                    Some((result.key.clone(), message.clone()))
                }
                ObjectOutcome::Failed(..)
                | ObjectOutcome::Created
                | ObjectOutcome::Configured
                | ObjectOutcome::Unchanged
                | ObjectOutcome::Pruned
                | ObjectOutcome::PruneSkipped(_) => None,
            })
        };
        let is_of_health = matches!(reason, Reason::Degraded | Reason::HealthTimeout | Reason::CheckFailed);
        let (object, message) = if is_of_health { self.sick.clone() } else { refused() }?;
        Some(Suspect {
            hash: desired.hash,
            revision: desired.revision.clone(),
            object,
            reason,
            message,
            since: self.started_at,
        })
    }
}

/// Adds to a sentence.
pub(crate) fn with(message: &str, addendum: &str) -> String {
    format!("{}; {addendum}", message.trim_end_matches('.'))
}

/// Takes in who is to blame: it is told, and added to what is said of the try, where that is not over.
pub(crate) fn found(
    state: &mut State,
    hash: DesiredHash,
    reason: Reason,
    culprit: &Culprit,
    out: &mut Vec<Effect>,
) {
    let is_waiting = matches!(&state.activity, Activity::Waiting(run, _) if run.is_at(hash));
    let has_failed = |last: &&mut Attempt| last.hash == Some(hash) && last.phase == OperationPhase::Failed;
    let addendum = culprit.addendum();
    let is_bad = rollback::amend(state, hash, &addendum);
    match state.tried_mut().filter(has_failed) {
        Some(last) if !addendum.is_empty() && !last.message.contains(&addendum) => {
            last.message = with(&last.message, &addendum);
        }
        Some(_) => {}
        None if is_waiting || is_bad => {}
        None => return,
    }
    out.push(note(reason, culprit.sentence(), Tone::Warning));
}
