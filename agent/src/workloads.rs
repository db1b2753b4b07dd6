//! Why is a workload not healthy? Its pods know; they are watched only while it matters.

mod unblocking;

use crate::agent::{Agent, Watched};
use crate::watching::spec;
use cluster::{Endpoint, WatchEvent, WatchHandle, WatchSpec};
use health::{Cause, Member, Members, Redaction, Stuck};
use model::{DesiredHash, Evidence, Health, HealthStatus, Object, ObjectKey, names};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use unblocking::Unblocking;

/// How many namespaces are watched one by one; beyond that one watch of the whole cluster is cheaper.
const MOST: usize = 50;
/// At how many that watch is given up again: a workload more or less does not list all pods anew.
const FEW: usize = MOST / 2;
/// Stands for the whole cluster.
const EVERYWHERE: &str = "";

/// Workloads that are not healthy, and what is known of the pods of their namespaces.
#[derive(Default)]
pub(crate) struct Workloads {
    /// By namespace, with what each says of itself.
    unhealthy: BTreeMap<String, BTreeMap<ObjectKey, Unhealthy>>,
    members: BTreeMap<String, Members>,
    /// Namespaces whose pods changed since their workloads were explained.
    stirred: BTreeSet<String>,
    /// By namespace, or [`EVERYWHERE`].
    watches: BTreeMap<String, Vec<WatchHandle>>,
    /// What is taken out of what containers leave behind, by part-of label and for which content.
    pub redactions: BTreeMap<String, (DesiredHash, Redaction)>,
    /// Which pods have to go so that a rollback goes on.
    unblocking: Unblocking,
}

struct Unhealthy {
    workload: Box<Object>,
    health: Health,
}

impl Workloads {
    /// Takes a workload in that is not healthy; returns whether its namespace had none.
    fn put(&mut self, key: ObjectKey, workload: &Object, health: Health) -> bool {
        self.unblocking.turn(&key);
        let mut workload = workload.clone();
        workload.metadata_mut().remove("managedFields");
        let of_namespace = self.unhealthy.entry(key.namespace.clone()).or_default();
        let is_first = of_namespace.is_empty();
        of_namespace.insert(key, Unhealthy { workload: Box::new(workload), health });
        is_first
    }

    /// Forgets a workload; returns whether it was the last one of its namespace.
    fn remove(&mut self, key: &ObjectKey) -> bool {
        let Some(of_namespace) = self.unhealthy.get_mut(&key.namespace) else { return false };
        of_namespace.remove(key);
        self.unblocking.forget(key);
        let is_last = of_namespace.is_empty();
        if is_last {
            self.unhealthy.remove(&key.namespace);
        }
        if self.unhealthy.is_empty() {
            self.redactions.clear();
        }
        is_last
    }

    /// Returns which watches there have to be: one per namespace with a workload that is not healthy, or one of all.
    fn wanted(&self) -> BTreeSet<String> {
        let is_wide = self.watches.contains_key(EVERYWHERE);
        let limit = if is_wide { FEW } else { MOST };
        if self.unhealthy.len() > limit {
            BTreeSet::from([EVERYWHERE.to_owned()])
        } else {
            self.unhealthy.keys().cloned().collect()
        }
    }

    /// Forgets the pods that no watch shows any more.
    fn forget_unwatched(&mut self) {
        if !self.watches.contains_key(EVERYWHERE) {
            self.members.retain(|namespace, _| self.watches.contains_key(namespace));
        }
    }

    /// Returns the namespaces that a watch shows and of which something is known.
    fn shown(&self, watched: &str) -> Vec<String> {
        self.members
            .keys()
            .filter(|namespace| watched == EVERYWHERE || *namespace == watched)
            .cloned()
            .collect()
    }

