//! Does the loop stay closed when more than one thing goes wrong? Trouble that passes condemns nobody, and what was sick before is
//! nobody's fault.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use e2e::{Agent, Repo, Scene, condition, config_map, is_condemned, is_synced_to, operation_message};
use serde_json::{Value, json};

/// Returns a Deployment of one pod as YAML.
fn deployment(name: &str, image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  \
         selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    \
         spec:\n      containers: [{{name: web, image: '{image}'}}]\n"
    )
}

fn image(scene: &Scene, name: &str) -> String {
    let web = scene.get("apps/v1", "Deployment", &scene.namespace, name).unwrap();
    web["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
}

fn story(app: &Value) -> String {
    condition(app, "RolledBack").to_owned()
}

/// Begins with a release of these files.
fn released(scene: &Scene, agent: &Agent, files: &[(&str, String)]) -> Repo {
    let repo = scene.repo("shop");
    for (path, text) in files {
        repo.write(path, text);
    }
    let first = repo.commit("first");
    let backoff = json!({"limit": -1, "backoff": {"duration": "1s", "maxDuration": "1s"}});
    let app = scene.application("shop").repo(&repo).automated().set("/spec/syncPolicy/retry", backoff);
    app.annotation("tautline.dev/deadline", "5s").annotation("tautline.dev/soak", "1s").create();
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    kept(agent, &first);
    repo
}

fn kept(agent: &Agent, revision: &str) {
    let short = &revision[..7];
    agent.wait_log(|line| line["message"] == "a release is kept" && line["revision"] == *short);
}

/// Plays the kubelet: says of all pods of a workload whether they run and are ready.
fn pods_are(scene: &Scene, app: &str, image: &str, is_ready: bool) {
    let pods = scene.kubectl(&["get", "pods", "-l", &format!("app={app}"), "-o", "name"]);
    let status = json!({"status": {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": if is_ready { "True" } else { "False" }}],
        "containerStatuses": [{
            "name": "web", "image": image, "imageID": "", "ready": is_ready, "started": true, "restartCount": 0,
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        }],
    }});
    for pod in pods.lines() {
        scene.kubectl(&["patch", pod, "--subresource=status", "--type=merge", "-p", &status.to_string()]);
    }
}

#[test]
fn a_registry_that_is_down_for_a_while_condemns_nothing_and_the_same_commit_is_deployed_once_it_is_back() {
    let scene = Scene::new("registry");
    let agent = scene.agent();
    let repo = released(&scene, &agent, &[("web.yaml", deployment("web", "web:1"))]);
    let second = repo.write("web.yaml", &deployment("web", "web:timeout")).commit("second");
    let app = scene.wait_app("shop", |app| operation_message(app).contains("Retrying attempt #"));
    assert!(operation_message(&app).contains("web:timeout"), "{}", operation_message(&app));
    assert!(!is_condemned(&app) && story(&app).is_empty(), "{app}");
    pods_are(&scene, "web", "web:timeout", true);
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    kept(&agent, &second);
    assert_eq!(image(&scene, "web"), "web:timeout");
}

#[test]
fn a_quota_that_is_full_condemns_nothing_and_the_same_commit_is_deployed_once_there_is_room() {
    let scene = Scene::new("full");
    let agent = scene.agent();
    let repo = released(&scene, &agent, &[("web.yaml", deployment("web", "web:1"))]);
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "full", "namespace": scene.namespace}, "spec": {"hard": {"count/configmaps": "1"}}});
    scene.create(&quota).unwrap();
    let is_counted = |quota: Option<&Value>| quota.is_some_and(|quota| !quota["status"]["used"].is_null());
    scene.wait_object("v1", "ResourceQuota", &scene.namespace, "full", is_counted);
    let second = repo.write("more.yaml", &config_map("more", "one")).commit("one object too many");
    let app = scene.wait_app("shop", |app| operation_message(app).contains("exceeded quota"));
    assert!(!is_condemned(&app) && story(&app).is_empty(), "{app}");
    scene.delete("v1", "ResourceQuota", &scene.namespace, "full");
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    kept(&agent, &second);
}

