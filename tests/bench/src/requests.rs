//! What did the agent ask the API server, as the API server counts it?
//!
//! `apiserver_request_total` has no identity. Priority and fairness does: every request is dispatched under a flow schema,
//! and a flow schema is chosen by who asks for what. So the bed installs one schema per kind of request for the agent's
//! service account, and `apiserver_flowcontrol_dispatched_requests_total` counts each apart from everybody else's
//! (Kubernetes documentation, "API Priority and Fairness"). All of them use the level that service accounts have anyway.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Name of a schema, verb, API group and resource: the first that fits counts.
const SCHEMAS: &[(&str, [&str; 3])] = &[
    ("lease", ["*", "coordination.k8s.io", "leases"]),
    ("event", ["*", "", "events"]),
    ("watch", ["watch", "*", "*"]),
    ("list", ["list", "*", "*"]),
    ("get", ["get", "*", "*"]),
    ("status", ["patch", "argoproj.io", "applications"]),
    ("apply", ["patch", "*", "*"]),
    ("other", ["*", "*", "*"]),
];

/// What discovery asks for is no resource.
const DISCOVERY: &str = "discovery";
const PREFIX: &str = "bench-";

/// Requests by kind: `apply` (every patch but the Applications'), `status` (Applications), `get`, `list`, `watch`,
/// `lease`, `event`, `discovery`, `other` (create, delete).
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
    let resources = SCHEMAS.iter().map(|(name, [verb, group, resource])| {
        let rule = json!({
            "verbs": [verb], "apiGroups": [group], "resources": [resource], "clusterScope": true, "namespaces": ["*"],
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
}
