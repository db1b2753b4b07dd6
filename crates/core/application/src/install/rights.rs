//! What may the agent do? Its own calls in two short tables, and apart from them whatever Git may hold.

use super::{AGENT_ROLE, MANAGED_ROLE, NAME, metadata};
use serde_json::{Value, json};

/// Rights on one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Resource, as paths write it.
    pub resource: &'static str,
    /// Verbs, as Kubernetes authorisation writes them.
    pub verbs: &'static [&'static str],
}

/// The agent's own calls in its namespace: it reads Applications, projects, settings, and the Secrets of repositories and
/// webhooks, writes Applications by patch, keeps releases and their key in Secrets, records kinds in a `ConfigMap`, tells by
/// Events, holds a Lease, and looks whether Argo CD's own controller runs. Kubernetes has no rule for Secrets of one type or
/// with one label, so those on releases are on all Secrets there.
pub const AGENT_ROLE_RULES: &[Rule] = &[
    Rule { group: "argoproj.io", resource: "applications", verbs: &["get", "list", "watch", "patch"] },
    Rule { group: "argoproj.io", resource: "appprojects", verbs: &["list", "watch"] },
    Rule { group: "", resource: "secrets", verbs: &["get", "list", "watch", "create", "patch", "delete"] },
    Rule { group: "", resource: "configmaps", verbs: &["get", "list", "watch", "create", "patch"] },
    Rule { group: "", resource: "events", verbs: &["get", "create", "patch"] },
    Rule { group: "apps", resource: "statefulsets", verbs: &["list", "watch"] },
    Rule { group: "apps", resource: "deployments", verbs: &["list", "watch"] },
    Rule { group: "coordination.k8s.io", resource: "leases", verbs: &["get", "create", "patch"] },
];

/// The agent's own calls in the whole cluster: it sees when kinds come and go, and it looks at the pods of workloads that
/// are not healthy to say why; of one that made a commit fail it reads the last lines of its log and its events. It asks
/// Services what apps declare as checks, in namespaces that their projects permit. Where its API asks callers for tokens, it asks whose they are and what these may. Discovery is
/// everybody's right.
pub const AGENT_CLUSTER_RULES: &[Rule] = &[
    Rule { group: "apiextensions.k8s.io", resource: "customresourcedefinitions", verbs: &["list", "watch"] },
    Rule { group: "", resource: "pods", verbs: &["list", "watch"] },
    Rule { group: "", resource: "pods/log", verbs: &["get"] },
    Rule { group: "", resource: "services/proxy", verbs: &["get"] },
    Rule { group: "", resource: "events", verbs: &["list"] },
    Rule { group: "apps", resource: "replicasets", verbs: &["list", "watch"] },
    Rule { group: "authentication.k8s.io", resource: "tokenreviews", verbs: &["create"] },
    Rule { group: "authorization.k8s.io", resource: "subjectaccessreviews", verbs: &["create"] },
];

pub(super) fn documents(namespace: &str) -> Vec<Value> {
    let everything = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    vec![
        role("Role", AGENT_ROLE, Some(namespace), &rules(AGENT_ROLE_RULES)),
        role("ClusterRole", AGENT_ROLE, None, &rules(AGENT_CLUSTER_RULES)),
        role("ClusterRole", MANAGED_ROLE, None, &everything),
        binding("Role", AGENT_ROLE, namespace),
        binding("ClusterRole", AGENT_ROLE, namespace),
        binding("ClusterRole", MANAGED_ROLE, namespace),
    ]
}

fn rules(rules: &[Rule]) -> Value {
    rules
        .iter()
        .map(|rule| json!({"apiGroups": [rule.group], "resources": [rule.resource], "verbs": rule.verbs}))
        .collect()
}

fn role(kind: &str, name: &str, namespace: Option<&str>, rules: &Value) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
        "metadata": metadata(name, namespace), "rules": rules,
    })
}

/// Binds a role to the agent's service account, where the role holds.
fn binding(kind: &str, name: &str, namespace: &str) -> Value {
    let scope = (kind == "Role").then_some(namespace);
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": format!("{kind}Binding"),
        "metadata": metadata(name, scope),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": namespace}],
    })
}
