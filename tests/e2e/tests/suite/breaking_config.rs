//! What if a commit changes nothing but a `ConfigMap`, and what breaks are the pods that read it anew?
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use e2e::{Scene, condition, is_synced_to};
use serde_json::{Value, json};

/// Rolls out because the template names the version of the configuration; its pods are as well as the test says.
fn files(config: &str) -> [(&'static str, String); 2] {
    let deployment = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  selector: {{matchLabels: {{app: web}}}}\n  \
         strategy: {{rollingUpdate: {{maxUnavailable: 0}}}}\n  template:\n    \
         metadata: {{labels: {{app: web}}, annotations: {{config: {config}}}}}\n    spec:\n      \
         containers: [{{name: web, image: 'web:never-ready', envFrom: [{{configMapRef: {{name: settings}}}}]}}]\n"
    );
    [("web.yaml", deployment), ("settings.yaml", e2e::config_map("settings", config))]
}

fn is_of(pod: &Value, config: &str) -> bool {
    pod["metadata"]["annotations"]["config"] == config
}

/// Waits until the pod that read a configuration runs; returns its name.
fn pod_of(scene: &Scene, config: &str) -> String {
    scene.wait_object("apps/v1", "Deployment", &scene.namespace, "web", |web| {
        web.is_some_and(|web| {
            is_of(&web["spec"]["template"], config)
                && web["status"]["observedGeneration"] == web["metadata"]["generation"]
                && web["status"]["updatedReplicas"] == 1
        })
    });
    let pods: Value = serde_json::from_str(&scene.kubectl(&["get", "pods", "-o", "json"])).unwrap();
    let pod = pods["items"].as_array().unwrap().iter().find(|pod| is_of(pod, config)).unwrap();
    let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
    scene.wait_object("v1", "Pod", &scene.namespace, &name, |pod| {
        pod.is_some_and(|pod| pod["status"]["containerStatuses"][0]["state"]["running"].is_object())
    });
    name
}

/// Plays the kubelet.
fn say(scene: &Scene, pod: &str, is_ready: bool) {
    let status = if is_ready { "True" } else { "False" };
    let mut container = json!({
        "name": "web", "image": "web:never-ready", "imageID": "", "ready": is_ready, "restartCount": 0,
        "state": {"running": {}},
    });
    if !is_ready {
        container["restartCount"] = 3.into();
        container["state"] = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}});
        container["lastState"] = json!({"terminated": {
            "exitCode": 78, "reason": "Error", "message": "settings: no such key: colour",
        }});
    }
    let status = json!({"status": {
        "conditions": [{"type": "Ready", "status": status}], "containerStatuses": [container],
    }});
    let patch = ["patch", "pod", pod, "--subresource=status", "--type=merge", "-p", &status.to_string()];
    scene.kubectl(&patch);
}

#[test]
fn a_config_map_that_breaks_only_on_rollout_is_restored_with_what_read_it() {
    let scene = Scene::new("breaking-config");
    let agent = scene.agent();
    let repo = scene.repo("shop");
    let commit = |config: &str, message: &str| {
        for (path, text) in files(config) {
            repo.write(path, &text);
        }
        repo.commit(message)
    };
    let first = commit("good", "first");
    let app = scene.application("shop").repo(&repo).automated();
    app.annotation("tautline.dev/soak", "1s").annotation("tautline.dev/deadline", "6s").create();
    let serving = pod_of(&scene, "good");
    say(&scene, &serving, true);
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    agent.wait_log(|line| line["message"] == "a release is kept");
    let uid = scene.get("v1", "Pod", &scene.namespace, &serving).unwrap()["metadata"]["uid"].clone();

    let bad = commit("bad", "another colour");
    let broken = pod_of(&scene, "bad");
    say(&scene, &broken, false);
    let app = scene.wait_app("shop", |app| condition(app, "RolledBack").starts_with("Rolled back to"));
    let story = condition(&app, "RolledBack");
    for part in [&bad[..7], &broken, "CrashLoopBackOff", "no such key: colour"] {
        assert!(story.contains(part), "{part} is not in {story}");
    }
    assert_eq!(scene.config_map("settings").unwrap()["data"]["key"], "good");
    let pod = scene.get("v1", "Pod", &scene.namespace, &serving).unwrap();
    assert_eq!((&pod["metadata"]["uid"], is_of(&pod, "good")), (&uid, true), "what served goes on serving");
    assert_eq!(app["status"]["health"]["status"], "Healthy");
    scene.wait_object("v1", "Pod", &scene.namespace, &broken, |pod| pod.is_none());
}
