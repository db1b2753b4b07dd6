//! Where does live not have what desired says?

use crate::quantity;
use fields::keyed::{Counterpart, ListKind, key_of, list_kind, pair};
use fields::{FieldSet, Path, Scalar, Step};
use serde_json::Value;

/// How sure a difference is, as far as the two values tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gap {
    /// Live has another value.
    Changed,
    /// Live has nothing there.
    Missing,
    /// Only the API server knows: a default, an order, a key that fits several items, an empty value that it may drop.
    Unsure,
}

/// One place where the two differ.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    pub(crate) path: Path,
    pub(crate) desired: Value,
    pub(crate) live: Option<Value>,
    pub(crate) gap: Gap,
}

/// Lists the places where `live` does not have what `desired` says. What live has beyond that is nobody's concern here.
/// `owned` is everything that any manager owns in live: lists are paired by the keys in it. `own` is what our last apply
/// took: a blank value that we own and that live lacks was dropped by the API server as meaning the same.
pub(crate) fn gaps(
    desired: &Value,
    live: &Value,
    owned: &FieldSet,
    own: Option<&FieldSet>,
) -> Vec<Difference> {
    let mut walk = Walk { own, path: Path::default(), found: Vec::new() };
    walk.visit(desired, Some(live), Some(owned));
    walk.found
}

struct Walk<'a> {
    own: Option<&'a FieldSet>,
    path: Path,
    found: Vec<Difference>,
}

impl Walk<'_> {
    fn visit(&mut self, desired: &Value, live: Option<&Value>, owned: Option<&FieldSet>) {
        let live = live.filter(|value| !value.is_null());
        match (desired, live) {
            (Value::Null, _) => {}
            (_, None) => self.missing(desired),
            (Value::Object(want), Some(Value::Object(have))) => {
                let n_before = self.found.len();
                for (name, value) in want {
                    let step = Step::field(name);
                    let below = owned.and_then(|set| set.child(&step));
                    self.below(step, value, have.get(name), below);
                }
                // One value to its owners, so what is in it besides ours was either defaulted or dropped from Git.
                let is_atomic = owned.is_some_and(FieldSet::is_leaf);
                if is_atomic && have.len() > want.len() && self.found.len() == n_before {
                    self.add(Gap::Unsure, desired, live);
                }
            }
            (Value::Array(want), Some(Value::Array(have))) => match list_kind(owned) {
                ListKind::Keyed(names) => self.keyed(want, have, &names, owned),
                ListKind::Set => self.set(want, have),
                ListKind::Whole => self.whole(want, have),
            },
            (want, Some(have)) => {
                let same = same(want, have)
                    || (quantity::is_quantity(&self.path) && quantity::same_amount(want, have));
                if !same {
                    self.add(Gap::Changed, desired, live);
                }
            }
        }
    }

    fn below(&mut self, step: Step, desired: &Value, live: Option<&Value>, owned: Option<&FieldSet>) {
        self.path.0.push(step);
        self.visit(desired, live, owned);
        self.path.0.pop();
    }

    fn missing(&mut self, desired: &Value) {
        if !is_blank(desired) {
            self.add(Gap::Missing, desired, None);
        } else if !self.own.is_some_and(|own| own.owns(&self.path)) {
            self.add(Gap::Unsure, desired, None);
        }
    }

    fn keyed(&mut self, want: &[Value], have: &[Value], names: &[String], owned: Option<&FieldSet>) {
        let pairs = pair(want, have, names);
        for (position, (item, found)) in want.iter().zip(&pairs).enumerate() {
            let step = |item: &Value| key_of(item, names).map_or(Step::Index(position), Step::Key);
            match found {
                Counterpart::At(i) => {
                    let live = &have[*i];
                    let below = owned.and_then(|set| set.item(*i, live)).map(|(_, below)| below);
                    self.below(step(live), item, Some(live), below);
                }
                Counterpart::Missing => self.below(step(item), item, None, None),
                Counterpart::Ambiguous => {
                    self.path.0.push(step(item));
                    self.add(Gap::Unsure, item, None);
                    self.path.0.pop();
                }
            }
        }
        let places = pairs.iter().filter_map(|found| match found {
            Counterpart::At(i) => Some(*i),
            Counterpart::Missing | Counterpart::Ambiguous => None,
        });
        self.in_order(&places.collect::<Vec<_>>(), want, have);
        if want.is_empty() && !have.is_empty() {
            self.add(Gap::Unsure, &Value::Array(Vec::new()), Some(&Value::from(have)));
        }
    }

    fn set(&mut self, want: &[Value], have: &[Value]) {
        let mut places = Vec::new();
        for item in want {
            match have.iter().position(|other| same(item, other)) {
                Some(i) => places.push(i),
                None => self.below(Step::Value(Scalar(item.clone())), item, None, None),
            }
        }
        self.in_order(&places, want, have);
    }

    /// An apply puts items in the order of the manifest; whether that changes anything, the API server says.
    fn in_order(&mut self, places: &[usize], want: &[Value], have: &[Value]) {
        if !places.is_sorted() {
            self.add(Gap::Unsure, &Value::from(want), Some(&Value::from(have)));
        }
    }

    fn whole(&mut self, want: &[Value], have: &[Value]) {
        if want.len() == have.len() {
            let n_before = self.found.len();
            for (i, (item, other)) in want.iter().zip(have).enumerate() {
                self.below(Step::Index(i), item, Some(other), None);
            }
            let is_same = want.iter().zip(have).all(|(a, b)| same(a, b));
            if self.found.len() == n_before && !is_same {
                self.add(Gap::Unsure, &Value::from(want), Some(&Value::from(have)));
            }
        } else {
            self.add(Gap::Changed, &Value::from(want), Some(&Value::from(have)));
        }
    }

    fn add(&mut self, gap: Gap, desired: &Value, live: Option<&Value>) {
        self.found.push(Difference {
            path: self.path.clone(),
            desired: desired.clone(),
            live: live.cloned(),
            gap,
        });
    }
}

