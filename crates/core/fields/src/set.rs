//! Which fields are in a set, and what remains when sets are added or taken away?

use crate::{Path, Step};
use std::collections::BTreeMap;

/// A set of paths, as a tree. A path may be a member without its parents being members, and the other way round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    pub(crate) is_member: bool,
    pub(crate) children: BTreeMap<Step, Self>,
}

impl FieldSet {
    /// Makes a set of the given paths.
    pub fn of(paths: impl IntoIterator<Item = Path>) -> Self {
        let mut set = Self::default();
        for path in paths {
            set.insert(path);
        }
        set
    }

    /// Adds a path.
    pub fn insert(&mut self, path: Path) {
        let mut node = self;
        for step in path.0 {
            node = node.children.entry(step).or_default();
        }
        node.is_member = true;
    }

    /// Returns whether the set has no member.
    pub fn is_empty(&self) -> bool {
        !self.is_member && self.children.values().all(Self::is_empty)
    }

    /// Returns whether the node itself is a member.
    pub fn is_member(&self) -> bool {
        self.is_member
    }

    /// Returns whether the node is a member with nothing below it: it stands for its whole value.
    pub fn is_leaf(&self) -> bool {
        self.is_member && self.children.is_empty()
    }

    /// Returns the nodes directly below this one.
    pub fn children(&self) -> impl Iterator<Item = (&Step, &Self)> {
        self.children.iter()
    }

    /// Returns the subtree below a step.
    pub fn child(&self, step: &Step) -> Option<&Self> {
        self.children.get(step)
    }

    /// Returns the subtree below a field.
    pub fn field(&self, name: &str) -> Option<&Self> {
        self.children.get(&Step::field(name))
    }

    /// Returns the subtree at a path.
    pub fn at(&self, path: &Path) -> Option<&Self> {
        path.0.iter().try_fold(self, |node, step| node.child(step))
    }

    /// Returns whether exactly this path is a member.
    pub fn contains_path(&self, path: &Path) -> bool {
        self.at(path).is_some_and(|node| node.is_member)
    }

    /// Returns whether the path is a member, or lies inside a member that stands for its whole value (an atomic one).
    pub fn owns(&self, path: &Path) -> bool {
        let mut node = self;
        for step in &path.0 {
            if node.is_leaf() {
                return true;
            }
            let Some(next) = node.child(step) else { return false };
            node = next;
        }
        node.is_member
    }

    /// Returns everything that is in one of the two.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.extend(other);
        all
    }

    /// Adds everything of `other`.
    pub fn extend(&mut self, other: &Self) {
        self.is_member |= other.is_member;
        for (step, theirs) in &other.children {
            match self.children.get_mut(step) {
                Some(ours) => ours.extend(theirs),
                None => {
                    self.children.insert(step.clone(), theirs.clone());
                }
            }
        }
    }

    /// Returns the members that are not members of `other`; what lies below a member of `other` stays.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let children = self.children.iter().map(|(step, ours)| {
            let rest = other.child(step).map_or_else(|| ours.clone(), |theirs| ours.difference(theirs));
            (step.clone(), rest)
        });
        Self { is_member: self.is_member && !other.is_member, children: pruned(children) }
    }

    /// Returns the members that are members of both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let children = self.children.iter().filter_map(|(step, ours)| {
            other.child(step).map(|theirs| (step.clone(), ours.intersection(theirs)))
        });
        Self { is_member: self.is_member && other.is_member, children: pruned(children) }
    }

    /// Returns the set without a path and everything below it.
    #[must_use]
    pub fn without(&self, path: &Path) -> Self {
        let Some((first, rest)) = path.0.split_first() else { return Self::default() };
        let rest = Path(rest.to_vec());
        let children = self.children.iter().map(|(step, child)| {
            (step.clone(), if step == first { child.without(&rest) } else { child.clone() })
        });
        Self { is_member: self.is_member, children: pruned(children) }
    }

    /// Returns every member, parents before what is below them.
    pub fn members(&self) -> Vec<Path> {
        let mut paths = Vec::new();
        self.collect(&mut Path::default(), &mut paths, |node| node.is_member);
        paths
    }

    /// Returns the members that have no member below them.
    pub fn leaves(&self) -> Vec<Path> {
        let mut paths = Vec::new();
        self.collect(&mut Path::default(), &mut paths, Self::is_leaf);
        paths
    }

    fn collect(&self, at: &mut Path, into: &mut Vec<Path>, wanted: fn(&Self) -> bool) {
        if wanted(self) {
            into.push(at.clone());
        }
        for (step, child) in &self.children {
            at.0.push(step.clone());
            child.collect(at, into, wanted);
            at.0.pop();
        }
    }
}

/// Keeps the subtrees that have members, so that a node without children is always a leaf.
pub(crate) fn pruned(children: impl Iterator<Item = (Step, FieldSet)>) -> BTreeMap<Step, FieldSet> {
    children.filter(|(_, child)| !child.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn set(value: &Value) -> FieldSet {
        FieldSet::from_fields_v1(value).unwrap()
    }

    fn text(set: &FieldSet) -> String {
        set.members().iter().map(Path::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn algebra() {
        let a = set(&json!({"f:spec": {".": {}, "f:a": {}, "f:b": {"f:c": {}}}}));
        let b = set(&json!({"f:spec": {"f:b": {"f:c": {}, "f:d": {}}}}));
        assert_eq!(text(&a.union(&b)), "spec spec.a spec.b.c spec.b.d");
        assert_eq!(text(&a.difference(&b)), "spec spec.a");
        assert_eq!(text(&a.intersection(&b)), "spec.b.c");
        assert_eq!(text(&a.without(&Path::fields(&["spec", "b"]))), "spec spec.a");
        assert!(a.difference(&a).is_empty());
        assert_eq!(a.difference(&FieldSet::default()), a);
        assert_eq!(a.leaves().len(), 2);
    }

    #[test]
    fn an_atomic_member_owns_what_is_inside() {
        let atomic = set(&json!({"f:spec": {"f:selector": {}}}));
        assert!(atomic.owns(&Path::fields(&["spec", "selector", "matchLabels"])));
        assert!(!atomic.contains_path(&Path::fields(&["spec", "selector", "matchLabels"])));
        assert!(!atomic.owns(&Path::fields(&["spec", "other"])));
        let granular = set(&json!({"f:spec": {"f:selector": {".": {}, "f:app": {}}}}));
        assert!(!granular.owns(&Path::fields(&["spec", "selector", "tier"])));
    }

    fn any_set() -> impl Strategy<Value = FieldSet> {
        prop::collection::vec(prop::collection::vec("[a-c]", 1..4), 0..8).prop_map(|paths| {
            FieldSet::of(paths.iter().map(|steps| Path(steps.iter().map(Step::field).collect())))
        })
    }

    proptest! {
        #[test]
        fn laws(a in any_set(), b in any_set()) {
            prop_assert_eq!(a.union(&b), b.union(&a));
            prop_assert_eq!(a.intersection(&b), b.intersection(&a));
            prop_assert_eq!(a.difference(&b).union(&a.intersection(&b)), a.clone());
            prop_assert!(a.difference(&b).intersection(&b).is_empty());
            prop_assert_eq!(FieldSet::of(a.members()), a.clone());
            prop_assert_eq!(FieldSet::from_fields_v1(&a.to_fields_v1()), Some(a));
        }
    }
}
