//! Why is a workload not healthy? Its pods know; they are watched only while it matters.

use crate::agent::{Agent, Watched};
use crate::watching::spec;
use cluster::{Endpoint, WatchEvent, WatchHandle, WatchSpec};
use model::{Evidence, Health, HealthStatus, Object, ObjectKey};
use std::collections::{BTreeMap, BTreeSet};

/// How many namespaces are watched one by one; beyond that one watch of the whole cluster is cheaper.
const NAMESPACES: usize = 50;

/// Workloads that are not healthy, and the pods of their namespaces.
#[derive(Default)]
pub(crate) struct Workloads {
    unhealthy: BTreeMap<ObjectKey, Box<Object>>,
    pods: BTreeMap<String, BTreeMap<String, Object>>,
    replica_sets: BTreeMap<String, BTreeMap<String, Object>>,
    /// By namespace; an empty one stands for the whole cluster.
    watches: BTreeMap<String, Vec<WatchHandle>>,
}

impl Workloads {
    fn namespaces(&self) -> BTreeSet<String> {
        self.unhealthy.keys().map(|key| key.namespace.clone()).collect()
    }

    /// Returns the health of a workload with the cause that its pods show, and what that is evidence of.
    fn explained(&self, workload: &Object, health: Health) -> Assessment {
        let namespace = workload.namespace();
        let of = |map: &BTreeMap<String, BTreeMap<String, Object>>| -> Vec<Object> {
            map.get(namespace).into_iter().flat_map(BTreeMap::values).cloned().collect()
        };
        let cause = health::cause(workload, &of(&self.replica_sets), &of(&self.pods));
        let evidence = health::evidence(workload, &health, cause.as_ref());
        let health = match &cause {
            Some(cause) => health::explain(&health, cause),
            None => health,
        };
        Assessment { health: Some(health), evidence }
    }
}

/// What a live object says of itself, and its pods of it.
pub(crate) struct Assessment {
    /// How well it is; `None` for kinds without an opinion.
    pub health: Option<Health>,
    /// What that says about the commit.
    pub evidence: Evidence,
}

fn has_pods(key: &ObjectKey) -> bool {
    match key.group.as_str() {
        "apps" => matches!(key.kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet"),
        "batch" => key.kind == "Job",
        _ => false,
    }
}

impl Agent {
    /// Assesses a live object; a workload that is not healthy has its pods looked at.
    pub(crate) fn assess(&mut self, object: &Object) -> Assessment {
        let Some(health) = health::assess(object) else {
            return Assessment { health: None, evidence: Evidence::None };
        };
        let key = object.key();
        let needs_cause = has_pods(&key)
            && matches!(health.status, HealthStatus::Progressing | HealthStatus::Degraded)
            && !object.is_deleting();
        if needs_cause {
            self.workloads.unhealthy.insert(key, Box::new(object.clone()));
            self.watch_pods();
            return self.workloads.explained(object, health);
        }
        self.forget_workload(&key);
        let evidence = health::evidence(object, &health, None);
        Assessment { health: Some(health), evidence }
    }

    /// Stops looking at the pods of a workload that is healthy or gone.
    pub(crate) fn forget_workload(&mut self, key: &ObjectKey) {
        if self.workloads.unhealthy.remove(key).is_some() {
            self.watch_pods();
        }
    }

    /// Opens and closes watches so that exactly the namespaces that matter are seen.
    fn watch_pods(&mut self) {
        let namespaces = self.workloads.namespaces();
        let wanted =
            if namespaces.len() > NAMESPACES { BTreeSet::from([String::new()]) } else { namespaces.clone() };
        let closed: Vec<String> =
            self.workloads.watches.keys().filter(|ns| !wanted.contains(*ns)).cloned().collect();
        for namespace in closed {
            self.workloads.watches.remove(&namespace);
            self.watches.retain(|_, watched| match watched {
                Watched::Pods(of) | Watched::ReplicaSets(of) => *of != namespace,
                Watched::Applications
                | Watched::Projects
                | Watched::Secrets
                | Watched::Settings
                | Watched::Definitions
                | Watched::OtherController
                | Watched::Kind(_) => true,
            });
        }
        self.workloads.pods.retain(|namespace, _| namespaces.contains(namespace));
        self.workloads.replica_sets.retain(|namespace, _| namespaces.contains(namespace));
        for namespace in wanted {
            if !self.workloads.watches.contains_key(&namespace) {
                self.open_pod_watches(&namespace);
            }
        }
    }

    fn open_pod_watches(&mut self, namespace: &str) {
        let within = (!namespace.is_empty()).then(|| namespace.to_owned());
        let kinds = [
            (Watched::Pods(namespace.into()), Endpoint::new("v1", "Pod", "pods", true)),
            (
                Watched::ReplicaSets(namespace.into()),
                Endpoint::new("apps/v1", "ReplicaSet", "replicasets", true),
            ),
        ];
        let handles = kinds.map(|(watched, endpoint)| {
            let (id, handle) = self.start_watch(WatchSpec { namespace: within.clone(), ..spec(endpoint) });
            self.watches.insert(id, watched);
            handle
        });
        self.workloads.watches.insert(namespace.into(), handles.into());
    }

    /// Takes in what the watch of pods or `ReplicaSets` saw.
    pub(crate) fn pod_event(&mut self, watched: &Watched, event: WatchEvent) {
        let key = match event {
            WatchEvent::Object(mut object, _) => {
                let key = object.key();
                object.metadata_mut().remove("managedFields");
                if !self.workloads.namespaces().contains(&key.namespace) {
                    return;
                }
                self.members(watched)
                    .entry(key.namespace.clone())
                    .or_default()
                    .insert(key.name.clone(), object);
                key
            }
            WatchEvent::Deleted(key, _) => {
                if let Some(members) = self.members(watched).get_mut(&key.namespace) {
                    members.remove(&key.name);
                }
                key
            }
            WatchEvent::Blind { why, .. } => {
                tracing::warn!(error = %why, "pods are not seen: what holds workloads up is told less well");
                return;
            }
            WatchEvent::Began | WatchEvent::Listed | WatchEvent::Undecodable { .. } | WatchEvent::Seeing => {
                return;
            }
        };
        self.explain_workloads(&key.namespace);
    }

    fn members(&mut self, watched: &Watched) -> &mut BTreeMap<String, BTreeMap<String, Object>> {
        match watched {
            Watched::ReplicaSets(_) => &mut self.workloads.replica_sets,
            Watched::Pods(_)
            | Watched::Applications
            | Watched::Projects
            | Watched::Secrets
            | Watched::Settings
            | Watched::Definitions
            | Watched::OtherController
            | Watched::Kind(_) => &mut self.workloads.pods,
        }
    }

    fn explain_workloads(&mut self, namespace: &str) {
        let keys: Vec<ObjectKey> =
            self.workloads.unhealthy.keys().filter(|key| key.namespace == namespace).cloned().collect();
        for key in keys {
            let Some(workload) = self.workloads.unhealthy.get(&key) else { continue };
            let Some(base) = health::assess(workload) else { continue };
            let Assessment { health, evidence } = self.workloads.explained(workload, base);
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
