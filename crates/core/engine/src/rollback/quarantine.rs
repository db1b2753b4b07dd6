//! Which contents failed by their own fault, so that auto-sync leaves them alone?

use model::{Bad, DesiredHash};
use std::collections::BTreeMap;

/// How many bad contents are remembered; the oldest is forgotten first.
const MOST: usize = 10;

/// Contents that failed by their own fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quarantine(BTreeMap<DesiredHash, Bad>);

impl Quarantine {
    /// Returns why a content is in it.
    pub fn get(&self, hash: DesiredHash) -> Option<&Bad> {
        self.0.get(&hash)
    }

    /// Returns whether a content is in it.
    pub fn contains(&self, hash: DesiredHash) -> bool {
        self.0.contains_key(&hash)
    }

    /// Returns all, ordered by their hashes.
    pub fn iter(&self) -> impl Iterator<Item = &Bad> {
        self.0.values()
    }

    /// Adds a content.
    pub fn add(&mut self, bad: Bad) {
        self.0.insert(bad.hash, bad);
        while self.0.len() > MOST {
            let oldest = self.0.values().min_by_key(|bad| (bad.failed_at, bad.hash)).map(|bad| bad.hash);
            oldest.and_then(|hash| self.0.remove(&hash));
        }
    }

    pub(super) fn get_mut(&mut self, hash: DesiredHash) -> Option<&mut Bad> {
        self.0.get_mut(&hash)
    }

    /// Lets a content go; returns whether it was in it.
    pub fn lift(&mut self, hash: DesiredHash) -> bool {
        self.0.remove(&hash).is_some()
    }
}

impl FromIterator<Bad> for Quarantine {
    fn from_iter<I: IntoIterator<Item = Bad>>(all: I) -> Self {
        let mut quarantine = Self::default();
        all.into_iter().for_each(|bad| quarantine.add(bad));
        quarantine
    }
}
