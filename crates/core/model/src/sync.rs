//! What happened to each object of a sync?

use crate::{ErrorClass, ObjectKey};
use std::fmt;

/// Numbers the syncs of one app in one life of the agent; answers of superseded syncs are told apart by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SyncId(pub u64);

impl SyncId {
    /// Returns the number after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Phase of an operation in Argo CD's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperationPhase {
    /// Under way, or waiting to be repeated.
    Running,
    /// Somebody asked to end it.
    Terminating,
    /// Ended with objects that could not be applied or did not become healthy.
    Failed,
    /// Ended before anything could be applied.
    Error,
    /// Ended well.
    Succeeded,
}

impl OperationPhase {
    /// Returns the word that status, API and metrics use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Terminating => "Terminating",
            Self::Failed => "Failed",
            Self::Error => "Error",
            Self::Succeeded => "Succeeded",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Running, Self::Terminating, Self::Failed, Self::Error, Self::Succeeded]
            .into_iter()
            .find(|phase| phase.as_str() == word)
    }

    /// Returns whether the operation has ended.
    pub fn is_completed(self) -> bool {
        match self {
            Self::Failed | Self::Error | Self::Succeeded => true,
            Self::Running | Self::Terminating => false,
        }
    }
}

impl fmt::Display for OperationPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of one object in a sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectOutcome {
    /// Created: it was not there before.
    Created,
    /// Changed by our apply.
    Configured,
    /// Applied, and nothing changed.
    Unchanged,
    /// Deleted, or its deletion has begun.
    Pruned,
    /// Left in the cluster although Git no longer has it; the text says why.
    PruneSkipped(String),
    /// The API server, or we, refused or failed; the class decides what follows.
    Failed(ErrorClass, String),
}

impl ObjectOutcome {
    /// Returns whether the cluster is another one by it.
    pub fn is_change(&self) -> bool {
        match self {
            Self::Created | Self::Configured | Self::Pruned => true,
            Self::Unchanged | Self::PruneSkipped(_) | Self::Failed(..) => false,
        }
    }

    /// Returns whether the object could not be brought to what Git wants.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Failed(..) => true,
            Self::Created | Self::Configured | Self::Unchanged | Self::Pruned | Self::PruneSkipped(_) => {
                false
            }
        }
    }
}

/// One object's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectResult {
    /// Which object.
    pub key: ObjectKey,
    /// At which version.
    pub version: String,
    /// What became of it.
    pub outcome: ObjectOutcome,
    /// Images that it names, sorted.
    pub images: Vec<String>,
}
