//! What should a sync do, and in which order? Pure: desired, live and options in, a comparison and a plan out.
//!
//! ```text
//! desired keys ─┐
//! live digests ─┼─▶ compare ─▶ Comparison ─▶ order ─▶ Plan { stages, prune, skipped }
//! refusals     ─┘
//! ```
//!
//! Argo CD's kind order is kept where order matters; kinds between which it does not matter share a stage and are
//! applied in parallel. Deletions come last, in reverse order, and only of what proves by itself to be ours.

mod compare;
pub mod kinds;
pub mod prune;

pub use compare::{DesiredObject, Inherited, Side, compare};

use model::{ObjectKey, ObjectOutcome, ObjectResult, ResourceSelector};
use std::collections::{BTreeMap, BTreeSet};

/// Objects that may be applied at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// What to apply, sorted by kind order and name.
    pub keys: Vec<ObjectKey>,
}

/// What a sync does, in order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Plan {
    /// Applied one after the other.
    pub stages: Vec<Stage>,
    /// Deleted after every stage went well, one stage after the other.
    pub prunes: Vec<Stage>,
    /// What is left alone, and why.
    pub skipped: Vec<ObjectResult>,
    /// Objects whose deletion waits for a person's consent.
    pub unconfirmed: Vec<ObjectKey>,
}

impl Plan {
    /// Returns whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
            && self.prunes.is_empty()
            && self.skipped.is_empty()
            && self.unconfirmed.is_empty()
    }
}

/// Which of the desired objects a sync is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of them, those in sync left alone.
    OutOfSync,
    /// All of them, those in sync too: a manual sync repairs what nobody notices.
    All,
    /// Those that a person named.
    Named(Vec<ResourceSelector>),
    /// Exactly these.
    Keys(BTreeSet<ObjectKey>),
}

/// Orders what has to be applied into stages. `objects` holds every desired object with whether it is in sync.
pub fn stages(objects: &BTreeMap<ObjectKey, InSync>, selection: &Selection) -> Vec<Stage> {
    let chosen = objects.iter().filter(|(key, in_sync)| match selection {
        Selection::OutOfSync => **in_sync == InSync::No,
        Selection::All => true,
        Selection::Named(selectors) => selectors.iter().any(|selector| selector.matches(key)),
        Selection::Keys(keys) => keys.contains(key),
    });
    staged(chosen.map(|(key, _)| key.clone()))
}

impl Plan {
    /// Leaves only what a person named to be deleted; other selections say nothing of what Git no longer has.
    pub fn delete_only(&mut self, selection: &Selection) {
        let Selection::Named(selectors) = selection else { return };
        let is_named = |key: &ObjectKey| selectors.iter().any(|selector| selector.matches(key));
        for stage in &mut self.prunes {
            stage.keys.retain(is_named);
        }
        self.prunes.retain(|stage| !stage.keys.is_empty());
        self.skipped.retain(|result| is_named(&result.key));
        self.unconfirmed.retain(is_named);
    }
}

/// Whether an object needs no apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InSync {
    /// Live equals desired.
    Yes,
    /// It differs, is missing, or is not known.
    No,
}

/// Groups keys into stages by kind order.
pub fn staged(keys: impl Iterator<Item = ObjectKey>) -> Vec<Stage> {
    let mut by_stage: BTreeMap<usize, Vec<ObjectKey>> = BTreeMap::new();
    for key in keys {
        by_stage.entry(kinds::stage(&key.group_kind())).or_default().push(key);
    }
    by_stage
        .into_values()
        .map(|mut keys| {
            keys.sort_by(|a, b| {
                (kinds::rank(&a.group_kind()), &a.namespace, &a.name, &a.kind, &a.group).cmp(&(
                    kinds::rank(&b.group_kind()),
                    &b.namespace,
                    &b.name,
                    &b.kind,
                    &b.group,
                ))
            });
            Stage { keys }
        })
        .collect()
}

/// Makes the result line of an object that is left in the cluster.
pub(crate) fn skipped(key: &ObjectKey, version: &str, why: &str) -> ObjectResult {
    ObjectResult {
        key: key.clone(),
        version: version.into(),
        outcome: ObjectOutcome::PruneSkipped(why.into()),
        images: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(keys: &[(&str, &str, &str)]) -> String {
        let keys = keys.iter().map(|(group, kind, name)| ObjectKey::new(group, kind, "ns", name));
        let lines: Vec<String> = staged(keys)
            .iter()
            .map(|stage| {
                let names: Vec<String> =
                    stage.keys.iter().map(|k| format!("{} {}", k.kind, k.name)).collect();
                names.join(", ")
            })
            .collect();
        lines.join("\n")
    }

    #[test]
    fn kinds_go_in_argo_order_and_in_parallel_where_order_does_not_matter() {
        assert_eq!(
            text(&[
                ("apps", "Deployment", "b"),
                ("", "ConfigMap", "a"),
                ("", "Namespace", "n"),
                ("example.com", "Widget", "w"),
                ("apiextensions.k8s.io", "CustomResourceDefinition", "c"),
                ("", "Service", "s"),
                ("", "Secret", "x"),
                ("networking.k8s.io", "Ingress", "i"),
                ("rbac.authorization.k8s.io", "RoleBinding", "rb"),
                ("rbac.authorization.k8s.io", "Role", "r"),
                ("", "ServiceAccount", "sa"),
                ("batch", "Job", "j"),
            ]),
            "Namespace n\n\
             ServiceAccount sa\n\
             Secret x, ConfigMap a, CustomResourceDefinition c\n\
             Role r\n\
             RoleBinding rb\n\
             Service s\n\
             Deployment b, Job j\n\
             Ingress i\n\
             Widget w"
        );
    }

    #[test]
    fn any_order_of_input_gives_the_same_stages() {
        let forward = [("", "ConfigMap", "a"), ("apps", "Deployment", "b"), ("", "Namespace", "n")];
        let mut backward = forward;
        backward.reverse();
        assert_eq!(text(&forward), text(&backward));
    }

    #[test]
    fn selections_choose() {
        let key = |name: &str| ObjectKey::new("", "ConfigMap", "ns", name);
        let objects = BTreeMap::from([(key("same"), InSync::Yes), (key("other"), InSync::No)]);
        let count = |selection| stages(&objects, &selection).iter().map(|s| s.keys.len()).sum::<usize>();
        assert_eq!(count(Selection::OutOfSync), 1);
        assert_eq!(count(Selection::All), 2);
        assert_eq!(count(Selection::Keys(BTreeSet::from([key("same")]))), 1);
        let selector = ResourceSelector {
            group: String::new(),
            kind: "ConfigMap".into(),
            namespace: String::new(),
            name: "other".into(),
        };
        assert_eq!(count(Selection::Named(vec![selector])), 1);
    }
}
