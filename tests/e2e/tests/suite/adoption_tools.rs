//! Is an object that others made before us taken over, so that what Git drops really goes?

use e2e::{Repo, Scene, is_synced_to, sync_status};
use serde_json::{Value, json};

fn deploy(scene: &Scene, repo: &Repo, manifests: &str) -> Value {
    repo.write("all.yaml", manifests);
    let revision = repo.commit("change");
    scene.wait_app("shop", |app| is_synced_to(app, &revision))
}

fn config_map(data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: web}}\ndata: {{{data}}}\n")
}

fn data(scene: &Scene) -> Value {
    scene.config_map("web").expect("it is never deleted")["data"].clone()
}

/// Lets `make` make an object with `old`, `a` and `b`, as some tool does, while Git has `a` and `b`; then drops `b` from Git.
/// Returns what is left after each step.
fn taken_over(name: &str, make: impl Fn(&Scene, &str)) -> [Value; 2] {
    let scene = Scene::new(name);
    make(&scene, &config_map("old: x, a: x, b: x"));
    let repo = scene.repo("shop");
    scene.application("shop").repo(&repo).automated().create();
    let _agent = scene.agent();
    deploy(&scene, &repo, &config_map("a: x, b: x"));
    let first = data(&scene);
    deploy(&scene, &repo, &config_map("a: x"));
    let second = data(&scene);
    assert_eq!(sync_status(&scene.app("shop")), "Synced");
    // It is ours now: an edit is corrected.
    scene.edit_as("ops", "configmap/web", &json!({"data": {"a": "y"}}));
    scene.wait_config_map("web", |web| web.is_some_and(|web| web["data"]["a"] == "x"));
    [first, second]
}

/// Writes as a tool does that applies on the client's side: an `Update` entry and the last-applied annotation.
fn client_side(scene: &Scene, manager: &str, manifests: &str) {
    let manager = format!("--field-manager={manager}");
    let apply = ["-n", &scene.namespace, "apply", &manager, "-f", "-"];
    scene.lab.kubectl_with_input(&apply, manifests).expect("kubectl applies");
}

#[test]
fn of_kubectl_s_client_side_apply() {
    let left = taken_over("csa", Scene::kubectl_apply);
    assert_eq!(left, [json!({"a": "x", "b": "x"}), json!({"a": "x"})]);
}

#[test]
fn of_kubectl_s_server_side_apply() {
    let left = taken_over("ssa", |scene, text| scene.apply_as("kubectl", text));
    assert_eq!(left, [json!({"a": "x", "b": "x"}), json!({"a": "x"})]);
}

#[test]
fn of_argo_cd_s_server_side_apply() {
    let left = taken_over("argocd-ssa", |scene, text| scene.apply_as("argocd-controller", text));
    assert_eq!(left, [json!({"a": "x", "b": "x"}), json!({"a": "x"})]);
}

#[test]
fn of_argo_cd_s_client_side_apply() {
    let left = taken_over("argocd-csa", |scene, text| client_side(scene, "argocd-controller", text));
    assert_eq!(left, [json!({"a": "x", "b": "x"}), json!({"a": "x"})]);
}

#[test]
fn of_flux() {
    let left = taken_over("flux", |scene, text| scene.apply_as("kustomize-controller", text));
    assert_eq!(left, [json!({"a": "x", "b": "x"}), json!({"a": "x"})]);
}

#[test]
fn of_helm_4() {
    let left = taken_over("helm-four", |scene, text| scene.apply_as("helm", text));
    assert_eq!(left, [json!({"a": "x", "b": "x"}), json!({"a": "x"})]);
}

#[test]
fn of_helm_3_which_leaves_no_note_of_what_it_set() {
    let left = taken_over("helm-three", |scene, text| {
        let create = ["-n", &scene.namespace, "create", "--field-manager=helm", "-f", "-"];
        scene.lab.kubectl_with_input(&create, text).unwrap();
    });
    // Nothing says who wants `old`; what Git had and drops goes.
    assert_eq!(left, [json!({"old": "x", "a": "x", "b": "x"}), json!({"old": "x", "a": "x"})]);
}

