//! Which successful syncs does the status remember?

use super::{OperationState, set};
use crate::read::history_limit;
use model::Timestamp;
use serde_json::{Map, Value};

/// Returns the history with the sync at its end, oldest first, cut to the spec's limit. Ids go on counting whatever was
/// cut (Argo CD). A sync that stands there already is not added again: any write may be repeated.
pub(super) fn append(raw: &Value, operation: &OperationState, now: Timestamp) -> Value {
    let mut history: Vec<Value> =
        raw.pointer("/status/history").and_then(Value::as_array).cloned().unwrap_or_default();
    let entry = entry(raw, operation, &history, now);
    let is_there = history.last().is_some_and(|last| {
        ["revision", "deployStartedAt"].iter().all(|field| last[*field] == entry[*field])
    });
    if !is_there {
        history.push(entry);
    }
    let limit = history_limit(raw.pointer("/spec/revisionHistoryLimit").and_then(Value::as_i64));
    let cut = history.len().saturating_sub(limit);
    history.drain(..cut);
    Value::Array(history)
}

fn entry(raw: &Value, operation: &OperationState, history: &[Value], now: Timestamp) -> Value {
    let id = history.last().and_then(|last| last["id"].as_i64()).map_or(0, |id| id.saturating_add(1));
    let mut entry = Map::new();
    entry.insert("id".into(), id.into());
    set(&mut entry, "revision", operation.revision.as_ref().map_or("", |revision| revision.as_str()).into());
    set(&mut entry, "source", raw["spec"]["source"].clone());
    set(&mut entry, "deployStartedAt", operation.started_at.to_string().into());
    set(&mut entry, "deployedAt", operation.finished_at.unwrap_or(now).to_string().into());
    set(&mut entry, "initiatedBy", operation.initiator());
    Value::Object(entry)
}