    /// Takes in what a watch of pods or `ReplicaSet`s, of a namespace or of all, saw.
    fn see(&mut self, member: Member, watched: &str, event: &WatchEvent) {
        let namespaces = match event {
            WatchEvent::Object(object, _) => {
                self.members.entry(object.namespace().to_owned()).or_default().put(object);
                vec![object.namespace().to_owned()]
            }
            WatchEvent::Deleted(key, _) => {
                self.members.entry(key.namespace.clone()).or_default().remove(member, &key.name);
                vec![key.namespace.clone()]
            }
            WatchEvent::Undecodable { name, namespace, .. } => {
                self.members.entry(namespace.clone()).or_default().see(member, name);
                Vec::new()
            }
            WatchEvent::Began => {
                // One that is heard of only now has nothing that could be gone.
                for namespace in self.shown(watched) {
                    self.known(&namespace).begin(member);
                }
                Vec::new()
            }
            WatchEvent::Listed(_) => {
                let shown = self.shown(watched);
                for namespace in &shown {
                    self.known(namespace).end(member);
                }
                shown
            }
            WatchEvent::Blind { why, .. } => {
                tracing::warn!(error = %why, "pods are not seen: what holds workloads up is told less well");
                Vec::new()
            }
            WatchEvent::Seeing => Vec::new(),
        };
        for namespace in namespaces {
            if self.members.get(&namespace).is_some_and(Members::is_empty) {
                self.members.remove(&namespace);
            }
            if self.unhealthy.contains_key(&namespace) {
                self.stirred.insert(namespace);
            }
        }
    }

    fn known(&mut self, namespace: &str) -> &mut Members {
        self.members.entry(namespace.to_owned()).or_default()
    }

    /// Returns what keeps a workload from being healthy, as its pods show it.
    pub(crate) fn cause(&self, key: &ObjectKey) -> Option<Cause> {
        let unhealthy = self.unhealthy.get(&key.namespace)?.get(key)?;
        health::cause(&unhealthy.workload, &self.members_of(&key.namespace))
    }

    /// Returns the pods that a workload waits for and does not replace.
    fn stuck(&self, key: &ObjectKey) -> Vec<Stuck> {
        let unhealthy = self.unhealthy.get(&key.namespace).and_then(|of_namespace| of_namespace.get(key));
        unhealthy.map_or_else(Vec::new, |it| health::stuck(&it.workload, &self.members_of(&key.namespace)))
    }

    fn members_of(&self, namespace: &str) -> Cow<'_, Members> {
        self.members.get(namespace).map_or_else(Cow::default, Cow::Borrowed)
    }

    /// Returns the health of a workload with the cause that its pods show, and what that is evidence of.
    fn explained(&self, workload: &Object, health: &Health) -> Assessment {
        let cause = health::cause(workload, &self.members_of(workload.namespace()));
        let evidence = health::evidence(workload, health, cause.as_ref());
        let health = match &cause {
            Some(cause) => health::explain(health, cause),
            None => health.clone(),
        };
        Assessment { health: Some(health), evidence }
    }

    /// Returns how the workloads look now whose pods changed.
    fn explain_stirred(&mut self) -> Vec<(ObjectKey, Assessment)> {
        let stirred = std::mem::take(&mut self.stirred);
        let workloads = stirred.iter().filter_map(|namespace| self.unhealthy.get(namespace)).flatten();
        workloads.clone().for_each(|(key, _)| self.unblocking.turn(key));
        workloads.map(|(key, it)| (key.clone(), self.explained(&it.workload, &it.health))).collect()
    }
}

/// What a live object says of itself, and its pods of it.
pub(crate) struct Assessment {
    /// How well it is; `None` for kinds without an opinion.
    pub health: Option<Health>,
    /// What that says about the commit.
    pub evidence: Evidence,
}

/// Returns whether a workload has pods, or waits for some. One that is to have none, and is told to have none, does not.
fn has_pods(workload: &Object) -> bool {
    let ObjectKey { group, kind, .. } = workload.key();
    let replicas = |of: &str| workload.get(of)?.get("replicas")?.as_i64();
    match (group.as_str(), kind.as_str()) {
        ("apps", "Deployment" | "StatefulSet" | "ReplicaSet") => {
            replicas("spec") != Some(0) || replicas("status").is_some_and(|replicas| replicas > 0)
        }
        ("apps", "DaemonSet") | ("batch", "Job") => true,
        _ => false,
    }
}

/// Where the API server serves pods.
pub(crate) fn pods() -> Endpoint {
    Endpoint::new("v1", "Pod", "pods", true)
}

