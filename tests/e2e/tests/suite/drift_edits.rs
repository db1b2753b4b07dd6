//! What happens when somebody else edits what Git says?

use e2e::{Agent, Repo, Scene, config_map, is_synced_to, operation_phase, sync_status};
use serde_json::{Value, json};

/// Keeps an Application from correcting drift, so that a test sees what is found.
fn watching_only(scene: &Scene, repo: &Repo, name: &str) {
    let automated = json!({"prune": true, "selfHeal": false});
    scene.application(name).repo(repo).set("/spec/syncPolicy/automated", automated).create();
}

fn deploy(scene: &Scene, repo: &Repo, name: &str, manifests: &str) -> Value {
    repo.write("all.yaml", manifests);
    let revision = repo.commit("change");
    scene.wait_app(name, |app| is_synced_to(app, &revision))
}

fn key_is(value: &'static str) -> impl FnMut(Option<&Value>) -> bool {
    move |object| object.is_some_and(|object| object["data"]["key"] == value)
}

fn applies(agent: &Agent) -> u64 {
    agent.metric("tautline_applies_total")
}

#[test]
fn an_edit_that_was_reverted_and_made_again_is_seen_each_time() {
    let scene = Scene::new("again");
    let repo = scene.repo("shop");
    watching_only(&scene, &repo, "shop");
    let _agent = scene.agent();
    deploy(&scene, &repo, "shop", &config_map("web", "one"));

    let edit = |value: &str| scene.edit_as("ops", "configmap/web", &json!({"data": {"key": value}}));
    for _ in 0..2 {
        edit("two");
        scene.wait_app("shop", |app| sync_status(app) == "OutOfSync");
        // The value is back, but the field is no longer ours.
        edit("one");
        scene.wait_app("shop", |app| sync_status(app) == "Synced");
    }
    edit("two");
    scene.wait_app("shop", |app| sync_status(app) == "OutOfSync");
    scene.patch_app("shop", &json!({"spec": {"syncPolicy": {"automated": {"selfHeal": true}}}}));
    scene.wait_config_map("web", key_is("one"));
}

#[test]
fn an_edit_is_corrected_while_the_sync_waits_for_something_else() {
    let scene = Scene::new("held");
    let repo = scene.repo("shop");
    let retry = json!({"limit": 5, "backoff": {"duration": "10m", "maxDuration": "1h"}});
    scene.application("shop").repo(&repo).automated().set("/spec/syncPolicy/retry", retry).create();
    let _agent = scene.agent();
    let widget =
        format!("apiVersion: {}.example.com/v1\nkind: Widget\nmetadata: {{name: w}}\n", scene.namespace);
    repo.write("all.yaml", &format!("{}---\n{widget}", config_map("web", "one"))).commit("half of it");
    let is_held = |app: &Value| {
        let message = app["status"]["operationState"]["message"].as_str().unwrap_or_default();
        message.contains("Retrying attempt #1")
    };
    scene.wait_app("shop", is_held);

    scene.edit_as("ops", "configmap/web", &json!({"data": {"key": "two"}}));
    scene.wait_config_map("web", key_is("one"));
    assert!(is_held(&scene.app("shop")), "{:#}", scene.app("shop"));
}

#[test]
fn an_edit_without_a_trace_in_managed_fields_is_corrected() {
    let scene = Scene::new("cleared");
    let repo = scene.repo("shop");
    scene.application("shop").repo(&repo).automated().create();
    let _agent = scene.agent();
    deploy(&scene, &repo, "shop", &config_map("web", "one"));

    // Documented way to reset an object's managers; afterwards updates leave no entry.
    scene.edit_as("ops", "configmap/web", &json!({"metadata": {"managedFields": [{}]}}));
    scene.edit_as("ops", "configmap/web", &json!({"data": {"key": "two"}}));
    let healed = scene.wait_config_map("web", key_is("one")).unwrap();
    assert!(healed["metadata"]["managedFields"].to_string().contains("tautline"), "{healed}");
    scene.wait_app("shop", |app| sync_status(app) == "Synced");
}

