//! Which parts of a manifest are no wish of its author?

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::Object;
use serde_json::{Map, Value};

/// Metadata that only the API server sets.
const SERVER_SET: [&str; 8] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Brings an object into the form that is hashed, compared and applied; doing it twice changes nothing more.
///
/// A Secret's `stringData` goes into `data`, as the API server does it; fields that are null, `status`, and metadata that
/// only the server sets are dropped. Exported objects and tools' templates carry those, and applying them would claim
/// fields that nobody wants or fail on an old `resourceVersion`.
pub fn normalise(object: &mut Object) {
    if object.gvk().group_kind().is("", "Secret") {
        encode_string_data(object.fields_mut());
    }
    object.fields_mut().remove("status");
    if object.metadata().is_some() {
        let metadata = object.metadata_mut();
        metadata.retain(|field, _| !SERVER_SET.contains(&field.as_str()));
    }
    drop_nulls(object.fields_mut());
}

/// Moves `stringData` into `data`; what is not text is moved as it is, for the API server to judge.
fn encode_string_data(secret: &mut Map<String, Value>) {
    let string_data = match secret.remove("stringData") {
        Some(Value::Object(entries)) => entries,
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_))) => {
            secret.insert("stringData".into(), other);
            Map::new()
        }
        Some(Value::Null) | None => Map::new(),
    };
    if !string_data.is_empty() && secret.get("data").is_none_or(Value::is_null) {
        secret.insert("data".into(), Value::Object(Map::new()));
    }
    let Some(Value::Object(data)) = secret.get_mut("data") else { return };
    for (key, value) in string_data {
        let value = if let Value::String(text) = value { STANDARD.encode(text).into() } else { value };
        data.insert(key, value);
    }
    // A null here is an empty entry to the API server, not a missing one.
    for value in data.values_mut().filter(|value| value.is_null()) {
        *value = Value::String(String::new());
    }
}

fn drop_nulls(fields: &mut Map<String, Value>) {
    fields.retain(|_, value| !value.is_null());
    for value in fields.values_mut() {
        drop_nulls_within(value);
    }
}

fn drop_nulls_within(value: &mut Value) {
    match value {
        Value::Object(fields) => drop_nulls(fields),
        Value::Array(items) => items.iter_mut().for_each(drop_nulls_within),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn normalised(value: Value) -> Value {
        let mut object = Object::from_value(value).unwrap();
        normalise(&mut object);
        let once = object.to_value();
        normalise(&mut object);
        assert_eq!(object.to_value(), once, "twice is not once");
        once
    }

    #[test]
    fn string_data_goes_into_data() {
        let secret = |fields: Value| {
            let mut value = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
            value.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            normalised(value)
        };
        let cases = [
            (json!({"stringData": {"a": "x"}}), json!({"a": "eA=="})),
            (
                json!({"stringData": {"a": "x"}, "data": {"a": "b2xk", "b": "eQ=="}}),
                json!({"a": "eA==", "b": "eQ=="}),
            ),
            (json!({"stringData": {"a": "x"}, "data": null}), json!({"a": "eA=="})),
            (json!({"stringData": {"a": 1, "b": null}}), json!({"a": 1, "b": ""})),
            (json!({"data": {"a": null}}), json!({"a": ""})),
            (json!({"data": {}, "stringData": null}), json!({})),
        ];
        for (fields, data) in cases {
            let expected =
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": data});
            assert_eq!(secret(fields.clone()), expected, "{fields}");
        }
        let other = json!({"apiVersion": "example.com/v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "x"}});
        assert_eq!(normalised(other.clone()), other);
    }

    #[test]
    fn what_nobody_wished_for_is_dropped() {
        let exported = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": "web", "uid": "1", "resourceVersion": "2", "generation": 3, "creationTimestamp": "x",
                "managedFields": [], "selfLink": "x", "deletionTimestamp": null, "labels": {"a": "b", "c": null},
            },
            "spec": {
                "template": {"metadata": {"creationTimestamp": null}, "spec": {"containers": [{"name": "a", "image": null}]}},
                "list": [null, {"x": null}], "empty": {}, "no": false, "none": "",
            },
            "status": {"replicas": 1},
        });
        let expected = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "labels": {"a": "b"}},
            "spec": {
                "template": {"metadata": {}, "spec": {"containers": [{"name": "a"}]}},
                "list": [null, {}], "empty": {}, "no": false, "none": "",
            },
        });
        assert_eq!(normalised(exported), expected);
    }
}
