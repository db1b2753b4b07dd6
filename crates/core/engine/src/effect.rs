//! What is to be done? The agent turns each of these into I/O; each may be repeated.

use crate::report::Report;
use crate::suspect::Suspect;
use model::{Cascade, DesiredHash, ObjectKey, Reason, Revision, SyncId, Timestamp};
use plan::Selection;

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Look the tracked revision up at once; answered by `Resolved` or `SourceFailed`.
    Resolve,
    /// Render a revision; answered by `Rendered`, `RenderFailed` or `SourceFailed`.
    Render {
        /// Which.
        revision: Revision,
        /// Whether what is cached counts.
        trust: Trust,
    },
    /// Compare now; answered by `Compared`.
    Compare,
    /// Resolve and render what an operation names; answered by `Prepared`.
    Prepare {
        /// For which sync.
        sync: SyncId,
        /// Branch, tag or SHA.
        target_revision: String,
    },
    /// Make the plan of a sync; answered by `Planned`.
    Plan {
        /// For which sync.
        sync: SyncId,
        /// Of which desired set.
        hash: DesiredHash,
        /// About which objects.
        selection: Selection,
        /// Whether to delete what Git no longer has.
        prune: plan::prune::Prune,
    },
    /// Apply objects in parallel; answered by `StageDone`.
    Apply {
        /// For which sync.
        sync: SyncId,
        /// From which desired set.
        hash: DesiredHash,
        /// Which objects.
        keys: Vec<ObjectKey>,
        /// Whether to change anything.
        mode: Mode,
    },
    /// Delete objects in parallel; answered by `StageDone`.
    Prune {
        /// For which sync.
        sync: SyncId,
        /// Which objects.
        keys: Vec<ObjectKey>,
        /// Whether to change anything.
        mode: Mode,
    },
    /// Find out who is to blame that a commit failed; answered by `Culprit`, and nothing waits for that.
    Inquire(Box<Suspect>),
    /// Delete everything of an app that is being deleted; answered by `Cascaded`.
    Cascade(Cascade),
    /// Take our finalizers off the Application.
    Finalize,
    /// Send `Woke` at this time; a later one replaces an earlier one.
    WakeAt(Timestamp),
    /// Write the status.
    Report(Box<Report>),
    /// Tell a person what happened: a log line and, where it matters, an event.
    Note(Note),
}

/// Whether cached renderings count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// They do.
    Cache,
    /// A hard refresh: they do not.
    Nothing,
}

/// Whether a sync changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Real,
    /// It only asks the API server.
    DryRun,
}

/// One transition, told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Why, in one word.
    pub reason: Reason,
    /// The story in a sentence.
    pub message: String,
    /// Whether a person should look.
    pub tone: Tone,
}

/// How loud a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// Part of the story.
    Plain,
    /// A person may have to look; an event is written.
    Warning,
}
