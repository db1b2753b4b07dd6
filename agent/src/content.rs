//! What does a release hold, and in what does Git differ from it?

mod lasting;

use crate::agent::Agent;
use crate::desired::{self, DesiredSet, Rules};
use crate::input::Input;
use crate::live::Sight;
use crate::releases::{NoPayload, Store};
use cluster::Priority;
use engine::{Event, NotRecalled};
use model::{App, AppKey, DesiredHash, GroupKind, ObjectKey, Stable};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How long it is waited for what differs from a release: a commit is not held up by an API server that hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the objects of an app's release are read from.
struct Shelf {
    store: Store,
    app: Arc<App>,
    rules: Rules,
}

impl Shelf {
    /// Reads what a release holds, as it would be applied now.
    async fn content(&self, release: u64) -> Result<Arc<DesiredSet>, NotRecalled> {
        let found = self.store.payload(&self.app.key, &self.app.uid, release, Priority::Apply).await;
        let refused = |message| NotRecalled { message, is_transient: false };
        let (head, objects) = found.map_err(|why| match why {
            NoPayload::Call(error) => NotRecalled { message: error.to_string(), is_transient: true },
            NoPayload::Refused(refusal) => refused(refusal.to_string()),
        })?;
        desired::of_release(&self.app, &head.record, objects, &self.rules).map_err(refused)
    }
}

impl Agent {
    fn shelf(&self, key: &AppKey) -> Option<Shelf> {
        let entry = self.apps.get(key)?;
        Some(Shelf { store: self.releases.clone(), app: entry.app.clone()?, rules: self.rules_of(entry) })
    }

    /// Finds out in which objects what Git wants differs from a release: nobody waits long for that.
    pub(crate) fn differ(&mut self, key: &AppKey, release: u64, hash: DesiredHash) {
        let set = self.apps.get(key).and_then(|entry| entry.sets.get(&hash)).cloned();
        let (Some(set), Some(store)) = (set, self.shelf(key)) else {
            return self.event(key, Event::Differs { hash, keys: BTreeSet::new() });
        };
        let key = key.clone();
        self.spawn(async move {
            let why = match tokio::time::timeout(PATIENCE, store.content(release)).await {
                Ok(Ok(old)) => return Input::Differs(key, hash, changed(&old, &set)),
                Ok(Err(refusal)) => refusal.message,
                Err(_) => "the API server does not answer".to_owned(),
            };
            tracing::warn!(app = %key, release, %why, "which objects a commit changes could not be found out");
            Input::Differs(key, hash, BTreeSet::new())
        });
    }

    /// Reads what a release holds.
    pub(crate) fn recall(&mut self, key: &AppKey, release: u64, hash: DesiredHash) {
        let Some(entry) = self.apps.get(key) else { return };
        // What was restored around something that lasted is not what the release says.
        let mut known = entry.sets.get(&hash).filter(|set| set.summary.lasting.is_empty()).cloned();
        if known.is_none() && release == Stable::nothing().number {
            known = Some(Arc::new(DesiredSet::nothing(hash)));
        }
        if let Some(set) = known.as_ref().filter(|set| !lasting::has_some(set)) {
            return self.recalled(key, release, Ok(Arc::clone(set)));
        }
        let (Some(store), cluster, key) = (self.shelf(key), self.cluster.clone(), key.clone()) else {
            return;
        };
        self.spawn(async move {
            let found = match known {
                Some(set) => Ok(set),
                None => store.content(release).await.and_then(|set| is_what_settled(set, release, hash)),
            };
            let outcome = match found {
                Ok(set) => lasting::keep(&cluster, set).await,
                Err(why) => Err(why),
            };
            Input::Recalled(key, release, outcome)
        });
    }

    /// Takes in what a release holds.
    pub(crate) fn recalled(
        &mut self,
        key: &AppKey,
        release: u64,
        outcome: Result<Arc<DesiredSet>, NotRecalled>,
    ) {
        let desired = outcome.map(|set| {
            let set = self.without_jobs_that_ran(set);
            for gvk in set.objects.gvks() {
                self.watch_kind(&gvk);
            }
            let summary = Arc::clone(&set.summary);
            if let Some(entry) = self.apps.get_mut(key) {
                entry.sets.insert(set.hash(), set);
            }
            summary
        });
        self.event(key, Event::Recalled { release, desired });
    }

    /// Leaves out Jobs that are not there any more: they have run, and the app lacks nothing without them.
    fn without_jobs_that_ran(&self, set: Arc<DesiredSet>) -> Arc<DesiredSet> {
        let jobs = GroupKind::new("batch", "Job");
        let is_seen = self.live.kinds.get(&jobs).is_some_and(|watch| watch.sight == Sight::Clear);
        let has_run = |key: &ObjectKey| is_seen && key.group_kind() == jobs && self.live.get(key).is_none();
        if !set.objects.keys().any(has_run) {
            return set;
        }
        Arc::new(DesiredSet { objects: set.objects.without(has_run), ..DesiredSet::clone(&set) })
    }
}

fn is_what_settled(
    set: Arc<DesiredSet>,
    release: u64,
    hash: DesiredHash,
) -> Result<Arc<DesiredSet>, NotRecalled> {
    if set.hash() == hash {
        return Ok(set);
    }
    let message = format!("release {release} holds something else than what settled");
    Err(NotRecalled { message, is_transient: false })
}

/// Returns the objects that are wanted and differ from those of a release.
fn changed(old: &DesiredSet, new: &DesiredSet) -> BTreeSet<ObjectKey> {
    let is_same = |key: &ObjectKey, digest| old.objects.get(key).is_some_and(|kept| kept.digest == digest);
    let differing = new.objects.iter().filter(|(key, kept)| !is_same(key, kept.digest));
    differing.map(|(key, _)| key.clone()).collect()
}
