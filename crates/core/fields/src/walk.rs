//! What does a set name in an object, and what of an object does a set leave out?

use crate::{FieldSet, Path, Step, set::pruned};
use serde_json::Value;

impl FieldSet {
    /// Returns the members that name something in `value`. `null` counts as absent.
    #[must_use]
    pub fn within(&self, value: &Value) -> Self {
        let children = self.children.iter().filter_map(|(step, child)| {
            let mut places = step.find(value).into_iter();
            let mut found = child.within(places.next()?);
            places.for_each(|below| found.extend(&child.within(below)));
            Some((step.clone(), found))
        });
        Self { is_member: self.is_member, children: pruned(children) }
    }

    /// Returns the members that name nothing in `value`.
    #[must_use]
    pub fn outside(&self, value: &Value) -> Self {
        self.difference(&self.within(value))
    }

    /// Returns whether every leaf of `value` is a member, or inside one that stands for its whole value. Where a list
    /// item could be one of several members, it is not covered.
    pub fn covers(&self, value: &Value) -> bool {
        if self.children.is_empty() {
            return self.is_member;
        }
        match value {
            Value::Object(map) if map.is_empty() => self.is_member,
            Value::Array(items) if items.is_empty() => self.is_member,
            Value::Object(map) => map
                .iter()
                .filter(|(_, below)| !below.is_null())
                .all(|(name, below)| self.field(name).is_some_and(|child| child.covers(below))),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .all(|(i, item)| self.item(i, item).is_some_and(|(_, child)| child.covers(item))),
            Value::Null => true,
            Value::Bool(_) | Value::Number(_) | Value::String(_) => self.is_member,
        }
    }

    /// Returns the one child that a list item belongs to; `None` where there is none, or more than one.
    pub fn item(&self, position: usize, item: &Value) -> Option<(&Step, &Self)> {
        let exact = self.children.iter().find(|(step, _)| match step {
            Step::Key(key) => key.is(item),
            Step::Value(value) => value.0 == *item,
            Step::Index(index) => *index == position,
            Step::Field(_) => false,
        });
        if exact.is_some() {
            return exact;
        }
        let mut candidates =
            self.children.iter().filter(|(step, _)| matches!(step, Step::Key(key) if key.may_be(item)));
        let first = candidates.next()?;
        candidates.next().is_none().then_some(first)
    }

