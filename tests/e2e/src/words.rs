//! What do tests say again and again about objects?

use serde_json::Value;

/// Returns a `ConfigMap` as YAML, with one value under `key`.
pub fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  key: {value:?}\n")
}

fn text<'a>(app: &'a Value, pointer: &str) -> &'a str {
    app.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Returns the sync status of an Application; empty before the first one.
pub fn sync_status(app: &Value) -> &str {
    text(app, "/status/sync/status")
}

/// Returns the phase of the sync under way or the last one; empty where there was none.
pub fn operation_phase(app: &Value) -> &str {
    text(app, "/status/operationState/phase")
}

/// Returns what the sync under way or the last one says; empty where there was none.
pub fn operation_message(app: &Value) -> &str {
    text(app, "/status/operationState/message")
}

/// Returns how often the sync was repeated so far.
pub fn retries(app: &Value) -> u64 {
    app["status"]["operationState"]["retryCount"].as_u64().unwrap_or(0)
}

/// Returns whether auto-sync waits for other content.
pub fn is_condemned(app: &Value) -> bool {
    let own = app["metadata"]["annotations"]["tautline.dev/state"].as_str().unwrap_or("{}");
    serde_json::from_str::<Value>(own).is_ok_and(|own| own["condemned"] == true)
}

/// Returns whether the Application is Synced at a revision and no sync is under way.
pub fn is_synced_to(app: &Value, revision: &str) -> bool {
    sync_status(app) == "Synced" && text(app, "/status/sync/revision") == revision && settled(app)
}

/// Returns whether no sync is under way or asked for.
pub fn settled(app: &Value) -> bool {
    !matches!(operation_phase(app), "Running" | "Terminating") && app["operation"].is_null()
}

/// Returns the message of the first condition of a type; empty where there is none.
pub fn condition<'a>(app: &'a Value, kind: &str) -> &'a str {
    let conditions = app["status"]["conditions"].as_array().into_iter().flatten();
    conditions
        .filter(|condition| condition["type"] == kind)
        .find_map(|condition| condition["message"].as_str())
        .unwrap_or_default()
}

/// Returns what the last sync says of one object; null where it says nothing.
pub fn result_of<'a>(app: &'a Value, kind: &str, name: &str) -> &'a Value {
    let results = app["status"]["operationState"]["syncResult"]["resources"].as_array();
    let found = results.into_iter().flatten().find(|result| result["kind"] == kind && result["name"] == name);
    found.unwrap_or(&Value::Null)
}
