//! What happens when an Application is deleted?

use e2e::{Repo, Scene, condition, config_map, is_synced_to};
use serde_json::json;
use std::time::{Duration, Instant};

const FOREGROUND: &str = "resources-finalizer.argocd.argoproj.io";
const BACKGROUND: &str = "resources-finalizer.argocd.argoproj.io/background";

fn annotated(name: &str, options: &str) -> String {
    config_map(name, "one").replace(
        &format!("name: {name}"),
        &format!("name: {name}\n  annotations: {{argocd.argoproj.io/sync-options: '{options}'}}"),
    )
}

fn deployment() -> &'static str {
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n  \
     template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: web, image: 'web:1'}]}\n"
}

/// Deploys files as an app with a finalizer, or without one.
fn deployed(scene: &Scene, finalizer: Option<&str>, files: &[(&str, &str)]) -> Repo {
    let repo = scene.repo("shop");
    for (path, text) in files {
        repo.write(path, text);
    }
    let revision = repo.commit("first");
    let app = scene.application("shop").repo(&repo).automated();
    match finalizer {
        Some(finalizer) => app.finalizer(finalizer),
        None => app,
    }
    .create();
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
    repo
}

#[test]
fn a_deleted_app_takes_its_objects_along() {
    for (finalizer, name) in [(FOREGROUND, "foreground"), (BACKGROUND, "background")] {
        let scene = Scene::new(name);
        let _agent = scene.agent();
        deployed(
            &scene,
            Some(finalizer),
            &[("web.yaml", deployment()), ("map.yaml", &config_map("map", "one"))],
        );
        scene.kubectl_apply(&config_map("foreign", "one"));
        scene.delete_app("shop");
        scene.wait_app_gone("shop");
        assert!(scene.get("apps/v1", "Deployment", &scene.namespace, "web").is_none(), "{name}");
        assert!(scene.config_map("map").is_none(), "{name}");
        assert!(scene.config_map("foreign").is_some(), "{name}");
        let replica_sets =
            scene.lab.kubectl(&["-n", &scene.namespace, "get", "replicasets", "-o", "name"]).unwrap();
        // In the foreground its dependents went first; in the background they may still be going.
        assert!(finalizer == BACKGROUND || replica_sets.is_empty(), "{replica_sets}");
    }
}

#[test]
fn without_a_finalizer_the_objects_stay() {
    let scene = Scene::new("orphan");
    let _agent = scene.agent();
    deployed(&scene, None, &[("map.yaml", &config_map("map", "one"))]);
    scene.delete_app("shop");
    scene.wait_app_gone("shop");
    scene.let_pass("other");
    assert!(scene.config_map("map").is_some());
}

#[test]
fn what_says_so_stays_and_a_definition_always_does() {
    let scene = Scene::new("kept");
    let _agent = scene.agent();
    let definition = format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: gears.{0}.example.com}}\n\
         spec:\n  group: {0}.example.com\n  scope: Namespaced\n  names: {{plural: gears, kind: Gear}}\n  versions:\n  \
         - {{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {{type: object}}}}}}\n",
        scene.namespace
    );
    deployed(
        &scene,
        Some(FOREGROUND),
        &[
            ("map.yaml", &config_map("map", "one")),
            ("kept.yaml", &annotated("kept", "Delete=false")),
            ("gears.yaml", &definition),
        ],
    );
    scene.delete_app("shop");
    scene.wait_app_gone("shop");
    assert!(scene.config_map("map").is_none());
    assert!(scene.config_map("kept").is_some());
    let name = format!("gears.{}.example.com", scene.namespace);
    assert!(scene.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", &name).is_some());
}

#[test]
fn a_deletion_that_asks_for_consent_waits_for_it() {
    let scene = Scene::new("consent");
    let _agent = scene.agent();
    deployed(
        &scene,
        Some(FOREGROUND),
        &[("map.yaml", &config_map("map", "one")), ("asks.yaml", &annotated("asks", "Delete=confirm"))],
    );
    scene.delete_app("shop");
    let app = scene.wait_app("shop", |app| !condition(app, "DeletionError").is_empty());
    let message = condition(&app, "DeletionError");
    assert!(message.contains("waits for consent") && message.contains("asks"), "{message}");
    assert!(scene.config_map("map").is_some() && scene.config_map("asks").is_some());

    let at = app["metadata"]["deletionTimestamp"].clone();
    scene.patch_app(
        "shop",
        &json!({"metadata": {"annotations": {"argocd.argoproj.io/deletion-approved": at}}}),
    );
    scene.wait_app_gone("shop");
    assert!(scene.config_map("map").is_none() && scene.config_map("asks").is_none());
}

