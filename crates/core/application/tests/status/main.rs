//! Which write makes an Application's status say what it should: field by field, and nothing when nothing changed.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

#[path = "../argo_cd/mod.rs"]
mod argo_cd;
mod fields;
mod size;
mod syncs;
mod theirs;

use application::status::{Draft, OperationState, SyncPart, patch};
use model::{
    Evidence, Health, ObjectKey, ObjectOutcome, ObjectResult, ObjectStatus, OperationPhase, Revision,
    SyncStatus, Timestamp,
};
use serde_json::{Value, json};
use std::sync::LazyLock;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

fn at(text: &str) -> Timestamp {
    format!("2026-01-01T10:00:{text}Z").parse().unwrap()
}

fn plain() -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "demo", "namespace": "argocd", "resourceVersion": "7"},
        "spec": {
            "project": "default",
            "source": {"repoURL": "https://git.example.com/r.git", "path": "app", "targetRevision": "main"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "web"},
        },
    })
}

fn ui() -> ObjectKey {
    ObjectKey::new("apps", "Deployment", "web", "ui")
}

fn object(key: ObjectKey) -> ObjectStatus {
    ObjectStatus {
        key,
        version: "v1".into(),
        sync: Some(SyncStatus::Synced),
        health: Some(Health::healthy()),
        evidence: Evidence::None,
        available: None,
        is_live: true,
        requires_pruning: false,
        requires_confirmation: false,
        refused: String::new(),
    }
}

fn draft() -> Draft {
    Draft {
        sync: Some(SyncPart { status: SyncStatus::Synced, revision: Some(Revision::new(SHA)) }),
        health: Health::healthy(),
        objects: Some(vec![object(ui())]),
        images: Some(vec!["nginx:1".into()]),
        links: Some(Vec::new()),
        conditions: Vec::new(),
        operation: None,
        append_history: false,
        source_type: Some("Directory".into()),
        clear_operation: false,
        clear_refresh: false,
        clear_request: false,
        state: None,
        reconciled_at: at("05"),
    }
}

fn operation() -> OperationState {
    OperationState {
        phase: OperationPhase::Succeeded,
        message: "successfully synced (all tasks run)".into(),
        started_at: at("00"),
        finished_at: Some(at("03")),
        retry_count: 0,
        results: vec![ObjectResult {
            key: ui(),
            version: "v1".into(),
            outcome: ObjectOutcome::Created,
            images: vec!["nginx:1".into()],
        }],
        revision: Some(Revision::new(SHA)),
        initiated_by: "admin".into(),
        automated: false,
        prune: false,
        dry_run: false,
        selective: Vec::new(),
        heal_attempts: 0,
    }
}

/// RFC 7386, as the API server does it.
fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    for (key, patch) in patch {
        if patch.is_null() {
            value.as_object_mut().unwrap().remove(key);
        } else {
            merge(value.as_object_mut().unwrap().entry(key).or_insert(Value::Null), patch);
        }
    }
}

fn write(raw: &Value, draft: &Draft) -> Option<Value> {
    patch(raw, draft, "argocd", at("09"))
}

fn after(raw: &Value, draft: &Draft) -> Value {
    let mut next = raw.clone();
    merge(&mut next, &write(raw, draft).expect("something to write"));
    let before = misfits(raw);
    let made: Vec<String> = misfits(&next).into_iter().filter(|misfit| !before.contains(misfit)).collect();
    assert_eq!(made, [""; 0], "{:#}", next["status"]);
    next
}

/// Returns why a status could not be stored under Argo CD's own CRD, and what of it would be dropped there.
fn misfits(app: &Value) -> Vec<String> {
    static THEIRS: LazyLock<Value> = LazyLock::new(|| {
        let [application, _] = argo_cd::definitions();
        application["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"].clone()
    });
    let mut misfits = Vec::new();
    fit(&app["status"], &THEIRS, "status", &mut misfits);
    misfits
}

fn fit(value: &Value, schema: &Value, path: &str, misfits: &mut Vec<String>) {
    if value.is_null() || schema["x-kubernetes-preserve-unknown-fields"] == true {
        return;
    }
    let fits = match schema["type"].as_str().unwrap_or("any") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "boolean" => value.is_boolean(),
        _ => true,
    };
    if !fits {
        misfits.push(format!("{path} is of another type"));
    }
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing = required.filter(|name| value[*name].is_null());
    misfits.extend(missing.map(|name| format!("{path}.{name} is missing")));
    for (name, value) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match (schema["properties"].get(name), schema.get("additionalProperties")) {
            (Some(schema), _) | (None, Some(schema)) => fit(value, schema, &path, misfits),
            (None, None) => misfits.push(format!("{path} is not stored")),
        }
    }
    for value in value.as_array().into_iter().flatten() {
        fit(value, &schema["items"], &format!("{path}[]"), misfits);
    }
}
