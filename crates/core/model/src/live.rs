//! What do we remember of a live object? A digest, never the object.

use crate::{Digest, Evidence, GroupVersionKind, Health, NotYet, ObjectKey, tracking::TrackingId};

/// How a live object relates to what Git wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Match {
    /// Every desired field has its value.
    InSync,
    /// Some field differs.
    Drifted,
    /// Not known yet: a dry-run is needed, or under way.
    Undecided,
}

/// How many pods of a workload serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Available {
    /// That many do.
    pub now: u32,
    /// Of that many that it is to have.
    pub wanted: u32,
}

/// What we keep of a live object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveDigest {
    /// What identifies it.
    pub key: ObjectKey,
    /// The version that it was read at.
    pub version: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// The tracking id that it carries.
    pub tracking: Option<TrackingId>,
    /// Whether it carries our instance label.
    pub has_instance_label: bool,
    /// The part-of label that it carries; empty where it has none.
    pub part_of: String,
    /// Whether it has owner references: such an object is somebody's child and never pruned.
    pub is_owned: bool,
    /// Whether a finalizer is on it: somebody wants to do something before it goes.
    pub has_finalizers: bool,
    /// Whether its deletion has begun.
    pub is_deleting: bool,
    /// How it relates to what Git wants; `Undecided` for what Git does not want.
    pub matching: Match,
    /// Its health; `None` for kinds without an opinion.
    pub health: Option<Health>,
    /// What its state says about the commit, once its time is over.
    pub evidence: Evidence,
    /// How many of its pods serve, where it is a workload that tells.
    pub available: Option<Available>,
    /// Changes whenever the object gets on: counts of replicas and pods, conditions; not messages or restarts.
    pub progress: Digest,
    /// Whether its health does not count (`argocd.argoproj.io/ignore-healthcheck`).
    pub health_ignored: bool,
    /// Whether an annotation on it forbids pruning (`Prune=false`, `helm.sh/resource-policy: keep`).
    pub keep_on_prune: bool,
    /// Whether an annotation on it forbids cascade deletion (`Delete=false`, `helm.sh/resource-policy: keep`).
    pub keep_on_delete: bool,
    /// Whether `tautline.dev/delete: allow` is on it.
    pub delete_allowed: bool,
    /// Whether pruning it waits for a person (`Prune=confirm`).
    pub prune_needs_confirmation: bool,
    /// Whether cascade deletion of it waits for a person (`Delete=confirm`).
    pub delete_needs_confirmation: bool,
    /// Whether, being extra, it leaves the app's sync status alone (`IgnoreExtraneous`).
    pub ignore_extraneous: bool,
    /// What its annotations ask for that we do not act on yet.
    pub not_yet: Vec<NotYet>,
    /// Container images that it names, sorted.
    pub images: Vec<String>,
    /// Links to what it publishes, sorted.
    pub links: Vec<String>,
}

impl LiveDigest {
    /// Returns the kind at the version that it was read at.
    pub fn gvk(&self) -> GroupVersionKind {
        GroupVersionKind {
            group: self.key.group.clone(),
            version: self.version.clone(),
            kind: self.key.kind.clone(),
        }
    }

    /// Returns whether the object proves by itself that it is `instance`'s: it carries our label, the app's label, and
    /// a tracking id made for exactly this object. Without all three nothing is ever deleted.
    pub fn is_proven(&self, instance: &str, part_of: &str) -> bool {
        let tracked =
            self.tracking.as_ref().is_some_and(|id| id.instance == instance && id.refers_to(&self.key));
        self.has_instance_label && self.part_of == part_of && tracked
    }
}
