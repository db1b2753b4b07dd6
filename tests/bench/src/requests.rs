//! What did the agent ask the API server, as the API server counts it?
//!
//! `apiserver_request_total` has no identity. Priority and fairness does: every request is dispatched under a flow schema,
//! and a flow schema is chosen by who asks for what. So the bed installs one schema per kind of request for the agent's
//! service account, and `apiserver_flowcontrol_dispatched_requests_total` counts each apart from everybody else's
//! (Kubernetes documentation, "API Priority and Fairness"). All of them use the level that service accounts have anyway.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Name of a schema, verbs, API group and resource: the first that fits counts.
const SCHEMAS: &[(&str, &[&str], &str, &str)] = &[
    ("lease", &["*"], "coordination.k8s.io", "leases"),
    ("event", &["*"], "", "events"),
    ("watch", &["watch"], "*", "*"),
    ("release", &["create"], "", "secrets"),
    ("release-read", &["get"], "", "secrets"),
    ("release-list", &["list"], "", "secrets"),
    ("release-trim", &["patch", "delete"], "", "secrets"),
    ("list", &["list"], "*", "*"),
    ("get", &["get"], "*", "*"),
    ("status", &["patch"], "argoproj.io", "applications"),
    ("apply", &["patch"], "*", "*"),
    ("other", &["*"], "*", "*"),
];

/// What begins the names of those that are about releases: no app of the benches has Secrets of its own.
const RELEASE: &str = "release";
/// What discovery asks for is no resource.
const DISCOVERY: &str = "discovery";
const PREFIX: &str = "bench-";

/// Requests by kind: `apply` (every patch but the Applications'), `status` (Applications), `get`, `list`, `watch`,
/// `lease`, `event`, `discovery`, `other` (create, delete). Those about Secrets apart: `release` (each written once, and the
/// key), `release-read` (the key, and what is gone back to), `release-list` (and the lists that begin watches of other
/// Secrets), `release-trim`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Requests(BTreeMap<String, u64>);

impl Requests {
    /// Reads the API server's metrics.
    pub(crate) fn parse(metrics: &str) -> Self {
        let mut found = BTreeMap::new();
        for line in metrics.lines() {
            let Some(labels) = line.strip_prefix("apiserver_flowcontrol_dispatched_requests_total{") else {
                continue;
            };
            let Some((labels, value)) = labels.rsplit_once("} ") else { continue };
            let schema = labels.split(',').find_map(|label| label.strip_prefix("flow_schema=\""));
            let name = schema.and_then(|schema| schema.trim_end_matches('"').strip_prefix(PREFIX));
            if let (Some(name), Ok(value)) = (name, value.parse::<u64>()) {
                *found.entry(name.to_owned()).or_default() += value;
            }
        }
        Self(found)
    }

    /// Returns what was counted since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let past = |name: &str| earlier.of(name);
        Self(self.0.iter().map(|(name, count)| (name.clone(), count - past(name).min(*count))).collect())
    }

    /// Returns the count of one kind.
    pub(crate) fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Returns all but watches and leases.
    pub(crate) fn work(&self) -> u64 {
        self.0.iter().filter(|(name, _)| !["watch", "lease"].contains(&name.as_str())).map(|(_, n)| n).sum()
    }

    /// Returns what deploys, and tells of it: the work without what keeps releases.
    pub(crate) fn deploying(&self) -> u64 {
        let keeping = self.0.iter().filter(|(name, _)| name.starts_with(RELEASE)).map(|(_, n)| n);
        self.work().saturating_sub(keeping.sum())
    }

    /// Returns what asks for releases and their key.
    pub(crate) fn reads_of_releases(&self) -> u64 {
        self.of("release-read") + self.of("release-list")
    }

    /// Returns what changes something in the cluster; dry-runs count.
    pub(crate) fn writes(&self) -> u64 {
        ["apply", "status", "event", "other", "release", "release-trim"]
            .iter()
            .map(|kind| self.of(kind))
            .sum()
    }
}

impl std::fmt::Display for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let some: Vec<String> =
            self.0.iter().filter(|(_, count)| **count > 0).map(|(name, n)| format!("{n} {name}")).collect();
        f.write_str(if some.is_empty() { "none".into() } else { some.join(", ") }.as_str())
    }
}

/// Returns the flow schemas to install for a service account.
pub(crate) fn flow_schemas(namespace: &str, service_account: &str) -> Vec<Value> {
    let subjects = json!([{"kind": "ServiceAccount", "serviceAccount": {"namespace": namespace, "name": service_account}}]);
    let schema = |(index, (name, mut rules)): (usize, (&str, Value))| {
        rules["subjects"] = subjects.clone();
        json!({
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema",
            "metadata": {"name": format!("{PREFIX}{name}")},
            "spec": {
                "priorityLevelConfiguration": {"name": "workload-low"},
                "matchingPrecedence": 100 + index,
                "distinguisherMethod": {"type": "ByUser"},
                "rules": [rules],
            },
        })
    };
    let resources = SCHEMAS.iter().map(|(name, verbs, group, resource)| {
        let rule = json!({
            "verbs": verbs, "apiGroups": [group], "resources": [resource], "clusterScope": true, "namespaces": ["*"],
        });
        (*name, json!({"resourceRules": [rule]}))
    });
    let discovery = (DISCOVERY, json!({"nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}));
    resources.chain([discovery]).enumerate().map(schema).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_agents_own_schemas_count() {
        let text = "\
apiserver_flowcontrol_dispatched_requests_total{flow_schema=\"bench-apply\",priority_level=\"workload-low\"} 12
apiserver_flowcontrol_dispatched_requests_total{flow_schema=\"bench-watch\",priority_level=\"workload-low\"} 3
apiserver_flowcontrol_dispatched_requests_total{flow_schema=\"exempt\",priority_level=\"exempt\"} 99
apiserver_request_total{verb=\"GET\"} 4
";
        let requests = Requests::parse(text);
        assert_eq!(requests.to_string(), "12 apply, 3 watch");
        assert_eq!(requests.work(), 12);
        let earlier = Requests::parse(&text.lines().next().unwrap().replace("12", "10"));
        assert_eq!(requests.since(&earlier).to_string(), "2 apply, 3 watch");
        assert_eq!(Requests::default().to_string(), "none");
    }

    #[test]
    fn what_keeps_releases_is_work_and_does_not_deploy() {
        let line = |kind: &str, n: u64| {
            format!("apiserver_flowcontrol_dispatched_requests_total{{flow_schema=\"bench-{kind}\"}} {n}\n")
        };
        let kinds = ["apply", "status", "watch", "release", "release-read", "release-list", "release-trim"];
        let text: String = kinds.iter().zip(1..).map(|(kind, n)| line(kind, n)).collect();
        let requests = Requests::parse(&text);
        assert_eq!((requests.work(), requests.deploying(), requests.writes()), (25, 3, 14));
    }
}
