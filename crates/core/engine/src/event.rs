//! What can happen to an app?

use crate::rollback::NotRecalled;
use crate::unreadable::Unreadable;
use model::{
    Check, Comparison, Culprit, DesiredHash, Look, NotYet, ObjectKey, ObjectResult, Problem, Reason,
    Revision, Seconds, Stable, SyncId, Timestamp,
};
use plan::Plan;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Something happened; every outcome of an effect comes back as one of these.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The Application was read for the first time, or something in it changed.
    AppChanged,
    /// The Application or its project rules it out: nothing may be done for it.
    Refused(Vec<Problem>),
    /// The tracked revision was looked up.
    Resolved(Revision),
    /// The repository could not be read.
    SourceFailed(SourceFailure),
    /// A look at the repository that began before the app asked for one came to this; the next one answers who asked.
    Overheard(Result<Revision, SourceFailure>),
    /// A revision was rendered.
    Rendered(Arc<Desired>),
    /// A revision cannot be rendered: its content is wrong.
    RenderFailed {
        /// The revision.
        revision: Revision,
        /// Everything that is wrong with it.
        problems: Vec<Problem>,
    },
    /// A revision cannot be rendered because it needs something that we do not act on yet.
    Unsupported {
        /// The revision.
        revision: Revision,
        /// What it needs.
        not_yet: Vec<NotYet>,
    },
    /// Desired was compared with live.
    Compared(Arc<Comparison>),
    /// The revision that an operation names was rendered.
    Prepared {
        /// For which sync.
        sync: SyncId,
        /// What to deploy, or why that is not known.
        desired: Result<Arc<Desired>, String>,
    },
    /// Who is to blame that a commit failed.
    Culprit {
        /// Hash of its content.
        hash: DesiredHash,
        /// Why it failed, in one word.
        reason: Reason,
        /// Who, and what they said last.
        culprit: Box<Culprit>,
    },
    /// What can be gone back to; `None` where there is nothing.
    Stable(Option<Stable>),
    /// What a release holds was read.
    Recalled {
        /// Its number.
        release: u64,
        /// What it holds, or why that is not known.
        desired: Result<Arc<Desired>, NotRecalled>,
    },
    /// A commit was taken back in Git, or need not be; or could not be.
    Reverted {
        /// Hash of its content.
        hash: DesiredHash,
        /// A sentence.
        outcome: Result<String, String>,
    },
    /// The app's own checks were looked at.
    Checked {
        /// Hash of what was deployed.
        hash: DesiredHash,
        /// When its sync began.
        since: Timestamp,
        /// What each check said.
        looks: Vec<(Check, Look)>,
    },
    /// In which objects what Git wants differs from the last release: none where that could not be found out.
    Differs {
        /// Hash of what Git wants.
        hash: DesiredHash,
        /// The objects.
        keys: BTreeSet<ObjectKey>,
    },
    /// The plan of a sync is made.
    Planned {
        /// For which sync.
        sync: SyncId,
        /// What to do.
        plan: Plan,
    },
    /// A stage was carried out, well or not.
    StageDone {
        /// Of which sync.
        sync: SyncId,
        /// One per object.
        results: Vec<ObjectResult>,
    },
    /// A pass of the cascade deletion is done.
    Cascaded(CascadePass),
    /// Something of an app that is being deleted changed in the cluster.
    LiveChanged,
    /// Which settings that concern the app cannot be read; none when all is well.
    Settings(Vec<Unreadable>),
    /// The ground changed in a way that may let what was held succeed: a kind appeared, the API server came back.
    GroundChanged,
    /// The time came that was asked for with [`Effect::WakeAt`](crate::Effect::WakeAt).
    Woke,
    /// Whether we are the one writer.
    Writes(Writes),
}

/// Whether we may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// We hold the lease.
    Allowed,
    /// Somebody else does, or nobody knows.
    Forbidden,
}

/// Why a repository could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFailure {
    /// The sentence, without secrets.
    pub message: String,
    /// Whether it may pass by itself: the network, a timeout. A wrong URL, branch or password does not.
    pub is_transient: bool,
    /// Whether the server may want credentials, or other ones.
    pub lacks_credentials: bool,
}

/// A rendered revision as the engine sees it: hashes and counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// The revision.
    pub revision: Revision,
    /// Hash of the objects.
    pub hash: DesiredHash,
    /// How many objects.
    pub n_objects: usize,
    /// Argo CD's word for the kind of source.
    pub source_type: String,
    /// Longest `progressDeadlineSeconds` that an object sets.
    pub progress_deadline: Seconds,
    /// What the objects use that we do not act on yet.
    pub not_yet: Vec<NotYet>,
    /// Objects that stand twice in the manifests: sentences.
    pub repeated: Vec<String>,
    /// What the manifests say and is not done, to remain the one writer: sentences.
    pub overruled: Vec<String>,
    /// What of a release cannot be restored, and stays as it is: sentences.
    pub lasting: Vec<String>,
}

/// What a pass of the cascade deletion found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CascadePass {
    /// Objects that are still there, with what holds them up.
    pub remaining: Vec<String>,
    /// Whether some of them met a conflict: nobody may tell when to ask for them again.
    pub has_conflicts: bool,
    /// Objects whose deletion waits for a person.
    pub unconfirmed: Vec<String>,
    /// Calls that failed: sentences.
    pub failed: Vec<String>,
    /// Why kinds that may hold something of the app are not seen: sentences. While there are any nothing is finished.
    pub unseen: Vec<String>,
    /// What live objects ask for that we do not act on yet, where nothing is rendered: nothing was deleted.
    pub not_yet: Vec<String>,
    /// Objects that the project does not permit: they stay.
    pub not_permitted: Vec<String>,
}
