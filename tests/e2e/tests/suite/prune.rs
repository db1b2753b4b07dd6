//! What becomes of objects that Git no longer has?

use e2e::{Scene, condition, config_map, is_synced_to, operation_phase, result_of, sync_status};
use serde_json::{Value, json};

/// Returns a `ConfigMap` with an annotation.
fn annotated(name: &str, annotation: &str, value: &str) -> String {
    config_map(name, "one").replace(
        &format!("name: {name}"),
        &format!("name: {name}\n  annotations: {{{annotation}: '{value}'}}"),
    )
}

fn claim(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: {name}}}\n\
         spec: {{accessModes: [ReadWriteOnce], storageClassName: none, resources: {{requests: {{storage: 1Gi}}}}}}\n"
    )
}

/// Returns the entry of `status.resources` about an object; null where there is none.
fn resource<'a>(app: &'a Value, kind: &str, name: &str) -> &'a Value {
    let resources = app["status"]["resources"].as_array().into_iter().flatten();
    resources.into_iter().find(|r| r["kind"] == kind && r["name"] == name).unwrap_or(&Value::Null)
}

#[test]
fn what_git_drops_is_deleted_and_the_rest_stays() {
    let scene = Scene::new("prune");
    let _agent = scene.agent();
    let repo = scene.deployed(
        "shop",
        &[("web.yaml", &config_map("web", "one")), ("old.yaml", &config_map("old", "one"))],
    );
    // Not ours, in the same namespace: never touched.
    scene.kubectl_apply(&config_map("foreign", "one"));
    let revision = repo.remove("app/old.yaml").commit("drop");
    let app = scene.wait_app("shop", |app| is_synced_to(app, &revision));
    assert_eq!(result_of(&app, "ConfigMap", "old")["status"], "Pruned");
    assert_eq!(resource(&app, "ConfigMap", "old"), &Value::Null);
    assert!(scene.config_map("old").is_none());
    assert!(scene.config_map("web").is_some() && scene.config_map("foreign").is_some());
}

#[test]
fn without_prune_the_app_stays_out_of_sync_until_a_person_prunes() {
    let scene = Scene::new("noprune");
    let _agent = scene.agent();
    let repo = scene.repo("shop");
    repo.write("web.yaml", &config_map("web", "one")).write("old.yaml", &config_map("old", "one"));
    let first = repo.commit("first");
    let automated = json!({"selfHeal": true});
    scene.application("shop").repo(&repo).set("/spec/syncPolicy/automated", automated).create();
    scene.wait_app("shop", |app| is_synced_to(app, &first));

    let second = repo.remove("old.yaml").write("web.yaml", &config_map("web", "two")).commit("drop");
    let app = scene.wait_app("shop", |app| {
        app["status"]["sync"]["revision"] == second
            && app["status"]["operationState"]["syncResult"]["revision"] == second
    });
    assert_eq!(sync_status(&app), "OutOfSync");
    assert_eq!(resource(&app, "ConfigMap", "old")["requiresPruning"], true);
    assert_eq!(result_of(&app, "ConfigMap", "old")["status"], "PruneSkipped");
    assert!(scene.config_map("old").is_some());

    let app = scene.sync("shop", &json!({"revision": second}));
    assert_eq!((operation_phase(&app), sync_status(&app)), ("Succeeded", "OutOfSync"));
    assert!(scene.config_map("old").is_some());
    scene.sync("shop", &json!({"revision": second, "prune": true}));
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    assert!(scene.config_map("old").is_none());
}

