//! What if Git holds Applications, an app of apps? They are objects like others, and what we write into them is nobody's drift.

use e2e::{Repo, Scene, config_map, is_synced_to};
use serde_json::{Value, json};

const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";

/// A parent that holds one Application with a finalizer, and the folder that this one deploys.
fn family(scene: &Scene) -> Repo {
    let repo = scene.repo("family");
    let child =
        scene.application("child").repo(&repo).path("child").automated().finalizer(FINALIZER).object();
    repo.write("parent/child.yaml", &child.to_string())
        .write("parent/other.yaml", &config_map("other", "one"))
        .write("child/web.yaml", &config_map("web", "one"));
    let revision = repo.commit("first");
    let parent = scene.application("parent").repo(&repo).path("parent").automated().finalizer(FINALIZER);
    parent.set("/spec/destination/namespace", scene.control.as_str()).create();
    both_synced(scene, &revision);
    repo
}

fn both_synced(scene: &Scene, revision: &str) {
    for name in ["parent", "child"] {
        scene.wait_app(name, |app| is_synced_to(app, revision));
    }
}

fn is_gone(scene: &Scene, name: &str) {
    scene.wait_app_gone(name);
    scene.wait_config_map("web", |web| web.is_none());
}

#[test]
fn what_we_write_into_a_child_is_no_drift_and_what_others_change_of_it_is_undone() {
    let scene = Scene::new("child");
    let agent = scene.agent();
    let repo = family(&scene);
    let applied = || agent.requests().get("apply Application.argoproj.io").copied().unwrap_or_default();
    let first = applied();
    // Its statuses, its history, a refresh and an operation: all of it stands in the child.
    for value in ["two", "three"] {
        let revision = repo.write("child/web.yaml", &config_map("web", value)).commit(value);
        scene.wait_app("child", |app| is_synced_to(app, &revision));
    }
    let refresh = "argocd.argoproj.io/refresh";
    scene.patch_app("child", &json!({"metadata": {"annotations": {refresh: "hard"}}}));
    scene.wait_app("child", |app| app["metadata"]["annotations"][refresh].is_null());
    scene.sync("child", &json!({"prune": true}));
    scene.let_pass("marker");
    assert_eq!((applied(), first), (1, 1), "{:?}\n{}", agent.requests(), agent.log_text());

    scene.patch_app("child", &json!({"spec": {"source": {"path": "elsewhere"}}}));
    scene.wait_app("child", |app| app["spec"]["source"]["path"] == "child");
    scene.wait_app("child", |app| is_synced_to(app, &repo.head()));
    let web: Value = scene.config_map("web").expect("nothing of it went meanwhile");
    assert_eq!(web["data"]["key"], "three");
}

#[test]
fn a_child_goes_with_its_objects_when_git_drops_it_or_its_parent_goes() {
    let scene = Scene::new("orphans");
    let _agent = scene.agent();
    let repo = family(&scene);
    let child = std::fs::read_to_string(repo.path().join("parent/child.yaml")).expect("it is there");
    let revision = repo.remove("parent/child.yaml").commit("without");
    is_gone(&scene, "child");
    scene.wait_app("parent", |app| is_synced_to(app, &revision));
    let revision = repo.write("parent/child.yaml", &child).commit("with");
    both_synced(&scene, &revision);
    scene.delete_app("parent");
    scene.wait_app_gone("parent");
    is_gone(&scene, "child");
    assert!(scene.get("v1", "ConfigMap", &scene.control, "other").is_none());
}
