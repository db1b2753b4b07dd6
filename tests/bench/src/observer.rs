//! When did the cluster show what was waited for? Told by watches of our own, which the floor is measured with as well.

use crate::bed::{CONTROL, applications, config_maps, secrets};
use crate::kept::{Release, deployed};
use cluster::{Cluster, WatchEvent, WatchHandle, WatchId, WatchSpec};
use model::{Object, names};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};

const APPLICATIONS: WatchId = WatchId(1);
const MAPS: WatchId = WatchId(2);
const RELEASES: WatchId = WatchId(3);

/// Three watches and what they showed.
pub(crate) struct Observer {
    seen: Arc<Mutex<Seen>>,
    changed: Arc<Notify>,
    _watches: [WatchHandle; 3],
}

/// What the watches showed since the last [`Observer::expect`].
#[derive(Debug, Default)]
pub(crate) struct Seen {
    revision: String,
    version: String,
    /// When each app first was Synced at the expected revision, its sync done.
    pub apps: BTreeMap<String, Instant>,
    /// When each app first was Healthy as well.
    pub healthy: BTreeMap<String, Instant>,
    /// When each ConfigMap (`namespace/name`) first had the expected version.
    pub maps: BTreeMap<String, Instant>,
    /// Every version that a ConfigMap had.
    pub versions: Vec<(String, String, Instant)>,
    /// Every Application as it is now.
    pub applications: BTreeMap<String, Object>,
    /// Every managed ConfigMap as it is now.
    pub config_maps: BTreeMap<String, Object>,
    /// Every release, by the name of its Secret.
    pub releases: BTreeMap<String, Release>,
    /// What each app deployed last, where its state says that.
    deployed: BTreeMap<String, String>,
}

impl Observer {
    /// Watches Applications, managed ConfigMaps, and releases.
    pub(crate) fn start(cluster: &Cluster) -> Self {
        let (sender, mut events) = mpsc::channel::<(WatchId, WatchEvent)>(1024);
        let managed =
            WatchSpec { label_selector: names::PART_OF_LABEL.into(), ..WatchSpec::all(config_maps()) };
        let releases = WatchSpec {
            namespace: Some(CONTROL.into()),
            label_selector: format!("{},!{}", names::RELEASE_OF_LABEL, names::RELEASE_PART_LABEL),
            ..WatchSpec::all(secrets())
        };
        let watches = [
            cluster.watch(WatchSpec::all(applications()), sender.clone(), APPLICATIONS),
            cluster.watch(managed, sender.clone(), MAPS),
            cluster.watch(releases, sender, RELEASES),
        ];
        let (seen, changed) = (Arc::new(Mutex::new(Seen::default())), Arc::new(Notify::new()));
        let (store, notify) = (Arc::clone(&seen), Arc::clone(&changed));
        tokio::spawn(async move {
            while let Some((id, event)) = events.recv().await {
                let mut seen = store.lock().unwrap_or_else(PoisonError::into_inner);
                match event {
                    WatchEvent::Object(object, _) => seen.note(id, object, Instant::now()),
                    WatchEvent::Deleted(key, _) if id == RELEASES => drop(seen.releases.remove(&key.name)),
                    _ => continue,
                }
                notify.notify_waiters();
            }
        });
        Self { seen, changed, _watches: watches }
    }

    /// Forgets what was seen and waits for a revision and a version from now on.
    pub(crate) fn expect(&self, revision: &str, version: &str) {
        let mut seen = self.seen();
        seen.apps.clear();
        seen.healthy.clear();
        seen.maps.clear();
        seen.versions.clear();
        seen.revision = revision.into();
        seen.version = version.into();
    }

    /// Waits until what was seen suffices.
    ///
    /// # Errors
    /// It does not in time.
    pub(crate) async fn wait(
        &self,
        patience: Duration,
        suffices: impl Fn(&Seen) -> bool,
    ) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let changed = self.changed.notified();
            if suffices(&self.seen()) {
                return Ok(());
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                let seen = self.seen();
                let (apps, maps, releases) = (seen.apps.len(), seen.maps.len(), seen.releases.len());
                anyhow::bail!(
                    "see the expected state in {patience:?}: {apps} apps, {maps} ConfigMaps and {releases} releases are there"
                );
            }
        }
    }

    /// Returns what was seen.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn note(&mut self, id: WatchId, object: Object, at: Instant) {
        if id == RELEASES {
            self.releases.extend(Release::read(&object).map(|release| (object.name().to_owned(), release)));
            return;
        }
        if id == APPLICATIONS {
            let name = object.name().to_owned();
            if is_synced_at(&object, &self.revision) {
                self.apps.entry(name.clone()).or_insert(at);
                if is_healthy(&object) {
                    self.healthy.entry(name.clone()).or_insert(at);
                }
            }
            self.deployed.extend(deployed(&object).map(|hash| (name.clone(), hash)));
            self.applications.insert(name, object);
            return;
        }
        let name = format!("{}/{}", object.namespace(), object.name());
        let version = object.get("data").and_then(|data| data.get("version")).and_then(Value::as_str);
        let version = version.unwrap_or_default().to_owned();
        if version == self.version {
            self.maps.entry(name.clone()).or_insert(at);
        }
        self.versions.push((name.clone(), version, at));
        self.config_maps.insert(name, object);
    }

    /// Returns whether there is something to go back to of everything that was deployed.
    pub(crate) fn is_kept(&self) -> bool {
        let stable = crate::kept::stable(self.releases.values());
        self.deployed.iter().all(|(app, hash)| stable.get(app.as_str()) == Some(&hash.as_str()))
    }

    /// Returns when the last of them was there.
    pub(crate) fn last(times: &BTreeMap<String, Instant>) -> Option<Instant> {
        times.values().max().copied()
    }
}

fn is_synced_at(application: &Object, revision: &str) -> bool {
    let Some(status) = application.get("status") else { return false };
    let text = |pointer: &str| status.pointer(pointer).and_then(Value::as_str);
    text("/sync/status") == Some("Synced")
        && text("/sync/revision") == Some(revision)
        && text("/operationState/phase") == Some("Succeeded")
}

fn is_healthy(application: &Object) -> bool {
    let health = application.get("status").and_then(|status| status.pointer("/health/status"));
    health.and_then(Value::as_str) == Some("Healthy")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn application(sync: &str, revision: &str, phase: &str) -> Object {
        Object::from_value(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "a"},
            "status": {"sync": {"status": sync, "revision": revision}, "operationState": {"phase": phase}},
        }))
        .unwrap()
    }

    #[test]
    fn an_app_counts_when_its_sync_is_done() {
        let mut seen = Seen { revision: "r2".into(), ..Seen::default() };
        for early in [
            application("Synced", "r1", "Succeeded"),
            application("OutOfSync", "r2", "Succeeded"),
            application("Synced", "r2", "Running"),
        ] {
            seen.note(APPLICATIONS, early, Instant::now());
            assert!(seen.apps.is_empty());
        }
        let first = Instant::now();
        seen.note(APPLICATIONS, application("Synced", "r2", "Succeeded"), first);
        seen.note(APPLICATIONS, application("Synced", "r2", "Succeeded"), first + Duration::from_secs(1));
        assert_eq!(seen.apps["a"], first);
    }
}
