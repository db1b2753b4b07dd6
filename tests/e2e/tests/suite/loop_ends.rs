//! How does the loop end where going back is not simple? It says so, stops, and nothing that is not the commit's goes with it.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use e2e::{Agent, Repo, Scene, Webhook, condition, config_map, is_synced_to};
use serde_json::{Value, json};

const DEFINITION: &str = "argoproj.io/v1alpha1";
const JOB: &str = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate}\nspec:\n  template:\n    spec:\n      \
     restartPolicy: Never\n      containers: [{name: web, image: 'web:1'}]\n";

fn deployment(image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  \
         selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    \
         spec:\n      containers: [{{name: web, image: '{image}'}}]\n"
    )
}

fn image(scene: &Scene) -> String {
    let web = scene.get("apps/v1", "Deployment", &scene.namespace, "web").unwrap();
    web["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
}

fn story(app: &Value) -> String {
    condition(app, "RolledBack").to_owned()
}

fn health(app: &Value) -> &str {
    app["status"]["health"]["status"].as_str().unwrap_or_default()
}

/// Begins with a release of these files, kept after `soak`.
fn released(scene: &Scene, agent: &Agent, soak: &str, files: &[(&str, &str)]) -> Repo {
    let repo = scene.repo("shop");
    for (path, text) in files {
        repo.write(path, text);
    }
    let first = repo.commit("first");
    let app = scene.application("shop").repo(&repo).automated();
    app.annotation("tautline.dev/deadline", "6s").annotation("tautline.dev/soak", soak).create();
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    agent.wait_log(|line| line["message"] == "a release is kept");
    repo
}

/// Plays the kubelet: says of the pods with an image whether they are ready.
fn pods_are(scene: &Scene, image: &str, is_ready: bool) {
    let pods: Value = serde_json::from_str(&scene.kubectl(&["get", "pods", "-o", "json"])).unwrap();
    let ready = if is_ready { "True" } else { "False" };
    let of_image = |pod: &&Value| pod["spec"]["containers"][0]["image"] == image;
    for pod in pods["items"].as_array().unwrap().iter().filter(of_image) {
        let mut container = pod["status"]["containerStatuses"][0].clone();
        container["ready"] = is_ready.into();
        let status = json!({"status": {
            "conditions": [{"type": "Ready", "status": ready}], "containerStatuses": [container],
        }});
        let name = pod["metadata"]["name"].as_str().unwrap();
        scene.kubectl(&[
            "patch",
            "pod",
            name,
            "--subresource=status",
            "--type=merge",
            "-p",
            &status.to_string(),
        ]);
    }
}

#[test]
fn pods_that_are_ready_and_crash_again_and_again_are_rolled_back() {
    let scene = Scene::new("flapping");
    let agent = scene.agent();
    let repo = released(&scene, &agent, "5s", &[("web.yaml", &deployment("web:1"))]);
    repo.write("web.yaml", &deployment("web:ready-then-crash")).commit("ready for two seconds each time");
    scene.wait_app("shop", |app| story(app).starts_with("Rolled back"));
    assert_eq!(image(&scene), "web:1");
}

#[test]
fn what_was_there_before_stays_and_a_job_that_has_run_is_not_run_again() {
    let scene = Scene::new("adopted");
    let agent = scene.agent();
    let files = [("web.yaml", &*deployment("web:1")), ("job.yaml", JOB)];
    let repo = released(&scene, &agent, "1s", &files);
    let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "theirs", "namespace": scene.namespace}, "data": {"key": "theirs"}});
    let uid = scene.create(&theirs).unwrap()["metadata"]["uid"].clone();

    repo.remove("job.yaml").write("theirs.yaml", &config_map("theirs", "ours"));
    repo.write("web.yaml", &deployment("web:not-found")).commit("bad, takes over a map, and needs no job");
    scene.wait_app("shop", |app| story(app).starts_with("Rolled back"));
    assert_eq!(image(&scene), "web:1");
    assert_eq!(scene.config_map("theirs").unwrap()["metadata"]["uid"], uid, "it was deleted");
    assert!(scene.get("batch/v1", "Job", &scene.namespace, "migrate").is_none(), "it ran a second time");
}

// N31, N38: a project that was narrowed since the release
#[test]
fn what_the_project_permits_no_more_is_not_brought_back_by_a_release() {
    let scene = Scene::new("narrowed");
    let agent = scene.agent();
    let project = json!({
        "apiVersion": DEFINITION, "kind": "AppProject",
        "metadata": {"name": "default", "namespace": scene.control},
        "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]},
    });
    scene.create(&project).unwrap();
    let files = [("web.yaml", &*deployment("web:1")), ("old.yaml", &*config_map("old", "one"))];
    let repo = released(&scene, &agent, "1s", &files);
    let narrow = json!({"spec": {"namespaceResourceBlacklist": [{"group": "", "kind": "ConfigMap"}]}});
    scene.patch(DEFINITION, "AppProject", &scene.control, "default", &narrow);
    scene.delete("v1", "ConfigMap", &scene.namespace, "old");
    repo.remove("old.yaml").write("web.yaml", &deployment("web:not-found")).commit("bad");
    let app = scene.wait_app("shop", |app| story(app).starts_with("Could not go back"));
    assert!(
        story(&app).contains("does not permit any more") && story(&app).contains("old"),
        "{}",
        story(&app)
    );
    assert!(scene.config_map("old").is_none(), "it was brought back");
    assert_eq!(image(&scene), "web:not-found", "nothing of the release is applied");
}

