//! How does an app as a whole compare with its cluster?

use crate::{Available, DesiredHash, Digest, Evidence, Health, ObjectKey};
use std::fmt;

/// Sync status in Argo CD's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SyncStatus {
    /// Live equals desired.
    Synced,
    /// It does not.
    OutOfSync,
    /// It could not be compared.
    Unknown,
}

impl SyncStatus {
    /// Returns the word that status, API and metrics use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "Synced",
            Self::OutOfSync => "OutOfSync",
            Self::Unknown => "Unknown",
        }
    }
}

impl fmt::Display for SyncStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One line of `status.resources`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectStatus {
    /// What identifies the object.
    pub key: ObjectKey,
    /// The version that Git or, for extra objects, the cluster has it at.
    pub version: String,
    /// How it compares; `None` for an object that is not ours to judge (its tracking id is a copy).
    pub sync: Option<SyncStatus>,
    /// Its health; `None` without an opinion.
    pub health: Option<Health>,
    /// What its state says about the commit: at once for what is Degraded, for the rest once its time is over.
    pub evidence: Evidence,
    /// How many of its pods serve, where it is a workload that tells.
    pub available: Option<Available>,
    /// Whether it is in the cluster.
    pub is_live: bool,
    /// Whether it is in the cluster but not in Git.
    pub requires_pruning: bool,
    /// Whether its deletion waits for a person.
    pub requires_confirmation: bool,
    /// Why it is not simply applied; empty otherwise (another app owns it, the project forbids its kind).
    pub refused: String,
}

/// How an app compares: computed from desired and digests, handed to the engine as a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// What live was compared with.
    pub hash: DesiredHash,
    /// One entry per desired or extra object, sorted by key.
    pub objects: Vec<ObjectStatus>,
    /// The worst of the objects, as Argo CD rolls it up.
    pub sync: SyncStatus,
    /// The worst of the objects, as Argo CD rolls it up; the message names up to three causes.
    pub health: Health,
    /// Whether every kind involved has been listed whole. Without it nothing is deleted and nothing claimed.
    pub is_complete: bool,
    /// Whether some object still waits for its dry-run.
    pub is_settled: bool,
    /// Changes whenever some object gets on with what it does; what a sync's deadline is counted from.
    pub progress: Digest,
    /// Why some of it could not be seen: sentences, sorted.
    pub unseen: Vec<String>,
    /// Another app owns objects of this one: sentences for conditions, sorted.
    pub shared: Vec<String>,
    /// Images of the live objects, sorted and unique.
    pub images: Vec<String>,
    /// Links to what they publish, sorted and unique.
    pub links: Vec<String>,
}

impl Comparison {
    /// Returns the keys of objects that a sync would change: drifted, missing, and not refused.
    pub fn to_apply(&self) -> impl Iterator<Item = &ObjectKey> {
        self.objects
            .iter()
            .filter(|o| !o.requires_pruning && o.refused.is_empty() && o.sync == Some(SyncStatus::OutOfSync))
            .map(|o| &o.key)
    }

    /// Returns the keys of objects that Git no longer has.
    pub fn to_prune(&self) -> impl Iterator<Item = &ObjectKey> {
        self.objects.iter().filter(|o| o.requires_pruning).map(|o| &o.key)
    }
}
