//! What happens when the agent's disk is taken away from it? It is a cache, and nothing but a cache.

use std::fs;

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
