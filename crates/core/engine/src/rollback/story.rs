//! What happened to an app that is held, what runs now, and what is to be done?

use super::held_back::MOST;
use crate::operation::ended_sentence;
use model::{Again, Bad, Held, HeldStage, Reason, Stable};

/// What ends most of the stories.
const RESUMES: &str = "the next commit that changes what is deployed resumes by itself";

/// Tells what happened to an app that is held, what runs now, and what to do, in two or three sentences.
pub(crate) fn told(held: &Held) -> String {
    let Held { at, bad, stage, again, was_reverted: _, has_chance, until_resumed } = held;
    let (from, why) = (bad.revision.short(), why(held));
    let release = if at.is_nothing() {
        "nothing".to_owned()
    } else {
        format!("{} (release {})", at.revision.short(), at.number)
    };
    let next = if *until_resumed {
        "Nothing is deployed by itself until somebody resumes: tautline app resume".to_owned()
    } else {
        match again {
            Again::Quarantined => format!("Auto-sync leaves {from} alone; {RESUMES}"),
            Again::At(at, _) => format!("{from} is tried again at {at}; {RESUMES}"),
            Again::Now(_) => format!("{from} is being tried again"),
            Again::No => format!(
                "It was tried {MOST} times and is not tried again by itself: sync by hand when what holds it up is gone; {RESUMES}"
            ),
        }
    };
    match stage {
        HeldStage::Restoring => format!("Going back to {release}, because {why}"),
        HeldStage::Restored if at.is_nothing() => {
            format!("What the first deploy had created was removed, because {why} {next}")
        }
        HeldStage::Restored => format!("Rolled back to {release}, because {why} {next}"),
        HeldStage::Kept if is_asked_for(bad) => format!("Kept at {release}, because {why} {next}"),
        HeldStage::Kept => format!("Kept at {release}: what Git holds had failed before, as {why} {next}"),
        HeldStage::Inconclusive(sick) => {
            let then = if *has_chance {
                format!("{from} is tried once more when {release} is healthy again")
            } else {
                "A person has to look".to_owned()
            };
            let sick = ended_sentence(sick);
            let blame = if is_asked_for(bad) { "" } else { ", so the commit is probably not to blame" };
            format!(
                "Went back to {release}, because {why} It was healthy before and is not now{blame}: {sick} {then}"
            )
        }
        HeldStage::Failed(obstacle) => format!(
            "Could not go back to {release}: {} That was to be done because {why} Nothing more is tried: push a commit that \
             mends it, or roll back by hand",
            ended_sentence(obstacle)
        ),
    }
}

/// Returns whether a person asked for it, and nothing failed.
pub(super) fn is_asked_for(bad: &Bad) -> bool {
    bad.reason == Reason::Requested
}

fn why(held: &Held) -> String {
    let (bad, message) = (&held.bad, ended_sentence(&held.bad.message));
    match held.again {
        Again::Quarantined if is_asked_for(bad) => message,
        Again::Quarantined => format!("{} failed: {message}", bad.revision.short()),
        Again::At(..) | Again::Now(_) | Again::No => {
            format!("{} is held up, and less serves meanwhile: {message}", bad.revision.short())
        }
    }
}

/// What the sync says that brought an app back.
pub(crate) fn back_at(stable: &Stable) -> String {
    if stable.is_nothing() {
        return "successfully removed what the first deploy had created".into();
    }
    format!("successfully rolled back to {} (release {})", stable.revision.short(), stable.number)
}
