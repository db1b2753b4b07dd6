//! When are the kinds served that a CRD defines? Later than the CRD is stored, and what an app holds of them waits for it.

use crate::apply::Job;
use cluster::{Cluster, Endpoint, WatchEvent, WatchId, WatchSpec};
use model::{CallError, ErrorClass, GroupKind, GroupVersionKind, Object, ObjectKey};
use plan::kinds;
use std::collections::BTreeSet;

/// Longest wait until a CRD's kinds are served.
const ESTABLISHED: std::time::Duration = std::time::Duration::from_secs(30);

/// Returns the kinds of objects that are defined by CRDs of the same app and were not served yet when we last looked: an
/// earlier stage established them.
pub(crate) fn just_defined(job: &Job, keys: &[ObjectKey]) -> Vec<GroupVersionKind> {
    let gvks = keys.iter().filter_map(|key| job.set.objects.gvk(key));
    let unserved: BTreeSet<_> = gvks.filter(|gvk| job.rules.discovery.endpoint(gvk).is_none()).collect();
    if unserved.is_empty() {
        return Vec::new();
    }
    let crds = job.set.objects.iter().filter(|(key, _)| kinds::is_crd(&key.group_kind()));
    let defined: BTreeSet<GroupKind> =
        crds.filter_map(|(_, crd)| kinds::defined_by(&crd.open().object)).collect();
    unserved.into_iter().filter(|gvk| defined.contains(&gvk.group_kind())).collect()
}

/// Waits until a CRD's kinds are served, so that its resources in the same sync find them.
pub(crate) async fn established(job: &Job, endpoint: &Endpoint, stored: &Object) -> Result<(), CallError> {
    if kinds::is_crd(&endpoint.gvk.group_kind()) && !is_established(stored) {
        wait_for(&job.cluster, endpoint, stored.name(), is_established).await?;
    }
    Ok(())
}

/// Watches one cluster-scoped object until it is as wanted.
async fn wait_for(
    cluster: &Cluster,
    endpoint: &Endpoint,
    name: &str,
    wanted: impl Fn(&Object) -> bool,
) -> Result<(), CallError> {
    let (sender, mut events) = tokio::sync::mpsc::channel(16);
    let spec =
        WatchSpec { field_selector: format!("metadata.name={name}"), ..WatchSpec::all(endpoint.clone()) };
    let handle = cluster.watch(spec, sender, WatchId(0));
    let seen = tokio::time::timeout(ESTABLISHED, async {
        while let Some((_, event)) = events.recv().await {
            if let WatchEvent::Object(object, _) = event
                && wanted(&object)
            {
                return;
            }
        }
    });
    let outcome = seen.await.map_err(|_| {
        CallError::new(ErrorClass::Unavailable, "the CRD was stored and is not established yet")
    });
    drop(handle);
    outcome
}

/// Returns whether a CRD's kinds are served.
pub(crate) fn is_established(crd: &Object) -> bool {
    let conditions =
        crd.get("status").and_then(|status| status.get("conditions")).and_then(serde_json::Value::as_array);
    conditions.into_iter().flatten().any(|c| c["type"] == "Established" && c["status"] == "True")
}