    /// Lists what the members name in `value`, in the order of the paths: a leaf with its whole value, a member with
    /// others below it only as present. Members that name nothing are left out.
    pub fn values_at<'a>(&self, value: &'a Value) -> Vec<(Path, Option<&'a Value>)> {
        let mut listing = Vec::new();
        self.list(value, &mut Path::default(), &mut listing);
        listing
    }

    fn list<'a>(&self, value: &'a Value, at: &mut Path, into: &mut Vec<(Path, Option<&'a Value>)>) {
        if self.is_member {
            into.push((at.clone(), self.children.is_empty().then_some(value)));
        }
        for (step, child) in &self.children {
            for below in step.find(value) {
                at.0.push(step.clone());
                child.list(below, at, into);
                at.0.pop();
            }
        }
    }

    /// Removes from `value` what the members name. A map or list goes only when it was a member and nothing of it is
    /// left; an item of a keyed list goes whole when it was a member.
    pub fn remove_from(&self, value: &mut Value) {
        for (step, child) in &self.children {
            match (step, &mut *value) {
                (Step::Field(name), Value::Object(map)) => {
                    let Some(below) = map.get_mut(name) else { continue };
                    child.remove_from(below);
                    if child.is_leaf() || (child.is_member && is_blank(below)) {
                        map.remove(name);
                    }
                }
                (Step::Key(key), Value::Array(items)) => {
                    if child.is_member {
                        items.retain(|item| !key.is(item));
                    } else {
                        items.iter_mut().filter(|item| key.is(item)).for_each(|item| child.remove_from(item));
                    }
                }
                (Step::Value(wanted), Value::Array(items)) => items.retain(|item| *item != wanted.0),
                // By position nothing is removed: the neighbours would move under their owners.
                (Step::Field(_) | Step::Key(_) | Step::Value(_) | Step::Index(_), _) => {}
            }
        }
    }
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(value: &Value) -> FieldSet {
        FieldSet::from_fields_v1(value).unwrap()
    }

    fn pod_set() -> FieldSet {
        set(&json!({"f:spec": {"f:containers": {
            "k:{\"name\":\"web\"}": {".": {}, "f:image": {}, "f:name": {}},
            "k:{\"name\":\"side\"}": {".": {}, "f:image": {}, "f:name": {}}
        }, "f:args": {}}}))
    }

    fn listing(set: &FieldSet, value: &Value) -> String {
        let line = |(path, value): (Path, Option<&Value>)| match value {
            Some(value) => format!("{path}={value}"),
            None => format!("{path}"),
        };
        set.values_at(value).into_iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn lists_values_in_order_of_paths_whatever_the_order_of_items() {
        let value = json!({"spec": {"args": ["a"], "other": 1, "containers": [
            {"name": "web", "image": "w", "tty": true}, {"name": "side", "image": "s"}]}});
        assert_eq!(
            listing(&pod_set(), &value),
            "spec.args=[\"a\"]\nspec.containers[name=\"side\"]\nspec.containers[name=\"side\"].image=\"s\"\n\
             spec.containers[name=\"side\"].name=\"side\"\nspec.containers[name=\"web\"]\n\
             spec.containers[name=\"web\"].image=\"w\"\nspec.containers[name=\"web\"].name=\"web\""
        );
    }

    #[test]
    fn what_lies_outside_is_what_git_dropped() {
        let desired = json!({"spec": {"containers": [{"name": "web", "image": "w"}]}});
        let outside: Vec<_> = pod_set().outside(&desired).members().iter().map(Path::to_string).collect();
        assert_eq!(
            outside,
            [
                "spec.args",
                "spec.containers[name=\"side\"]",
                "spec.containers[name=\"side\"].image",
                "spec.containers[name=\"side\"].name"
            ]
        );
    }

    #[test]
    fn covers_needs_every_leaf() {
        let covers = |value: Value| pod_set().covers(&value);
        assert!(covers(json!({"spec": {"args": ["x"], "containers": [{"name": "web", "image": "w"}]}})));
        assert!(covers(json!({"spec": {"args": null}})));
        assert!(!covers(json!({"spec": {"containers": [{"name": "web", "image": "w", "tty": true}]}})));
        assert!(!covers(json!({"spec": {"containers": [{"name": "new", "image": "w"}]}})));
        assert!(!covers(json!({"spec": {"containers": []}})));
        assert!(!covers(json!({"spec": {"replicas": 1}})));
    }

    #[test]
    fn an_item_without_its_defaulted_key_is_covered_unless_ambiguous() {
        let tcp = "k:{\"containerPort\":53,\"protocol\":\"TCP\"}";
        let udp = "k:{\"containerPort\":53,\"protocol\":\"UDP\"}";
        let one = set(&json!({"f:ports": {tcp: {".": {}, "f:containerPort": {}}}}));
        let two = one.union(&set(&json!({"f:ports": {udp: {".": {}, "f:containerPort": {}}}})));
        let desired = json!({"ports": [{"containerPort": 53}]});
        assert!(one.covers(&desired));
        assert!(!two.covers(&desired));
        assert!(one.outside(&desired).is_empty());
    }

    #[test]
    fn removes_what_it_names() {
        let mut value = json!({"spec": {"args": ["a"], "containers": [
            {"name": "web", "image": "w"}, {"name": "other", "image": "o"}]}});
        pod_set().remove_from(&mut value);
        assert_eq!(value, json!({"spec": {"containers": [{"name": "other", "image": "o"}]}}));
    }
}