impl Agent {
    /// Assesses a live object; a workload that is not healthy has its pods looked at.
    pub(crate) fn assess(&mut self, object: &Object) -> Assessment {
        let Some(health) = health::assess(object) else {
            return Assessment { health: None, evidence: Evidence::None };
        };
        let key = object.key();
        let needs_cause = has_pods(object)
            && matches!(health.status, HealthStatus::Progressing | HealthStatus::Degraded)
            && !object.is_deleting();
        if needs_cause {
            let mut assessment = self.workloads.explained(object, &health);
            self.hide_secrets(object.label(names::PART_OF_LABEL).unwrap_or_default(), &mut assessment);
            if self.workloads.put(key, object, health) {
                self.watch_pods();
            }
            return assessment;
        }
        self.forget_workload(&key);
        let evidence = health::evidence(object, &health, None);
        Assessment { health: Some(health), evidence }
    }

    /// Stops looking at the pods of a workload that is healthy or gone.
    pub(crate) fn forget_workload(&mut self, key: &ObjectKey) {
        if self.workloads.remove(key) {
            self.watch_pods();
        }
    }

    /// Opens and closes watches so that exactly the namespaces that matter are seen.
    fn watch_pods(&mut self) {
        let wanted = self.workloads.wanted();
        let closed: Vec<String> =
            self.workloads.watches.keys().filter(|ns| !wanted.contains(*ns)).cloned().collect();
        for namespace in closed {
            self.workloads.watches.remove(&namespace);
            self.watches.retain(|_, watched| match watched {
                Watched::Members(_, of) => *of != namespace,
                Watched::Applications
                | Watched::Projects
                | Watched::Secrets
                | Watched::WebhookSecret(_)
                | Watched::Settings
                | Watched::KnownHosts
                | Watched::Definitions
                | Watched::ArgoCd(_)
                | Watched::Kind(_) => true,
            });
        }
        for namespace in wanted {
            if !self.workloads.watches.contains_key(&namespace) {
                self.open_pod_watches(&namespace);
            }
        }
        self.workloads.forget_unwatched();
    }

    fn open_pod_watches(&mut self, namespace: &str) {
        let within = (namespace != EVERYWHERE).then(|| namespace.to_owned());
        let kinds = [
            (Member::Pod, pods()),
            (Member::ReplicaSet, Endpoint::new("apps/v1", "ReplicaSet", "replicasets", true)),
        ];
        let handles = kinds.map(|(member, endpoint)| {
            let (id, handle) = self.start_watch(WatchSpec { namespace: within.clone(), ..spec(endpoint) });
            self.watches.insert(id, Watched::Members(member, namespace.into()));
            handle
        });
        self.workloads.watches.insert(namespace.into(), handles.into());
    }

    /// Takes in what a watch of pods or `ReplicaSet`s saw; workloads are explained anew after the batch.
    pub(crate) fn member_event(&mut self, member: Member, namespace: &str, event: &WatchEvent) {
        self.workloads.see(member, namespace, event);
    }

