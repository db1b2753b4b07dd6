//! What does each field say, and what is left alone?

use crate::{SHA, after, at, draft, merge, object, operation, plain, ui, write};
use application::condition::{Condition, ConditionKind};
use application::state::State;
use application::status::{Draft, SyncPart, moves_the_revision_alone, patch};
use model::{Health, HealthStatus, ObjectKey, ObjectStatus, Revision, SyncStatus};
use serde_json::{Value, json};

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
fn a_revision_that_changed_nothing_is_told_from_what_a_reader_acts_on() {
    let raw = after(&plain(), &draft());
    let newer = || {
        let sync = SyncPart { status: SyncStatus::Synced, revision: Some(Revision::new("b".repeat(40))) };
        Draft { sync: Some(sync), reconciled_at: at("20"), ..draft() }
    };
    let alone = |draft: &Draft| moves_the_revision_alone(&write(&raw, draft).unwrap());
    assert!(alone(&newer()));
    assert!(!alone(&Draft { health: Health::new(HealthStatus::Degraded, ""), ..newer() }));
    assert!(!alone(&Draft { operation: Some(operation()), ..newer() }));
    let mut differs = newer();
    differs.sync.as_mut().unwrap().status = SyncStatus::OutOfSync;
    assert!(!alone(&differs));
    let asked = json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}});
    let mut refreshed = raw.clone();
    merge(&mut refreshed, &asked);
    let cleared = write(&refreshed, &Draft { clear_refresh: true, ..newer() }).unwrap();
    assert!(!moves_the_revision_alone(&cleared), "whoever asked waits for the answer: {cleared}");
    let mut requested = raw.clone();
    merge(&mut requested, &json!({"operation": {"sync": {}}}));
    let cleared = write(&requested, &Draft { clear_operation: true, ..newer() }).unwrap();
    assert!(!moves_the_revision_alone(&cleared), "{cleared}");
}