/// Returns whether two values are the same JSON; `1` and `1.0` are, `80` and `"80"` are not, and `null` is absence.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || (a.as_f64() == b.as_f64() && (a.is_f64() || b.is_f64()))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            let absent = Value::Null;
            a.iter().all(|(name, value)| same(value, b.get(name).unwrap_or(&absent)))
                && b.iter().all(|(name, value)| value.is_null() || a.contains_key(name))
        }
        (a, b) => a == b,
    }
}

/// Returns whether a value is one that the API server may leave out when it writes the object.
pub(crate) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(is_blank),
        Value::Object(map) => map.values().all(is_blank),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// One line per difference, in lists that `owned` (`fieldsV1`) tells the kind of.
    fn found(desired: &Value, live: &Value, owned: &Value) -> String {
        let owned = FieldSet::from_fields_v1(owned).unwrap();
        let lines = gaps(desired, live, &owned, None).into_iter().map(|d| format!("{} {:?}", d.path, d.gap));
        lines.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn keyed_lists() {
        let owned = json!({"f:l": {"k:{\"name\":\"a\"}": {".": {}, "f:name": {}}}});
        let live = json!({"l": [{"name": "x", "v": 9}, {"name": "a", "v": 1}, {"name": "b", "v": 2}]});
        let say = |list: Value| found(&json!({"l": list}), &live, &owned);
        assert_eq!(say(json!([{"name": "a", "v": 1}, {"name": "b"}])), "");
        assert_eq!(
            say(json!([{"name": "b"}, {"name": "a"}])),
            "l Unsure",
            "only the server knows about order"
        );
        assert_eq!(say(json!([{"name": "a", "v": 2}])), r#"l[name="a"].v Changed"#);
        assert_eq!(say(json!([{"name": "c"}])), r#"l[name="c"] Missing"#);
        assert_eq!(say(json!([{"name": "a"}, {"name": "a"}])), r#"l[name="a"] Unsure; l[name="a"] Unsure"#);
        assert_eq!(say(json!([])), "l Unsure");
        assert_eq!(say(json!({"a": 1})), "l Changed");
    }

    #[test]
    fn sets() {
        let owned = json!({"f:l": {"v:\"a\"": {}}});
        let say = |list: Value| found(&json!({"l": list}), &json!({"l": ["x", "a", "b"]}), &owned);
        assert_eq!(say(json!(["a", "b"])), "");
        assert_eq!(say(json!(["b", "a"])), "l Unsure");
        assert_eq!(say(json!(["a", "c"])), r#"l[="c"] Missing"#);
    }

    #[test]
    fn lists_that_nobody_told_the_kind_of() {
        let say = |list: Value| {
            found(&json!({"l": list}), &json!({"l": [{"p": 1, "proto": "TCP"}, 2]}), &json!({}))
        };
        assert_eq!(say(json!([{"p": 1, "proto": "TCP"}, 2])), "");
        assert_eq!(say(json!([{"p": 1}, 2])), "l Unsure", "a default, or dropped from Git");
        assert_eq!(say(json!([{"p": 3}, 2])), "l[0].p Changed");
        assert_eq!(say(json!([2])), "l Changed");
    }

    #[test]
    fn atomic_maps() {
        let say =
            |map: Value| found(&json!({"m": map}), &json!({"m": {"a": 1, "b": 2}}), &json!({"f:m": {}}));
        assert_eq!(say(json!({"a": 1, "b": 2})), "");
        assert_eq!(say(json!({"a": 1})), "m Unsure");
        assert_eq!(say(json!({"a": 2})), "m.a Changed");
    }
}
