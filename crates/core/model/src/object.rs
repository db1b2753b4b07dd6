//! What is a Kubernetes object to us, and what identifies one?

use serde_json::{Map, Value};
use std::fmt;

/// A kind without its version: what identifies objects across API versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKind {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind, as in manifests.
    pub kind: String,
}

impl GroupKind {
    /// Names a kind.
    pub fn new(group: impl Into<String>, kind: impl Into<String>) -> Self {
        Self { group: group.into(), kind: kind.into() }
    }

    /// Returns whether this is `group`/`kind`.
    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }
}

impl fmt::Display for GroupKind {
    /// Writes `Kind` for the core group and `Kind.group` for the others, as kubectl does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            f.write_str(&self.kind)
        } else {
            write!(f, "{}.{}", self.kind, self.group)
        }
    }
}

/// A kind at one of its versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupVersionKind {
    /// API group; empty for the core group.
    pub group: String,
    /// API version, such as `v1`.
    pub version: String,
    /// Kind, as in manifests.
    pub kind: String,
}

impl GroupVersionKind {
    /// Names a kind by its `apiVersion` (`v1`, `apps/v1`).
    pub fn from_api_version(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self { group: group.into(), version: version.into(), kind: kind.into() }
    }

    /// Returns the `apiVersion` that manifests write.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Returns the kind without its version.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind::new(&self.group, &self.kind)
    }
}

impl fmt::Display for GroupVersionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.api_version(), self.kind)
    }
}

/// What identifies an object in one cluster, whatever version it is read at.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind, as in manifests.
    pub kind: String,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectKey {
    /// Names an object; `namespace` is empty for cluster-scoped ones.
    pub fn new(group: &str, kind: &str, namespace: &str, name: &str) -> Self {
        Self { group: group.into(), kind: kind.into(), namespace: namespace.into(), name: name.into() }
    }

    /// Returns the kind without the rest.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind::new(&self.group, &self.kind)
    }

    /// Returns whether the kind is `group`/`kind`.
    pub fn is_kind(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }
}

impl fmt::Display for ObjectKey {
    /// Writes `Deployment.apps shop/web`, or `Namespace shop` where there is no namespace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if self.namespace.is_empty() {
            write!(f, " {}", self.name)
        } else {
            write!(f, " {}/{}", self.namespace, self.name)
        }
    }
}

/// Why a value is not an object; the text is a lowercase fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAnObject(pub &'static str);

impl fmt::Display for NotAnObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A manifest or a live object as plain JSON, with at least `apiVersion` and `kind` as text.
#[derive(Clone, Debug, PartialEq)]
pub struct Object(Map<String, Value>);

impl Object {
    /// Takes a JSON value as an object.
    ///
    /// # Errors
    /// When it is no map, or `apiVersion` or `kind` is missing or no text, or `metadata` is no map.
    pub fn from_value(value: Value) -> Result<Self, NotAnObject> {
        let Value::Object(map) = value else { return Err(NotAnObject("not a map")) };
        let text = |key: &str| map.get(key).and_then(Value::as_str).is_some_and(|s| !s.is_empty());
        if !text("apiVersion") {
            return Err(NotAnObject("apiVersion is missing"));
        }
        if !text("kind") {
            return Err(NotAnObject("kind is missing"));
        }
        if map.get("metadata").is_some_and(|m| !m.is_object()) {
            return Err(NotAnObject("metadata is not a map"));
        }
        Ok(Self(map))
    }

