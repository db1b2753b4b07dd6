//! How does a set look in `fieldsV1`? (structured-merge-diff, `fieldpath/serialize.go`, describes the format.)

use crate::{FieldSet, Key, Scalar, Step};
use serde_json::{Map, Value};

impl FieldSet {
    /// Reads `fieldsV1`; `None` for what is not of the format, whole, so that nobody acts on half of a set.
    pub fn from_fields_v1(value: &Value) -> Option<Self> {
        let mut set = Self::default();
        for (step, below) in value.as_object()? {
            if step == "." {
                set.is_member = true;
                continue;
            }
            let mut child = Self::from_fields_v1(below)?;
            // An empty map is a leaf: nothing but the path itself.
            child.is_member |= child.children.is_empty();
            set.children.insert(step_from(step)?, child);
        }
        Some(set)
    }

    /// Writes `fieldsV1`.
    pub fn to_fields_v1(&self) -> Value {
        let mut map = Map::new();
        if self.is_member && !self.children.is_empty() {
            map.insert(".".into(), Value::Object(Map::new()));
        }
        for (step, child) in &self.children {
            map.insert(step_text(step), child.to_fields_v1());
        }
        Value::Object(map)
    }
}

fn step_from(text: &str) -> Option<Step> {
    let (kind, rest) = text.split_once(':')?;
    match kind {
        "f" => Some(Step::field(rest)),
        "k" => {
            let Ok(Value::Object(key)) = serde_json::from_str(rest) else { return None };
            // A key without fields would be every item's.
            if key.is_empty() {
                return None;
            }
            Some(Step::Key(Key(key.into_iter().map(|(name, value)| (name, Scalar(value))).collect())))
        }
        "v" => serde_json::from_str(rest).ok().map(|value| Step::Value(Scalar(value))),
        "i" => rest.parse().ok().map(Step::Index),
        _ => None,
    }
}

fn step_text(step: &Step) -> String {
    match step {
        Step::Field(name) => format!("f:{name}"),
        Step::Key(key) => {
            let map: Map<String, Value> =
                key.0.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect();
            format!("k:{}", Value::Object(map))
        }
        Step::Value(value) => format!("v:{}", value.0),
        Step::Index(index) => format!("i:{index}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn writes_what_it_reads() {
        let wire = json!({
            "f:metadata": {
                "f:finalizers": {".": {}, "v:\"a/b\"": {}},
                "f:labels": {".": {}, "f:app.kubernetes.io/name": {}}
            },
            "f:spec": {
                "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
                "f:rows": {"i:3": {}},
                "f:selector": {}
            }
        });
        assert_eq!(FieldSet::from_fields_v1(&wire).unwrap().to_fields_v1(), wire);
    }

    #[test]
    fn refuses_what_is_not_of_the_format() {
        for wire in [
            json!([]),
            json!({"f:a": 1}),
            json!({"x:a": {}}),
            json!({"fa": {}}),
            json!({"f:l": {"k:[1]": {}}}),
            json!({"f:l": {"k:{": {}}}),
            json!({"f:l": {"k:{}": {}}}),
            json!({"f:l": {"i:x": {}}}),
        ] {
            assert_eq!(FieldSet::from_fields_v1(&wire), None, "{wire}");
        }
    }
}
