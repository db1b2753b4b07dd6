//! Which write makes an Application's status say what it should: field by field, and nothing when nothing changed.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod argo_cd;

use application::condition::{Condition, ConditionKind};
use application::state::State;
use application::status::{
    Detail, Draft, OperationState, SyncPart, inventory, is_listed_by_argo_cd, last_operation, listed_kinds,
    patch, result_line,
};
use model::{
    ErrorClass, Evidence, GroupKind, Health, HealthStatus, ObjectKey, ObjectOutcome, ObjectResult,
    ObjectStatus, OperationPhase, ResourceSelector, Revision, SyncStatus, Timestamp,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
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

#[test]
fn the_status_after_a_manual_sync_is_argo_cds() {
    let mut raw = plain();
    raw["operation"] = json!({
        "initiatedBy": {"username": "admin"}, "retry": {},
        "sync": {"revision": SHA, "source": raw["spec"]["source"], "syncStrategy": {"hook": {}}},
    });
    let requested = raw["operation"].clone();
    let draft =
        Draft { operation: Some(operation()), append_history: true, clear_operation: true, ..draft() };
    let done = after(&raw, &draft);
    assert_eq!(done.get("operation"), None);
    assert_eq!(
        done["status"],
        json!({
            "controllerNamespace": "argocd",
            "health": {"status": "Healthy", "lastTransitionTime": "2026-01-01T10:00:09Z"},
            "history": [{
                "id": 0, "revision": SHA, "source": raw["spec"]["source"],
                "deployStartedAt": "2026-01-01T10:00:00Z", "deployedAt": "2026-01-01T10:00:03Z",
                "initiatedBy": {"username": "admin"},
            }],
            "operationState": {
                "operation": requested, "phase": "Succeeded", "message": "successfully synced (all tasks run)",
                "startedAt": "2026-01-01T10:00:00Z", "finishedAt": "2026-01-01T10:00:03Z",
                "syncResult": {
                    "revision": SHA, "source": raw["spec"]["source"],
                    "resources": [{
                        "group": "apps", "version": "v1", "kind": "Deployment", "namespace": "web", "name": "ui",
                        "status": "Synced", "message": "deployment.apps/ui created", "hookPhase": "Succeeded",
                        "syncPhase": "Sync", "images": ["nginx:1"],
                    }],
                },
            },
            "reconciledAt": "2026-01-01T10:00:05Z",
            "resources": [{
                "group": "apps", "version": "v1", "kind": "Deployment", "namespace": "web", "name": "ui",
                "status": "Synced", "health": {"status": "Healthy"},
            }],
            "sourceType": "Directory",
            "summary": {"images": ["nginx:1"]},
            "sync": {
                "status": "Synced", "revision": SHA,
                "comparedTo": {"source": raw["spec"]["source"], "destination": raw["spec"]["destination"]},
            },
        })
    );
}

#[test]
fn a_status_that_says_so_already_is_not_written_whatever_the_clock_says() {
    let full = Draft {
        operation: Some(operation()),
        append_history: true,
        conditions: vec![Condition::new(ConditionKind::SyncError, "a")],
        state: Some(State::default()),
        ..draft()
    };
    let raw = after(&plain(), &full);
    let later = Draft { reconciled_at: at("40"), ..full };
    assert_eq!(patch(&raw, &later, "argocd", at("59")), None);
}

#[test]
fn every_write_is_guarded_and_lists_are_whole() {
    let raw = after(&plain(), &draft());
    let two = vec![object(ui()), object(ObjectKey::new("", "Service", "web", "ui"))];
    let write = write(&raw, &Draft { objects: Some(two), reconciled_at: at("06"), ..draft() }).unwrap();
    assert_eq!(write["metadata"], json!({"resourceVersion": "7"}));
    let mut fields: Vec<&String> = write["status"].as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["reconciledAt", "resources"]);
    let kinds: Vec<&str> = write["status"]["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["Service", "Deployment"], "sorted by group, kind, namespace and name");
}

/// Each row: what the status holds before, what changes in the draft, and what it holds after.
#[test]
fn a_sync_keeps_the_source_that_it_synced() {
    let full = Draft { operation: Some(operation()), ..draft() };
    let mut raw = after(&plain(), &full);
    let source = raw["spec"]["source"].clone();
    raw["spec"]["source"]["path"] = json!("elsewhere");
    let next = after(&raw, &full);
    assert_eq!(next["status"]["operationState"]["syncResult"]["source"], source);
    // Another commit, synced within the same second, is another sync.
    let revision = Some(model::Revision::new("another"));
    let later = OperationState { revision, ..operation() };
    let next = after(&raw, &Draft { operation: Some(later), ..draft() });
    assert_eq!(next["status"]["operationState"]["syncResult"]["source"], raw["spec"]["source"]);
    assert_eq!(next["status"]["operationState"]["operation"]["sync"]["revision"], "another");
}

#[test]
fn what_is_no_longer_so_is_removed() {
    for (field, before, expected) in [
        (
            "conditions",
            json!([{"type": "SyncError", "message": "old", "lastTransitionTime": "t"}]),
            Value::Null,
        ),
        ("resourceHealthSource", json!("appTree"), Value::Null),
        (
            "health",
            json!({"status": "Degraded", "message": "m", "lastTransitionTime": "t"}),
            json!({"status": "Healthy", "lastTransitionTime": "2026-01-01T10:00:09Z"}),
        ),
        (
            "health",
            json!({"status": "Healthy", "message": "m", "lastTransitionTime": "t"}),
            json!({"status": "Healthy", "lastTransitionTime": "t"}),
        ),
        (
            "summary",
            json!({"images": ["old:1"], "externalURLs": ["https://x"]}),
            json!({"images": ["nginx:1"]}),
        ),
        ("sourceType", json!("Helm"), json!("Directory")),
        ("controllerNamespace", json!("other"), json!("argocd")),
        ("unknownToUs", json!({"a": 1}), json!({"a": 1})),
        (
            "sync",
            json!({"status": "OutOfSync", "revisions": ["a"], "comparedTo": {"sources": [{"repoURL": "x"}]}}),
            json!({"status": "Synced", "revision": SHA, "comparedTo": {
                "source": plain()["spec"]["source"], "destination": plain()["spec"]["destination"]}}),
        ),
    ] {
        let mut raw = plain();
        raw["status"] = json!({field: before});
        assert_eq!(after(&raw, &draft())["status"][field], expected, "{field}");
    }
}

#[test]
fn empty_and_absent_are_the_same() {
    let bare = Draft { objects: Some(vec![]), images: Some(vec![]), ..draft() };
    let mut raw = after(&plain(), &bare);
    for (field, empty) in
        [("conditions", json!([])), ("resources", json!([])), ("summary", json!({})), ("history", json!([]))]
    {
        raw["status"][field] = empty;
    }
    assert_eq!(write(&raw, &bare), None);
}

#[test]
fn what_the_draft_leaves_open_stays() {
    let full = Draft { operation: Some(operation()), append_history: true, ..draft() };
    let raw = after(&plain(), &full);
    let open = Draft {
        sync: None,
        objects: None,
        images: None,
        links: None,
        operation: None,
        source_type: None,
        ..draft()
    };
    assert_eq!(write(&raw, &open), None);
}

#[test]
fn links_of_the_objects_and_of_the_application_itself_are_listed_once() {
    let mut raw = plain();
    raw["metadata"]["annotations"] = json!({
        "link.argocd.argoproj.io/board": "Board|https://board.example/",
        "link.argocd.argoproj.io/same": "https://shop.example/",
        "link.argocd.argoproj.io/script": "javascript:alert(1)",
    });
    let links = Some(vec!["http://a.example/".into(), "https://shop.example/".into()]);
    let stored = after(&raw, &Draft { links, ..draft() });
    let expected = ["Board|https://board.example/", "http://a.example/", "https://shop.example/"];
    assert_eq!(stored["status"]["summary"]["externalURLs"], json!(expected));
    let open = Draft { links: None, images: None, ..draft() };
    assert_eq!(write(&stored, &open), None, "they stay where nobody knows better");
}

#[test]
fn conditions_keep_their_time_and_others_keep_theirs() {
    let mut raw = plain();
    raw["status"] = json!({"conditions": [
        {"type": "OrphanedResourceWarning", "message": "theirs", "lastTransitionTime": "t0"},
        {"type": "SyncError", "message": "same", "lastTransitionTime": "t1"},
        {"type": "ComparisonError", "message": "gone", "lastTransitionTime": "t2"},
    ]});
    let conditions = vec![
        Condition::new(ConditionKind::SyncError, "same"),
        Condition::new(ConditionKind::InvalidSpecError, "new"),
        Condition::new(ConditionKind::SyncError, "also new"),
    ];
    assert_eq!(
        after(&raw, &Draft { conditions, ..draft() })["status"]["conditions"],
        json!([
            {"type": "InvalidSpecError", "message": "new", "lastTransitionTime": "2026-01-01T10:00:09Z"},
            {"type": "OrphanedResourceWarning", "message": "theirs", "lastTransitionTime": "t0"},
            {"type": "SyncError", "message": "also new", "lastTransitionTime": "2026-01-01T10:00:09Z"},
            {"type": "SyncError", "message": "same", "lastTransitionTime": "t1"},
        ])
    );
}

#[test]
fn consumed_requests_go_with_the_same_write() {
    let mut raw = after(&plain(), &draft());
    raw["metadata"]["annotations"] = json!({
        "argocd.argoproj.io/refresh": "hard", "argocd.argoproj.io/refresh-timestamp": "t", "other": "kept",
    });
    raw["operation"] = json!({"sync": {}});
    assert_eq!(write(&raw, &draft()), None, "nobody said that they are consumed");
    let write = write(&raw, &Draft { clear_refresh: true, clear_operation: true, ..draft() }).unwrap();
    assert_eq!(
        write["metadata"]["annotations"],
        json!({"argocd.argoproj.io/refresh": null, "argocd.argoproj.io/refresh-timestamp": null})
    );
    assert_eq!(write.get("operation"), Some(&Value::Null));
    assert_eq!(
        after(&raw, &Draft { clear_refresh: true, ..draft() })["metadata"]["annotations"],
        json!({"other": "kept"})
    );
}

#[test]
fn a_request_to_hydrate_goes_with_a_refresh_unless_there_is_a_hydrator() {
    let annotations = json!({
        "argocd.argoproj.io/refresh": "normal", "argocd.argoproj.io/hydrate": "normal",
        "argocd.argoproj.io/hydrate-timestamp": "t",
    });
    let mut raw = after(&plain(), &draft());
    raw["metadata"]["annotations"] = annotations;
    let cleared = Draft { clear_refresh: true, ..draft() };
    assert_eq!(after(&raw, &cleared)["metadata"]["annotations"], json!({}));
    raw["spec"]["sourceHydrator"] = json!({"drySource": {}});
    let kept = json!({"argocd.argoproj.io/hydrate": "normal", "argocd.argoproj.io/hydrate-timestamp": "t"});
    assert_eq!(after(&raw, &cleared)["metadata"]["annotations"], kept);
}

#[test]
fn our_state_is_an_annotation_and_written_only_when_it_changes() {
    let (state, _) = State::read(r#"{"v":1,"heals":2}"#);
    let with_state = Draft { state: Some(state.clone()), ..draft() };
    let raw = after(&plain(), &with_state);
    let text = raw["metadata"]["annotations"]["tautline.dev/state"].as_str().unwrap();
    assert_eq!(State::read(text), (state, None));
    assert_eq!(write(&raw, &with_state), None);
}

#[test]
fn history_counts_on_is_cut_and_never_doubled() {
    let mut raw = plain();
    raw["spec"]["revisionHistoryLimit"] = json!(2);
    raw["status"] = json!({"history": [{"id": 6, "revision": "a"}, {"id": 7, "revision": "b"}]});
    let full = Draft { operation: Some(operation()), append_history: true, ..draft() };
    let ids = |raw: &Value| -> Vec<i64> {
        raw["status"]["history"].as_array().into_iter().flatten().map(|e| e["id"].as_i64().unwrap()).collect()
    };
    let mut once = after(&raw, &full);
    assert_eq!(ids(&once), [7, 8]);
    once["metadata"]["annotations"] = json!({"argocd.argoproj.io/refresh": "normal"});
    assert_eq!(
        ids(&after(&once, &Draft { clear_refresh: true, ..full.clone() })),
        [7, 8],
        "a repeated write adds nothing"
    );
    raw["spec"]["revisionHistoryLimit"] = json!(0);
    assert_eq!(ids(&after(&raw, &full)), [0_i64; 0]);
}

#[test]
fn automated_syncs_are_told_as_argo_cd_asks_for_them() {
    let mut raw = plain();
    raw["spec"]["syncPolicy"] = json!({"syncOptions": ["CreateNamespace=true"]});
    let heal = OperationState {
        automated: true,
        initiated_by: String::new(),
        prune: true,
        selective: vec![ResourceSelector {
            group: "apps".into(),
            kind: "Deployment".into(),
            name: "ui".into(),
            namespace: String::new(),
        }],
        heal_attempts: 2,
        ..operation()
    };
    let mut told = after(&raw, &Draft { operation: Some(heal.clone()), ..draft() });
    assert_eq!(
        told["status"]["operationState"]["operation"],
        json!({
            "initiatedBy": {"automated": true}, "retry": {"limit": -1},
            "sync": {
                "revision": SHA, "prune": true, "source": raw["spec"]["source"], "syncOptions": ["CreateNamespace=true"],
                "resources": [{"group": "apps", "kind": "Deployment", "name": "ui"}], "autoHealAttemptsCount": 2,
            },
        })
    );
    // A request that comes in meanwhile is not what this sync was asked for.
    told["operation"] = json!({"initiatedBy": {"username": "me"}, "sync": {"prune": true}});
    let running = OperationState { message: "still".into(), ..heal };
    let told = after(&told, &Draft { operation: Some(running), ..draft() });
    assert_eq!(told["status"]["operationState"]["operation"]["initiatedBy"], json!({"automated": true}));
}

#[test]
fn what_was_asked_for_is_told_word_for_word_until_the_end() {
    let mut raw = plain();
    let asked = json!({"info": [{"name": "a", "value": "b"}], "sync": {"prune": true, "syncOptions": ["ServerSideApply=true"]}});
    raw["operation"] = asked.clone();
    let running = OperationState { phase: OperationPhase::Running, finished_at: None, ..operation() };
    let mut told = after(&raw, &Draft { operation: Some(running), ..draft() });
    assert_eq!(told["status"]["operationState"]["operation"], asked);
    told.as_object_mut().unwrap().remove("operation");
    let told = after(&told, &Draft { operation: Some(operation()), ..draft() });
    assert_eq!(
        told["status"]["operationState"]["operation"], asked,
        "also when the request is gone from the object"
    );
    assert_eq!(told["status"]["operationState"]["finishedAt"], "2026-01-01T10:00:03Z");
}

#[test]
fn a_new_sync_leaves_nothing_of_the_one_before() {
    let first = OperationState { retry_count: 3, ..operation() };
    let raw = after(&plain(), &Draft { operation: Some(first), ..draft() });
    let second = OperationState {
        phase: OperationPhase::Running,
        message: String::new(),
        started_at: at("07"),
        finished_at: None,
        results: Vec::new(),
        ..operation()
    };
    let state =
        after(&raw, &Draft { operation: Some(second), ..draft() })["status"]["operationState"].clone();
    let mut fields: Vec<&String> = state.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["operation", "phase", "startedAt", "syncResult"]);
}

#[test]
fn results_read_like_kubectls() {
    let mut lines = Vec::new();
    for (key, outcome) in [
        (ui(), ObjectOutcome::Created),
        (ui(), ObjectOutcome::Configured),
        (ObjectKey::new("", "Service", "web", "ui"), ObjectOutcome::Unchanged),
        (ObjectKey::new("", "Namespace", "", "web"), ObjectOutcome::Pruned),
        (ui(), ObjectOutcome::PruneSkipped("ignored (no prune)".into())),
        (ui(), ObjectOutcome::Failed(ErrorClass::Invalid, "spec.replicas: must be a number".into())),
    ] {
        let result = ObjectResult { key, version: "v1".into(), outcome, images: vec![] };
        let state = OperationState { results: vec![result.clone()], ..operation() };
        let raw = after(&plain(), &Draft { operation: Some(state), ..draft() });
        let told = &raw["status"]["operationState"]["syncResult"]["resources"][0];
        let word = |field: &str| told[field].as_str().unwrap().to_owned();
        assert_eq!(word("message"), result_line(&result));
        lines.push(format!("{} {}: {}", word("status"), word("hookPhase"), word("message")));
    }
    assert_eq!(
        lines,
        [
            "Synced Succeeded: deployment.apps/ui created",
            "Synced Succeeded: deployment.apps/ui configured",
            "Synced Succeeded: service/ui unchanged",
            "Pruned Succeeded: namespace/web pruned",
            "PruneSkipped Succeeded: ignored (no prune)",
            "SyncFailed Failed: spec.replicas: must be a number",
        ]
    );
}

#[test]
fn objects_tell_what_matters_and_nothing_else() {
    let extra = ObjectStatus {
        sync: Some(SyncStatus::OutOfSync),
        health: Some(Health::new(HealthStatus::Degraded, "image not found")),
        requires_pruning: true,
        requires_confirmation: true,
        ..object(ui())
    };
    let copied =
        ObjectStatus { sync: None, health: None, ..object(ObjectKey::new("", "ConfigMap", "web", "c")) };
    let raw = after(&plain(), &Draft { objects: Some(vec![extra, copied]), ..draft() });
    assert_eq!(
        raw["status"]["resources"],
        json!([
            {"version": "v1", "kind": "ConfigMap", "namespace": "web", "name": "c"},
            {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "web", "name": "ui", "status": "OutOfSync",
             "health": {"status": "Degraded", "message": "image not found"}, "requiresPruning": true, "requiresDeletionConfirmation": true},
        ])
    );
}

#[test]
fn several_sources_are_compared_as_they_stand() {
    let mut raw = plain();
    let sources = json!([{"repoURL": "https://git.example.com/a", "path": "p"}]);
    raw["spec"]["sources"] = sources.clone();
    raw["spec"]["ignoreDifferences"] =
        json!([{"kind": "Deployment", "group": "apps", "jsonPointers": ["/spec/replicas"]}]);
    let compared = after(&raw, &draft())["status"]["sync"]["comparedTo"].clone();
    assert_eq!(compared["sources"], sources);
    assert_eq!(compared.get("source"), None);
    assert_eq!(compared["ignoreDifferences"], raw["spec"]["ignoreDifferences"]);
}

#[test]
fn nulls_in_a_spec_do_not_make_it_differ_for_ever() {
    let mut raw = plain();
    raw["spec"]["source"]["helm"] = json!({"valuesObject": {"a": null, "b": [null, {"c": null}]}});
    let stored = after(&raw, &draft());
    assert_eq!(write(&stored, &draft()), None);
}

#[test]
fn what_was_written_is_remembered() {
    let heal = OperationState {
        automated: true,
        initiated_by: String::new(),
        heal_attempts: 4,
        retry_count: 1,
        ..operation()
    };
    let raw = after(&plain(), &Draft { operation: Some(heal), ..draft() });
    let last = last_operation(&raw).unwrap();
    assert_eq!(
        (last.phase, last.automated, last.heal_attempts, last.retry_count),
        (OperationPhase::Succeeded, true, 4, 1)
    );
    assert_eq!((last.started_at, last.finished_at), (at("00"), Some(at("03"))));
    assert_eq!(last.revision, Some(Revision::new(SHA)));
    assert!(!last.dry_run);
    let dry_run = OperationState { dry_run: true, ..operation() };
    let looked = after(&plain(), &Draft { operation: Some(dry_run), ..draft() });
    assert!(last_operation(&looked).unwrap().dry_run);
    assert_eq!(inventory(&raw), [(ui(), "v1".to_owned())]);
    assert_eq!(listed_kinds(&raw), BTreeSet::from([ui().group_kind()]));
    assert!(listed_kinds(&plain()).is_empty());
    assert_eq!(last_operation(&plain()), None);
    let odd = json!({"status": {"operationState": {"phase": 3}, "resources": [{"kind": "A"}, 7, {"kind": "", "name": "n"}]}});
    assert_eq!(inventory(&odd), vec![]);
    assert_eq!((last_operation(&odd), listed_kinds(&odd)), (None, BTreeSet::from([GroupKind::new("", "A")])));
}

#[test]
fn who_lists_the_objects_is_told_by_the_managed_fields() {
    let entry = |manager: &str, status: Value| json!({"manager": manager, "operation": "Update", "fieldsV1": {"f:status": status}});
    let by = |entries: &[Value]| is_listed_by_argo_cd(&Value::from(entries));
    let argo_cd = "argocd-application-controller";
    assert!(by(&[entry("kubectl", json!({})), entry(argo_cd, json!({"f:resources": {}}))]));
    assert!(!by(&[entry(argo_cd, json!({"f:health": {}})), entry("tautline", json!({"f:resources": {}}))]));
    assert!(!by(&[entry("kubectl-edit", json!({"f:resources": {}}))]));
    assert!(!is_listed_by_argo_cd(&Value::Null));
}

#[test]
fn a_status_that_is_too_large_leaves_out_what_matters_least_and_says_so() {
    let mut operation = operation();
    let failed = ObjectOutcome::Failed(ErrorClass::Invalid, "no".into());
    let refused = ObjectResult {
        key: ObjectKey::new("", "Service", "shop", "bad"),
        version: "v1".into(),
        outcome: failed,
        images: Vec::new(),
    };
    operation.results.push(refused);
    let n_results = operation.results.len();
    assert!(n_results > 1);
    let draft = Draft { operation: Some(operation), append_history: true, ..draft() };
    let told = |detail: Detail| after(&plain(), &draft.clone().cut(detail))["status"].clone();
    let count =
        |status: &Value, list: &str| status.pointer(list).and_then(Value::as_array).map_or(0, Vec::len);
    let results = "/operationState/syncResult/resources";
    let (whole, failures, words) = (told(Detail::Whole), told(Detail::Failures), told(Detail::Words));
    assert_eq!([&whole, &failures, &words].map(|status| count(status, results)), [n_results, 1, 0]);
    assert_eq!(failures.pointer(results).unwrap()[0]["name"], "bad");
    assert_eq!(
        (count(&failures, "/resources"), count(&words, "/resources")),
        (count(&whole, "/resources"), 0)
    );
    for status in [&failures, &words] {
        for field in
            ["/sync", "/health/status", "/operationState/phase", "/operationState/message", "/history"]
        {
            assert_eq!(status.pointer(field), whole.pointer(field), "{field}");
        }
    }
    assert_eq!(failures["conditions"], whole["conditions"]);
    let conditions = words["conditions"].to_string();
    assert!(
        conditions.contains("UnknownError") && conditions.contains("too large to be stored"),
        "{conditions}"
    );
    // What the status lists already stays.
    let kept = after(&after(&plain(), &draft), &draft.clone().cut(Detail::Words));
    assert_eq!(kept["status"]["resources"], whole["resources"]);
    assert_eq!(Detail::Whole.less().and_then(Detail::less), Some(Detail::Words));
    assert_eq!(Detail::Words.less(), None);
}

#[test]
fn where_nothing_else_fits_thousands_of_conditions_are_told_by_the_first_of_each_type_and_a_number() {
    let problem = |n: usize| {
        let message = format!("object {n:04} cannot be compared: {}", "x".repeat(300));
        Condition::new(ConditionKind::ComparisonError, message)
    };
    let told = |n_problems: usize| {
        let read_only = Condition::new(ConditionKind::SyncError, "Read-only");
        let conditions = (0..n_problems).map(problem).chain([read_only]).collect();
        let cut = Draft { conditions, ..draft() }.cut(Detail::Words);
        patch(&plain(), &cut, "argocd", at("05")).unwrap()
    };
    let ours = |patch: &Value| {
        let conditions = patch["status"]["conditions"].as_array().unwrap();
        let ours = conditions.iter().find(|condition| condition["type"] == "UnknownError").unwrap();
        (conditions.len(), ours["message"].as_str().unwrap().to_owned())
    };
    let (many, few) = (told(3_000), told(20));
    let text = many.to_string();
    assert!(text.len() < 100_000, "{}", text.len());
    let (n_told, message) = ours(&many);
    assert!(n_told == 22 && message.contains("of each type, and 2980 more"), "{n_told}: {message}");
    assert!(text.contains("object 0019") && !text.contains("object 0020"));
    // The next life learns from it that nothing may be changed.
    assert!(text.contains("Read-only"));
    let (n_told, message) = ours(&few);
    assert!(n_told == 22 && !message.contains("more"), "{n_told}: {message}");
}

#[test]
fn a_status_of_argo_cd_tells_what_we_do_not_act_on() {
    let fields = |status: Value| -> Vec<String> {
        let not_yet = application::status::deployed_not_yet(&json!({"status": status}));
        not_yet.into_iter().map(|not_yet| not_yet.field).collect()
    };
    let entry = |name: &str| json!({"kind": "ConfigMap", "namespace": "shop", "name": name});
    let with = |name: &str, field: &str, value: Value| {
        let mut entry = entry(name);
        entry[field] = value;
        entry
    };
    let resources = json!([
        entry("plain"),
        with("zero", "syncWave", json!(0)),
        with("odd", "syncWave", json!("x")),
        with("late", "syncWave", json!(2)),
        with("after", "hook", json!(true)),
    ]);
    assert_eq!(
        fields(json!({"sourceType": "Helm", "resources": resources})),
        [
            "a Helm source",
            "ConfigMap shop/late: argocd.argoproj.io/sync-wave: 2",
            "ConfigMap shop/after: argocd.argoproj.io/hook",
        ]
    );
    assert!(fields(json!({"sourceType": "Directory", "resources": [entry("plain")]})).is_empty());
    assert!(fields(json!({})).is_empty());
}
