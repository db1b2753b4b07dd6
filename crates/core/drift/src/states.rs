//! What is an object in Git and in the cluster, side by side, as Argo CD's interface shows it?

use crate::Rules;
use crate::forecast::forecast;
use crate::mask::mask_together;
use crate::report::identified;
use crate::sides::Sides;
use crate::subject::subject;
use model::Object;
use serde_json::Value;

/// One object's states, masked; `None` where there is none (Argo CD `ResourceDiff`).
#[derive(Clone, Debug, PartialEq)]
pub struct States {
    /// What Git wants.
    pub target: Option<Value>,
    /// What is there, without `managedFields`.
    pub live: Option<Value>,
    /// What of it is compared.
    pub normalized: Option<Value>,
    /// The same after an apply, as far as the two tell.
    pub predicted: Option<Value>,
}

/// Puts an object's states side by side. Values of Secrets are masked by what the objects are, whatever the caller calls them.
pub fn states(desired: Option<&Object>, live: Option<&Object>, rules: &Rules) -> States {
    let (mut desired, mut live) = (desired.cloned(), live.cloned());
    let mut states: Vec<&mut Object> = [&mut desired, &mut live].into_iter().flatten().collect();
    mask_together(&mut states, &[]);
    let whole = |object: &Object| identified(object, subject(object, rules));
    let predicted = match (&desired, &live) {
        (Some(desired), Some(live)) => Some(identified(live, forecast(&Sides::of(desired, live, rules)))),
        (Some(desired), None) => Some(whole(desired)),
        (None, _) => None,
    };
    let normalized = live.as_ref().map(whole);
    if let Some(live) = &mut live {
        live.metadata_mut().remove("managedFields");
    }
    let value = |object: Option<Object>| object.map(Object::into_value);
    States { target: value(desired), live: value(live), normalized, predicted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Object {
        Object::from_value(value).unwrap()
    }

    fn config_map(text: &str) -> Object {
        object(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "web", "namespace": "shop", "uid": "u", "managedFields": [{"manager": "ada"}]},
            "data": {"key": text},
        }))
    }

    #[test]
    fn a_drifted_object_is_shown_as_it_is_and_as_it_will_be() {
        let shown = states(Some(&config_map("one")), Some(&config_map("two")), &Rules::default());
        let data = |value: &Option<Value>| value.as_ref().map(|value| value["data"]["key"].clone());
        let (one, two) = (Some(json!("one")), Some(json!("two")));
        assert_eq!((data(&shown.target), data(&shown.live)), (one.clone(), two.clone()));
        assert_eq!((data(&shown.normalized), data(&shown.predicted)), (two, one));
        let live = shown.live.unwrap();
        assert_eq!(
            (&live["metadata"]["uid"], &live["metadata"]["managedFields"]),
            (&json!("u"), &Value::Null)
        );
        assert_eq!(shown.predicted.unwrap()["metadata"], json!({"name": "web", "namespace": "shop"}));
    }

    #[test]
    fn an_object_on_one_side_has_no_other() {
        let missing = states(Some(&config_map("one")), None, &Rules::default());
        assert!(missing.live.is_none() && missing.normalized.is_none() && missing.predicted.is_some());
        let extra = states(None, Some(&config_map("one")), &Rules::default());
        assert!(extra.target.is_none() && extra.predicted.is_none() && extra.live.is_some());
    }

    #[test]
    fn no_state_holds_a_secret_and_equal_values_stay_equal() {
        let secret = |kept: &str, changed: &str| {
            object(json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
                "data": {"kept": kept, "changed": changed},
            }))
        };
        let shown = states(
            Some(&secret("c3dvcmRmaXNo", "bmV3")),
            Some(&secret("c3dvcmRmaXNo", "b2xk")),
            &Rules::default(),
        );
        let text = format!("{shown:?}");
        for value in ["c3dvcmRmaXNo", "bmV3", "b2xk"] {
            assert!(!text.contains(value), "{text}");
        }
        let (target, live) = (shown.target.unwrap(), shown.live.unwrap());
        assert_eq!(target["data"]["kept"], live["data"]["kept"]);
        assert_ne!(target["data"]["changed"], live["data"]["changed"]);
    }

    #[test]
    fn a_list_of_secrets_is_masked_item_by_item() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "c3dvcmRmaXNo"}});
        let bare = json!({"metadata": {"name": "s"}, "stringData": {"a": "swordfish"}});
        let lists = [
            json!({"apiVersion": "v1", "kind": "List", "items": [secret]}),
            json!({"apiVersion": "v1", "kind": "SecretList", "items": [bare]}),
        ];
        for list in lists {
            let shown = states(Some(&object(list.clone())), Some(&object(list)), &Rules::default());
            let text = format!("{shown:?}");
            assert!(!text.contains("c3dvcmRmaXNo") && !text.contains("swordfish"), "{text}");
        }
    }
}
