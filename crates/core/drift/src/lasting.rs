//! What of live can no release take back? A volume does not shrink, what a deleted claim held is gone, and a `StatefulSet` keeps
//! its claim templates as long as it lives. (Kubernetes documentation: "Expanding Persistent Volumes Claims", `StatefulSet`
//! "Limitations".)

use crate::quantity::{larger, same_amount};
use model::{Object, ObjectKey};
use serde_json::Value;

/// Where the `spec` of a claim says how large its volume is to be.
const SIZE: &str = "/resources/requests/storage";

/// Returns whether an object is of a kind of which something cannot be taken back.
pub fn may_last(key: &ObjectKey) -> bool {
    is_claim(key) || is_stateful(key)
}

/// Lets an object of a release keep what cannot be taken back of live, so that the rest of it can; `live` is `None` where it is
/// not there. Returns a sentence about what is not restored.
pub fn keep_lasting(wanted: &mut Object, live: Option<&Value>) -> Option<String> {
    let key = wanted.key();
    match live {
        None => is_claim(&key).then(|| format!("{key} comes back without what it held, for it was deleted")),
        Some(live) if is_claim(&key) => keep_size(&key, wanted, live),
        Some(live) if is_stateful(&key) => keep_templates(&key, wanted, live),
        Some(_) => None,
    }
}

fn is_claim(key: &ObjectKey) -> bool {
    key.is_kind("", "PersistentVolumeClaim")
}

fn is_stateful(key: &ObjectKey) -> bool {
    key.is_kind("apps", "StatefulSet")
}

fn keep_size(key: &ObjectKey, wanted: &mut Object, live: &Value) -> Option<String> {
    let there = live.get("spec")?.pointer(SIZE)?;
    let size = wanted.fields_mut().get_mut("spec")?.pointer_mut(SIZE)?;
    if !larger(there, size) {
        return None;
    }
    let text = |size: &Value| size.as_str().map_or_else(|| size.to_string(), str::to_owned);
    let sentence =
        format!("{key} keeps {} instead of {}, for a volume does not shrink", text(there), text(size));
    size.clone_from(there);
    Some(sentence)
}

fn keep_templates(key: &ObjectKey, wanted: &mut Object, live: &Value) -> Option<String> {
    const FIELD: &str = "volumeClaimTemplates";
    let none = Value::Array(Vec::new());
    let there = live["spec"].get(FIELD).unwrap_or(&none);
    let spec = wanted.fields_mut().get_mut("spec")?.as_object_mut()?;
    let templates = spec.get(FIELD).unwrap_or(&none);
    if has_all_of(there, templates) {
        return None;
    }
    let mut there = there.clone();
    for template in there.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        // The API server writes both, and nobody asks for them.
        template.remove("status");
        template.get_mut("metadata").and_then(Value::as_object_mut).map(|m| m.remove("creationTimestamp"));
    }
    spec.insert(FIELD.into(), there);
    Some(format!("{key} keeps its {FIELD}, for they cannot be changed while it is there"))
}

/// Returns whether `live` says all that `wanted` says; what is defaulted beside that does not count.
fn has_all_of(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted.iter().all(|(field, wanted)| {
            let found = live.get(field).map_or_else(|| is_empty(wanted), |live| has_all_of(live, wanted));
            field == "status" || found
        }),
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len()
                && live.iter().zip(wanted).all(|(live, wanted)| has_all_of(live, wanted))
        }
        (live, wanted) => live == wanted || same_amount(live, wanted),
    }
}

/// Returns whether the API server may leave a value out.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claim(size: &Value) -> Object {
        let value = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": "shop"},
            "spec": {"resources": {"requests": {"storage": size}}}});
        Object::from_value(value).unwrap()
    }

    #[test]
    fn a_volume_that_grew_keeps_its_size_and_another_is_restored() {
        let size = |wanted: &Value, live: &Value| {
            let mut object = claim(wanted);
            let told = keep_lasting(&mut object, Some(&claim(live).into_value()));
            (object.to_value()["spec"].pointer(SIZE).cloned().unwrap(), told)
        };
        let (kept, told) = size(&json!("1Gi"), &json!("2Gi"));
        let sentence =
            "PersistentVolumeClaim shop/data keeps 2Gi instead of 1Gi, for a volume does not shrink";
        assert_eq!((kept, told.as_deref()), (json!("2Gi"), Some(sentence)));
        for (wanted, live) in [("2Gi", "1Gi"), ("1Gi", "1024Mi"), ("no size", "2Gi")] {
            assert_eq!(size(&json!(wanted), &json!(live)), (json!(wanted), None), "{wanted} of {live}");
        }
        let (kept, told) = size(&json!(1), &json!("1k"));
        assert_eq!((kept, told.is_some()), (json!("1k"), true));
    }

    #[test]
    fn a_claim_that_is_gone_comes_back_empty() {
        let told = keep_lasting(&mut claim(&json!("1Gi")), None).unwrap();
        assert_eq!(
            told,
            "PersistentVolumeClaim shop/data comes back without what it held, for it was deleted"
        );
    }

    fn stateful(templates: &Value) -> Object {
        let value = json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": "db", "namespace": "shop"},
            "spec": {"replicas": 1, "volumeClaimTemplates": templates}});
        Object::from_value(value).unwrap()
    }

    fn template(size: &str) -> Value {
        json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}}}})
    }

    #[test]
    fn a_stateful_set_keeps_its_claim_templates_and_the_rest_of_it_is_restored() {
        let mut live = template("2Gi");
        live["spec"]["volumeMode"] = json!("Filesystem");
        live["metadata"]["creationTimestamp"] = Value::Null;
        live["status"] = json!({"phase": "Pending"});
        let live = stateful(&json!([live])).into_value();
        let mut wanted = stateful(&json!([template("1Gi")]));
        let told = keep_lasting(&mut wanted, Some(&live)).unwrap();
        assert!(told.starts_with("StatefulSet.apps shop/db keeps its volumeClaimTemplates"), "{told}");
        let mut kept = template("2Gi");
        kept["spec"]["volumeMode"] = json!("Filesystem");
        assert_eq!(wanted.to_value()["spec"], json!({"replicas": 1, "volumeClaimTemplates": [kept]}));

        let mut same = template("2048Mi");
        same["metadata"]["labels"] = json!({});
        let mut same = stateful(&json!([same]));
        assert_eq!(keep_lasting(&mut same, Some(&live)), None, "defaults are no difference");
        let mut fewer = stateful(&json!([]));
        assert!(keep_lasting(&mut fewer, Some(&live)).is_some());
        let mut none = claim(&json!("1Gi"));
        none.fields_mut().insert("kind".into(), json!("Service"));
        assert_eq!(keep_lasting(&mut none, Some(&live)), None);
    }
}