#[test]
fn a_restore_that_is_refused_stops_and_calls_for_a_person() {
    let scene = Scene::new("refused-back");
    let agent = scene.agent();
    let label = scene.unique("kept");
    let labelled =
        config_map("old", "one").replace("name: old", &format!("name: old\n  labels: {{{label}: 'yes'}}"));
    let files = [("web.yaml", &*deployment("web:1")), ("old.yaml", &*labelled)];
    let repo = released(&scene, &agent, "1s", &files);
    repo.remove("old.yaml").write("web.yaml", &deployment("web:not-found")).commit("bad");
    scene.wait_config_map("old", |old| old.is_none());
    let webhook = Webhook::denying(scene.lab, "no such maps any more");
    webhook.install(&scene, &label, "ConfigMap");
    let app = scene.wait_app("shop", |app| story(app).starts_with("Could not go back"));
    assert!(story(&app).contains("no such maps any more"), "{}", story(&app));
    assert!(story(&app).contains("push a commit that mends it, or roll back by hand"), "{}", story(&app));
    scene.let_pass("marker");
    assert!(scene.config_map("old").is_none());
    let fixed = repo.write("web.yaml", &deployment("web:2")).commit("mended");
    let app = scene.wait_app("shop", |app| is_synced_to(app, &fixed));
    assert_eq!(story(&app), "");
    Webhook::uninstall(&scene, &label);
}

#[test]
fn where_what_was_restored_is_sick_too_the_commit_is_tried_once_more_when_it_is_well() {
    let scene = Scene::new("inconclusive");
    let agent = scene.agent();
    let repo = released(&scene, &agent, "1s", &[("web.yaml", &deployment("web:1"))]);
    let bad =
        repo.write("web.yaml", &deployment("web:not-found")).commit("bad, on the day the database is down");
    agent.wait_log(|line| line["reason"] == "NewRevision" && line.to_string().contains(&bad[..7]));
    pods_are(&scene, "web:1", false);
    let app = scene.wait_app("shop", |app| story(app).contains("the commit is probably not to blame"));
    assert!(story(&app).contains("is tried once more"), "{}", story(&app));
    assert_ne!(health(&app), "Healthy");
    let wait = agent.get(&format!("/api/v1/applications/shop/wait?revision={bad}"));
    assert_eq!(wait.json()["verdict"], "Inconclusive", "{}", wait.body);

    pods_are(&scene, "web:1", true);
    agent.wait_log(|line| line["reason"] == "Retry" && line.to_string().contains("is tried once more"));
    // It fails on firm ground as well: now it is its own fault.
    agent.wait_log(|line| line["reason"] == "RolledBack");
    let app = scene.wait_app("shop", |app| story(app).starts_with("Rolled back") && health(app) == "Healthy");
    assert_eq!(image(&scene), "web:1", "{app}");
}

#[test]
fn a_first_deploy_that_fails_is_taken_away_again_where_the_app_asks_for_that() {
    let scene = Scene::new("first");
    let _agent = scene.agent();
    let repo = scene.repo("shop");
    repo.write("web.yaml", &deployment("web:not-found"))
        .write("map.yaml", &config_map("map", "one"))
        .commit("first");
    let app =
        scene.application("shop").repo(&repo).automated().annotation("tautline.dev/first-deploy", "remove");
    app.annotation("tautline.dev/deadline", "6s").create();
    let app =
        scene.wait_app("shop", |app| story(app).contains("What the first deploy had created was removed"));
    assert!(story(&app).contains("web:not-found"), "{}", story(&app));
    assert!(scene.config_map("map").is_none());
    assert!(scene.get("apps/v1", "Deployment", &scene.namespace, "web").is_none());
}

#[test]
fn a_person_has_a_commit_left_alone_and_lets_it_go_again() {
    let scene = Scene::new("left-alone");
    let agent = scene.agent();
    let repo = released(&scene, &agent, "1s", &[("web.yaml", &deployment("web:1"))]);
    let is_left = |app: &Value| {
        app["metadata"]["annotations"]["tautline.dev/state"]
            .as_str()
            .is_some_and(|state| state.contains("Requested"))
    };
    let told = scene.tautline(&["app", "quarantine", "shop", "-n", &scene.control]);
    assert_eq!(told.code, 0, "{}", told.err);
    scene.wait_app("shop", is_left);
    assert_eq!(agent.delete("/api/v1/applications/shop/quarantine").status, 200);
    scene.wait_app("shop", |app| !is_left(app));
    assert_eq!(agent.post("/api/v1/applications/shop/quarantine", &json!({})).status, 200);
    scene.wait_app("shop", is_left);
    // The next commit is another content.
    let second = repo.write("web.yaml", &deployment("web:2")).commit("second");
    scene.wait_app("shop", |app| is_synced_to(app, &second));
}