#[test]
fn an_object_of_nobody_in_particular_is_taken_over_with_what_others_set() {
    let scene = Scene::new("before");
    scene.kubectl(&["create", "configmap", "web", "--from-literal=a=old", "--from-literal=own=x"]);
    let repo = scene.repo("shop");
    scene.application("shop").repo(&repo).automated().create();
    let _agent = scene.agent();
    let app = deploy(&scene, &repo, &config_map("a: x, b: x"));
    assert_eq!(app["status"]["operationState"]["syncResult"]["resources"][0]["status"], "Synced");
    assert_eq!(data(&scene), json!({"own": "x", "a": "x", "b": "x"}));
    scene.edit_as("ops", "configmap/web", &json!({"data": {"a": "y"}}));
    scene.wait_config_map("web", |web| web.is_some_and(|web| web["data"]["a"] == "x"));
    deploy(&scene, &repo, &config_map("a: x"));
    assert_eq!(data(&scene), json!({"own": "x", "a": "x"}));
}

#[test]
fn a_manual_app_over_objects_of_its_like_is_synced_without_an_apply() {
    let scene = Scene::new("looking");
    scene.kubectl_apply(&config_map("a: x"));
    let repo = scene.repo("shop");
    repo.write("all.yaml", &config_map("a: x"));
    let first = repo.commit("first");
    scene.application("shop").repo(&repo).create();
    let before = scene.config_map("web").unwrap();
    let agent = scene.agent();
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    // It is watched although nothing on it says that it is ours.
    scene.edit_as("ops", "configmap/web", &json!({"data": {"a": "y"}}));
    scene.wait_app("shop", |app| sync_status(app) == "OutOfSync");
    scene.edit_as("ops", "configmap/web", &json!({"data": {"a": "x"}}));
    scene.wait_app("shop", |app| sync_status(app) == "Synced");
    assert_eq!(agent.metric("tautline_applies_total"), 0);
    let after = scene.config_map("web").unwrap();
    assert_eq!((&after["metadata"]["labels"], &after["data"]), (&Value::Null, &before["data"]));
    assert_eq!(after["metadata"]["annotations"], before["metadata"]["annotations"]);
}

#[test]
fn a_manual_app_tells_what_a_tool_left_behind() {
    let scene = Scene::new("leftover");
    scene.kubectl_apply(&config_map("a: x, old: x"));
    let repo = scene.repo("shop");
    repo.write("all.yaml", &config_map("a: x"));
    repo.commit("first");
    scene.application("shop").repo(&repo).create();
    let agent = scene.agent();
    scene.wait_app("shop", |app| sync_status(app) == "OutOfSync");
    let report = agent.get("/api/v1/applications/shop/drift").json();
    let field = &report["objects"][0]["fields"][0];
    assert_eq!((&field["path"], &field["change"]), (&json!("data.old"), &json!("Leftover")), "{report}");
    assert_eq!(field["manager"], "kubectl-client-side-apply");
    scene.sync("shop", &json!({}));
    scene.wait_app("shop", |app| sync_status(app) == "Synced");
    assert_eq!(data(&scene), json!({"a": "x"}));
}

#[test]
fn what_kubectl_apply_adds_later_goes_whether_or_not_the_agent_restarts() {
    let scene = Scene::new("later");
    let repo = scene.repo("shop");
    scene.application("shop").repo(&repo).automated().create();
    let mut agent = scene.agent();
    deploy(&scene, &repo, &config_map("a: x"));
    let is_clean = |web: Option<&Value>| web.is_some_and(|web| web["data"] == json!({"a": "x"}));
    scene.kubectl_apply(&config_map("a: x, more: x"));
    scene.wait_config_map("web", is_clean);
    agent.terminate();
    scene.kubectl_apply(&config_map("a: x, more: x"));
    agent.restart();
    scene.wait_config_map("web", is_clean);
    scene.wait_app("shop", |app| sync_status(app) == "Synced");
}
