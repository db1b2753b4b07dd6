//! Which values are not of the type that our schema says, and which fields does it not know?
//!
//! The API server checks the same schema, but Applications may live under Argo CD's CRDs, and one malformed value must
//! get a sentence rather than hide the rest. So misfits are taken out, told, and reading goes on.

use crate::findings::{Findings, join};
use serde_json::{Map, Value, json};

/// Takes everything out of `value` that does not fit `schema`: misfits become problems, unknown fields not-yets.
pub(crate) fn clean(value: &mut Value, schema: &Value, path: &str, findings: &mut Findings) -> bool {
    if !fits(value, schema, path, findings) {
        return false;
    }
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return true;
    }
    match value {
        Value::Object(map) => clean_map(map, schema, path, findings),
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                if !clean(item, &schema["items"], &format!("{path}[{index}]"), findings) {
                    *item = blank(&schema["items"]);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    true
}

fn clean_map(map: &mut Map<String, Value>, schema: &Value, path: &str, findings: &mut Findings) {
    map.retain(|_, value| !value.is_null());
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !map.contains_key(name) {
            findings.problem(&join(path, name), "is missing");
        }
    }
    let (properties, any) = (schema["properties"].as_object(), schema.get("additionalProperties"));
    map.retain(|name, value| {
        let field = join(path, name);
        let Some(schema) = properties.and_then(|known| known.get(name)).or(any) else {
            findings.not_yet(field);
            return false;
        };
        clean(value, schema, &field, findings)
    });
}

/// What stands in for a misfit in a list, so that its neighbours keep their numbers.
fn blank(schema: &Value) -> Value {
    match schema["type"].as_str() {
        Some("object") => json!({}),
        Some("array") => json!([]),
        Some("string") => json!(""),
        _ => Value::Null,
    }
}

fn fits(value: &Value, schema: &Value, path: &str, findings: &mut Findings) -> bool {
    if schema["x-kubernetes-int-or-string"] == true {
        return expect(value.is_i64() || value.is_string(), "a whole number or text", value, path, findings);
    }
    let (ok, wanted) = match schema["type"].as_str() {
        Some("object") => (value.is_object(), "a map"),
        Some("array") => (value.is_array(), "a list"),
        Some("string") => (value.is_string(), "text"),
        Some("boolean") => (value.is_boolean(), "true or false"),
        Some("integer") => (value.is_i64(), "a whole number"),
        _ => (true, ""),
    };
    expect(ok, wanted, value, path, findings) && in_enum(value, schema, path, findings)
}

fn in_enum(value: &Value, schema: &Value, path: &str, findings: &mut Findings) -> bool {
    let Some(words) = schema["enum"].as_array() else { return true };
    if words.contains(value) {
        return true;
    }
    let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
    findings.problem(path, format!("must be one of {}", words.join(", ")));
    false
}

fn expect(ok: bool, wanted: &str, value: &Value, path: &str, findings: &mut Findings) -> bool {
    if !ok {
        findings.problem(path, format!("must be {wanted}, not {}", name_of(value)));
    }
    ok
}

/// Names the type of a value, as sentences do.
pub(crate) fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
