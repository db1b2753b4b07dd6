//! What does a status remember from an earlier life, ours or Argo CD's? Read with suspicion: anybody may have written it.

use model::{GroupKind, NotYet, ObjectKey, OperationPhase, ResourceSelector, Revision, Timestamp, names};
use serde_json::Value;
use std::collections::BTreeSet;

/// The sync that `status.operationState` tells of.
#[derive(Clone, Debug, PartialEq)]
pub struct LastOperation {
    /// Phase.
    pub phase: OperationPhase,
    /// The sentence.
    pub message: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; `None` while it runs.
    pub finished_at: Option<Timestamp>,
    /// Repeats.
    pub retry_count: u32,
    /// What was deployed; `None` where nothing was resolved.
    pub revision: Option<Revision>,
    /// Who asked; empty where unknown.
    pub username: String,
    /// Whether the controller itself asked.
    pub automated: bool,
    /// Whether it changed nothing.
    pub dry_run: bool,
    /// Self-heals in a row.
    pub heal_attempts: u32,
    /// The objects that it was about; empty for all.
    pub selective: Vec<ResourceSelector>,
}

/// Reads the last sync; `None` where there is none or it makes no sense.
pub fn last_operation(raw: &Value) -> Option<LastOperation> {
    let state = raw.pointer("/status/operationState")?;
    let time = |field: &str| state[field].as_str().and_then(|text| text.parse().ok());
    let operation = &state["operation"];
    let count = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let resources = operation["sync"]["resources"].as_array().into_iter().flatten();
    Some(LastOperation {
        phase: OperationPhase::parse(state["phase"].as_str()?)?,
        message: text(state, "message"),
        started_at: time("startedAt")?,
        finished_at: time("finishedAt"),
        retry_count: count(&state["retryCount"]),
        revision: Some(text(&state["syncResult"], "revision")).filter(|r| !r.is_empty()).map(Revision::new),
        username: text(&operation["initiatedBy"], "username"),
        automated: operation["initiatedBy"]["automated"] == true,
        dry_run: operation["sync"]["dryRun"] == true,
        heal_attempts: count(&operation["sync"]["autoHealAttemptsCount"]),
        selective: resources
            .map(|entry| ResourceSelector {
                group: text(entry, "group"),
                kind: text(entry, "kind"),
                namespace: text(entry, "namespace"),
                name: text(entry, "name"),
            })
            .collect(),
    })
}

/// Returns the objects that `status.resources` lists with their versions, sorted; entries without a kind or name are
/// left out.
pub fn inventory(raw: &Value) -> Vec<(ObjectKey, String)> {
    let mut keys: Vec<(ObjectKey, String)> = raw
        .pointer("/status/resources")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|entry| ["kind", "name"].iter().all(|f| entry[*f].as_str().is_some_and(|t| !t.is_empty())))
        .map(|entry| {
            let [group, kind, namespace, name, version] =
                ["group", "kind", "namespace", "name", "version"].map(|field| text(entry, field));
            (ObjectKey { group, kind, namespace, name }, version)
        })
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

/// Returns the kinds of which `status.resources` lists objects.
pub fn listed_kinds(raw: &Value) -> BTreeSet<GroupKind> {
    let mut kinds = BTreeSet::new();
    let mut last = ("", "");
    for entry in raw.pointer("/status/resources").and_then(Value::as_array).into_iter().flatten() {
        let [group, kind] = ["group", "kind"].map(|field| entry[field].as_str().unwrap_or_default());
        // Most follow one of the same kind.
        if !kind.is_empty() && last != (group, kind) {
            kinds.insert(GroupKind::new(group, kind));
        }
        last = (group, kind);
    }
    kinds
}

/// Returns the messages of `status.conditions`.
pub fn condition_messages(raw: &Value) -> impl Iterator<Item = &str> {
    let conditions = raw.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().filter_map(|condition| condition["message"].as_str())
}

/// Returns what a status tells of how Argo CD deployed that we do not act on yet: the kind of source, hooks and waves.
pub fn deployed_not_yet(raw: &Value) -> Vec<NotYet> {
    let source = raw.pointer("/status/sourceType").and_then(Value::as_str).unwrap_or_default();
    let source = (!matches!(source, "" | "Directory")).then(|| format!("a {source} source"));
    let entries = raw.pointer("/status/resources").and_then(Value::as_array).into_iter().flatten();
    let ordered = entries.filter_map(|entry| {
        let asks = match (entry["hook"] == true, entry["syncWave"].as_i64().unwrap_or(0)) {
            (true, _) => names::HOOK.to_owned(),
            (false, 0) => return None,
            (false, wave) => format!("{}: {wave}", names::SYNC_WAVE),
        };
        let [group, kind, namespace, name] =
            ["group", "kind", "namespace", "name"].map(|field| text(entry, field));
        Some(format!("{}: {asks}", ObjectKey { group, kind, namespace, name }))
    });
    source.into_iter().chain(ordered).map(|field| NotYet { field }).collect()
}

/// Returns whether Argo CD's controller was the last to change what `status.resources` lists, as `managedFields` tell it.
pub fn is_listed_by_argo_cd(managed_fields: &Value) -> bool {
    let lists = |entry: &Value| {
        entry["manager"] == names::ARGO_CD_CONTROLLER
            && entry.pointer("/fieldsV1/f:status/f:resources").is_some()
    };
    managed_fields.as_array().into_iter().flatten().any(lists)
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}
