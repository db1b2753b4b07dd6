//! What of an object may anybody read? Values of Secrets, and of annotations that hold them, never leave the core.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Object, names};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The shortest mask; each further value of the same key is shown with four more (Argo CD's way to keep equality).
const MASK: &str = "++++++++";

/// Masks one object: values of a Secret's `data` and `stringData`, the same in its last-applied annotation, and its
/// annotations that hold one of these values. Other kinds stay as they are.
pub fn mask(object: &mut Object) {
    mask_together(&mut [object], &[]);
}

/// Masks several states of one object, so that equal values stay equal and others differ. `annotations` are the names of
/// annotations that hold secrets on any kind (Argo CD, `resource.sensitive.mask.annotations`).
pub fn mask_together(objects: &mut [&mut Object], annotations: &[&str]) {
    let mut masks = Masks::default();
    let mut secrets = Vec::new();
    for object in objects.iter() {
        if is_secret(object) {
            secrets.extend(secret_values(object));
        }
    }
    for object in objects.iter_mut() {
        if is_secret(object) {
            mask_data(object.fields_mut(), &mut masks);
        }
    }
    for object in objects.iter_mut() {
        mask_metadata(object, annotations, &secrets, &mut masks);
        mask_items(object, annotations);
    }
}

/// Masks the Secrets in a list: items of a `SecretList` need not say what they are.
fn mask_items(list: &mut Object, annotations: &[&str]) {
    let is_of_secrets = list.gvk().group_kind().is("", "SecretList");
    let Some(Value::Array(items)) = list.fields_mut().get_mut("items") else { return };
    for item in items {
        if let (true, Value::Object(fields)) = (is_of_secrets, &mut *item) {
            fields.insert("apiVersion".into(), "v1".into());
            fields.insert("kind".into(), "Secret".into());
        }
        if let Ok(mut object) = Object::from_value(item.clone()) {
            mask_together(&mut [&mut object], annotations);
            *item = object.into_value();
        }
    }
}

/// The masks given so far: per key the values in the order of their appearance.
#[derive(Default)]
struct Masks(BTreeMap<String, Vec<String>>);

impl Masks {
    fn of(&mut self, key: &str, value: &Value) -> Value {
        let value = value.to_string();
        let seen = self.0.entry(key.into()).or_default();
        let position = seen.iter().position(|other| *other == value).unwrap_or_else(|| {
            seen.push(value);
            seen.len() - 1
        });
        Value::String(format!("{MASK}{}", "++++".repeat(position)))
    }
}

fn is_secret(object: &Object) -> bool {
    object.gvk().group_kind().is("", "Secret")
}

fn mask_data(fields: &mut Map<String, Value>, masks: &mut Masks) {
    for field in ["data", "stringData"] {
        match fields.get_mut(field) {
            Some(Value::Object(entries)) => {
                for (key, value) in entries.iter_mut() {
                    *value = masks.of(key, value);
                }
            }
            Some(Value::Null) | None => {}
            Some(other) => *other = masks.of("", other),
        }
    }
}

fn mask_metadata(object: &mut Object, sensitive: &[&str], secrets: &[String], masks: &mut Masks) {
    let is_secret = is_secret(object);
    for field in ["annotations", "labels"] {
        let Some(Value::Object(entries)) = object.metadata_mut().get_mut(field) else { continue };
        for (key, value) in entries.iter_mut() {
            if is_secret && key == names::LAST_APPLIED {
                *value = masked_last_applied(value, masks);
            }
            let text = value.as_str().unwrap_or_default();
            let tells = secrets.iter().any(|secret| text.contains(secret.as_str()));
            if tells || (field == "annotations" && sensitive.contains(&key.as_str())) {
                *value = masks.of(&format!("{field}/{key}"), value);
            }
        }
    }
}

/// Masks inside the annotation; one that cannot be read is replaced whole.
fn masked_last_applied(value: &Value, masks: &mut Masks) -> Value {
    let parsed = value.as_str().and_then(|text| serde_json::from_str(text).ok());
    let Some(Value::Object(mut fields)) = parsed else { return Value::from(MASK) };
    mask_data(&mut fields, masks);
    Value::String(Value::Object(fields).to_string())
}

