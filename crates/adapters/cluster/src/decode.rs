//! Which object is this piece of JSON, and if it is none, what is wrong with it?
//!
//! Every item of a list and every event of a watch is judged alone, so that a bad one stops only itself. Sentences are
//! our own words and never quote the piece: it may be a Secret.

use model::{GroupVersionKind, Object};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Deepest nesting that we take. The JSON reader stops at 128, and every walk over an object recurses.
pub(crate) const DEEPEST: usize = 100;

/// A piece that is no object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bad {
    /// Namespace, where it can be read.
    pub(crate) namespace: String,
    /// Name, where it can be read.
    pub(crate) name: String,
    /// resourceVersion, where it can be read.
    pub(crate) resource_version: String,
    /// What is wrong.
    pub(crate) sentence: &'static str,
    /// Kind and metadata as an object of their own, where they can be read.
    pub(crate) head: Option<Box<Object>>,
}

/// Reads one object. Items of lists carry neither `apiVersion` nor `kind`; they are those of the list.
pub(crate) fn object(raw: &str, gvk: &GroupVersionKind) -> Result<Object, Bad> {
    judged(raw, gvk).map_err(|sentence| Bad { head: head(raw, gvk).map(Box::new), ..bad(raw, sentence) })
}

/// Reads what an object's metadata says, whatever the rest is like. Managed fields nest as deep as what they are about.
fn head(raw: &str, gvk: &GroupVersionKind) -> Option<Object> {
    let mut metadata: BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_str(field(raw, "metadata")?).ok()?;
    metadata.remove("managedFields");
    let metadata = serde_json::to_string(&metadata).ok()?;
    judged(&format!("{{\"metadata\":{metadata}}}"), gvk).ok()
}

/// Says what is wrong with a piece, with as much of its name as can be read.
pub(crate) fn bad(raw: &str, sentence: &'static str) -> Bad {
    let metadata = field(raw, "metadata");
    let text = |key: &str| {
        metadata.and_then(|m| field(m, key)).and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default()
    };
    Bad {
        namespace: text("namespace"),
        name: text("name"),
        resource_version: text("resourceVersion"),
        sentence,
        head: None,
    }
}

fn judged(raw: &str, gvk: &GroupVersionKind) -> Result<Object, &'static str> {
    if depth(raw) > DEEPEST {
        return Err("nested deeper than 100 levels");
    }
    let Ok(value) = serde_json::from_str::<Value>(raw) else { return Err("not valid JSON") };
    let Value::Object(mut map) = value else { return Err("not a map") };
    map.entry("apiVersion").or_insert_with(|| gvk.api_version().into());
    map.entry("kind").or_insert_with(|| gvk.kind.clone().into());
    let object = Object::from_value(Value::Object(map)).map_err(|why| why.0)?;
    let Some(metadata) = object.metadata() else { return Err("metadata is missing") };
    if object.name().is_empty() {
        return Err("metadata.name is missing or not text");
    }
    for field in ["namespace", "resourceVersion", "uid"] {
        if metadata.get(field).is_some_and(|value| !value.is_string()) {
            return Err("metadata.namespace, resourceVersion or uid is not text");
        }
    }
    for field in ["labels", "annotations"] {
        let is_text_map = |value: &Value| {
            value.is_null() || value.as_object().is_some_and(|map| map.values().all(Value::is_string))
        };
        if metadata.get(field).is_some_and(|value| !is_text_map(value)) {
            return Err("metadata.labels or annotations is not a map of text");
        }
    }
    Ok(object)
}

/// Returns how deep maps and lists nest, without reading the piece.
fn depth(raw: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in raw.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Returns a field of a map as it is written. Skipping over the others does not recurse, whatever their depth.
fn field<'a>(raw: &'a str, key: &str) -> Option<&'a str> {
    let fields: BTreeMap<Cow<'a, str>, &'a RawValue> = serde_json::from_str(raw).ok()?;
    fields.get(key).map(|value| value.get())
}

