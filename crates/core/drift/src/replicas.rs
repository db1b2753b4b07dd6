//! Who says how many replicas there are, once Git stops saying it?

use crate::ownership::Ownership;
use fields::Path;
use model::{Object, names};
use serde_json::{Value, json};

/// Returns the body of an apply by [`names::SCALE_MANAGER`] that keeps live's `spec.replicas`, where our next apply would drop
/// it and nobody else holds it: without the hand-over the API server sets the default, 1. The body carries live's
/// resourceVersion, so that a scale in between is a conflict.
pub fn hand_over(desired: &Object, live: &Object) -> Option<Object> {
    if of(desired).is_some() {
        return None;
    }
    let replicas = of(live)?;
    let ownership = Ownership::of(live);
    let is_ours = ownership.own_entry().is_some_and(|own| own.owns(&path()));
    let is_held =
        ownership.entries.iter().any(|entry| !entry.is_apply_of(names::FIELD_MANAGER) && entry.owns(&path()));
    if !is_ours || is_held {
        return None;
    }
    let mut body = json!({
        "apiVersion": live.api_version(),
        "kind": live.kind(),
        "metadata": {"name": live.name(), "resourceVersion": live.resource_version()},
        "spec": {"replicas": replicas},
    });
    if !live.namespace().is_empty() {
        body["metadata"]["namespace"] = live.namespace().into();
    }
    Object::from_value(body).ok()
}

/// Returns `spec.replicas`.
pub(crate) fn of(object: &Object) -> Option<&Value> {
    object.get("spec")?.get("replicas").filter(|replicas| !replicas.is_null())
}

/// Returns the path of `spec.replicas`.
pub(crate) fn path() -> Path {
    Path::fields(&["spec", "replicas"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(replicas: Option<i64>, owners: &[&str]) -> Object {
        let managed: Vec<Value> = owners
            .iter()
            .map(|manager| {
                json!({"manager": manager, "operation": "Apply", "apiVersion": "apps/v1",
                    "fieldsV1": {"f:spec": {"f:replicas": {}}}})
            })
            .collect();
        Object::from_value(json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "resourceVersion": "7", "managedFields": managed},
            "spec": {"replicas": replicas, "paused": true}}))
        .unwrap()
    }

    #[test]
    fn the_body_holds_live_s_value_and_its_resource_version_and_nothing_else() {
        let body = hand_over(&deployment(None, &[]), &deployment(Some(5), &["tautline"])).unwrap();
        assert_eq!(
            body.into_value(),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 5},
                "metadata": {"name": "web", "namespace": "shop", "resourceVersion": "7"}})
        );
    }

    #[test]
    fn only_what_nobody_else_holds_is_handed_over() {
        let handed = |desired, live, owners: &[&str]| {
            hand_over(&deployment(desired, &[]), &deployment(live, owners)).is_some()
        };
        assert!(handed(None, Some(5), &["tautline"]));
        assert!(!handed(Some(3), Some(5), &["tautline"]));
        assert!(!handed(None, None, &["tautline"]));
        assert!(!handed(None, Some(5), &["kubectl-edit"]));
        assert!(!handed(None, Some(5), &["tautline", "tautline-scale"]));
    }
}
