//! What holds for any object, whoever owns which part of it?

use crate::{
    HAND_TOOLS, Options, Outcome, Rules, adoption, compare, compare_dry_run, fingerprint, report, unified,
    values_at_desired,
};
use fields::{FieldSet, Key, Path, Scalar, Step};
use model::{AddedFields, Object};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const REMOVING: Options<'_> = Options { added_fields: AddedFields::Remove, hand_tools: HAND_TOOLS };

/// Values of the shapes that manifests have: maps, lists of named items, lists of scalars, blanks.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!("")),
        Just(json!({})),
        Just(json!([])),
        any::<bool>().prop_map(Value::from),
        (0..3_i64).prop_map(Value::from),
        "[a-c]{1,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let map = prop::collection::btree_map("[a-d]|limits|replicas", inner.clone(), 0..4);
        let named = prop::collection::vec(("[x-z]", inner.clone()), 0..3).prop_map(|items| {
            items.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect::<Value>()
        });
        prop_oneof![
            map.prop_map(|map| map.into_iter().collect::<Map<_, _>>().into()),
            named,
            prop::collection::vec(inner, 0..3).prop_map(Value::Array),
        ]
    })
}

/// Everything that can be owned in a value: fields, and items by name where they have one.
fn paths(value: &Value, at: &Path, into: &mut Vec<Path>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().for_each(|(name, below)| paths(below, &at.then(Step::field(name)), into));
        }
        Value::Array(items) if !items.is_empty() && items.iter().all(|item| item["name"].is_string()) => {
            for item in items {
                let item_path = at.then(Step::Key(Key(vec![("name".into(), Scalar(item["name"].clone()))])));
                into.push(item_path.clone());
                paths(item, &item_path, into);
            }
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            into.push(at.clone());
        }
    }
}

fn object(spec: &Value, entries: &[(&str, &str, FieldSet)]) -> Object {
    let managed: Vec<Value> = entries
        .iter()
        .map(|(manager, operation, set)| {
            json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1",
                "fieldsV1": set.to_fields_v1()})
        })
        .collect();
    Object::from_value(json!({"apiVersion": "v1", "kind": "Thing", "spec": {"top": spec},
        "metadata": {"name": "x", "resourceVersion": "7", "managedFields": managed}}))
    .unwrap()
}

/// An object whose fields are divided among us, a deploying tool and a person.
fn owned_object() -> impl Strategy<Value = Object> {
    (value(), prop::collection::vec(0..4_usize, 64)).prop_map(|(spec, owners)| {
        let mut all = Vec::new();
        paths(&spec, &Path::fields(&["spec", "top"]), &mut all);
        let set = |owner| {
            FieldSet::of(all.iter().zip(&owners).filter(|(_, o)| **o == owner).map(|(path, _)| path.clone()))
        };
        let entries = [
            ("tautline", "Apply", set(0)),
            ("argocd-controller", "Update", set(1)),
            ("kubectl-edit", "Update", set(2)),
        ];
        object(&spec, &entries)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn nothing_drifts_from_itself(x in owned_object()) {
        let rules = Rules::default();
        prop_assert_ne!(compare(&x, &x, &rules, REMOVING), Outcome::Drifted);
        prop_assert!(compare_dry_run(&x, &x, &rules));
        prop_assert!(report(Some(&x), Some(&x), &rules, None).is_empty());
        prop_assert_eq!(unified(Some(&x), Some(&x)), "");
        prop_assert_eq!(adoption::adopt(&x, &x), None);
    }

    #[test]
    fn what_others_add_moves_no_fingerprint(spec in value(), extra in value()) {
        let mut all = Vec::new();
        paths(&spec, &Path::fields(&["spec", "top"]), &mut all);
        let ours = FieldSet::of(all);
        let before = object(&spec, &[("tautline", "Apply", ours.clone())]);
        let theirs = FieldSet::of([Path::fields(&["spec", "extra"])]);
        let mut after = object(&spec, &[("tautline", "Apply", ours), ("webhook", "Update", theirs)]);
        after.fields_mut()["spec"]["extra"] = extra;
        let rules = Rules::default();
        prop_assert_eq!(fingerprint(&before, &before, &rules), fingerprint(&before, &after, &rules));
        prop_assert_eq!(values_at_desired(&before, &before, &rules), values_at_desired(&before, &after, &rules));
        prop_assert_ne!(compare(&before, &after, &rules, REMOVING), Outcome::Drifted);
    }

    #[test]
    fn two_different_objects_are_never_called_equal(a in value(), b in value()) {
        let rules = Rules::default();
        let ours = |spec: &Value| {
            let mut all = Vec::new();
            paths(spec, &Path::fields(&["spec", "top"]), &mut all);
            FieldSet::of(all)
        };
        // What live has was all applied by us, so whatever desired does not say was dropped from Git.
        let desired = object(&a, &[]);
        let live = object(&b, &[("tautline", "Apply", ours(&b))]);
        if compare(&desired, &live, &rules, REMOVING) == Outcome::InSync {
            prop_assert!(means_the_same(&a, &b), "{a} {b}");
        }
    }
}

/// Equal but for blanks, which an object may have or not have.
fn means_the_same(a: &Value, b: &Value) -> bool {
    let absent = Value::Null;
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => a
            .keys()
            .chain(b.keys())
            .all(|name| means_the_same(a.get(name).unwrap_or(&absent), b.get(name).unwrap_or(&absent))),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).all(|(a, b)| means_the_same(a, b))
        }
        (a, b) => a == b || (crate::gap::is_blank(a) && crate::gap::is_blank(b)),
    }
}