#[test]
fn a_field_dropped_from_git_while_the_agent_was_down_goes_unless_a_stranger_holds_it() {
    let scene = Scene::new("dropped");
    let repo = scene.repo("shop");
    scene.application("shop").repo(&repo).automated().create();
    let mut agent = scene.agent();
    let manifest =
        |data: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: web}}\ndata: {{{data}}}\n");
    let first = manifest("stays: x, alone: x, by-hand: x, edited: x, tuned: x");
    deploy(&scene, &repo, "shop", &first);
    scene.apply_as("kubectl", &manifest("by-hand: x"));
    scene.apply_as("tuner", &manifest("tuned: x"));
    agent.terminate();

    scene.edit_as("kubectl-edit", "configmap/web", &json!({"data": {"alone": "y"}}));
    repo.write("all.yaml", &manifest("stays: x"));
    let second = repo.commit("only one key stays");
    agent.restart();
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    let data = scene.config_map("web").unwrap()["data"].clone();
    assert_eq!(data["stays"], "x");
    assert_eq!(data["tuned"], "x", "somebody else holds it on purpose");
    // Whoever edited it took it from us, and nothing tells any more that Git had it: a field that a person added.
    assert_eq!(data["alone"], "y");
    assert_eq!(data.get("by-hand"), None, "{data}");
    assert_eq!(data.get("edited"), None, "{data}");
}

#[test]
fn the_same_value_applied_by_another_is_no_drift_and_its_next_value_is() {
    let scene = Scene::new("same");
    let repo = scene.repo("shop");
    scene.application("shop").repo(&repo).automated().create();
    let agent = scene.agent();
    deploy(&scene, &repo, "shop", &config_map("web", "one"));
    let before = applies(&agent);
    scene.apply_as("tuner", &config_map("web", "one"));
    scene.let_pass("other");
    assert_eq!(applies(&agent), before + 1, "only the other app's object was applied");
    assert_eq!(sync_status(&scene.app("shop")), "Synced");

    scene.apply_as("tuner", &config_map("web", "two"));
    scene.wait_config_map("web", key_is("one"));
    scene.let_pass("third");
    assert_eq!(applies(&agent), before + 3, "one correction and one more app");
    let log = agent.wait_log(|line| line["reason"] == "Drift");
    let message = log["message"].as_str().unwrap();
    assert!(message.contains("data.key: \"one\" in Git, \"two\" live (tuner, Apply"), "{message}");
}

#[test]
fn a_label_of_ours_that_somebody_took_off_comes_back_and_the_object_stays_managed() {
    let scene = Scene::new("label");
    let agent = scene.agent();
    for (name, map, key) in [
        ("instance", "labels", "tautline.dev/instance"),
        ("part", "labels", "tautline.dev/part-of"),
        ("tracking", "annotations", "argocd.argoproj.io/tracking-id"),
    ] {
        scene.deployed(name, &[("all.yaml", &config_map(name, "one"))]);
        let object = format!("configmap/{name}");
        scene.edit_as("ops", &object, &json!({"metadata": {map: {key: null}}}));
        let has =
            |object: Option<&Value>| object.is_some_and(|object| object["metadata"][map][key].is_string());
        scene.wait_config_map(name, has);
        // Whether or not the watch shows it: an edit is corrected as before.
        scene.edit_as("ops", &object, &json!({"data": {"key": "two"}}));
        scene.wait_config_map(name, key_is("one"));
        let is_it =
            |line: &Value| line["reason"] == "Drift" && line["message"].to_string().contains(&object[10..]);
        let told = agent.wait_log(is_it);
        let message = told["message"].as_str().unwrap();
        assert!(
            message.ends_with("drifted: the labels or the annotation that mark it as ours were taken off"),
            "{message}"
        );
    }
}

#[test]
fn a_status_wiped_by_kubectl_replace_comes_back_and_nothing_is_forgotten() {
    let scene = Scene::new("wiped");
    let repo = scene.repo("shop");
    scene.application("shop").repo(&repo).automated().create();
    let agent = scene.agent();
    repo.write("old.yaml", &config_map("old", "one"));
    deploy(&scene, &repo, "shop", &config_map("web", "one"));
    let before = applies(&agent);

    let mut app = scene.app("shop");
    let kept = app["spec"].clone();
    app["metadata"] = json!({"name": "shop", "namespace": scene.control});
    app.as_object_mut().unwrap().remove("status");
    scene.lab.kubectl_with_input(&["replace", "-f", "-"], &app.to_string()).unwrap();
    let app = scene.wait_app("shop", |app| sync_status(app) == "Synced");
    assert_eq!(app["spec"], kept);
    assert_eq!(app["status"]["resources"].as_array().map(Vec::len), Some(2), "{app}");
    assert_eq!(applies(&agent), before, "nothing had to be applied");

    repo.remove("old.yaml");
    let last = repo.commit("drop the old one");
    scene.wait_app("shop", |app| is_synced_to(app, &last));
    scene.wait_config_map("old", |object| object.is_none());
}

