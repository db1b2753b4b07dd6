//! In which order do kinds go? Argo CD's order (its sync-waves documentation), cut into stages.

use model::{GroupKind, Object};

/// Argo CD's kind order with the stage of each kind: between kinds of one stage order does not matter.
/// A ServiceAccount precedes Secrets because token Secrets of unknown accounts are deleted by the control plane.
const ORDER: &[(&str, usize)] = &[
    ("Namespace", 0),
    ("NetworkPolicy", 1),
    ("ResourceQuota", 1),
    ("LimitRange", 1),
    ("PodSecurityPolicy", 1),
    ("PodDisruptionBudget", 1),
    ("ServiceAccount", 1),
    ("Secret", 2),
    ("SecretList", 2),
    ("ConfigMap", 2),
    ("StorageClass", 2),
    ("PersistentVolume", 2),
    ("PersistentVolumeClaim", 2),
    ("CustomResourceDefinition", 2),
    ("ClusterRole", 3),
    ("ClusterRoleList", 3),
    ("ClusterRoleBinding", 4),
    ("ClusterRoleBindingList", 4),
    ("Role", 3),
    ("RoleList", 3),
    ("RoleBinding", 4),
    ("RoleBindingList", 4),
    ("Service", 5),
    ("DaemonSet", 6),
    ("Pod", 6),
    ("ReplicationController", 6),
    ("ReplicaSet", 6),
    ("Deployment", 6),
    ("HorizontalPodAutoscaler", 6),
    ("StatefulSet", 6),
    ("Job", 6),
    ("CronJob", 6),
    ("IngressClass", 7),
    ("Ingress", 7),
    ("APIService", 7),
];

/// The stage of kinds that the order does not list: custom resources, after everything that may serve them.
const LAST_STAGE: usize = 8;

/// Returns the place of a kind in Argo CD's order; unlisted kinds come last. Argo CD looks at the kind alone.
pub fn rank(kind: &GroupKind) -> usize {
    ORDER.iter().position(|(name, _)| *name == kind.kind).unwrap_or(ORDER.len())
}

/// Returns the stage of a kind: stages are applied one after the other.
pub fn stage(kind: &GroupKind) -> usize {
    ORDER.iter().find(|(name, _)| *name == kind.kind).map_or(LAST_STAGE, |(_, stage)| *stage)
}

/// Returns whether deleting an object of this kind loses data or takes other objects along.
pub fn holds_data(kind: &GroupKind) -> bool {
    kind.is("", "Namespace")
        || kind.is("", "PersistentVolume")
        || kind.is("", "PersistentVolumeClaim")
        || is_crd(kind)
}

/// API groups that kube-apiserver itself serves (Kubernetes API reference).
const BUILT_IN_GROUPS: &[&str] = &[
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "extensions",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
];

/// Returns whether an object of this kind that was deleted is as it was once it is applied again. One that holds data is not,
/// and of a custom resource nobody knows what its operator does when it goes.
pub fn is_restorable(kind: &GroupKind) -> bool {
    BUILT_IN_GROUPS.contains(&kind.group.as_str()) && !holds_data(kind)
}

/// Returns whether this is the kind that defines kinds.
pub fn is_crd(kind: &GroupKind) -> bool {
    kind.is("apiextensions.k8s.io", "CustomResourceDefinition")
}

/// Returns the kind that a CRD defines; `None` where it names none.
pub fn defined_by(crd: &Object) -> Option<GroupKind> {
    let text = |pointer: &str| crd.get("spec")?.pointer(pointer)?.as_str();
    Some(GroupKind::new(text("/group")?, text("/names/kind")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unlisted_kinds_come_after_api_services() {
        assert!(
            rank(&GroupKind::new("example.com", "Widget"))
                > rank(&GroupKind::new("apiregistration.k8s.io", "APIService"))
        );
    }

    #[test]
    fn only_what_kubernetes_itself_serves_and_holds_no_data_can_be_restored() {
        for (group, kind, is) in [
            ("", "ConfigMap", true),
            ("apps", "StatefulSet", true),
            ("networking.k8s.io", "Ingress", true),
            ("", "PersistentVolumeClaim", false),
            ("apiextensions.k8s.io", "CustomResourceDefinition", false),
            ("gateway.networking.k8s.io", "Gateway", false),
            ("example.com", "Widget", false),
        ] {
            assert_eq!(is_restorable(&GroupKind::new(group, kind)), is, "{kind}.{group}");
        }
    }
}
