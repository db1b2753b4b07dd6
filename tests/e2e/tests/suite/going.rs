//! What if an object that is to be deleted does not go, may not go, or changes at the last moment?

use e2e::{
    Repo, Scene, Webhook, condition, config_map, is_condemned, is_synced_to, operation_message,
    operation_phase, result_of, retries,
};
use serde_json::{Value, json};

const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";
const HOLD: &str = "example.com/hold";

/// A `ConfigMap` with more metadata, as flow YAML.
fn with(name: &str, metadata: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, {metadata}}}\ndata: {{key: one}}\n")
}

/// Deploys files as an app whose deletion deletes them; what failed is tried again after a second.
fn deployed(scene: &Scene, name: &str, files: &[(&str, &str)]) -> Repo {
    let repo = scene.repo(name);
    for (path, text) in files {
        repo.write(path, text);
    }
    let revision = repo.commit("first");
    let backoff = json!({"limit": -1, "backoff": {"duration": "1s", "factor": 1, "maxDuration": "1s"}});
    let app = scene.application(name).repo(&repo).automated().set("/spec/syncPolicy/retry", backoff);
    app.finalizer(FINALIZER).create();
    scene.wait_app(name, |app| is_synced_to(app, &revision));
    repo
}

fn let_loose(scene: &Scene, namespace: &str, name: &str) {
    scene.patch("v1", "ConfigMap", namespace, name, &json!({"metadata": {"finalizers": null}}));
}

#[test]
fn what_finalizers_keep_from_going_with_its_app_is_told() {
    let scene = Scene::new("held-deletion");
    let _agent = scene.agent();
    let inner = scene.unique("inner");
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {inner}}}\n");
    let held = with("held", &format!("finalizers: [{HOLD}]"));
    deployed(
        &scene,
        "shop",
        &[("held.yaml", &held), ("inner.yaml", &namespace), ("web.yaml", &config_map("web", "one"))],
    );
    let guest = with("guest", &format!("namespace: {inner}, finalizers: [{HOLD}]"));
    scene.lab.kubectl_with_input(&["apply", "-f", "-"], &guest).expect("the namespace is there");
    scene.delete_app("shop");
    let told = |app: &Value| condition(app, "DeletionError").to_owned();
    let app = scene.wait_app("shop", |app| told(app).contains("in the namespace"));
    let message = told(&app);
    let object = format!(
        "Deletion waits until these are gone: ConfigMap {}/held (Pending deletion: waiting for finalizers {HOLD}); \
         Namespace {inner} (Pending deletion: ",
        scene.namespace
    );
    assert!(message.starts_with(&object), "{message}");
    assert!(message.contains(HOLD), "{message}");
    // What can go is gone.
    assert!(scene.config_map("web").is_none());
    let_loose(&scene, &inner, "guest");
    let_loose(&scene, &scene.namespace, "held");
    scene.wait_app_gone("shop");
}

#[test]
fn what_finalizers_keep_from_being_pruned_is_told_by_its_sync() {
    let scene = Scene::new("held-prune");
    let _agent = scene.agent();
    let held = with("held", &format!("finalizers: [{HOLD}]"));
    let files = [("held.yaml", held.as_str()), ("web.yaml", &config_map("web", "one"))];
    let repo = deployed(&scene, "shop", &files);
    let revision = repo.remove("held.yaml").commit("without");
    let expected = format!(
        "waiting for deletion of ConfigMap {}/held (Pending deletion: waiting for finalizers {HOLD})",
        scene.namespace
    );
    let app = scene.wait_app("shop", |app| operation_message(app) == expected);
    assert_eq!(operation_phase(&app), "Running");
    let_loose(&scene, &scene.namespace, "held");
    let app = scene.wait_app("shop", |app| is_synced_to(app, &revision));
    assert_eq!(operation_phase(&app), "Succeeded");
    assert!(scene.config_map("held").is_none());
}

#[test]
fn a_deletion_that_a_webhook_denies_is_told_and_tried_again_until_it_is_permitted() {
    let scene = Scene::new("denied-deletion");
    let _agent = scene.agent();
    let label = scene.unique("guarded");
    let guarded = with("guarded", &format!("labels: {{{label}: 'yes'}}"));
    let files = [("guarded.yaml", guarded.as_str()), ("web.yaml", &config_map("web", "one"))];
    let repo = deployed(&scene, "shop", &files);
    let doomed = with("doomed", &format!("labels: {{{label}: 'yes'}}"));
    deployed(&scene, "doomed", &[("doomed.yaml", &doomed)]);
    let webhook = Webhook::of_deletions(scene.lab, Some("this one is precious"));
    webhook.install(&scene, &label, "ConfigMap");

    let denied = "admission webhook \"cats.example.com\" denied the request: this one is precious; see to what forbids its deletion";
    let revision = repo.remove("guarded.yaml").commit("without");
    let app =
        scene.wait_app("shop", |app| retries(app) >= 1 && !result_of(app, "ConfigMap", "guarded").is_null());
    assert_eq!(result_of(&app, "ConfigMap", "guarded")["message"], denied, "{app:#}");
    // Git has no part in it: nothing that it holds is at fault.
    assert!(operation_phase(&app) == "Running" && !is_condemned(&app), "{app:#}");
    scene.delete_app("doomed");
    let app = scene.wait_app("doomed", |app| !condition(app, "DeletionError").is_empty());
    let expected = format!("ConfigMap {}/doomed cannot be deleted: {denied}", scene.namespace);
    assert_eq!(condition(&app, "DeletionError"), expected);

    Webhook::uninstall(&scene, &label);
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
    scene.wait_app_gone("doomed");
    assert!(scene.config_map("guarded").is_none() && scene.config_map("doomed").is_none());
}

#[test]
fn what_changes_while_its_deletion_is_under_way_is_judged_anew() {
    let scene = Scene::new("changed-deletion");
    let agent = scene.agent();
    let label = scene.unique("late");
    let labelled = |name: &str| with(name, &format!("labels: {{{label}: 'yes'}}"));
    let files = [("pruned.yaml", labelled("pruned")), ("web.yaml", config_map("web", "one"))];
    let repo = deployed(&scene, "shop", &files.each_ref().map(|(path, text)| (*path, text.as_str())));
    deployed(&scene, "doomed", &[("doomed.yaml", &labelled("doomed"))]);
    let webhook = Webhook::of_deletions(scene.lab, None);
    webhook.install(&scene, &label, "ConfigMap");
    webhook.hold();
    let revision = repo.remove("pruned.yaml").commit("without");
    scene.delete_app("doomed");
    webhook.wait_held(2);
    // Both deletions have been asked for, and somebody decides otherwise before they are carried out.
    for (name, option) in [("pruned", "Prune=false"), ("doomed", "Delete=false")] {
        let keep = json!({"metadata": {"annotations": {"argocd.argoproj.io/sync-options": option}}});
        scene.patch("v1", "ConfigMap", &scene.namespace, name, &keep);
    }
    webhook.let_go();
    scene.wait_app_gone("doomed");
    let app = scene.wait_app("shop", |app| {
        app["status"]["operationState"]["syncResult"]["revision"] == revision
            && operation_phase(app) == "Succeeded"
    });
    assert_eq!(result_of(&app, "ConfigMap", "pruned")["status"], "PruneSkipped", "{app:#}");
    for name in ["pruned", "doomed"] {
        let map = scene.config_map(name).unwrap_or_else(|| panic!("{name} is gone\n{}", agent.log_text()));
        assert!(map["metadata"]["deletionTimestamp"].is_null(), "{map:#}");
    }
    Webhook::uninstall(&scene, &label);
}
