//! What an Application asks for, and what is wrong with it: tables in `fixtures/application/`.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use application::read;
use model::{AddedFields, App, Cascade, FirstDeploy, NotYet, Refresh, RollbackPolicy, Seconds};
use serde_json::{Value, json};

fn fixture(name: &str) -> Vec<Value> {
    let path = format!("{}/../../../fixtures/application/{name}", env!("CARGO_MANIFEST_DIR"));
    #[expect(clippy::disallowed_methods, reason = "tests read their fixtures")]
    let text = std::fs::read_to_string(path).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

fn plain() -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "demo", "namespace": "argocd", "uid": "u-1"},
        "spec": {
            "project": "default",
            "source": {"repoURL": "https://git.example.com/r.git", "path": "app", "targetRevision": "main"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "web"},
        },
    })
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

fn with(patch: &Value) -> Value {
    let mut app = plain();
    merge(&mut app, patch);
    app
}

fn app(patch: &Value) -> App {
    read(&with(patch)).unwrap()
}

fn fields(list: &[NotYet]) -> Vec<&str> {
    list.iter().map(|n| n.field.as_str()).collect()
}

// N35: such an app is read-only
#[test]
fn every_field_we_do_not_act_on_makes_the_app_read_only_and_is_named() {
    for case in fixture("not_yet.yaml") {
        let app = app(&case["merge"]);
        assert!(app.is_read_only(), "{case}");
        assert_eq!(fields(&app.not_yet), [case["field"].as_str().unwrap()], "{case}");
    }
}

// N33: in an operation
#[test]
fn operations_that_ask_for_more_are_refused_and_the_app_stays_as_it_is() {
    for case in fixture("operation_not_yet.yaml") {
        let app = app(&json!({"operation": case["operation"]}));
        assert!(!app.is_read_only(), "{case}");
        assert_eq!(fields(&app.operation.unwrap().not_yet), [case["field"].as_str().unwrap()], "{case}");
    }
}

// N49: wrong types and durations
#[test]
fn all_problems_are_told_at_once_each_with_its_field() {
    for case in fixture("problems.yaml") {
        let problems: Vec<String> =
            read(&with(&case["merge"])).unwrap_err().iter().map(ToString::to_string).collect();
        let mut expected: Vec<&str> =
            case["problems"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
        let mut found: Vec<&str> = problems.iter().map(String::as_str).collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "{case}");
    }
}

/// What it takes to read a range grows with its length, and nobody else's app may wait for that.
#[test]
fn a_revision_that_is_too_long_is_refused_wherever_it_stands() {
    let (longest, long) = ("1".repeat(250), "1".repeat(251));
    let source = |revision: &str| json!({"targetRevision": revision});
    let read_only = json!({"repoURL": "https://git.example.com/r.git", "path": ".", "targetRevision": long});
    for (spec, field) in [
        (json!({"source": source(&long)}), "spec.source.targetRevision"),
        (
            json!({"source": {"chart": "c", "path": null, "targetRevision": long}}),
            "spec.source.targetRevision",
        ),
        (json!({"source": null, "sources": [read_only]}), "spec.sources[0].targetRevision"),
    ] {
        let problems = read(&with(&json!({"spec": spec}))).unwrap_err();
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let help = "name a branch, a tag, a commit or a range of versions";
        assert_eq!(told, [format!("{field}: is longer than 250 bytes ({help})")]);
    }
    let operation = |revision: &str| {
        let asked =
            json!({"operation": {"sync": {"revision": revision}}, "spec": {"source": source(&longest)}});
        app(&asked).operation.unwrap()
    };
    assert_eq!(operation(&longest).revision, longest);
    let refused = operation(&long);
    assert_eq!(fields(&refused.not_yet), ["operation.sync.revision: is longer than 250 bytes"]);
    assert_eq!(refused.revision, "");
}