    /// Explains the workloads anew whose pods changed.
    pub(crate) fn explain_workloads(&mut self) {
        for (key, mut assessment) in self.workloads.explain_stirred() {
            let part_of = self.live.get(&key).map(|entry| entry.digest.part_of.clone());
            self.hide_secrets(&part_of.unwrap_or_default(), &mut assessment);
            let Assessment { health, evidence } = assessment;
            if let Some(entry) = self.live.get_mut(&key)
                && (&entry.digest.health, entry.digest.evidence) != (&health, evidence)
            {
                entry.digest.health = health;
                entry.digest.evidence = evidence;
                self.touch(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: serde_json::Value) -> Object {
        Object::from_value(value).unwrap()
    }

    fn stateful_set(namespace: &str) -> Object {
        object(json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": "db", "namespace": namespace, "uid": "db", "managedFields": [{}]},
            "status": {"updateRevision": "r"}}))
    }

    fn pod(namespace: &str, name: &str) -> Object {
        object(json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": {"controller-revision-hash": "r"},
                "ownerReferences": [{"kind": "StatefulSet", "uid": "db", "controller": true}]},
            "status": {"phase": "Pending"}}))
    }

    fn unhealthy(workloads: &mut Workloads, namespace: &str) -> bool {
        let workload = stateful_set(namespace);
        workloads.put(workload.key(), &workload, Health::new(HealthStatus::Progressing, "waiting"))
    }

    fn of_namespaces(n: usize) -> Workloads {
        let mut workloads = Workloads::default();
        for n in 0..n {
            assert!(unhealthy(&mut workloads, &format!("ns-{n}")));
            assert!(!unhealthy(&mut workloads, &format!("ns-{n}")), "it had one already");
        }
        workloads
    }

    fn told(workloads: &mut Workloads) -> Vec<String> {
        let message =
            |assessment: Assessment| assessment.health.map(|health| health.message).unwrap_or_default();
        workloads.explain_stirred().into_iter().map(|(_, assessment)| message(assessment)).collect()
    }

    #[test]
    fn nobody_looks_for_pods_where_none_are_to_be() {
        let has_pods = |kind: &str, spec: serde_json::Value, status: serde_json::Value| {
            has_pods(&object(json!({"apiVersion": "apps/v1", "kind": kind,
                "metadata": {"name": "a", "namespace": "ns"}, "spec": spec, "status": status})))
        };
        assert!(!has_pods("Deployment", json!({"replicas": 0}), json!({})));
        assert!(
            has_pods("Deployment", json!({"replicas": 0}), json!({"replicas": 1})),
            "they are on their way out"
        );
        assert!(has_pods("Deployment", json!({}), json!({})), "one is the default");
        assert!(has_pods("StatefulSet", json!({"replicas": 2}), json!({"replicas": 0})));
        assert!(has_pods("DaemonSet", json!({}), json!({})));
        assert!(!has_pods("ControllerRevision", json!({}), json!({})));
    }

    #[test]
    fn namespaces_are_watched_one_by_one_up_to_a_limit_and_then_all_at_once() {
        let watched = |workloads: &Workloads| {
            let wanted = workloads.wanted();
            if wanted.contains(EVERYWHERE) { (true, wanted.len() - 1) } else { (false, wanted.len()) }
        };
        assert_eq!(watched(&of_namespaces(0)), (false, 0));
        assert_eq!(watched(&of_namespaces(50)), (false, 50));
        let mut workloads = of_namespaces(51);
        assert_eq!(watched(&workloads), (true, 0));
        workloads.watches.insert(EVERYWHERE.into(), Vec::new());
        // It does not come and go with each of them.
        for n in 25..51 {
            assert_eq!(watched(&workloads), (true, 0), "{n}");
            assert!(workloads.remove(&stateful_set(&format!("ns-{n}")).key()));
        }
        assert_eq!(watched(&workloads), (false, 25));
    }

    #[test]
    fn what_went_while_nobody_watched_is_no_cause_any_more() {
        let mut workloads = of_namespaces(1);
        workloads.watches.insert("ns-0".into(), Vec::new());
        let see = |workloads: &mut Workloads, event| workloads.see(Member::Pod, "ns-0", &event);
        let listed = |name: &str| WatchEvent::Object(pod("ns-0", name), cluster::Origin::Listed);
        for event in [WatchEvent::Began, listed("a"), listed("b"), WatchEvent::Listed(String::new())] {
            see(&mut workloads, event);
        }
        assert_eq!(told(&mut workloads), ["waiting: pod a: Pending: waiting for a node"]);
        assert!(told(&mut workloads).is_empty(), "nothing changed since");
        see(&mut workloads, WatchEvent::Began);
        see(&mut workloads, listed("b"));
        see(&mut workloads, WatchEvent::Listed(String::new()));
        assert_eq!(told(&mut workloads), ["waiting: pod b: Pending: waiting for a node"]);
        see(&mut workloads, WatchEvent::Deleted(pod("ns-0", "b").key(), pod("ns-0", "b")));
        assert_eq!(told(&mut workloads), ["waiting"]);
        assert!(workloads.members.is_empty());
    }

    #[test]
    fn a_namespace_that_joins_a_watch_of_all_finds_its_pods() {
        let mut workloads = Workloads::default();
        workloads.watches.insert(EVERYWHERE.into(), Vec::new());
        for namespace in ["other", "shop"] {
            let event = WatchEvent::Object(pod(namespace, "a"), cluster::Origin::Listed);
            workloads.see(Member::Pod, EVERYWHERE, &event);
        }
        assert!(told(&mut workloads).is_empty());
        unhealthy(&mut workloads, "shop");
        let health = Health::new(HealthStatus::Progressing, "waiting");
        let explained = workloads.explained(&stateful_set("shop"), &health).health.unwrap();
        assert_eq!(explained.message, "waiting: pod a: Pending: waiting for a node");
        // Only what a watch shows is kept.
        workloads.watches = BTreeMap::from([("shop".to_owned(), Vec::new())]);
        workloads.forget_unwatched();
        assert_eq!(workloads.members.keys().collect::<Vec<_>>(), ["shop"]);
    }
}
