//! Which schemas of Applications are measured? Ours, and one whose `status` is typed in full, as Argo CD's is.

use serde_json::{Value, json};

/// Returns the CRDs to install.
pub(crate) fn documents(has_typed_status: bool) -> [Value; 2] {
    let mut application = application::crd::application();
    if has_typed_status {
        let schema = &mut application["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        schema["properties"]["status"] = typed_status(schema);
    }
    [application, application::crd::app_project()]
}

/// Puts a schema of `status` together from those of `spec` and `operation`, whose types Argo CD's status repeats: the
/// source in every entry of history, in what was compared and in what was synced, and the operation. A patch of an
/// Application costs what the schema costs, so it is the size that matters here and not each field's name.
fn typed_status(schema: &Value) -> Value {
    let spec = &schema["properties"]["spec"]["properties"];
    let (source, sources) = (&spec["source"], &spec["sources"]);
    let operation = &schema["properties"]["operation"];
    let text = json!({"type": "string"});
    let number = json!({"type": "integer", "format": "int64"});
    let flag = json!({"type": "boolean"});
    let time = json!({"type": "string", "format": "date-time"});
    let texts = json!({"type": "array", "items": text});
    let map = |properties: Value| json!({"type": "object", "properties": properties});
    let list = |items: Value| json!({"type": "array", "items": items});
    let health = map(json!({"status": text, "message": text, "lastTransitionTime": time}));
    let initiator = map(json!({"automated": flag, "username": text}));
    let resource = map(json!({
        "group": text, "version": text, "kind": text, "namespace": text, "name": text, "status": text,
        "health": health, "hook": flag, "requiresPruning": flag, "requiresDeletionConfirmation": flag, "syncWave": number,
    }));
    let history = map(json!({
        "id": number, "revision": text, "revisions": texts, "deployedAt": time, "deployStartedAt": time,
        "source": source, "sources": sources, "initiatedBy": initiator,
    }));
    let result = map(json!({
        "group": text, "version": text, "kind": text, "namespace": text, "name": text, "status": text, "message": text,
        "hookPhase": text, "hookType": text, "syncPhase": text, "images": texts,
    }));
    let synced = map(json!({
        "resources": list(result), "revision": text, "revisions": texts, "source": source, "sources": sources,
        "managedNamespaceMetadata": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }));
    let compared = map(json!({
        "source": source, "sources": sources, "destination": spec["destination"],
        "ignoreDifferences": spec["ignoreDifferences"],
    }));
    map(json!({
        "conditions": list(map(json!({"type": text, "message": text, "lastTransitionTime": time}))),
        "controllerNamespace": text, "health": health, "history": list(history), "observedAt": time,
        "operationState": map(json!({
            "operation": operation, "phase": text, "message": text, "startedAt": time, "finishedAt": time,
            "retryCount": number, "syncResult": synced,
        })),
        "reconciledAt": time, "resourceHealthSource": text, "resources": list(resource),
        "sourceHydrator": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "sourceType": text, "sourceTypes": texts,
        "summary": map(json!({"externalURLs": texts, "images": texts})),
        "sync": map(json!({"status": text, "revision": text, "revisions": texts, "comparedTo": compared})),
    }))
}

#[cfg(test)]
mod tests {
    use super::documents;

    #[test]
    fn typed_status_has_no_free_form_root_and_stays_installable() {
        let [ours, _] = documents(false);
        let [typed, _] = documents(true);
        let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status";
        let is_free = |crd: &serde_json::Value| {
            crd.pointer(status).unwrap()["x-kubernetes-preserve-unknown-fields"] == true
        };
        assert!(is_free(&ours));
        assert!(!is_free(&typed));
        // `kubectl apply` keeps the whole text in an annotation of at most this size.
        assert!(typed.to_string().len() < 262_144, "{}", typed.to_string().len());
    }
}
