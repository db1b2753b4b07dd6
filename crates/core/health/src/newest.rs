//! Which pods belong to a workload's newest revision? What older ones do says nothing about the commit.

use crate::read::{is_unobserved, items, text, text_in};
use model::Object;

/// Deployment controller's number of a rollout, on Deployments and their `ReplicaSet`s.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// Hash of the template that a `StatefulSet`'s or `DaemonSet`'s pod was made from.
const REVISION_HASH: &str = "controller-revision-hash";
/// `DaemonSet`'s number of its template; the API server keeps it in an annotation since `apps/v1`.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";
/// The same on the pods.
const POD_TEMPLATE_GENERATION: &str = "pod-template-generation";

/// Returns the newest `ReplicaSet` of a Deployment: the one of the revision that the Deployment names. `None` while the
/// controller has not seen the newest spec, or its `ReplicaSet` has not been seen here.
pub(crate) fn replica_set<'a>(workload: &Object, replica_sets: &'a [Object]) -> Option<&'a Object> {
    if !workload.key().is_kind("apps", "Deployment") || is_unobserved(workload) {
        return None;
    }
    let newest = replica_sets
        .iter()
        .filter(|set| set.key().is_kind("apps", "ReplicaSet") && is_owned(set, workload))
        .max_by_key(|set| (revision(set), set.name()))?;
    (revision(newest) >= revision(workload)).then_some(newest)
}

/// Returns the pods of the newest revision that are not being deleted.
pub(crate) fn pods<'a>(
    workload: &'a Object,
    newest_set: Option<&Object>,
    pods: &'a [Object],
) -> Vec<&'a Object> {
    let key = workload.key();
    if key.is_kind("", "Pod") {
        return vec![workload];
    }
    if key.group == "apps" && is_unobserved(workload) {
        return Vec::new();
    }
    let owner = if key.is_kind("apps", "Deployment") { newest_set } else { Some(workload) };
    let Some(owner) = owner else { return Vec::new() };
    let current: Vec<&Object> = pods
        .iter()
        .filter(|pod| pod.key().is_kind("", "Pod") && !pod.is_deleting() && is_owned(pod, owner))
        .collect();
    match (key.group.as_str(), key.kind.as_str()) {
        ("apps", "StatefulSet") => {
            let newest = Some(text(workload, "status/updateRevision"));
            current.into_iter().filter(|pod| pod.label(REVISION_HASH) == newest).collect()
        }
        ("apps", "DaemonSet") => of_newest_template(workload, current),
        _ => current,
    }
}

/// A `DaemonSet`'s status does not name its newest revision. Its template generation does; without that annotation the
/// pod that was made last shows the newest hash.
fn of_newest_template<'a>(daemon_set: &Object, owned: Vec<&'a Object>) -> Vec<&'a Object> {
    if let Some(generation) = daemon_set.annotation(TEMPLATE_GENERATION) {
        return owned
            .into_iter()
            .filter(|pod| pod.label(POD_TEMPLATE_GENERATION) == Some(generation))
            .collect();
    }
    let last = owned.iter().max_by_key(|pod| (text(pod, "metadata/creationTimestamp"), pod.name()));
    let Some(newest) = last.map(|pod| pod.label(REVISION_HASH)) else { return Vec::new() };
    owned.into_iter().filter(|pod| pod.label(REVISION_HASH) == newest).collect()
}

fn is_owned(object: &Object, owner: &Object) -> bool {
    !owner.uid().is_empty()
        && items(object, "metadata/ownerReferences").iter().any(|reference| {
            text_in(reference, "uid") == owner.uid()
                && reference.get("controller").and_then(serde_json::Value::as_bool) == Some(true)
        })
}

fn revision(object: &Object) -> i64 {
    object.annotation(REVISION).and_then(|number| number.parse().ok()).unwrap_or_default()
}
