//! Which live list item is meant by an item of a manifest, when no schema is at hand?

use crate::{FieldSet, Key, Scalar, Step};
use serde_json::Value;

/// How the owners of a list told its items apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// By these fields, sorted.
    Keyed(Vec<String>),
    /// By value.
    Set,
    /// Not at all: it is one value, or nobody recorded anything.
    Whole,
}

/// Tells the kind of a list from what its owners' entries, all together, say about it.
pub fn list_kind(owned: Option<&FieldSet>) -> ListKind {
    for (step, _) in owned.into_iter().flat_map(FieldSet::children) {
        match step {
            Step::Key(key) => {
                let mut names: Vec<String> = key.0.iter().map(|(name, _)| name.clone()).collect();
                names.sort();
                return ListKind::Keyed(names);
            }
            Step::Value(_) => return ListKind::Set,
            Step::Field(_) | Step::Index(_) => {}
        }
    }
    ListKind::Whole
}

/// The live item that a desired one means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counterpart {
    /// The item at this position.
    At(usize),
    /// There is none.
    Missing,
    /// More than one fits, or one fits more than one desired item.
    Ambiguous,
}

/// Pairs desired items with live ones by the named key fields. A field that a desired item leaves out fits anything
/// (the API server fills it with a default), but items that fit exactly are paired first.
pub fn pair(desired: &[Value], live: &[Value], names: &[String]) -> Vec<Counterpart> {
    let keys: Vec<Option<Key>> = live.iter().map(|item| key_of(item, names)).collect();
    let position = |fits: &dyn Fn(&Key) -> bool, free: &dyn Fn(usize) -> bool| -> Counterpart {
        let mut found = (0..live.len()).filter(|i| free(*i) && keys[*i].as_ref().is_some_and(fits));
        match (found.next(), found.next()) {
            (None, _) => Counterpart::Missing,
            (Some(i), None) => Counterpart::At(i),
            (Some(_), Some(_)) => Counterpart::Ambiguous,
        }
    };
    let mut pairs: Vec<Counterpart> =
        desired.iter().map(|item| position(&|key| key.is(item), &|_| true)).collect();
    let exact = pairs.clone();
    for (item, pair) in desired.iter().zip(&mut pairs) {
        if *pair == Counterpart::Missing {
            *pair = position(&|key| key.may_be(item), &|i| !exact.contains(&Counterpart::At(i)));
        }
    }
    let taken_twice = |pair: Counterpart| pairs.iter().filter(|other| **other == pair).count() > 1;
    pairs
        .iter()
        .map(|pair| match pair {
            Counterpart::At(_) if taken_twice(*pair) => Counterpart::Ambiguous,
            Counterpart::At(_) | Counterpart::Missing | Counterpart::Ambiguous => *pair,
        })
        .collect()
}

/// Returns the key of a list item; `None` where it has none of the fields.
pub fn key_of(item: &Value, names: &[String]) -> Option<Key> {
    let fields: Vec<_> = names
        .iter()
        .filter_map(|name| item.get(name).map(|value| (name.clone(), Scalar(value.clone()))))
        .collect();
    (!fields.is_empty()).then_some(Key(fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pairs(desired: &Value, live: &Value, names: &[&str]) -> String {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        pair(desired.as_array().unwrap(), live.as_array().unwrap(), &names)
            .iter()
            .map(|pair| match pair {
                Counterpart::At(i) => i.to_string(),
                Counterpart::Missing => "-".into(),
                Counterpart::Ambiguous => "?".into(),
            })
            .collect()
    }

    #[test]
    fn by_name_whatever_the_order() {
        let live = json!([{"name": "a"}, {"name": "b"}]);
        assert_eq!(pairs(&json!([{"name": "b"}, {"name": "c"}]), &live, &["name"]), "1-");
        assert_eq!(pairs(&json!([{"name": "b"}, {"name": "b"}]), &live, &["name"]), "??");
        assert_eq!(pairs(&json!([{"image": "x"}]), &live, &["name"]), "-");
    }

    #[test]
    fn ports_without_protocol() {
        let keys = ["containerPort", "protocol"];
        let live =
            json!([{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}]);
        assert_eq!(pairs(&json!([{"containerPort": 53}]), &live, &keys), "?");
        assert_eq!(
            pairs(&json!([{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}]), &live, &keys),
            "10"
        );
        assert_eq!(pairs(&json!([{"containerPort": 80}]), &live, &keys), "-");
    }

    #[test]
    fn kind_of_list_from_its_owners() {
        let kind = |wire: Value| list_kind(FieldSet::from_fields_v1(&wire).as_ref());
        assert_eq!(kind(json!({".": {}, "k:{\"name\":\"a\"}": {}})), ListKind::Keyed(vec!["name".into()]));
        assert_eq!(kind(json!({"v:\"a\"": {}})), ListKind::Set);
        assert_eq!(kind(json!({})), ListKind::Whole);
        assert_eq!(list_kind(None), ListKind::Whole);
    }
}
