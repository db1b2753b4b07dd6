//! Which fields do we act on? Everything else that says something is listed as not supported yet.
//!
//! The list names what is honoured rather than what is not, so that a field nobody thought of makes an app read-only.

use crate::findings::{Findings, join};
use serde_json::Value;

/// Fields of an Application's spec that we act on, or that have no effect; `[]` stands for any entry. Those with values
/// that we do not act on (`syncOptions`, `destination`, `repoURL`, `targetRevision`) are looked at more closely elsewhere.
pub(crate) const SPEC: &[&str] = &[
    "spec.project",
    "spec.source.repoURL",
    "spec.source.path",
    "spec.source.targetRevision",
    "spec.source.name",
    "spec.source.directory.recurse",
    "spec.source.directory.include",
    "spec.source.directory.exclude",
    "spec.destination.server",
    "spec.destination.name",
    "spec.destination.namespace",
    "spec.syncPolicy.automated",
    "spec.syncPolicy.syncOptions",
    "spec.syncPolicy.retry.limit",
    "spec.syncPolicy.retry.backoff",
    "spec.syncPolicy.tautline",
    "spec.syncPolicy.rollback",
    "spec.ignoreDifferences[].group",
    "spec.ignoreDifferences[].kind",
    "spec.ignoreDifferences[].name",
    "spec.ignoreDifferences[].namespace",
    "spec.ignoreDifferences[].jsonPointers",
    "spec.info",
    "spec.revisionHistoryLimit",
];

/// The same for an operation. `source` and `retry.backoff` are accepted where they repeat the spec's.
pub(crate) const OPERATION: &[&str] = &[
    "operation.sync.revision",
    "operation.sync.prune",
    "operation.sync.dryRun",
    "operation.sync.resources",
    "operation.sync.source",
    "operation.sync.syncOptions",
    "operation.sync.autoHealAttemptsCount",
    "operation.initiatedBy",
    "operation.info",
    "operation.retry.limit",
    "operation.retry.backoff",
];

/// Lists fields of `value` that say something and are not in `honoured`, each by its outermost name.
pub(crate) fn others(value: &Value, path: &str, honoured: &[&str], findings: &mut Findings) {
    walk(value, path, path, honoured, findings);
}

fn walk(value: &Value, path: &str, pattern: &str, honoured: &[&str], findings: &mut Findings) {
    if is_blank(value) || honoured.contains(&pattern) {
        return;
    }
    let leads_on = honoured.iter().any(|field| {
        field.strip_prefix(pattern).is_some_and(|rest| rest.starts_with('.') || rest.starts_with("[]"))
    });
    match value {
        Value::Object(map) if leads_on => {
            for (name, value) in map {
                walk(value, &join(path, name), &join(pattern, name), honoured, findings);
            }
        }
        Value::Array(items) if leads_on => {
            for (index, value) in items.iter().enumerate() {
                walk(value, &format!("{path}[{index}]"), &format!("{pattern}[]"), honoured, findings);
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => findings.not_yet(path),
    }
}

/// Returns whether a value says nothing: Argo CD's normalisation drops such fields.
pub(crate) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_blank),
    }
}
