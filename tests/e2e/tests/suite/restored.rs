//! What if the cluster's store is put back to what a backup held? Everything in it is older than what the agent knows.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::fs;
use std::path::Path;

use e2e::{Agent, Repo, Scene, config_map, is_synced_to};
use lab::Lab;
use serde_json::{Value, json};

const MAPS: [&str; 3] = ["web", "api", "late"];

/// Does something while neither the API server nor its store runs.
fn while_stopped(lab: &Lab, act: impl FnOnce(&Path)) {
    lab.stop_api_server().unwrap();
    lab.stop_etcd().unwrap();
    act(&lab.folder().join("etcd"));
    lab.start_etcd().unwrap();
    lab.start_api_server().unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn push(repo: &Repo, value: &str) -> String {
    for name in MAPS {
        repo.write(&format!("app/{name}.yaml"), &config_map(name, value));
    }
    repo.commit(value)
}

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

fn n_writes(agent: &Agent) -> u64 {
    let requests = agent.requests();
    let count = |name: &str| requests.get(name).copied().unwrap_or_default();
    count("patch Application.argoproj.io") + count("apply ConfigMap")
}

#[test]
fn a_cluster_that_was_restored_from_a_backup_is_brought_to_what_git_wants() {
    let scene = Scene::alone("restored");
    let agent = scene.agent();
    let repo = scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    let backup = scene.folder().join("backup");
    while_stopped(scene.lab, |data| copy(data, &backup));
    let first = push(&repo, "one");
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    // Some history, so that all that the agent knows is numbered higher than what it will see for long.
    for n in 0..200 {
        scene.patch(
            "v1",
            "Namespace",
            "",
            &scene.control,
            &json!({"metadata": {"annotations": {"n": n.to_string()}}}),
        );
    }
    let second = push(&repo, "two");
    let known = version(&scene.wait_app("shop", |app| is_synced_to(app, &second)));

    let before = n_writes(&agent);
    while_stopped(scene.lab, |data| {
        fs::remove_dir_all(data).unwrap();
        copy(&backup, data);
    });
    for name in MAPS {
        scene.wait_config_map(name, |map| map.is_some_and(|map| map["data"]["key"] == "two"));
    }
    let app = scene.wait_app("shop", |app| is_synced_to(app, &second));
    assert!(version(&app) < known, "{} is not lower than {known}", version(&app));
    scene.patch("v1", "ConfigMap", &scene.namespace, "web", &json!({"data": {"key": "edited"}}));
    scene.wait_config_map("web", |map| map.is_some_and(|map| map["data"]["key"] == "two"));
    scene.let_pass("marker");
    let written = n_writes(&agent) - before;
    assert!(written < 40, "{written} writes\n{}", agent.log_text());
}
