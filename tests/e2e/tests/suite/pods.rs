//! When are pods watched, and what do they explain?

use std::fmt::Write as _;

use e2e::{Agent, Scene, is_synced_to};
use serde_json::{Value, json};

/// More than are watched one by one.
const MANY: usize = 51;

/// Returns a Deployment as YAML, in a namespace of its own unless that is empty, which no node takes.
fn deployment(namespace: &str, name: &str, image: &str, disk: &str) -> String {
    let namespace = if namespace.is_empty() { String::new() } else { format!(", namespace: {namespace}") };
    let nodes = if disk.is_empty() { String::new() } else { format!("nodeSelector: {{disk: {disk}}}, ") };
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}{namespace}}}\nspec:\n  \
         selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    \
         spec: {{{nodes}containers: [{{name: web, image: '{image}'}}]}}\n"
    )
}

fn watches(agent: &Agent) -> [u64; 2] {
    ["Pod", "ReplicaSet.apps"].map(|kind| agent.metric(&format!("tautline_watches{{kind=\"{kind}\"}}")))
}

/// Returns what an app says of an object of its.
fn health_message(app: &Value, namespace: &str, name: &str) -> String {
    let resources = app["status"]["resources"].as_array().into_iter().flatten();
    let mut own = resources.filter(|it| it["namespace"] == namespace && it["name"] == name);
    own.find_map(|it| it["health"]["message"].as_str()).unwrap_or_default().to_owned()
}

#[test]
fn pods_are_watched_only_while_a_workload_is_not_healthy() {
    let scene = Scene::new("pods");
    let agent = scene.agent();
    let repo = scene.deployed("shop", &[("web.yaml", &deployment("", "web", "web:1", ""))]);
    agent.wait_probe("/metrics", |_| watches(&agent) == [0, 0]);
    repo.write("app/web.yaml", &deployment("", "web", "web:never-ready", "")).commit("never ready");
    scene.wait_app("shop", |app| {
        health_message(app, &scene.namespace, "web").contains("runs but is not ready")
    });
    assert_eq!(watches(&agent), [1, 1]);
    let fixed = repo.write("app/web.yaml", &deployment("", "web", "web:2", "")).commit("fixed");
    scene.wait_app("shop", |app| is_synced_to(app, &fixed));
    agent.wait_probe("/metrics", |_| watches(&agent) == [0, 0]);
}

#[test]
fn in_many_namespaces_all_pods_are_watched_at_once() {
    let scene = Scene::new("pods-many");
    let agent = scene.agent();
    let namespaces: Vec<String> = (0..MANY).map(|n| scene.unique(&format!("n{n}"))).collect();
    let manifests = |disk: &str| {
        let mut text = String::new();
        for namespace in &namespaces {
            let head = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n");
            write!(text, "{head}---\n{}---\n", deployment(namespace, "web", "web:1", disk))
                .expect("text grows");
        }
        text
    };
    let repo = scene.repo("shop");
    repo.write("all.yaml", &manifests("none")).commit("no node has room");
    scene.application("shop").repo(&repo).automated().create();
    let all_are_live = 2 * MANY as u64;
    agent.wait_probe("/metrics", |_| {
        agent.metric("tautline_live_objects") == all_are_live && watches(&agent) == [1, 1]
    });
    // Whoever joins them is explained as well.
    let late = scene.repo("late");
    late.write("web.yaml", &deployment("", "web", "web:never-ready", "")).commit("never ready");
    scene.application("late").repo(&late).automated().create();
    scene.wait_app("late", |app| {
        health_message(app, &scene.namespace, "web").contains("runs but is not ready")
    });
    assert_eq!(watches(&agent), [1, 1]);
    late.remove("web.yaml").commit("none");
    scene.patch_app("late", &json!({"spec": {"syncPolicy": {"automated": {"allowEmpty": true}}}}));
    let fixed = repo.write("all.yaml", &manifests("")).commit("any node has");
    scene.wait_app("shop", |app| is_synced_to(app, &fixed));
    agent.wait_probe("/metrics", |_| watches(&agent) == [0, 0]);
    for namespace in &namespaces {
        scene.delete("v1", "Namespace", "", namespace);
    }
}
