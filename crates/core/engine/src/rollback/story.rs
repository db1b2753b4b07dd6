//! What happened to an app that is held, what runs now, and what is to be done?

use model::{Held, HeldStage, Stable};

/// Tells what happened to an app that is held, what runs now, and what to do, in two or three sentences.
pub(crate) fn told(held: &Held) -> String {
    let Held { at, bad, stage, has_chance } = held;
    let failed = format!("{} failed: {}", bad.revision.short(), ended_sentence(&bad.message));
    let (from, to, number) = (bad.revision.short(), at.revision.short(), at.number);
    let next = format!(
        "Auto-sync leaves {from} alone; the next commit that changes what is deployed resumes by itself"
    );
    match stage {
        HeldStage::Restoring => format!("Going back to {to} (release {number}), because {failed}"),
        HeldStage::Restored => format!("Rolled back to {to} (release {number}), because {failed} {next}"),
        HeldStage::Kept => {
            format!("Kept at {to} (release {number}): what Git holds had failed before, as {failed} {next}")
        }
        HeldStage::Inconclusive(why) => {
            let then = if *has_chance {
                format!("{from} is tried once more when {to} is healthy again")
            } else {
                "A person has to look".to_owned()
            };
            format!(
                "Went back to {to} (release {number}), because {failed} It was healthy before and is not now, so the commit is \
                 probably not to blame: {} {then}",
                ended_sentence(why)
            )
        }
        HeldStage::Failed(why) => format!(
            "Could not go back to {to} (release {number}): {} That was to be done because {failed} Nothing more is tried: push a \
             commit that mends it, or roll back by hand",
            ended_sentence(why)
        ),
    }
}

/// What the sync says that brought an app back.
pub(crate) fn back_at(stable: &Stable) -> String {
    format!("successfully rolled back to {} (release {})", stable.revision.short(), stable.number)
}

fn ended_sentence(text: &str) -> String {
    if text.ends_with(['.', '?', '!']) { text.into() } else { format!("{text}.") }
}
