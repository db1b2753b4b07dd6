//! What does a status tell of a sync, and what is remembered of that?

use crate::{SHA, after, at, draft, operation, plain, ui};
use application::status::{Draft, OperationState, inventory, last_operation, listed_kinds, result_line};
use model::{
    ErrorClass, GroupKind, ObjectKey, ObjectOutcome, ObjectResult, OperationPhase, ResourceSelector, Revision,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

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
