//! What do the same writes cost without an agent? One apply and one patch of the Application per app, as bare requests.

use crate::bed::{Bed, CONNECTIONS, applications, config_maps};
use crate::observer::Seen;
use crate::runs::Scale;
use crate::watched;
use anyhow::Context as _;
use cluster::{ApplyOptions, Cluster, Priority, WatchEvent, WatchId};
use futures::{StreamExt as _, TryStreamExt as _};
use model::{Object, names};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long it may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// Repeats an update of all apps without the agent, which must not run: the same requests by the same identity over as
/// many connections, with as many watches open; returns how long it took until the watches showed all of it.
pub(crate) async fn measure(bed: &Bed, scale: &Scale, round: u32) -> anyhow::Result<Duration> {
    let _watches = agents_watches(&bed.as_agent);
    let revision = format!("{round:040x}");
    let version = format!("floor-{round}");
    bed.observer.expect(&revision, &version);
    let (maps, apps) = {
        let seen = bed.observer.seen();
        // Those that came later are not part of the update that this is set beside.
        let maps = seen.config_maps.values().take(scale.maps());
        let maps: Vec<Object> = maps.map(|map| desired(map, &version)).collect();
        let apps = seen.applications.iter().take(scale.apps);
        let apps: Vec<(String, Value)> =
            apps.map(|(name, app)| (name.clone(), patch(app, &revision))).collect();
        (maps, apps)
    };
    let (n_maps, n_apps) = (maps.len(), apps.len());
    let per_app = n_maps / n_apps.max(1);
    let mut maps = maps.into_iter();
    let work: Vec<_> =
        apps.into_iter().map(|(name, patch)| (maps.by_ref().take(per_app).collect(), name, patch)).collect();
    let begin = Instant::now();
    let requests = work.into_iter().map(|(maps, name, patch)| write(&bed.as_agent, maps, name, patch));
    futures::stream::iter(requests).buffer_unordered(CONNECTIONS).try_for_each(|()| async { Ok(()) }).await?;
    bed.observer.wait(PATIENCE, |seen| seen.apps.len() == n_apps && seen.maps.len() == n_maps).await?;
    let seen = bed.observer.seen();
    let end = Seen::last(&seen.apps).max(Seen::last(&seen.maps)).unwrap_or(begin);
    Ok(end - begin)
}

async fn write(cluster: &Cluster, maps: Vec<Object>, name: String, patch: Value) -> anyhow::Result<()> {
    let options = ApplyOptions {
        manager: names::FIELD_MANAGER.into(),
        force: true,
        dry_run: false,
        priority: Priority::Apply,
    };
    for map in maps {
        cluster.apply(&config_maps(), &map, &options).await.context("apply a ConfigMap")?;
    }
    let namespace = crate::bed::CONTROL;
    let patched = cluster.merge_patch(&applications(), namespace, &name, &patch, names::FIELD_MANAGER).await;
    patched.map(drop).context("patch an Application")
}

/// Opens the watches that the agent has; their events are read and dropped.
fn agents_watches(cluster: &Cluster) -> Vec<cluster::WatchHandle> {
    let (sender, mut events) = mpsc::channel::<(WatchId, WatchEvent)>(1024);
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    let watches = watched::specs().into_iter().zip(1..);
    watches.map(|(spec, id)| cluster.watch(spec, sender.clone(), WatchId(id))).collect()
}

/// Returns what Git would want: the live object without what the API server wrote, with another version.
fn desired(live: &Object, version: &str) -> Object {
    let mut object = live.clone();
    let metadata = object.metadata_mut();
    for field in ["managedFields", "resourceVersion", "uid", "creationTimestamp", "generation"] {
        metadata.remove(field);
    }
    if let Some(data) = object.fields_mut().get_mut("data") {
        data["version"] = version.into();
    }
    object
}

/// Returns the patch of an update: the status as it is with another revision everywhere, guarded as the agent's is.
fn patch(live: &Object, revision: &str) -> Value {
    let status = live.get("status").cloned().unwrap_or_else(|| json!({}));
    let old = status.pointer("/sync/revision").and_then(Value::as_str).unwrap_or_default().to_owned();
    let renew = |value: &Value| {
        let text = if old.is_empty() { value.to_string() } else { value.to_string().replace(&old, revision) };
        serde_json::from_str::<Value>(&text).unwrap_or(Value::Null)
    };
    let state = live.annotation(names::STATE_ANNOTATION).unwrap_or_default();
    json!({
        "metadata": {
            "resourceVersion": live.resource_version(),
            "annotations": {names::STATE_ANNOTATION: state.replace(&old, revision)},
        },
        "status": renew(&status),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_writes_what_an_update_writes() {
        let app = Object::from_value(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "a", "resourceVersion": "7", "annotations": {"tautline.dev/state": "{r1}"}},
            "status": {"sync": {"revision": "r1"}, "history": [{"revision": "r1"}]},
        }))
        .unwrap();
        let expected = json!({
            "metadata": {"resourceVersion": "7", "annotations": {"tautline.dev/state": "{r2}"}},
            "status": {"sync": {"revision": "r2"}, "history": [{"revision": "r2"}]},
        });
        assert_eq!(patch(&app, "r2"), expected);
    }
}