#[test]
fn a_rollback_goes_on_when_the_api_server_comes_back() {
    let scene = Scene::alone("away");
    let agent = scene.agent();
    let files = [("web.yaml", deployment("web", "web:1")), ("settings.yaml", config_map("settings", "one"))];
    let repo = released(&scene, &agent, &files);
    repo.write("settings.yaml", &config_map("settings", "two"));
    repo.write("web.yaml", &deployment("web", "web:crash")).commit("settings that crash on start");
    agent.wait_log(|line| line["reason"] == "Quarantined");
    scene.lab.stop_api_server().unwrap();
    scene.lab.start_api_server().unwrap();
    let app = scene.wait_app("shop", |app| story(app).starts_with("Rolled back"));
    assert_eq!(image(&scene, "web"), "web:1", "{app}");
    assert_eq!(scene.config_map("settings").unwrap()["data"]["key"], "one");
}

#[test]
fn what_was_sick_before_is_held_against_no_commit() {
    let scene = Scene::new("half-sick");
    let agent = scene.agent();
    let files = [("web.yaml", deployment("web", "web:1")), ("old.yaml", deployment("old", "old:1"))];
    let repo = released(&scene, &agent, &files);
    pods_are(&scene, "old", "old:1", false);
    scene.wait_app("shop", |app| app["status"]["health"]["status"] != "Healthy");

    repo.write("web.yaml", &deployment("web", "web:not-found")).commit("bad");
    let app = scene.wait_app("shop", |app| !story(app).is_empty());
    assert!(
        story(&app).starts_with("Rolled back") && story(&app).contains("web:not-found"),
        "{}",
        story(&app)
    );
    assert_eq!(image(&scene, "web"), "web:1");

    let good = repo.write("web.yaml", &deployment("web", "web:2")).commit("good");
    let app = scene.wait_app("shop", |app| is_synced_to(app, &good));
    assert_eq!(story(&app), "");
    kept(&agent, &good);
}

#[test]
fn two_bad_commits_in_a_row_go_back_to_one_release_and_the_first_good_one_ends_that() {
    let scene = Scene::new("twice");
    let agent = scene.agent();
    let repo = released(&scene, &agent, &[("web.yaml", deployment("web", "web:1"))]);
    for bad in ["web:not-found", "web:crash"] {
        let revision = repo.write("web.yaml", &deployment("web", bad)).commit(bad);
        let app = scene.wait_app("shop", |app| story(app).contains(&revision[..7]));
        assert!(story(&app).contains("(release 1), because"), "{}", story(&app));
        assert_eq!(image(&scene, "web"), "web:1");
    }
    // The first of them once more, and a good one while nothing of that has begun.
    repo.write("web.yaml", &deployment("web", "web:not-found")).commit("once more");
    scene.let_pass("marker");
    assert_eq!(image(&scene, "web"), "web:1");
    let third = repo.write("web.yaml", &deployment("web", "web:never-ready")).commit("a third");
    agent.wait_log(|line| line["reason"] == "RollingBack" && line.to_string().contains(&third[..7]));
    let good = repo.write("web.yaml", &deployment("web", "web:2")).commit("good, while that is rolled back");
    scene.wait_app("shop", |app| is_synced_to(app, &good) && story(app).is_empty());
    assert_eq!(image(&scene, "web"), "web:2");
}

#[test]
fn a_person_goes_back_while_git_is_away_and_the_agent_was_started_anew() {
    let scene = Scene::new("no-git");
    let agent = scene.agent();
    let server = e2e::GitServer::start(scene.repos());
    let repo = scene.repo("shop");
    let first = repo.write("web.yaml", &deployment("web", "web:1")).commit("first");
    let app = scene.application("shop").set("/spec/source/repoURL", server.url("shop")).automated();
    app.annotation("tautline.dev/soak", "1s").create();
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    kept(&agent, &first);
    let second = repo.write("web.yaml", &deployment("web", "web:2")).commit("second");
    let refresh = json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}});
    scene.patch_app("shop", &refresh);
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    kept(&agent, &second);

    drop(agent);
    server.fail(e2e::GitStep::Refs, e2e::GitFault::Drop);
    let _agent = scene.agent();
    let told = scene.tautline(&["app", "rollback", "shop", "-n", &scene.control]);
    assert_eq!(told.out, "application.argoproj.io/shop rollback asked for\n", "{}", told.err);
    scene.wait_app("shop", |app| story(app).starts_with("Rolled back"));
    assert_eq!(image(&scene, "web"), "web:1");
    server.mend();
    scene.patch_app("shop", &refresh);
    let app =
        scene.wait_app("shop", |app| app["metadata"]["annotations"]["argocd.argoproj.io/refresh"].is_null());
    assert!(story(&app).contains("(release 1)"), "what Git held all along is left alone: {app}");
    assert_eq!(image(&scene, "web"), "web:1");
}
