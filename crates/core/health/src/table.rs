//! Which rule judges which kind?

use crate::{
    api_service, cron_job, custom_resource_definition, daemon_set, deployment, generic,
    horizontal_pod_autoscaler, ingress, job, pending_deletion, persistent_volume_claim, pod,
    pod_disruption_budget, replica_set, service, stateful_set, workflow,
};
use model::{Health, HealthStatus, Object};

/// One kind: group, kind, the versions that its rule reads (none listed: any), and the rule.
type Row = (&'static str, &'static str, &'static [&'static str], fn(&Object) -> Health);

const V1: &[&str] = &["v1"];
const ANY: &[&str] = &[];

const TABLE: &[Row] = &[
    ("", "PersistentVolumeClaim", V1, persistent_volume_claim::assess),
    ("", "Pod", V1, pod::assess),
    ("", "Service", V1, service::assess),
    ("apiextensions.k8s.io", "CustomResourceDefinition", ANY, custom_resource_definition::assess),
    ("apiregistration.k8s.io", "APIService", &["v1", "v1beta1"], api_service::assess),
    ("apps", "DaemonSet", V1, daemon_set::assess),
    ("apps", "Deployment", V1, deployment::assess),
    ("apps", "ReplicaSet", V1, replica_set::assess),
    ("apps", "StatefulSet", V1, stateful_set::assess),
    ("argoproj.io", "Workflow", ANY, workflow::assess),
    ("autoscaling", "HorizontalPodAutoscaler", &["v1", "v2"], horizontal_pod_autoscaler::assess),
    ("batch", "CronJob", ANY, cron_job::assess),
    ("batch", "Job", V1, job::assess),
    ("extensions", "Ingress", ANY, ingress::assess),
    ("networking.k8s.io", "Ingress", ANY, ingress::assess),
    ("policy", "PodDisruptionBudget", ANY, pod_disruption_budget::assess),
];

/// Assesses a live object. `None`: its kind has no health (`ConfigMap`, RBAC ...), or says nothing that we understand.
///
/// A version of a built-in kind that its rule does not read is `Unknown`, as in Argo CD.
pub fn assess(live: &Object) -> Option<Health> {
    if let Some(health) = pending_deletion::assess(live) {
        return Some(health);
    }
    let gvk = live.gvk();
    let row = TABLE.iter().find(|(group, kind, ..)| *group == gvk.group && *kind == gvk.kind);
    let Some((.., versions, rule)) = row else { return generic::assess(live) };
    if versions.is_empty() || versions.contains(&gvk.version.as_str()) {
        return Some(rule(live));
    }
    Some(Health::new(
        HealthStatus::Unknown,
        format!("unsupported version {gvk}; health is known for {}", versions.join(" and ")),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_unique() {
        let names: Vec<_> = TABLE.iter().map(|(group, kind, ..)| (*group, *kind)).collect();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
    }
}
