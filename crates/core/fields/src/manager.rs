//! Who owns which fields of a live object? (Kubernetes documentation, "Server-Side Apply", field management.)

use crate::{FieldSet, Path};
use model::{Object, Timestamp};
use serde_json::Value;
use std::fmt;

/// How a manager came to its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// By server-side apply: what it no longer says is removed.
    Apply,
    /// By any other write.
    Update,
    /// By something that this version does not know.
    Other,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
            Self::Other => "Other",
        })
    }
}

/// One readable entry of `metadata.managedFields`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagerEntry {
    /// Its place in `metadata.managedFields`.
    pub position: usize,
    /// Name of the manager; may be empty.
    pub manager: String,
    /// How it came to its fields.
    pub operation: Operation,
    /// The version that the paths are written in.
    pub api_version: String,
    /// When the entry last changed.
    pub time: Option<Timestamp>,
    /// The subresource that was written; empty for the object itself.
    pub subresource: String,
    /// What it owns.
    pub fields: FieldSet,
}

impl ManagerEntry {
    /// Returns whether this is `manager`'s entry by server-side apply of the object itself.
    pub fn is_apply_of(&self, manager: &str) -> bool {
        self.operation == Operation::Apply && self.manager == manager && self.subresource.is_empty()
    }

    /// Returns whether it owns a path, exactly or as part of an atomic value.
    pub fn owns(&self, path: &Path) -> bool {
        self.fields.owns(path)
    }
}

/// Reads the entries of a live object. One that does not decode is left out: it says nothing, and stops nobody.
pub fn managers(live: &Object) -> Vec<ManagerEntry> {
    raw(live).iter().enumerate().filter_map(|(position, entry)| read(position, entry)).collect()
}

/// Returns the places of the entries that do not decode.
pub fn unreadable(live: &Object) -> Vec<usize> {
    raw(live)
        .iter()
        .enumerate()
        .filter(|(position, entry)| read(*position, entry).is_none())
        .map(|(i, _)| i)
        .collect()
}

fn raw(live: &Object) -> &[Value] {
    live.metadata().and_then(|m| m.get("managedFields")).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn read(position: usize, entry: &Value) -> Option<ManagerEntry> {
    let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
    if !matches!(text("fieldsType"), "" | "FieldsV1") {
        return None;
    }
    Some(ManagerEntry {
        position,
        manager: text("manager").into(),
        operation: match text("operation") {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => Operation::Other,
        },
        api_version: text("apiVersion").into(),
        time: text("time").parse().ok(),
        subresource: text("subresource").into(),
        fields: FieldSet::from_fields_v1(entry.get("fieldsV1")?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_what_decodes_and_names_the_rest() {
        let live = Object::from_value(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "c", "managedFields": [
                {"manager": "a", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
                 "time": "2026-01-01T10:00:00Z", "fieldsV1": {"f:data": {"f:x": {}}}},
                {"manager": "b", "operation": "Update", "fieldsV1": {"what": 1}},
                {},
                {"manager": "c", "operation": "Update", "subresource": "scale", "fieldsV1": {}},
                {"manager": "d", "operation": "Update", "fieldsType": "FieldsV2", "fieldsV1": {}}
            ]}
        }))
        .unwrap();
        let entries = managers(&live);
        assert_eq!(
            entries.iter().map(|e| (e.position, e.manager.as_str())).collect::<Vec<_>>(),
            [(0, "a"), (3, "c")]
        );
        assert!(entries[0].is_apply_of("a") && entries[0].owns(&Path::fields(&["data", "x"])));
        assert_eq!(entries[0].time.unwrap().to_string(), "2026-01-01T10:00:00Z");
        assert_eq!(unreadable(&live), [1, 2, 4]);
    }
}