/// Returns the values of a Secret that nothing else may show: as written, and decoded. Very short ones would mask half of the
/// metadata.
pub fn secret_values(object: &Object) -> Vec<String> {
    let last_applied = object
        .annotation(names::LAST_APPLIED)
        .and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok())
        .unwrap_or_default();
    let mut values = Vec::new();
    for fields in [object.fields(), &last_applied] {
        for field in ["data", "stringData"] {
            let Some(Value::Object(entries)) = fields.get(field) else { continue };
            for text in entries.values().filter_map(Value::as_str) {
                values.push(text.to_owned());
                let decoded = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                values.extend(decoded.map(|text| text.trim().to_owned()));
            }
        }
    }
    values.retain(|text| text.len() >= 4);
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn secret(data: &Value, annotations: &Value) -> Object {
        Object::from_value(json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "s", "annotations": annotations}, "data": data}))
        .unwrap()
    }

    #[test]
    fn equal_values_stay_equal_and_others_differ() {
        let mut desired = secret(&json!({"a": "eA==", "b": "eQ=="}), &json!({}));
        let mut live = secret(&json!({"a": "eA==", "b": "eg=="}), &json!({}));
        mask_together(&mut [&mut desired, &mut live], &[]);
        assert_eq!(desired.get("data"), Some(&json!({"a": "++++++++", "b": "++++++++"})));
        assert_eq!(live.get("data"), Some(&json!({"a": "++++++++", "b": "++++++++++++"})));
    }

    // N22: copies in annotations
    #[test]
    fn annotations_that_hold_secrets_are_masked() {
        let last = json!({"kind": "Secret", "data": {"a": "c3dvcmRmaXNo"}}).to_string();
        let mut object = secret(
            &json!({"a": "c3dvcmRmaXNo"}),
            &json!({names::LAST_APPLIED: last, "copy": "it is swordfish", "note": "fine", "mine": "x"}),
        );
        mask_together(&mut [&mut object], &["mine"]);
        let text = object.into_value().to_string();
        assert!(!text.contains("swordfish") && !text.contains("c3dvcmRmaXNo"), "{text}");
        assert!(text.contains("fine") && text.contains(r#""mine":"++++++++""#), "{text}");
    }

    // N22: a copy that cannot be read
    #[test]
    fn an_unreadable_last_applied_is_replaced_whole() {
        let mut object =
            secret(&json!({}), &json!({names::LAST_APPLIED: "{\"data\": {\"a\": \"swordfish\""}));
        mask(&mut object);
        assert_eq!(object.annotation(names::LAST_APPLIED), Some(MASK));
    }

    // N23: the object decides, whatever version it is written in; what only sounds alike is no Secret of the API server's
    #[test]
    fn the_object_itself_says_that_it_is_a_secret() {
        let masked = |api_version: &str, kind: &str| {
            let mut object = Object::from_value(json!({
                "apiVersion": api_version, "kind": kind, "metadata": {"name": "s"}, "data": {"a": "c3dvcmRmaXNo"},
            }))
            .unwrap();
            mask(&mut object);
            !object.into_value().to_string().contains("c3dvcmRmaXNo")
        };
        for version in ["v1", "v2", "v1beta1"] {
            assert!(masked(version, "Secret"), "{version}");
        }
        for (version, kind) in [("v1", "secret"), ("v1", "Secrets"), ("example.com/v1", "Secret")] {
            assert!(!masked(version, kind), "{version} {kind}: the API server stores no such Secret");
        }
        // One side that is a Secret masks what the other one repeats of it.
        let mut live = secret(&json!({"a": "c3dvcmRmaXNo"}), &json!({}));
        let mut desired = secret(&json!({}), &json!({"copy": "c3dvcmRmaXNo"}));
        mask_together(&mut [&mut desired, &mut live], &[]);
        assert!(!desired.into_value().to_string().contains("c3dvcmRmaXNo"));
    }

    #[test]
    fn other_kinds_keep_their_values() {
        let value =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}});
        let mut object = Object::from_value(value.clone()).unwrap();
        mask(&mut object);
        assert_eq!(object.into_value(), value);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]

        // N22: any values, in reports and diffs
        #[test]
        fn masked_text_holds_no_secret(values in prop::collection::vec("[~#%]{4,9}", 1..4), as_text: bool) {
            let data: Map<String, Value> = values.iter().enumerate().map(|(i, v)| {
                (format!("k{i}"), if as_text { Value::from(v.as_str()) } else { STANDARD.encode(v).into() })
            }).collect();
            let last = json!({"stringData": data}).to_string();
            let notes = json!({names::LAST_APPLIED: last, "note": values.join(" ")});
            let mut desired = secret(&Value::Object(data.clone()), &json!({}));
            let mut live = secret(&Value::Object(data.clone()), &notes);
            desired.fields_mut().insert("stringData".into(), Value::Object(data));
            let shown = crate::unified(Some(&desired), Some(&live));
            let report = crate::report(Some(&desired), None, &crate::Rules::default(), None);
            mask_together(&mut [&mut desired, &mut live], &[]);
            let text = format!("{}{}{shown}{}", desired.to_value(), live.to_value(), report.to_json());
            for value in values {
                prop_assert!(!text.contains(&value), "{text}");
                prop_assert!(!text.contains(&STANDARD.encode(&value)), "{text}");
            }
        }
    }
}