#[test]
fn what_is_honoured_is_read() {
    let app = app(&json!({
        "metadata": {"annotations": {
            "argocd.argoproj.io/refresh": "hard", "tautline.dev/added-fields": "remove",
            "argocd.argoproj.io/deletion-approved": "2026-01-01T10:00:00Z",
            "argocd.argoproj.io/manifest-generate-paths": ".", "notifications.argoproj.io/x": "y",
        }},
        "spec": {
            "project": "",
            "source": {"path": "./a//b/", "name": "n", "directory": {"recurse": true, "include": "*.yaml", "exclude": "x", "jsonnet": {}}, "helm": {}},
            "syncPolicy": {
                "automated": {"prune": true, "selfHeal": true, "allowEmpty": true},
                "syncOptions": [
                    "CreateNamespace=true", "Prune=false", "Delete=false", "ServerSideApply=true", "ServerSideApply=false",
                    "ApplyOutOfSyncOnly=true", "SkipDryRunOnMissingResource=true", "Validate=true", "PruneLast=false",
                    "PrunePropagationPolicy=foreground", "Replace=false", " Prune=true ",
                ],
                "retry": {"limit": -1, "backoff": {"duration": "10", "factor": 3, "maxDuration": "1h"}},
                "tautline": {"addedFields": "keep"},
            },
            "ignoreDifferences": [{"group": "apps", "kind": "*", "name": "n", "namespace": "ns", "jsonPointers": ["/spec/replicas"]}],
            "info": [{"name": "a", "value": "b"}],
            "revisionHistoryLimit": -3,
        },
        "status": {"operationState": {"phase": "Terminating"}},
    }));
    assert_eq!(fields(&app.not_yet), [""; 0]);
    assert_eq!(app.project, "default");
    assert_eq!(app.source.path, "a/b");
    assert!(app.source.directory.recurse);
    assert_eq!(
        (app.source.directory.include.as_str(), app.source.directory.exclude.as_str()),
        ("*.yaml", "x")
    );
    let automated = app.automated.unwrap();
    assert!(automated.prune && automated.self_heal && automated.allow_empty);
    assert!(app.create_namespace && app.prune_disabled && app.delete_disabled && app.terminate);
    let retry = app.retry.unwrap();
    assert_eq!(
        (retry.limit, retry.backoff.duration, retry.backoff.max),
        (-1, Seconds::new(10), Seconds::new(3600))
    );
    assert_eq!(app.ignore_differences[0].json_pointers, ["/spec/replicas"]);
    assert_eq!(app.history_limit, 0);
    assert_eq!(app.added_fields, AddedFields::Remove, "the annotation wins over the spec");
    assert_eq!(app.refresh, Some(Refresh::Hard));
    assert_eq!(app.deletion_approved.unwrap().to_string(), "2026-01-01T10:00:00Z");
}

#[test]
fn what_is_to_be_done_about_bad_commits_stands_in_annotations_or_in_the_spec() {
    let annotations = json!({
        "tautline.dev/rollback": "off", "tautline.dev/deadline": "7m", "tautline.dev/soak": "0s",
        "tautline.dev/degraded-grace": "1h", "tautline.dev/first-deploy": "remove",
    });
    let spec = json!({
        "policy": "manual", "deadline": "90s", "soak": "20s", "degradedGrace": "2s", "firstDeploy": "keep",
    });
    let late = app(&json!({"metadata": {"annotations": {"tautline.dev/prune": "after-settle"}}}));
    assert!(late.prunes_after_settling && !app(&json!({})).prunes_after_settling);
    let read = |annotations: &Value, spec: &Value| {
        let metadata = json!({"annotations": annotations});
        let app = app(&json!({"metadata": metadata, "spec": {"syncPolicy": {"rollback": spec}}}));
        assert_eq!(fields(&app.not_yet), [""; 0]);
        let said = app.rollback;
        (said.policy, app.sync_deadline, said.soak, said.degraded_grace, said.first_deploy)
    };
    let of_annotations = (
        Some(RollbackPolicy::Off),
        Some(Seconds::new(420)),
        Seconds::ZERO,
        Seconds::new(3600),
        FirstDeploy::Remove,
    );
    let of_spec = (
        Some(RollbackPolicy::Manual),
        Some(Seconds::new(90)),
        Seconds::new(20),
        Seconds::new(2),
        FirstDeploy::Keep,
    );
    assert_eq!(read(&annotations, &json!({})), of_annotations);
    assert_eq!(read(&json!({}), &spec), of_spec);
    assert_eq!(read(&annotations, &spec), of_annotations, "annotations win");
    let nothing = (None, None, Seconds::new(10), Seconds::new(15), FirstDeploy::Keep);
    assert_eq!(read(&json!({}), &json!({})), nothing);
    assert_eq!(read(&json!({}), &json!({"deadline": "", "soak": "", "degradedGrace": ""})), nothing);
}

#[test]
fn a_plain_app_asks_for_little() {
    let app = app(&json!({}));
    assert_eq!(app.automated, None);
    assert_eq!(app.retry, None);
    assert_eq!(app.history_limit, 10);
    assert_eq!((app.operation, app.refresh, app.deletion), (None, None, None));
    assert!(!app.skip_reconcile && !app.terminate && !app.create_namespace);
    assert_eq!((app.key.to_string(), app.uid.as_str()), ("argocd/demo".to_owned(), "u-1"));
}