/// The head of a watch event.
#[derive(Deserialize)]
pub(crate) struct Line<'a> {
    /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`.
    pub(crate) r#type: String,
    /// The object, or the Status of an `ERROR`, as it is written.
    #[serde(borrow)]
    pub(crate) object: &'a RawValue,
}

/// One page of a list, its items as they are written.
#[derive(Deserialize)]
pub(crate) struct Page<'a> {
    #[serde(default)]
    pub(crate) metadata: PageMetadata,
    /// Null where some APIs have none.
    #[serde(borrow, default)]
    pub(crate) items: Option<Vec<&'a RawValue>>,
}

/// What a page says of its list.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct PageMetadata {
    #[serde(rename = "resourceVersion")]
    pub(crate) resource_version: String,
    pub(crate) r#continue: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(raw: &str) -> String {
        let gvk = GroupVersionKind::from_api_version("apps/v1", "Deployment");
        match object(raw, &gvk) {
            Ok(object) => format!("{} at {}", object.key(), object.resource_version()),
            Err(bad) => format!("{}/{}: {}", bad.namespace, bad.name, bad.sentence),
        }
    }

    #[test]
    fn good_and_bad_items() {
        let deep = format!(
            r#"{{"metadata":{{"name":"x","namespace":"n"}},"spec":{}1{}}}"#,
            "[".repeat(1_000),
            "]".repeat(1_000)
        );
        for (raw, expected) in [
            (
                r#"{"metadata":{"name":"x","namespace":"n","resourceVersion":"7"}}"#,
                "Deployment.apps n/x at 7",
            ),
            (r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"}}"#, "Pod x at "),
            (&deep, "n/x: nested deeper than 100 levels"),
            ("[]", "/: not a map"),
            ("{}", "/: metadata is missing"),
            (r#"{"metadata":[]}"#, "/: metadata is not a map"),
            (r#"{"metadata":{"namespace":"n"}}"#, "n/: metadata.name is missing or not text"),
            (
                r#"{"metadata":{"name":"x","namespace":3}}"#,
                "/x: metadata.namespace, resourceVersion or uid is not text",
            ),
            (
                r#"{"metadata":{"name":"x","labels":{"a":1}}}"#,
                "/x: metadata.labels or annotations is not a map of text",
            ),
            (r#"{"metadata":{"name":"x","labels":null}}"#, "Deployment.apps x at "),
            (r#"{"metadata":{"name":"x"},"data":{"k":"\ud800"}}"#, "/x: not valid JSON"),
            (r#"{"kind":3,"metadata":{"name":"x"}}"#, "/x: kind is missing"),
        ] {
            assert_eq!(judge(raw), expected, "{raw}");
        }
    }

    #[test]
    fn the_head_of_what_cannot_be_read_is_read_by_itself() {
        let gvk = GroupVersionKind::from_api_version("v1", "ConfigMap");
        let deep = |n| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        let head = |metadata: &str| {
            let raw = format!(r#"{{"metadata":{metadata},"spec":{}}}"#, deep(1_000));
            object(&raw, &gvk).unwrap_err().head.map(|head| head.into_value().to_string())
        };
        let managed = format!(r#"{{"name":"x","uid":"u","managedFields":[{}]}}"#, deep(1_000));
        let read = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","uid":"u"}}"#;
        assert_eq!(head(&managed).as_deref(), Some(read));
        assert_eq!(head(&format!(r#"{{"name":"x","labels":{}}}"#, deep(1_000))), None);
        assert_eq!(head(r#"{"name":"x","labels":7}"#), None);
        assert_eq!(head("[]"), None);
    }

    #[test]
    fn brackets_in_text_do_not_nest() {
        let raw = format!(r#"{{"metadata":{{"name":"x"}},"data":{{"k":"\"{}"}}}}"#, "{[".repeat(300));
        assert_eq!(judge(&raw), "Deployment.apps x at ");
    }
}
