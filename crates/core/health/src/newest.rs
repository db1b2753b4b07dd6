//! Which pods belong to a workload's newest revision? What older ones do says nothing about the commit.

use crate::members::{Members, PodDigest, SetDigest, revision};
use crate::read::{is_unobserved, text};
use model::Object;

/// `DaemonSet`'s number of its template; the API server keeps it in an annotation since `apps/v1`.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// Returns the newest `ReplicaSet` of a Deployment: the one of the revision that the Deployment names. `None` while the
/// controller has not seen the newest spec, or its `ReplicaSet` has not been seen here.
pub(crate) fn replica_set<'a>(workload: &Object, members: &'a Members) -> Option<&'a SetDigest> {
    if !workload.key().is_kind("apps", "Deployment") || is_unobserved(workload) {
        return None;
    }
    let newest = members.sets_of(workload.uid()).max_by_key(|set| (set.revision, set.name.as_str()))?;
    (newest.revision >= revision(workload)).then_some(newest)
}

/// Returns the pods of the newest revision, as far as they are evidence.
pub(crate) fn pods<'a>(
    workload: &Object,
    newest_set: Option<&SetDigest>,
    members: &'a Members,
) -> Vec<&'a PodDigest> {
    let key = workload.key();
    if key.group == "apps" && is_unobserved(workload) {
        return Vec::new();
    }
    let owner = if key.is_kind("apps", "Deployment") {
        newest_set.map(|set| set.uid.as_str())
    } else {
        Some(workload.uid())
    };
    let Some(owner) = owner.filter(|uid| !uid.is_empty()) else { return Vec::new() };
    let pods = members.pods_of(owner);
    match (key.group.as_str(), key.kind.as_str()) {
        ("apps", "StatefulSet") => {
            let newest = Some(text(workload, "status/updateRevision"));
            pods.filter(|pod| pod.revision_hash.as_deref() == newest).collect()
        }
        ("apps", "DaemonSet") => of_newest_template(workload, pods.collect()),
        _ => pods.collect(),
    }
}

/// A `DaemonSet`'s status does not name its newest revision. Its template generation does; without that annotation the
/// pod that was made last shows the newest hash.
fn of_newest_template<'a>(daemon_set: &Object, owned: Vec<&'a PodDigest>) -> Vec<&'a PodDigest> {
    if let Some(generation) = daemon_set.annotation(TEMPLATE_GENERATION) {
        let is_newest = |pod: &&PodDigest| pod.template_generation.as_deref() == Some(generation);
        return owned.into_iter().filter(is_newest).collect();
    }
    let last = owned.iter().max_by_key(|pod| (&pod.made, &pod.name));
    let Some(newest) = last.map(|pod| pod.revision_hash.clone()) else { return Vec::new() };
    owned.into_iter().filter(|pod| pod.revision_hash == newest).collect()
}