#[test]
fn root_folder_and_head_are_the_same_however_they_are_written() {
    for path in [".", "./", "./."] {
        let app = app(&json!({"spec": {"source": {"path": path, "targetRevision": ""}}}));
        assert_eq!((app.source.path.as_str(), app.source.target_revision.as_str()), ("", "HEAD"));
    }
}

#[test]
fn automated_is_off_only_when_it_says_so() {
    for (automated, is_on) in [
        (json!({}), true),
        (json!({"enabled": true}), true),
        (json!({"enabled": false, "prune": true}), false),
    ] {
        let app = app(&json!({"spec": {"syncPolicy": {"automated": automated}}}));
        assert_eq!(app.automated.is_some(), is_on);
    }
}

#[test]
fn only_gos_true_skips_reconciliation() {
    for (value, skips) in [
        ("true", true),
        ("1", true),
        ("T", true),
        ("yes", false),
        ("", false),
        ("false", false),
        ("tRuE", false),
    ] {
        let app = app(&json!({"metadata": {"annotations": {"argocd.argoproj.io/skip-reconcile": value}}}));
        assert_eq!(app.skip_reconcile, skips, "{value}");
    }
}

#[test]
fn finalizers_decide_what_a_deletion_does() {
    for (finalizers, cascade) in [
        (vec![], Cascade::Orphan),
        (vec!["other"], Cascade::Orphan),
        (vec!["resources-finalizer.argocd.argoproj.io"], Cascade::Foreground),
        (vec!["resources-finalizer.argocd.argoproj.io/foreground"], Cascade::Foreground),
        (vec!["resources-finalizer.argocd.argoproj.io/background"], Cascade::Background),
    ] {
        let app = app(
            &json!({"metadata": {"deletionTimestamp": "2026-01-01T10:00:00Z", "finalizers": finalizers}}),
        );
        assert_eq!(app.deletion.unwrap().cascade, cascade);
    }
}

#[test]
fn operations_as_clients_write_them() {
    let spec_source = plain()["spec"]["source"].clone();
    for (operation, expected) in [
        (
            json!({"initiatedBy": {"username": "ci"}, "sync": {"revision": "main", "prune": true, "syncOptions": ["ServerSideApply=true"]}}),
            "main prune ci",
        ),
        (json!({"sync": {"syncStrategy": {"hook": {}}, "source": spec_source}, "retry": {}}), ""),
        (
            json!({"sync": {"syncStrategy": {"apply": {"force": false}}, "dryRun": true}, "retry": {"limit": 5, "backoff": {"duration": "5s", "factor": 2, "maxDuration": "3m0s"}}}),
            "dry 5",
        ),
        (
            json!({"sync": {"resources": [{"kind": "Service", "name": "ui"}, {"group": "apps", "kind": "Deployment", "name": "ui", "namespace": "web"}]}}),
            "/Service//ui apps/Deployment/web/ui",
        ),
    ] {
        let read = app(&json!({"operation": operation})).operation.unwrap();
        assert_eq!(fields(&read.not_yet), [""; 0], "{operation}");
        let mut words = vec![read.revision.clone()];
        words.extend(read.prune.then(|| "prune".into()));
        words.extend(read.dry_run.then(|| "dry".into()));
        words.extend(read.retry_limit.map(|n| n.to_string()));
        words.extend(
            read.resources.iter().map(|r| format!("{}/{}/{}/{}", r.group, r.kind, r.namespace, r.name)),
        );
        words.push(read.username.clone());
        words.retain(|word| !word.is_empty());
        assert_eq!(words.join(" "), expected);
    }
    assert_eq!(app(&json!({"operation": null})).operation, None);
}

/// What we write ourselves changes nothing that is asked for; everything that is read does.
#[test]
fn what_is_asked_for_changes_with_what_is_read() {
    let asked = |patch: &Value| {
        let mut raw = plain();
        merge(&mut raw, patch);
        application::asked(&raw)
    };
    let before = application::asked(&plain());
    let ours = json!({
        "metadata": {"resourceVersion": "8", "generation": 2, "annotations": {"tautline.dev/state": "{}"}},
        "status": {"sync": {"status": "Synced"}, "operationState": {"phase": "Running"}},
    });
    assert_eq!(asked(&ours), before);
    let news = [
        json!({"spec": {"source": {"path": "other"}}}),
        json!({"operation": {"sync": {}}}),
        json!({"status": {"operationState": {"phase": "Terminating"}}}),
        json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "hard"}}}),
        json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}),
        json!({"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}}),
        json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
        json!({"metadata": {"uid": "u-2"}}),
    ];
    let mut seen: Vec<_> = news.iter().map(asked).collect();
    seen.push(before);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), news.len() + 1);
}
