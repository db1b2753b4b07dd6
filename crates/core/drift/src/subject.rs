//! What of an object is compared at all?

use crate::Rules;
use model::{Object, names, pointer, tracking};
use serde_json::{Map, Value};

/// Metadata that identifies the object or that only the API server writes.
const SERVER_METADATA: [&str; 8] = [
    "name",
    "namespace",
    "uid",
    "selfLink",
    "creationTimestamp",
    "resourceVersion",
    "generation",
    "managedFields",
];

/// Returns what of an object takes part in comparisons: neither its identity, nor its status, nor what the API server or
/// we ourselves write into its metadata, nor what the rules leave out.
pub(crate) fn subject(object: &Object, rules: &Rules) -> Value {
    let mut subject = Map::new();
    for (field, value) in object.fields() {
        match field.as_str() {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => {
                let kept = metadata(value);
                if kept.as_object().is_none_or(|kept| !kept.is_empty()) {
                    subject.insert(field.clone(), kept);
                }
            }
            _ => {
                subject.insert(field.clone(), value.clone());
            }
        }
    }
    // An aggregated role's rules are written by a controller; Git only says what to aggregate.
    if object.gvk().group_kind().is("rbac.authorization.k8s.io", "ClusterRole")
        && subject.get("aggregationRule").is_some_and(Value::is_object)
    {
        subject.remove("rules");
    }
    let mut subject = Value::Object(subject);
    for rule in &rules.pointers {
        pointer::remove(&mut subject, rule);
    }
    subject
}

fn metadata(value: &Value) -> Value {
    let Value::Object(all) = value else { return value.clone() };
    let mut kept = Map::new();
    for (field, value) in all {
        match (field.as_str(), value) {
            (field, _) if SERVER_METADATA.contains(&field) => {}
            ("labels" | "annotations", Value::Object(entries)) => {
                let strangers: Map<String, Value> = entries
                    .iter()
                    .filter(|(key, _)| !is_own(field, key))
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                // A map that held only our own entries is one that Git does not speak of.
                if !strangers.is_empty() || entries.is_empty() {
                    kept.insert(field.clone(), Value::Object(strangers));
                }
            }
            (_, value) => {
                kept.insert(field.clone(), value.clone());
            }
        }
    }
    Value::Object(kept)
}

/// Our own metadata is never drift; nor is the note that kubectl's client-side apply keeps for itself.
fn is_own(map: &str, key: &str) -> bool {
    tracking::is_own_metadata(map, key) || (map == "annotations" && key == names::LAST_APPLIED)
}
