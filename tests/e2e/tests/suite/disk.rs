//! What happens when the agent's disk is taken away from it? It is a cache, and nothing but a cache.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::fs;
use std::path::Path;

use e2e::{GitServer, Scene, config_map, is_synced_to};
use serde_json::json;

// N41: everything, while it runs
#[test]
fn a_cache_that_is_deleted_while_the_agent_runs_is_built_anew_by_itself() {
    let scene = Scene::new("no-cache");
    let agent = scene.agent_with(&["--poll-interval", "1s"]);
    let server = GitServer::start(scene.repos());
    // One that is read where it is, and one that is cloned.
    let local = scene.deployed("local", &[("web.yaml", &config_map("local", "one"))]);
    let far = scene.repo("far");
    far.write("web.yaml", &config_map("far", "one")).write("old.yaml", &config_map("old", "one"));
    let first = far.commit("first");
    scene.application("far").set("/spec/source/repoURL", server.url("far")).automated().create();
    scene.wait_app("far", |app| is_synced_to(app, &first));

    fs::remove_dir_all(scene.settings().cache).unwrap();
    // What is in the cluster is known without it.
    for name in ["local", "far"] {
        scene.patch("v1", "ConfigMap", &scene.namespace, name, &json!({"data": {"key": "edited"}}));
        scene.wait_config_map(name, |map| map.is_some_and(|map| map["data"]["key"] == "one"));
    }
    let second = far.write("web.yaml", &config_map("far", "two")).remove("old.yaml").commit("second");
    scene.wait_app("far", |app| is_synced_to(app, &second));
    let again = local.write("app/web.yaml", &config_map("local", "two")).commit("second");
    scene.wait_app("local", |app| is_synced_to(app, &again));
    assert!(scene.config_map("old").is_none(), "it was not pruned");
    for name in ["local", "far"] {
        assert_eq!(scene.config_map(name).unwrap()["data"]["key"], "two");
    }
    // Another of the same repository finds what was built anew.
    let another = scene.application("another").set("/spec/source/repoURL", server.url("far"));
    another.set("/spec/source/targetRevision", first.as_str()).create();
    scene.wait_app("another", |app| app["status"]["sync"]["revision"] == first.as_str());
    agent.wait_ready();
}

/// Turns the bits of every pack below a folder around; returns how many there were.
fn spoil_packs(folder: &Path) -> usize {
    let mut n_packs = 0;
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            n_packs += spoil_packs(&path);
        } else if path.extension().is_some_and(|extension| extension == "pack") {
            let bytes: Vec<u8> = fs::read(&path).unwrap().iter().map(|byte| !byte).collect();
            // Git makes packs read-only; a new file takes the old one's place.
            fs::remove_file(&path).unwrap();
            fs::write(&path, bytes).unwrap();
            n_packs += 1;
        }
    }
    n_packs
}

// N41: clones, while the agent is down
#[test]
fn a_clone_that_was_altered_is_told_once_and_built_anew() {
    let scene = Scene::new("turned");
    let mut agent = scene.agent_with(&["--poll-interval", "1s"]);
    let server = GitServer::start(scene.repos());
    let far = scene.repo("far");
    far.write("web.yaml", &config_map("far", "one")).write("old.yaml", &config_map("old", "one"));
    let first = far.commit("first");
    scene.application("far").set("/spec/source/repoURL", server.url("far")).automated().create();
    scene.wait_app("far", |app| is_synced_to(app, &first));
    agent.terminate();
    assert!(spoil_packs(&scene.settings().cache) > 0);
    agent.restart();
    for n in 0..5 {
        let revision = far.write("web.yaml", &config_map("far", &n.to_string())).commit("next");
        scene.wait_app("far", |app| is_synced_to(app, &revision));
    }
    assert!(scene.config_map("old").is_some(), "what nobody changed is as it was");
    let n_told = agent.log_text().matches("cached clone is damaged and is built anew").count();
    assert_eq!(n_told, 1, "{}", agent.log_text());
}