#[test]
fn nothing_stays_behind_although_the_record_of_kinds_was_lost() {
    for is_repo_gone in [false, true] {
        let scene = Scene::new(if is_repo_gone { "record-and-repo" } else { "record" });
        let mut agent = scene.agent();
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: old}\nstringData: {a: b}\n";
        let files = [("map.yaml", config_map("map", "one")), ("old.yaml", secret.into())];
        let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
        let repo = deployed(&scene, Some(FOREGROUND), &files);
        assert_eq!(agent.terminate().code(), Some(0));
        let recorded =
            scene.get("v1", "ConfigMap", &scene.control, "tautline-kinds").unwrap()["data"].clone();
        scene.delete("v1", "ConfigMap", &scene.control, "tautline-kinds");
        if is_repo_gone {
            std::fs::remove_dir_all(repo.path()).unwrap();
        } else {
            // Nothing in Git says that there ever were Secrets.
            repo.remove("old.yaml").commit("second");
        }
        scene.delete_app("shop");
        agent.restart();
        scene.wait_app_gone("shop");
        scene.wait_config_map("map", |map| map.is_none());
        scene.wait_object("v1", "Secret", &scene.namespace, "old", |secret| secret.is_none());
        scene.wait_object("v1", "ConfigMap", &scene.control, "tautline-kinds", |map| {
            map.is_some_and(|map| map["data"] == recorded)
        });
    }
}

/// Deploys an app, lets something happen to it, takes Git away and all that the agent keeps of it, and deletes the app.
fn deleted_without_git(scene: &Scene, happens: impl Fn(&Repo)) -> e2e::Agent {
    let mut agent = scene.agent();
    let repo = deployed(scene, Some(FOREGROUND), &[("map.yaml", &config_map("map", "one"))]);
    happens(&repo);
    assert_eq!(agent.terminate().code(), Some(0));
    std::fs::remove_dir_all(scene.settings().cache).expect("the agent kept something");
    std::fs::remove_dir_all(repo.path()).expect("the repository is there");
    scene.delete_app("shop");
    agent.restart();
    agent
}

fn waits_for(scene: &Scene, field: &str) {
    let app = scene.wait_app("shop", |app| condition(app, "DeletionError").contains(field));
    let message = condition(&app, "DeletionError");
    assert!(message.starts_with("Read-only: Tautline does not act on "), "{message}");
    scene.let_pass("other");
    assert!(scene.config_map("map").is_some(), "deleted although it may have to go in order");
}

#[test]
fn an_app_that_git_made_read_only_is_so_without_git() {
    let scene = Scene::new("read-only-without-git");
    let _agent = deleted_without_git(&scene, |repo| {
        let hook = "name: map\n  annotations: {argocd.argoproj.io/hook: PostSync}";
        repo.write("map.yaml", &config_map("map", "two").replace("name: map", hook)).commit("second");
        scene.wait_app("shop", |app| condition(app, "SyncError").contains("argocd.argoproj.io/hook"));
    });
    waits_for(&scene, "argocd.argoproj.io/hook: PostSync");
    // Nobody waits for it after the test.
    scene.patch_app("shop", &json!({"metadata": {"finalizers": null}}));
}

#[test]
fn objects_that_ask_for_an_order_hold_a_deletion_up_without_git() {
    let scene = Scene::new("ordered-without-git");
    let annotate = |wave: serde_json::Value| {
        let patch = json!({"metadata": {"annotations": {"argocd.argoproj.io/sync-wave": wave}}});
        scene.patch("v1", "ConfigMap", &scene.namespace, "map", &patch);
    };
    let _agent = deleted_without_git(&scene, |_| annotate("1".into()));
    waits_for(&scene, "argocd.argoproj.io/sync-wave: 1");
    annotate(serde_json::Value::Null);
    scene.wait_app_gone("shop");
    assert!(scene.config_map("map").is_none());
}

#[test]
fn a_deletion_that_takes_a_moment_is_one_write_of_the_application() {
    const OBJECTS: u64 = 20;
    for (finalizer, name) in [(FOREGROUND, "cost-foreground"), (BACKGROUND, "cost-background")] {
        let scene = Scene::new(name);
        let agent = scene.agent();
        let files: Vec<(String, String)> =
            (0..OBJECTS).map(|n| (format!("{n}.yaml"), config_map(&format!("map-{n}"), "one"))).collect();
        let files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        deployed(&scene, Some(finalizer), &files);
        let count = |request: &str| agent.requests().get(request).copied().unwrap_or_default();
        let before = count("patch Application.argoproj.io");
        let asked = Instant::now();
        scene.delete_app("shop");
        scene.wait_app_gone("shop");
        let took = asked.elapsed();
        agent.wait_log(|line| line["message"] == "the Application is gone");
        assert_eq!(
            count("delete ConfigMap"),
            OBJECTS,
            "{name}: each is asked to go once\n{}",
            agent.log_text()
        );
        let written = count("patch Application.argoproj.io") - before;
        // What takes longer is worth a status.
        let most = if took < Duration::from_secs(2) { 1 } else { 2 };
        assert!(
            (1..=most).contains(&written),
            "{name}: the finalizers go, and nothing is told meanwhile, but {written} writes in {took:?}\n{}",
            agent.log_text()
        );
    }
}
