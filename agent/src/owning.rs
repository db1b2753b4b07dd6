//! Whose is an object, and which apps does it concern? What their labels and their manifests say, put together.

use crate::agent::Agent;
use crate::apps::AppEntry;
use crate::desired::DesiredSet;
use model::{AppKey, LiveDigest, ObjectKey};
use std::collections::{BTreeMap, BTreeSet};

impl Agent {
    /// Returns the keys that concern an app: what Git wants, and all that carries its label, unless another app wants it
    /// by now: an object that moves to another app is not an extra of this one.
    fn keys_of<'a>(
        &'a self,
        key: &'a AppKey,
        entry: &'a AppEntry,
        set: &'a DesiredSet,
    ) -> BTreeSet<&'a ObjectKey> {
        let is_moving = |object: &ObjectKey| {
            !set.objects.contains_key(object) && self.claims.others(key, object).next().is_some()
        };
        let extras = self.live.part_of(&entry.part_of).filter(|object| !is_moving(object));
        set.objects.keys().chain(extras).collect()
    }

    /// Returns the digests that concern an app: of what Git wants, and of all that carries its label.
    pub(crate) fn live_of(
        &self,
        key: &AppKey,
        entry: &AppEntry,
        set: &DesiredSet,
    ) -> BTreeMap<ObjectKey, LiveDigest> {
        let keys = self.keys_of(key, entry, set);
        keys.into_iter().filter_map(|key| Some((key.clone(), self.live.get(key)?.digest.clone()))).collect()
    }

    /// Returns the app that owns an object instead of this one.
    pub(crate) fn owner_instead(&self, key: &AppKey, object: &ObjectKey) -> Option<AppKey> {
        let holder = self.live.get(object).and_then(|entry| self.by_part_of.get(&entry.digest.part_of));
        self.claims.owner_instead_of(key, object, holder).cloned()
    }

    /// Says which objects other apps want, too, or hold and may want; `owners` are those that own them instead.
    pub(crate) fn shared(&self, key: &AppKey, owners: &BTreeMap<&ObjectKey, AppKey>) -> Vec<String> {
        let mut sentences = Vec::new();
        let objects: BTreeSet<&ObjectKey> = self.claims.shared(key).chain(owners.keys().copied()).collect();
        for object in objects {
            let owner = owners.get(object).unwrap_or(key);
            let others: BTreeSet<&AppKey> =
                self.claims.others(key, object).chain(owners.get(object)).collect();
            for other in others {
                sentences.push(format!(
                    "{}/{} is part of applications {} and {}; {} owns it",
                    object.kind, object.name, key, other, owner
                ));
            }
        }
        sentences.sort();
        sentences
    }

    /// Marks the apps that an object concerns: whoever's label it carries, and whoever wants it.
    pub(crate) fn touch(&mut self, object: &ObjectKey) {
        let holder =
            self.live.get(object).and_then(|entry| self.by_part_of.get(&entry.digest.part_of)).cloned();
        self.dirty.extend(holder);
        self.dirty.extend(self.claims.claimants(object).cloned());
    }

    /// Marks the apps that want what another app holds.
    pub(crate) fn touch_held(&mut self, part_of: &str) {
        let held = self.live.part_of(part_of);
        self.dirty.extend(held.flat_map(|object| self.claims.claimants(object)).cloned());
    }
}
