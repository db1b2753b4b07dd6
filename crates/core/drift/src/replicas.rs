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