#[test]
fn a_status_wiped_while_the_agent_was_down_does_not_lose_what_has_to_be_pruned() {
    let scene = Scene::new("wiped-down");
    let repo = scene.repo("shop");
    scene.application("shop").repo(&repo).automated().create();
    let mut agent = scene.agent();
    repo.write("old.yaml", &config_map("old", "one"));
    deploy(&scene, &repo, "shop", &config_map("web", "one"));
    agent.terminate();
    let mut app = scene.app("shop");
    app["metadata"] = json!({"name": "shop", "namespace": scene.control});
    app.as_object_mut().unwrap().remove("status");
    scene.lab.kubectl_with_input(&["replace", "-f", "-"], &app.to_string()).unwrap();
    repo.remove("old.yaml");
    let last = repo.commit("drop the old one");
    agent.restart();
    scene.wait_app("shop", |app| is_synced_to(app, &last));
    scene.wait_config_map("old", |object| object.is_none());
    assert!(scene.config_map("web").is_some());
}

#[test]
fn what_ignore_differences_names_is_no_drift_and_the_rest_is() {
    let scene = Scene::new("ignored");
    let repo = scene.repo("shop");
    let rules = json!([{"kind": "ConfigMap", "name": "web", "jsonPointers": ["/metadata/annotations/a~1b", "/data/free"]}]);
    scene.application("shop").repo(&repo).automated().set("/spec/ignoreDifferences", rules).create();
    let agent = scene.agent();
    let manifest = |name: &str| {
        let metadata = format!("{{name: {name}, annotations: {{a/b: one}}}}");
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {metadata}\ndata: {{key: one, free: one}}\n")
    };
    deploy(&scene, &repo, "shop", &format!("{}---\n{}", manifest("web"), manifest("strict")));
    let before = applies(&agent);

    let edit = json!({"metadata": {"annotations": {"a/b": "two"}}, "data": {"free": "two"}});
    scene.edit_as("ops", "configmap/web", &edit);
    scene.let_pass("other");
    assert_eq!(sync_status(&scene.app("shop")), "Synced");
    assert_eq!(applies(&agent), before + 1, "only the other app's object was applied");
    let web = scene.config_map("web").unwrap();
    assert_eq!(
        (&web["data"]["free"], &web["metadata"]["annotations"]["a/b"]),
        (&json!("two"), &json!("two"))
    );

    // The rule names one object: its neighbour is corrected, and so is another field of its own.
    scene.edit_as("ops", "configmap/strict", &edit);
    scene.wait_config_map("strict", |object| object.is_some_and(|object| object["data"]["free"] == "one"));
    scene.edit_as("ops", "configmap/web", &json!({"data": {"key": "two"}}));
    scene.wait_config_map("web", key_is("one"));
}

#[test]
fn two_that_fight_over_a_field_are_named_and_the_corrections_are_few() {
    let scene = Scene::new("fight");
    let repo = scene.repo("shop");
    scene.application("shop").repo(&repo).automated().create();
    let agent = scene.agent();
    deploy(&scene, &repo, "shop", &config_map("web", "one"));
    let before = applies(&agent);
    let edit = json!({"data": {"key": "two"}});
    scene.edit_as("rival", "configmap/web", &edit);
    // The rival answers each correction at once; the fourth answer makes it a fight.
    for _ in 0..3 {
        scene.wait_config_map("web", key_is("one"));
        scene.edit_as("rival", "configmap/web", &edit);
    }
    let told = agent.wait_log(|line| line["reason"] == "Fight");
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("again and again by rival"), "{message}");
    assert!(applies(&agent) <= before + 4, "{} corrections", applies(&agent) - before);
}

#[test]
fn an_edit_while_a_sync_waits_for_health_is_undone_all_the_same() {
    let scene = Scene::new("edit-settling");
    let _agent = scene.agent();
    let repo = scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    repo.write(
        "app/claim.yaml",
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\n\
         spec: {accessModes: [ReadWriteOnce], storageClassName: none, resources: {requests: {storage: 1Gi}}}\n",
    );
    let second = repo.commit("a claim that nobody binds");
    scene.wait_app("shop", |app| operation_phase(app) == "Running");
    scene.patch("v1", "ConfigMap", &scene.namespace, "web", &json!({"data": {"key": "edited"}}));
    scene.wait_config_map("web", |web| web.is_some_and(|web| web["data"]["key"] == "one"));
    assert_eq!(operation_phase(&scene.app("shop")), "Running");
    let bound = ["patch", "pvc", "data", "--subresource=status", "--type=merge"];
    scene.kubectl(&[&bound[..], &["-p", r#"{"status": {"phase": "Bound"}}"#]].concat());
    let app = scene.wait_app("shop", |app| is_synced_to(app, &second));
    assert_eq!(operation_phase(&app), "Succeeded", "{app}");
}
