//! What is kept of the pods and `ReplicaSet`s around a workload that is not healthy? What a cause needs, and nothing of
//! pods that are well.

use crate::Cause;
use crate::read::{at, items, text, text_in, whole};
use crate::{cause, pod_trouble};
use model::Object;
use std::collections::{BTreeMap, BTreeSet};

/// Deployment controller's number of a rollout, on Deployments and their `ReplicaSet`s.
pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";
/// Hash of the template that a `StatefulSet`'s or `DaemonSet`'s pod was made from.
const REVISION_HASH: &str = "controller-revision-hash";
/// The number of the template that a `DaemonSet`'s pod was made from.
const POD_TEMPLATE_GENERATION: &str = "pod-template-generation";

/// What belongs to a workload and may say why it is not healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Member {
    /// Pods.
    Pod,
    /// `ReplicaSet`s.
    ReplicaSet,
}

/// The pods and `ReplicaSet`s of one namespace, by whose they are. Fed by two watches: between [`Members::begin`] and
/// [`Members::end`] of a list, what is not told has gone.
#[derive(Clone, Debug, Default)]
pub struct Members {
    pods: ByOwner<PodDigest>,
    sets: ByOwner<SetDigest>,
}

/// One pod, as far as it is evidence.
#[derive(Clone, Debug)]
pub(crate) struct PodDigest {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) resource_version: String,
    /// When it was made, as the API server writes it.
    pub(crate) made: String,
    pub(crate) revision_hash: Option<String>,
    pub(crate) template_generation: Option<String>,
    /// What keeps it from running well.
    pub(crate) trouble: Option<Cause>,
}

/// One `ReplicaSet`, as far as it is evidence.
#[derive(Clone, Debug)]
pub(crate) struct SetDigest {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) revision: i64,
    /// Why its controller could not create pods.
    pub(crate) failure: Option<Cause>,
}

impl Members {
    /// Takes a pod or a `ReplicaSet` in as it is now; other kinds are nobody's members.
    pub fn put(&mut self, object: &Object) {
        let key = object.key();
        if key.is_kind("", "Pod") {
            self.pods.put(&key.name, owned(object, PodDigest::of));
        } else if key.is_kind("apps", "ReplicaSet") {
            self.sets.put(&key.name, owned(object, SetDigest::of));
        }
    }

    /// Takes in that a member cannot be read: what is known of it stays.
    pub fn see(&mut self, member: Member, name: &str) {
        match member {
            Member::Pod => self.pods.see(name),
            Member::ReplicaSet => self.sets.see(name),
        }
    }

    /// Takes in that a member is gone.
    pub fn remove(&mut self, member: Member, name: &str) {
        match member {
            Member::Pod => self.pods.put(name, None),
            Member::ReplicaSet => self.sets.put(name, None),
        }
    }

    /// A list of members begins.
    pub fn begin(&mut self, member: Member) {
        match member {
            Member::Pod => self.pods.begin(),
            Member::ReplicaSet => self.sets.begin(),
        }
    }

    /// The list is complete: what it did not tell is gone. Without a beginning nothing is.
    pub fn end(&mut self, member: Member) {
        match member {
            Member::Pod => self.pods.end(),
            Member::ReplicaSet => self.sets.end(),
        }
    }

    /// Returns how many are kept.
    pub fn len(&self) -> usize {
        self.pods.owner_of.len() + self.sets.owner_of.len()
    }

    /// Returns whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn pods_of(&self, owner: &str) -> impl Iterator<Item = &PodDigest> {
        self.pods.of(owner)
    }

    pub(crate) fn sets_of(&self, owner: &str) -> impl Iterator<Item = &SetDigest> {
        self.sets.of(owner)
    }
}

impl PodDigest {
    /// `None` for what is no evidence: a pod that is going, or that is well. Of a `DaemonSet` those that are well count, too:
    /// the one made last shows which template is the newest.
    fn of(pod: &Object, owner_kind: &str) -> Option<Self> {
        let trouble = pod_trouble::find(pod);
        if pod.is_deleting() || (trouble.is_none() && owner_kind != "DaemonSet") {
            return None;
        }
        Some(Self {
            name: pod.name().into(),
            uid: pod.uid().into(),
            resource_version: pod.resource_version().into(),
            made: text(pod, "metadata/creationTimestamp").into(),
            revision_hash: pod.label(REVISION_HASH).map(str::to_owned),
            template_generation: pod.label(POD_TEMPLATE_GENERATION).map(str::to_owned),
            trouble,
        })
    }
}

impl SetDigest {
    /// `None` for one of an earlier rollout, which is scaled to nothing.
    fn of(set: &Object, _owner_kind: &str) -> Option<Self> {
        let failure = cause::replica_failure(set);
        if failure.is_none() && at(set, "spec/replicas").and_then(whole) == Some(0) {
            return None;
        }
        Some(Self { name: set.name().into(), uid: set.uid().into(), revision: revision(set), failure })
    }
}

/// Returns a digest with the uid of the object's controller; `None` for what nobody controls.
fn owned<T>(object: &Object, digest: impl FnOnce(&Object, &str) -> Option<T>) -> Option<(String, T)> {
    let is_controller = |reference: &&serde_json::Value| {
        reference.get("controller").and_then(serde_json::Value::as_bool) == Some(true)
    };
    let owner = items(object, "metadata/ownerReferences").iter().find(is_controller)?;
    let uid = text_in(owner, "uid");
    let digest = digest(object, text_in(owner, "kind"))?;
    (!uid.is_empty()).then(|| (uid.to_owned(), digest))
}

pub(crate) fn revision(object: &Object) -> i64 {
    object.annotation(REVISION).and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Digests by the uid of their owner, then by name.
#[derive(Clone, Debug)]
struct ByOwner<T> {
    digests: BTreeMap<String, BTreeMap<String, T>>,
    owner_of: BTreeMap<String, String>,
    /// Who was told since the list under way began, of those that are kept.
    seen: Option<BTreeSet<String>>,
}

impl<T> Default for ByOwner<T> {
    fn default() -> Self {
        Self { digests: BTreeMap::new(), owner_of: BTreeMap::new(), seen: None }
    }
}

impl<T> ByOwner<T> {
    fn put(&mut self, name: &str, held: Option<(String, T)>) {
        if let Some(owner) = self.owner_of.remove(name)
            && let Some(digests) = self.digests.get_mut(&owner)
        {
            digests.remove(name);
            if digests.is_empty() {
                self.digests.remove(&owner);
            }
        }
        let Some((owner, digest)) = held else { return };
        self.see(name);
        self.digests.entry(owner.clone()).or_default().insert(name.into(), digest);
        self.owner_of.insert(name.into(), owner);
    }

    fn see(&mut self, name: &str) {
        if let Some(seen) = &mut self.seen {
            seen.insert(name.into());
        }
    }

    fn begin(&mut self) {
        self.seen = Some(BTreeSet::new());
    }

    fn end(&mut self) {
        let Some(seen) = self.seen.take() else { return };
        let gone: Vec<String> = self.owner_of.keys().filter(|name| !seen.contains(*name)).cloned().collect();
        for name in gone {
            self.put(&name, None);
        }
    }

    fn of(&self, owner: &str) -> impl Iterator<Item = &T> {
        self.digests.get(owner).into_iter().flat_map(BTreeMap::values)
    }
}