#[test]
fn kinds_that_hold_data_go_only_when_a_person_says_so() {
    let scene = Scene::new("data");
    let _agent = scene.agent();
    let inner = scene.unique("inner");
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {inner}}}\n");
    let files = [
        ("a.yaml", claim("asked")),
        ("b.yaml", claim("allowed")),
        ("n.yaml", namespace),
        ("web.yaml", config_map("web", "one")),
    ];
    let repo = scene.repo("shop");
    for (path, text) in &files {
        repo.write(path, text);
    }
    repo.commit("first");
    scene.application("shop").repo(&repo).automated().create();
    // The claims wait for storage that the lab does not have; only their presence matters here.
    for name in ["asked", "allowed"] {
        scene.wait_object("v1", "PersistentVolumeClaim", &scene.namespace, name, |claim| claim.is_some());
        let bound =
            ["-n", &scene.namespace, "patch", "pvc", name, "--subresource=status", "--type=merge", "-p"];
        scene.lab.kubectl(&[&bound[..], &[r#"{"status": {"phase": "Bound"}}"#]].concat()).unwrap();
    }
    scene.wait_app("shop", |app| is_synced_to(app, &repo.head()));
    scene.patch(
        "v1",
        "PersistentVolumeClaim",
        &scene.namespace,
        "allowed",
        &json!({"metadata": {"annotations": {"tautline.dev/delete": "allow"}}}),
    );

    let revision = repo.remove("a.yaml").remove("b.yaml").remove("n.yaml").commit("drop");
    scene.wait_object("v1", "PersistentVolumeClaim", &scene.namespace, "allowed", |claim| claim.is_none());
    let app = scene.wait_app("shop", |app| {
        app["status"]["operationState"]["syncResult"]["revision"] == revision
            && operation_phase(app) == "Succeeded"
    });
    for (kind, name) in [("PersistentVolumeClaim", "asked"), ("Namespace", inner.as_str())] {
        let result = result_of(&app, kind, name);
        assert_eq!(result["status"], "PruneSkipped", "{result}");
        assert!(result["message"].as_str().unwrap().contains("loses data"), "{result}");
        assert_eq!(resource(&app, kind, name)["requiresPruning"], true);
    }
    assert_eq!(sync_status(&app), "OutOfSync");

    scene.sync("shop", &json!({"prune": true}));
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
    scene.wait_object("v1", "PersistentVolumeClaim", &scene.namespace, "asked", |claim| claim.is_none());
    scene.wait_object("v1", "Namespace", "", &inner, |namespace| namespace.is_none());
}

#[test]
fn objects_that_say_so_are_kept() {
    let scene = Scene::new("keep");
    let _agent = scene.agent();
    let repo = scene.deployed(
        "shop",
        &[
            ("web.yaml", &config_map("web", "one")),
            ("option.yaml", &annotated("option", "argocd.argoproj.io/sync-options", "Prune=false")),
            ("helm.yaml", &annotated("helm", "helm.sh/resource-policy", "keep")),
            ("old.yaml", &config_map("old", "one")),
        ],
    );
    let revision =
        repo.remove("app/option.yaml").remove("app/helm.yaml").remove("app/old.yaml").commit("drop");
    scene.wait_config_map("old", |object| object.is_none());
    let app = scene.wait_app("shop", |app| {
        app["status"]["operationState"]["syncResult"]["revision"] == revision
            && operation_phase(app) == "Succeeded"
    });
    for name in ["option", "helm"] {
        assert_eq!(result_of(&app, "ConfigMap", name)["status"], "PruneSkipped", "{}", app["status"]);
        assert!(scene.config_map(name).is_some());
    }
    // A person's prune keeps them as well.
    let app = scene.sync("shop", &json!({"prune": true}));
    assert_eq!(sync_status(&app), "OutOfSync");
    assert!(scene.config_map("option").is_some() && scene.config_map("helm").is_some());
}

#[test]
fn a_prune_that_asks_for_consent_waits_for_it() {
    let scene = Scene::new("confirm");
    let _agent = scene.agent();
    let old = annotated("old", "argocd.argoproj.io/sync-options", "Prune=confirm");
    let repo = scene.deployed("shop", &[("web.yaml", &config_map("web", "one")), ("old.yaml", &old)]);
    let revision = repo.remove("app/old.yaml").commit("drop");
    let app = scene.wait_app("shop", |app| operation_phase(app) == "Running");
    let message = app["status"]["operationState"]["message"].as_str().unwrap();
    assert!(message.contains("waiting for pruning confirmation of ConfigMap"), "{message}");
    assert!(scene.config_map("old").is_some());

    let now = scene
        .lab
        .kubectl(&[
            "create",
            "configmap",
            "now",
            "--dry-run=server",
            "-o",
            "jsonpath={.metadata.creationTimestamp}",
        ])
        .unwrap();
    scene.patch_app(
        "shop",
        &json!({"metadata": {"annotations": {"argocd.argoproj.io/deletion-approved": now}}}),
    );
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
    assert!(scene.config_map("old").is_none());
}

#[test]
fn an_empty_revision_is_refused_unless_it_is_allowed() {
    let scene = Scene::new("wipe");
    let _agent = scene.agent();
    let repo = scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    let revision = repo.remove("app/web.yaml").write("app/notes.txt", "nothing left").commit("empty");
    let app = scene.wait_app("shop", |app| !condition(app, "SyncError").is_empty());
    let message = condition(&app, "SyncError");
    assert!(
        message.starts_with(&format!(
            "Skipping sync attempt to [{revision}]: auto-sync will wipe out all resources"
        )),
        "{message}"
    );
    assert_eq!(sync_status(&app), "OutOfSync");
    scene.let_pass("other");
    assert!(scene.config_map("web").is_some());

    scene.patch_app("shop", &json!({"spec": {"syncPolicy": {"automated": {"allowEmpty": true}}}}));
    let app = scene.wait_app("shop", |app| is_synced_to(app, &revision));
    assert_eq!(condition(&app, "SyncError"), "");
    assert!(scene.config_map("web").is_none());
}

#[test]
fn an_object_that_a_commit_moves_to_another_app_is_not_deleted_in_between() {
    let scene = Scene::new("moves");
    let _agent = scene.agent();
    let repo = scene.repo("shop");
    // The app that gets the object has much to read, and is rendered long after the one that loses it.
    for number in 0..200 {
        repo.write(&format!("large/c{number}.yaml"), &config_map(&format!("c{number}"), "one"));
    }
    repo.write("small/moved.yaml", &config_map("moved", "one"))
        .write("small/kept.yaml", &config_map("kept", "one"));
    let first = repo.commit("first");
    for name in ["large", "small"] {
        scene.application(name).repo(&repo).path(name).automated().create();
    }
    for name in ["large", "small"] {
        scene.wait_app(name, |app| is_synced_to(app, &first));
    }
    let uid = scene.config_map("moved").expect("it was applied")["metadata"]["uid"].clone();
    let moved =
        repo.remove("small/moved.yaml").write("large/moved.yaml", &config_map("moved", "two")).commit("move");
    scene.wait_app("large", |app| is_synced_to(app, &moved));
    let small = scene.wait_app("small", |app| is_synced_to(app, &moved));
    let object = scene.config_map("moved").expect("it is still there");
    assert_eq!((&object["metadata"]["uid"], &object["data"]["key"]), (&uid, &json!("two")));
    assert_eq!(resource(&small, "ConfigMap", "moved"), &Value::Null);
}
