//! Which pods stand in the way of their own `StatefulSet`? One that makes its pods in order waits for a pod that is not ready,
//! and does not replace it, whatever its template says by then: somebody has to delete it. (Kubernetes documentation:
//! `StatefulSets`, "Forced rollback".)

use crate::members::{Members, PodDigest};
use crate::read::{at, is_unobserved, text, whole};
use model::Object;

/// A pod that has to go so that its controller goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Its name.
    pub name: String,
    /// Which one of that name.
    pub uid: String,
    /// In which state it was seen.
    pub resource_version: String,
    /// What ails it, in the words of Kubernetes: nothing that a container said.
    pub why: String,
}

/// Returns the pods of an earlier template that are not well and that a `StatefulSet` waits for instead of replacing them.
/// Of one whose pods somebody replaces by hand, or that makes them all at once, there are none.
pub fn stuck(workload: &Object, members: &Members) -> Vec<Stuck> {
    let is_rolling = !matches!(text(workload, "spec/updateStrategy/type"), "OnDelete");
    let is_ordered = !matches!(text(workload, "spec/podManagementPolicy"), "Parallel");
    let newest = text(workload, "status/updateRevision");
    let waits = workload.key().is_kind("apps", "StatefulSet") && is_rolling && is_ordered;
    if !waits || newest.is_empty() || is_unobserved(workload) {
        return Vec::new();
    }
    let number = |path| at(workload, path).and_then(whole).unwrap_or(0);
    let partition = number("spec/ordinals/start") + number("spec/updateStrategy/rollingUpdate/partition");
    let is_old = |pod: &&PodDigest| {
        pod.revision_hash.as_deref().is_some_and(|hash| hash != newest) && ordinal(&pod.name) >= partition
    };
    members
        .pods_of(workload.uid())
        .filter(is_old)
        .filter_map(|pod| {
            Some(Stuck {
                name: pod.name.clone(),
                uid: pod.uid.clone(),
                resource_version: pod.resource_version.clone(),
                why: pod.trouble.as_ref()?.in_brief(),
            })
        })
        .collect()
}

/// Returns the number at the end of a pod's name; pods below the partition keep their template.
fn ordinal(name: &str) -> i64 {
    name.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn object(value: Value) -> Object {
        Object::from_value(value).unwrap()
    }

    fn set(spec: &Value, observed: i64) -> Object {
        object(json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": spec,
            "metadata": {"name": "db", "namespace": "shop", "uid": "db", "generation": 2},
            "status": {"observedGeneration": observed, "updateRevision": "new", "currentRevision": "old"}}))
    }

    /// Puts a pod in, which is well where nothing is said of it.
    fn put(members: &mut Members, name: &str, hash: &str, reason: &str) {
        let is_well = reason.is_empty();
        let state = if is_well { json!({"running": {}}) } else { json!({"waiting": {"reason": reason}}) };
        members.put(&object(json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "resourceVersion": "7",
                "labels": {"controller-revision-hash": hash},
                "ownerReferences": [{"kind": "StatefulSet", "uid": "db", "controller": true}]},
            "spec": {"containers": [{"name": "db"}], "nodeName": "node"},
            "status": {"phase": if is_well { "Running" } else { "Pending" },
                "conditions": [{"type": "Ready", "status": if is_well { "True" } else { "False" }}],
                "containerStatuses": [{"name": "db", "ready": is_well, "restartCount": 0, "state": state}]}})));
    }

    fn pods() -> Members {
        let mut members = Members::default();
        put(&mut members, "db-0", "old", "");
        put(&mut members, "db-1", "bad", "ImagePullBackOff");
        put(&mut members, "db-2", "new", "ImagePullBackOff");
        put(&mut members, "db-3", "bad", "");
        members
    }

    fn names(spec: &Value, observed: i64) -> Vec<String> {
        stuck(&set(spec, observed), &pods()).into_iter().map(|stuck| stuck.name).collect()
    }

    #[test]
    fn a_sick_pod_of_an_earlier_template_is_waited_for_and_no_other() {
        let found = stuck(&set(&json!({}), 2), &pods());
        let [one] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((one.name.as_str(), one.uid.as_str()), ("db-1", "uid-db-1"));
        assert_eq!(one.resource_version, "7");
        assert!(one.why.contains("ImagePullBackOff"), "{}", one.why);
    }

    #[test]
    fn whoever_replaces_pods_in_another_way_waits_for_none() {
        for spec in [
            json!({"podManagementPolicy": "Parallel"}),
            json!({"updateStrategy": {"type": "OnDelete"}}),
            json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}),
        ] {
            assert!(names(&spec, 2).is_empty(), "{spec}");
        }
        assert_eq!(names(&json!({"updateStrategy": {"rollingUpdate": {"partition": 1}}}), 2), ["db-1"]);
        let from_one =
            json!({"ordinals": {"start": 1}, "updateStrategy": {"rollingUpdate": {"partition": 1}}});
        assert!(names(&from_one, 2).is_empty(), "db-1 is the first of them");
        assert!(names(&json!({}), 1).is_empty(), "its controller has not seen the template yet");
    }

    #[test]
    fn other_workloads_have_none() {
        let mut deployment = set(&json!({}), 2);
        deployment.fields_mut().insert("kind".into(), json!("Deployment"));
        assert!(stuck(&deployment, &pods()).is_empty());
    }
}
