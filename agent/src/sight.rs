//! Which kinds have to be seen for which app, and what follows when one is not?

use crate::agent::Agent;
use crate::apps::AppEntry;
use crate::desired::DesiredSet;
use crate::live::Sight;
use engine::Event;
use model::{AppKey, GroupKind, ObjectKey};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Agent {
    /// Returns the kinds of which an app has objects or may have some: those that Git wants, that its status lists, and
    /// that carry its label. A status that lists nothing was wiped or never written; then it may be any that we ever
    /// created.
    pub(crate) fn kinds_of(&self, entry: &AppEntry, set: Option<&DesiredSet>) -> BTreeSet<GroupKind> {
        let mut kinds = distinct(self.live.part_of(&entry.part_of));
        kinds.extend(distinct(set.into_iter().flat_map(|set| set.objects.keys())));
        if entry.listed.is_empty() {
            kinds.extend(self.kinds.known().map(model::GroupVersionKind::group_kind));
        }
        // Whoever may edit a status may list anything in it; of kinds that are not watched there is nothing of ours.
        kinds.extend(self.live.kinds.keys().filter(|kind| entry.listed.contains(kind)).cloned());
        kinds
    }

    /// Says of each of some kinds that is not seen why, and since when.
    pub(crate) fn unseen(&self, kinds: impl IntoIterator<Item = GroupKind>) -> Vec<String> {
        kinds.into_iter().filter_map(|kind| self.live.obstacle(&kind)).collect()
    }

    /// Says why kinds that we ever created are not seen. While there are any, something may be left of an app that shows
    /// nothing.
    pub(crate) fn unseen_of_all(&self) -> Vec<String> {
        let mut unseen = self.unseen(self.kinds.known().map(model::GroupVersionKind::group_kind));
        unseen.extend(self.kinds.doubts());
        unseen
    }

    /// Takes in how far a kind is seen, and compares the apps that it concerns.
    pub(crate) fn sight_changed(&mut self, kind: &GroupKind, sight: Sight) {
        let Some(watch) = self.live.kinds.get_mut(kind) else { return };
        let sight = match (&watch.sight, sight) {
            (Sight::Blind(since, _), Sight::Blind(_, why)) => Sight::Blind(*since, why),
            (_, sight) => sight,
        };
        if watch.sight == sight {
            return;
        }
        let is_back = matches!((&watch.sight, &sight), (Sight::Blind(..), Sight::Clear));
        watch.sight = sight;
        for (key, is_concerned) in self.concerned(kind) {
            if is_back && is_concerned {
                // What could not be applied while nobody could read it may be applied now.
                self.event(&key, Event::GroundChanged);
            }
            self.dirty.insert(key);
        }
    }

    /// Returns the apps that wait for the sight of a kind, with whether they may have objects of it: a deletion ends only
    /// when every kind is seen.
    fn concerned(&self, kind: &GroupKind) -> Vec<(AppKey, bool)> {
        let is_concerned = |entry: &AppEntry| {
            let is_chosen = |set: &Arc<DesiredSet>| set.objects.keys().any(|key| key.group_kind() == *kind);
            self.kinds_of(entry, entry.current().map(Arc::as_ref)).contains(kind)
                || [entry.chosen(), entry.enforced()].into_iter().flatten().any(is_chosen)
        };
        let goes = |entry: &AppEntry| entry.app.as_ref().is_some_and(|app| app.deletion.is_some());
        let apps = self.apps.iter().map(|(key, entry)| (key, is_concerned(entry), goes(entry)));
        let waiting = apps.filter(|(_, is_concerned, goes)| *is_concerned || *goes);
        waiting.map(|(key, is_concerned, _)| (key.clone(), is_concerned)).collect()
    }
}

/// Returns the kinds of keys that come sorted; most follow one of the same kind.
fn distinct<'a>(keys: impl Iterator<Item = &'a ObjectKey>) -> BTreeSet<GroupKind> {
    let mut kinds = BTreeSet::new();
    let mut last: Option<&ObjectKey> = None;
    for key in keys {
        if last.is_none_or(|last| (&last.group, &last.kind) != (&key.group, &key.kind)) {
            kinds.insert(key.group_kind());
        }
        last = Some(key);
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Watched;
    use crate::harness::{Harness, config_map};
    use crate::input::Input;
    use cluster::{WatchEvent, WatchId};
    use model::{CallError, ErrorClass, Timestamp};

    #[tokio::test]
    async fn a_kind_that_may_be_listed_and_not_watched_is_not_seen() {
        let mut harness = Harness::new(&[config_map("web", "", 0, "one")]).await;
        let agent = &mut harness.agent;
        let kind = GroupKind::new("", "ConfigMap");
        agent.watches.insert(WatchId(1), Watched::Kind(kind.clone()));
        let why = CallError::new(ErrorClass::Forbidden, "cannot watch");
        let blind = WatchEvent::Blind { since: Timestamp::from_millis(0), why };
        for event in [blind, WatchEvent::Began, WatchEvent::Listed(String::new())] {
            agent.take_in(Input::Watch(WatchId(1), event));
        }
        assert!(!agent.live.sees(&kind));
        agent.take_in(Input::Watch(WatchId(1), WatchEvent::Seeing));
        assert!(agent.live.sees(&kind));
    }
}
