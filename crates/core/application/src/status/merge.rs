//! Which merge patch (RFC 7386) turns one JSON value into another?

use serde_json::{Map, Value};

/// Returns the patch, or `None` where the values are equal. A null inside `new` counts as absent, for a merge patch
/// cannot say it; lists are sent whole.
pub(super) fn diff(old: &Value, new: &Value) -> Option<Value> {
    diff_clean(&without_nulls(old), &without_nulls(new))
}

fn diff_clean(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(before), Value::Object(after)) = (old, new) else {
        return (old != new).then(|| new.clone());
    };
    let mut patch = Map::new();
    for (field, value) in after {
        let change = match before.get(field) {
            Some(old) => diff_clean(old, value),
            None => Some(value.clone()),
        };
        if let Some(change) = change {
            patch.insert(field.clone(), change);
        }
    }
    for field in before.keys().filter(|field| !after.contains_key(*field)) {
        patch.insert(field.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// Drops nulls from maps; those in lists stay, for lists are replaced as they are.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), without_nulls(v))).collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => value.clone(),
    }
}
