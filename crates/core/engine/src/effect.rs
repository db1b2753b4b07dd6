//! What is to be done? The agent turns each of these into I/O; each may be repeated.

use crate::checks::Inspection;
use crate::report::Report;
use crate::suspect::Suspect;
use model::{Bad, Cascade, DesiredHash, ObjectKey, Reason, Revision, Stable, SyncId, Timestamp};
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
    /// Read what a release holds; answered by `Recalled`.
    Recall {
        /// Its number.
        release: u64,
        /// Hash of what it is to hold.
        hash: DesiredHash,
    },
    /// Find out in which objects what Git wants differs from a release; answered by `Differs`, before long in any case.
    Differ {
        /// The release's number.
        release: u64,
        /// Hash of what Git wants.
        hash: DesiredHash,
    },
    /// Take a commit back in Git, where that is wanted of the repository; answered by `Reverted` if it is.
    Revert(Box<Reversal>),
    /// Look at the app's own checks; answered by `Checked`, before long in any case.
    Check(Box<Inspection>),
    /// Keep what came of a sync; answered by `Stable` where it can be gone back to.
    Release(Box<Outcome>),
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

/// A commit that is to be taken back in Git.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversal {
    /// What was bad.
    pub bad: Bad,
    /// What the app is back at.
    pub at: Stable,
    /// What happened, in two or three sentences.
    pub story: String,
}

/// What came of a sync in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Hash of what it deployed, or was to.
    pub hash: DesiredHash,
    /// The commit.
    pub revision: Revision,
    /// In one word.
    pub word: Word,
    /// Why, where it failed.
    pub reason: Option<Reason>,
    /// The sentence; empty where it went well.
    pub message: String,
    /// Who asked; empty for the agent itself, and where unknown.
    pub username: String,
    /// Whether somebody asked.
    pub is_asked_for: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// When everything was healthy first.
    pub healthy_at: Option<Timestamp>,
    /// When the commit was seen, where that is known.
    pub seen_at: Option<Timestamp>,
    /// When the last object was applied, where that is known.
    pub applied_at: Option<Timestamp>,
    /// When it settled, or failed.
    pub ended_at: Timestamp,
}

/// What came of a sync, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It settled, and can be gone back to.
    Stable,
    /// So it was found in the cluster, and stayed well.
    Found,
    /// It failed by its own fault, and stays as it is.
    Failed,
    /// It failed by its own fault, and the app is back at what was stable.
    RolledBack,
    /// What was stable is not well either.
    Inconclusive,
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
