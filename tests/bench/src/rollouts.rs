//! Which images did the apps' Deployments have, one after the other?

use cluster::{Cluster, Endpoint, WatchEvent, WatchHandle, WatchId, WatchSpec};
use model::{Object, names};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// A watch of managed Deployments, and what it showed.
pub(crate) struct Rollouts {
    seen: Arc<Mutex<BTreeMap<String, Rollout>>>,
    changed: Arc<Notify>,
    _watch: WatchHandle,
}

/// A Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rollout {
    /// Every image that it had, the last one last.
    pub images: Vec<String>,
    /// Its resourceVersion.
    pub version: String,
}

impl Rollouts {
    /// Begins to watch.
    pub(crate) fn start(cluster: &Cluster) -> Self {
        let deployments = Endpoint::new("apps/v1", "Deployment", "deployments", true);
        let managed =
            WatchSpec { label_selector: names::PART_OF_LABEL.into(), ..WatchSpec::all(deployments) };
        let (sender, mut events) = mpsc::channel::<(WatchId, WatchEvent)>(1024);
        let watch = cluster.watch(managed, sender, WatchId(1));
        let (seen, changed) = (Arc::<Mutex<BTreeMap<String, Rollout>>>::default(), Arc::new(Notify::new()));
        let (store, notify) = (Arc::clone(&seen), Arc::clone(&changed));
        tokio::spawn(async move {
            while let Some((_, event)) = events.recv().await {
                if let WatchEvent::Object(object, _) = event {
                    let mut seen = store.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.entry(object.namespace().to_owned()).or_default().note(&object);
                    notify.notify_waiters();
                }
            }
        });
        Self { seen, changed, _watch: watch }
    }

    /// Returns what was seen, by namespace: each app has one.
    pub(crate) fn seen(&self) -> MutexGuard<'_, BTreeMap<String, Rollout>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until an app's Deployment has an image.
    ///
    /// # Errors
    /// It has not in time.
    pub(crate) async fn wait(&self, app: &str, image: &str, patience: Duration) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let changed = self.changed.notified();
            let images = self.seen().get(app).map(|rollout| rollout.images.clone()).unwrap_or_default();
            if images.last().is_some_and(|last| last == image) {
                return Ok(());
            }
            let outcome = tokio::time::timeout_at(deadline, changed).await;
            anyhow::ensure!(outcome.is_ok(), "see {image} run in {app} in {patience:?}: it had {images:?}");
        }
    }
}

impl Rollout {
    fn note(&mut self, deployment: &Object) {
        deployment.resource_version().clone_into(&mut self.version);
        let image = deployment
            .get("spec")
            .and_then(|spec| spec.pointer("/template/spec/containers/0/image"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        if self.images.last().is_none_or(|last| last != image) {
            self.images.push(image.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_image_counts_each_time_that_it_comes() {
        let mut rollout = Rollout::default();
        for (version, image) in [("1", "web:1"), ("2", "web:1"), ("3", "web:bad"), ("4", "web:1")] {
            let deployment = json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "web", "namespace": "a", "resourceVersion": version},
                "spec": {"template": {"spec": {"containers": [{"image": image}]}}},
            });
            rollout.note(&Object::from_value(deployment).unwrap());
        }
        let images = ["web:1", "web:bad", "web:1"].map(String::from).to_vec();
        assert_eq!(rollout, Rollout { images, version: "4".into() });
    }
}