    /// Returns the object as JSON.
    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// Returns a copy as JSON.
    pub fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// Returns the fields.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Returns the fields for editing; whoever edits keeps `apiVersion` and `kind`.
    pub fn fields_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }

    /// Returns a field by its name at the top level.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.0.get(field)
    }

    /// Returns `apiVersion`.
    pub fn api_version(&self) -> &str {
        self.0.get("apiVersion").and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns `kind`.
    pub fn kind(&self) -> &str {
        self.0.get("kind").and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns group, version and kind.
    pub fn gvk(&self) -> GroupVersionKind {
        GroupVersionKind::from_api_version(self.api_version(), self.kind())
    }

    /// Returns `metadata.name`, empty where there is none.
    pub fn name(&self) -> &str {
        self.meta_text("name")
    }

    /// Returns `metadata.namespace`, empty where there is none.
    pub fn namespace(&self) -> &str {
        self.meta_text("namespace")
    }

    /// Returns `metadata.uid`, empty for manifests.
    pub fn uid(&self) -> &str {
        self.meta_text("uid")
    }

    /// Returns `metadata.resourceVersion`, empty for manifests.
    pub fn resource_version(&self) -> &str {
        self.meta_text("resourceVersion")
    }

    /// Returns `metadata.generation`.
    pub fn generation(&self) -> Option<i64> {
        self.metadata()?.get("generation")?.as_i64()
    }

    /// Returns whether a deletion has begun.
    pub fn is_deleting(&self) -> bool {
        !self.meta_text("deletionTimestamp").is_empty()
    }

    /// Returns what identifies the object in its cluster.
    pub fn key(&self) -> ObjectKey {
        let gvk = self.gvk();
        ObjectKey {
            group: gvk.group,
            kind: gvk.kind,
            namespace: self.namespace().into(),
            name: self.name().into(),
        }
    }

    /// Returns `metadata`.
    pub fn metadata(&self) -> Option<&Map<String, Value>> {
        self.0.get("metadata").and_then(Value::as_object)
    }

    /// Returns `metadata` for editing, making it where it is missing.
    pub fn metadata_mut(&mut self) -> &mut Map<String, Value> {
        let metadata = self.0.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        if !metadata.is_object() {
            *metadata = Value::Object(Map::new());
        }
        metadata.as_object_mut().expect("made a map just above")
    }

    /// Returns an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata()?.get("annotations")?.get(key)?.as_str()
    }

    /// Returns a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.metadata()?.get("labels")?.get(key)?.as_str()
    }

    /// Sets an annotation.
    pub fn set_annotation(&mut self, key: &str, value: &str) {
        self.set_meta_entry("annotations", key, value);
    }

    /// Sets a label.
    pub fn set_label(&mut self, key: &str, value: &str) {
        self.set_meta_entry("labels", key, value);
    }

    /// Removes an annotation.
    pub fn remove_annotation(&mut self, key: &str) {
        self.remove_meta_entry("annotations", key);
    }

    /// Removes a label.
    pub fn remove_label(&mut self, key: &str) {
        self.remove_meta_entry("labels", key);
    }

    /// Sets or, with an empty text, removes `metadata.namespace`.
    pub fn set_namespace(&mut self, namespace: &str) {
        if namespace.is_empty() {
            self.metadata_mut().remove("namespace");
        } else {
            self.metadata_mut().insert("namespace".into(), namespace.into());
        }
    }

    /// Returns whether a comma-separated annotation lists `option`; blanks around entries do not count.
    pub fn annotation_lists(&self, key: &str, option: &str) -> bool {
        self.annotation(key).is_some_and(|list| list.split(',').any(|entry| entry.trim() == option))
    }

    fn set_meta_entry(&mut self, map: &str, key: &str, value: &str) {
        let entries = self.metadata_mut().entry(map).or_insert_with(|| Value::Object(Map::new()));
        if !entries.is_object() {
            *entries = Value::Object(Map::new());
        }
        let entries = entries.as_object_mut().expect("made a map just above");
        entries.insert(key.into(), value.into());
    }

    /// What is left empty by it goes as well.
    fn remove_meta_entry(&mut self, map: &str, key: &str) {
        let Some(entries) = self.metadata_mut().get_mut(map).and_then(Value::as_object_mut) else { return };
        if entries.remove(key).is_some() && entries.is_empty() {
            self.metadata_mut().remove(map);
        }
    }

    fn meta_text(&self, field: &str) -> &str {
        self.metadata().and_then(|m| m.get(field)).and_then(Value::as_str).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn key_and_display() {
        let object = Object::from_value(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}
        }))
        .unwrap();
        assert_eq!(object.key(), ObjectKey::new("apps", "Deployment", "shop", "web"));
        assert_eq!(object.key().to_string(), "Deployment.apps shop/web");
        assert_eq!(object.gvk().api_version(), "apps/v1");
    }

    #[test]
    fn refuses_what_is_no_object() {
        assert!(Object::from_value(json!([])).is_err());
        assert!(Object::from_value(json!({"kind": "X"})).is_err());
        assert!(Object::from_value(json!({"apiVersion": "v1", "kind": 3})).is_err());
        assert!(Object::from_value(json!({"apiVersion": "v1", "kind": "X", "metadata": []})).is_err());
    }

    #[test]
    fn annotation_lists_trims_entries() {
        let object = Object::from_value(json!({
            "apiVersion": "v1", "kind": "X", "metadata": {"annotations": {"o": "A=1, Prune=false"}}
        }))
        .unwrap();
        assert!(object.annotation_lists("o", "Prune=false"));
        assert!(!object.annotation_lists("o", "Prune"));
    }
}
