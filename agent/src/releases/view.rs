//! What does anybody read of a release? Values of Secrets are masked, whatever object holds them.

use model::{Object, ObjectKey};
use release::{Delivery, Head, PayloadState, Record, Timings};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Tells a release for programs: the fields that Argo CD's history has under its names, and the rest.
pub(crate) fn release(head: &Head) -> Value {
    let Record { timings: Timings { seen, started, applied, healthy, settled, restored }, .. } = &head.record;
    let record = &head.record;
    let time = |at: &Option<model::Timestamp>| at.map(|at| at.to_string());
    let initiated_by = match record.initiated_by.as_str() {
        "" => json!({"automated": true}),
        username => json!({"username": username}),
    };
    json!({
        "id": record.number,
        "revision": record.revision.as_str(),
        "hash": record.hash.to_string(),
        "verdict": record.verdict.as_str(),
        "reason": record.reason.map(model::Reason::as_str),
        "message": record.message,
        "cause": record.cause.as_str(),
        "initiatedBy": initiated_by,
        "source": {"repoURL": application::without_credentials(&record.repo_url), "path": record.path},
        "sourceType": record.source_type,
        "deployStartedAt": time(started),
        "deployedAt": time(&record.timings.last()),
        "timings": {
            "seen": time(seen), "started": time(started), "applied": time(applied), "healthy": time(healthy),
            "settled": time(settled), "restored": time(restored),
        },
        "created": record.created.iter().map(key).collect::<Vec<Value>>(),
        "images": record.images,
        "objects": record.n_objects,
        "manifestsKept": matches!(head.payload, PayloadState::Kept { .. }),
    })
}

/// Tells how often, how fast and how well is deployed; `null` is what nothing can be said of.
pub(crate) fn delivery(delivery: &Delivery) -> Value {
    let seconds = |length: Option<model::Seconds>| length.map(|length| rounded(milli(length)));
    json!({
        "from": delivery.from.map(|at| at.to_string()),
        "to": delivery.to.map(|at| at.to_string()),
        "deployments": delivery.deployments,
        "failures": delivery.failures,
        "deploymentsPerDay": delivery.deployments_per_day().map(rounded),
        "leadTimeSeconds": seconds(delivery.lead_time()),
        "changeFailureRate": delivery.change_failure_rate().map(rounded),
        "timeToRestoreSeconds": seconds(delivery.time_to_restore()),
    })
}

#[expect(clippy::cast_precision_loss, reason = "thirty days in milliseconds stay far below 2^52")]
pub(crate) fn milli(length: model::Seconds) -> f64 {
    length.as_millis() as f64 / 1_000.0
}

/// To three digits behind the point: more of them say nothing.
fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

/// Returns the objects of a release as anybody may read them.
pub(crate) fn manifests(objects: &[Value]) -> Vec<Value> {
    objects.iter().filter_map(readable).map(Object::into_value).collect()
}

/// Tells how the objects of a release differ from those of another, in the order of their keys.
pub(crate) fn changes(before: (u64, &[Value]), after: (u64, &[Value])) -> Vec<Value> {
    let (old, new) = (by_key(before.1), by_key(after.1));
    let names = (format!("release {}", before.0), format!("release {}", after.0));
    let keys: BTreeSet<&ObjectKey> = old.keys().chain(new.keys()).collect();
    let change = |object: &&ObjectKey| {
        let (was, is) = (old.get(*object), new.get(*object));
        if was == is {
            return None;
        }
        // Empty where masks hide in what they differ.
        let diff = drift::between(was, is, (&names.0, &names.1));
        let word = match (was, is) {
            (Some(_), Some(_)) => "Changed",
            (None, _) => "Added",
            (Some(_), None) => "Removed",
        };
        let mut change = key(object);
        change["change"] = word.into();
        change["diff"] = diff.into();
        Some(change)
    };
    keys.iter().filter_map(change).collect()
}

fn by_key(objects: &[Value]) -> BTreeMap<ObjectKey, Object> {
    let known = objects.iter().filter_map(|object| Object::from_value(object.clone()).ok());
    known.map(|object| (object.key(), object)).collect()
}

/// What is no object is shown to nobody: only an object says whether it is a Secret.
fn readable(object: &Value) -> Option<Object> {
    let mut object = Object::from_value(object.clone()).ok()?;
    drift::mask(&mut object);
    Some(object)
}

fn key(key: &ObjectKey) -> Value {
    let ObjectKey { group, kind, namespace, name } = key;
    json!({"group": group, "kind": kind, "namespace": namespace, "name": name})
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::base64_encode;

    fn objects(password: &str, more: Value) -> Vec<Value> {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web", "namespace": "shop"},
            "data": {"password": base64_encode(password.as_bytes())}});
        let list = json!({"apiVersion": "v1", "kind": "SecretList", "metadata": {"name": "all"},
            "items": [{"metadata": {"name": "inner"}, "stringData": {"password": password}}]});
        vec![secret, list, more]
    }

    fn config_map(name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}})
    }

    // N24: what a release holds of Secrets is read by nobody
    #[test]
    fn manifests_and_changes_tell_nothing_of_secrets() {
        let (before, after) = (objects("hunter2", config_map("a")), objects("hunter3", config_map("b")));
        let changes = changes((1, &before), (2, &after));
        let told = json!([manifests(&before), manifests(&after), changes]).to_string();
        for value in ["hunter2", "hunter3"] {
            assert!(!told.contains(value) && !told.contains(&base64_encode(value.as_bytes())), "{told}");
        }
        let words: Vec<(&str, &str, &str)> = changes
            .iter()
            .map(|c| {
                let text = |field: &str| c[field].as_str().unwrap();
                (text("kind"), text("name"), text("change"))
            })
            .collect();
        assert_eq!(
            words,
            [
                ("ConfigMap", "a", "Removed"),
                ("ConfigMap", "b", "Added"),
                ("Secret", "web", "Changed"),
                ("SecretList", "all", "Changed"),
            ]
        );
        assert_eq!(super::changes((1, &before), (2, &before)), Vec::<Value>::new());
        assert_eq!(manifests(&[json!({"stringData": {"a": "hunter2"}})]), Vec::<Value>::new());
    }
}
