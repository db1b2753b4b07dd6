//! What if no node has room for a commit that has taken pods of the old ones? The app goes back, and the commit is tried again.

use e2e::{Scene, condition, is_synced_to, sync_status};
use serde_json::{Value, json};

/// Four pods, of which a rolling update may take one before another is there.
fn deployment(version: u32, node: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: 4\n  \
         selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    spec:\n      \
         nodeSelector: {{{node}}}\n      containers: [{{name: web, image: 'web:{version}'}}]\n"
    )
}

fn available(scene: &Scene) -> Value {
    let web = scene.get("apps/v1", "Deployment", &scene.namespace, "web").expect("the Deployment");
    web["status"]["availableReplicas"].clone()
}

fn story(app: &Value) -> String {
    condition(app, "RolledBack").to_owned()
}

#[test]
fn a_commit_that_is_held_up_takes_no_pods_for_long_and_is_tried_three_times() {
    let scene = Scene::new("held-back");
    let agent = scene.agent();
    let repo = scene.repo("shop");
    let first = repo.write("web.yaml", &deployment(1, "")).commit("first");
    scene
        .application("shop")
        .repo(&repo)
        .automated()
        .annotation("tautline.dev/deadline", "3s")
        .annotation("tautline.dev/soak", "1s")
        .set(
            "/spec/syncPolicy/retry",
            json!({"limit": -1, "backoff": {"duration": "1s", "maxDuration": "1s"}}),
        )
        .create();
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    agent.wait_log(|line| line["message"] == "a release is kept");

    let second = repo.write("web.yaml", &deployment(2, "of: nobody")).commit("for no node");
    let app = scene.wait_app("shop", |app| story(app).contains("is tried again at"));
    assert!(story(&app).contains("3 of 4 pods of Deployment.apps"), "{}", story(&app));
    assert_eq!((sync_status(&app), available(&scene)), ("OutOfSync", json!(4)));
    let app = scene.wait_app("shop", |app| story(app).contains("It was tried 3 times"));
    assert_eq!(available(&scene), json!(4));
    assert!(!app.to_string().contains("is quarantined"), "{app}");
    let answer = agent.get(&format!("/api/v1/applications/shop/wait?revision={second}"));
    assert_eq!((answer.json()["verdict"].as_str(), answer.status), (Some("Held"), 409), "{}", answer.body);

    let third = repo.write("web.yaml", &deployment(2, "")).commit("for any node");
    let app = scene.wait_app("shop", |app| is_synced_to(app, &third));
    assert_eq!(story(&app), "");
}
