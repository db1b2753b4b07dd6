//! How many pods of a workload serve, of how many it wants?

use model::{Available, Object};
use serde_json::Value;

/// Returns how many pods are available, of how many that are wanted; `None` for what is no workload, and for one whose
/// controller has not looked at this version of it yet (Kubernetes API reference, "Workload Resources").
pub fn available(object: &Object) -> Option<Available> {
    let kind = object.gvk().group_kind();
    if kind.group != "apps" || object.generation() > object.get("status")?.get("observedGeneration")?.as_i64()
    {
        return None;
    }
    let count = |part: &str, field: &str| {
        let count = object.get(part).and_then(|part| part.get(field)).and_then(Value::as_u64);
        count.map(|count| u32::try_from(count).unwrap_or(u32::MAX))
    };
    let replicas = || count("spec", "replicas").unwrap_or(1);
    let (now, wanted) = match kind.kind.as_str() {
        "Deployment" | "ReplicaSet" | "StatefulSet" => (count("status", "availableReplicas"), replicas()),
        "DaemonSet" => {
            (count("status", "numberAvailable"), count("status", "desiredNumberScheduled").unwrap_or(0))
        }
        _ => return None,
    };
    Some(Available { now: now.unwrap_or(0), wanted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn workloads_say_how_many_of_their_pods_serve_once_they_were_looked_at() {
        let told = |kind: &str, spec: Value, status: Value| {
            let object = json!({"apiVersion": "apps/v1", "kind": kind,
                "metadata": {"name": "web", "namespace": "shop", "generation": 2}, "spec": spec, "status": status});
            available(&Object::from_value(object).unwrap()).map(|available| (available.now, available.wanted))
        };
        let status =
            |field: &str, n: u32| json!({"observedGeneration": 2, field: n, "desiredNumberScheduled": 5});
        for kind in ["Deployment", "StatefulSet", "ReplicaSet"] {
            assert_eq!(
                told(kind, json!({"replicas": 4}), status("availableReplicas", 3)),
                Some((3, 4)),
                "{kind}"
            );
            assert_eq!(told(kind, json!({}), status("readyReplicas", 3)), Some((0, 1)), "{kind}");
        }
        assert_eq!(told("DaemonSet", json!({}), status("numberAvailable", 4)), Some((4, 5)));
        assert_eq!(
            told("Deployment", json!({}), json!({"observedGeneration": 1, "availableReplicas": 1})),
            None
        );
        assert_eq!(told("Deployment", json!({}), json!({})), None);
        assert_eq!(told("ControllerRevision", json!({}), status("availableReplicas", 1)), None);
    }
}
