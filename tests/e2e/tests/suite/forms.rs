//! Is what an Application's spec says about its source and destination what is deployed, in all the forms that we honour?
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::fs;

use e2e::{Repo, Scene, condition, config_map, is_synced_to, sync_status};
use serde_json::{Value, json};

fn is_there(scene: &Scene, names: &[&str]) -> Vec<bool> {
    names.iter().map(|name| scene.config_map(name).is_some()).collect()
}

fn listed(app: &Value) -> Vec<&str> {
    let resources = app["status"]["resources"].as_array().into_iter().flatten();
    resources.filter_map(|resource| resource["name"].as_str()).collect()
}

#[test]
fn folders_below_and_patterns_choose_what_is_deployed() {
    let scene = Scene::new("patterns");
    let agent = scene.agent();
    let repo = scene.repo("shop");
    for (path, name) in [
        ("app/top.yaml", "top"),
        ("app/draft.yaml", "draft"),
        ("app/below/deep.yaml", "deep"),
        ("app/below/draft.yaml", "deep-draft"),
        ("elsewhere/other.yaml", "other"),
    ] {
        repo.write(path, &config_map(name, "one"));
    }
    let revision = repo.commit("first");
    scene.application("shop").repo(&repo).path("app").automated().create();
    let names = ["top", "draft", "deep", "deep-draft", "other"];
    let becomes = |directory: Value, expected: [bool; 5]| {
        scene.patch_app("shop", &json!({"spec": {"source": {"directory": directory}}}));
        let mut wanted: Vec<&str> = names
            .into_iter()
            .zip(expected)
            .filter_map(|(name, is_wanted)| is_wanted.then_some(name))
            .collect();
        wanted.sort_unstable();
        scene.wait_app("shop", |app| is_synced_to(app, &revision) && listed(app) == wanted);
        assert_eq!(is_there(&scene, &names), expected, "{directory}\n{}", agent.log_text());
    };
    becomes(json!({"recurse": false}), [true, true, false, false, false]);
    becomes(json!({"recurse": true}), [true, true, true, true, false]);
    // What a pattern leaves out is no longer wanted: it is pruned.
    becomes(json!({"exclude": "**/draft.yaml"}), [true, true, true, false, false]);
    becomes(json!({"exclude": "{draft.yaml,**/draft.yaml}"}), [true, false, true, false, false]);
    becomes(json!({"exclude": null, "include": "below/*"}), [false, false, true, true, false]);
    becomes(json!(null), [true, true, false, false, false]);
}

#[test]
fn the_agent_s_own_cluster_may_be_named() {
    let scene = Scene::new("by-name");
    let _agent = scene.agent();
    let repo = scene.repo("shop");
    let revision = repo.write("web.yaml", &config_map("web", "one")).commit("first");
    let destination = json!({"name": "in-cluster", "namespace": scene.namespace});
    scene.application("shop").repo(&repo).automated().set("/spec/destination", destination).create();
    let app = scene.wait_app("shop", |app| is_synced_to(app, &revision));
    assert_eq!(app["status"]["conditions"].as_array().map_or(0, Vec::len), 0, "{app:#}");
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "one");
}

#[test]
fn an_object_that_stands_twice_is_deployed_once_and_told_with_both_places() {
    let scene = Scene::new("twice");
    let agent = scene.agent();
    let files = [("a.yaml", config_map("web", "first")), ("b.yaml", config_map("web", "second"))];
    let repo = scene.deployed("shop", &files.each_ref().map(|(path, text)| (*path, text.as_str())));
    let told = |app: &Value| condition(app, "RepeatedResourceWarning").to_owned();
    let app = scene.wait_app("shop", |app| !told(app).is_empty());
    assert_eq!(
        told(&app),
        format!(
            "Resource /ConfigMap/{}/web appeared 2 times among application resources. The last one counts, of app/a.yaml:1, \
             app/b.yaml:1",
            scene.namespace
        )
    );
    assert_eq!(
        (sync_status(&app), &scene.config_map("web").unwrap()["data"]["key"]),
        ("Synced", &json!("second"))
    );
    assert_eq!(agent.metric("tautline_applies_total"), 1);
    let revision = repo.remove("app/b.yaml").commit("once");
    let app = scene.wait_app("shop", |app| is_synced_to(app, &revision) && told(app).is_empty());
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "first", "{app:#}");
}

#[test]
fn the_api_server_itself_refuses_a_spec_of_the_wrong_types_and_takes_any_status() {
    let scene = Scene::new("schema");
    scene.application("shop").set("/spec/source/repoURL", "/nowhere").create();
    let patch = |patch: &Value| {
        let patch = patch.to_string();
        scene.lab.kubectl(&["-n", &scene.control, "patch", "application/shop", "--type=merge", "-p", &patch])
    };
    for (wrong, field) in [
        (json!({"spec": {"source": {"path": 3}}}), "spec.source.path"),
        (json!({"spec": {"syncPolicy": {"automated": {"prune": "yes"}}}}), "spec.syncPolicy.automated.prune"),
        (
            json!({"spec": {"syncPolicy": {"syncOptions": "CreateNamespace=true"}}}),
            "spec.syncPolicy.syncOptions",
        ),
        (json!({"spec": {"syncPolicy": {"retry": {"limit": "five"}}}}), "spec.syncPolicy.retry.limit"),
        (json!({"spec": {"syncPolicy": {"rollback": {"deadline": 5}}}}), "spec.syncPolicy.rollback.deadline"),
        (
            json!({"spec": {"ignoreDifferences": [{"jsonPointers": ["/a"]}]}}),
            "spec.ignoreDifferences[0].kind",
        ),
        (json!({"spec": {"destination": null}}), "spec.destination"),
        (json!({"operation": {"sync": {"prune": "yes"}}}), "operation.sync.prune"),
    ] {
        let refused = patch(&wrong).expect_err(&wrong.to_string()).to_string();
        assert!(refused.contains(&format!("{field}: ")), "{wrong}: {refused}");
    }
    patch(&json!({"status": {"sync": "anything", "somethingNew": [1, {"a": null}]}})).unwrap();
    assert_eq!(scene.app("shop")["status"]["sync"], "anything");
    assert_eq!(scene.app("shop")["status"]["somethingNew"][0], 1);
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {"name": "team", "namespace": scene.control}, "spec": {"sourceRepos": "*"},
    });
    let refused = scene.create(&project).expect_err("a list is wanted").to_string();
    assert!(refused.contains("spec.sourceRepos"), "{refused}");
}

/// Puts another repository in the place of one.
fn replace(repo: &Repo, scene: &Scene) -> Repo {
    fs::remove_dir_all(repo.path()).unwrap();
    scene.repo("shop")
}

#[test]
fn a_repository_that_has_become_empty_deletes_nothing() {
    let scene = Scene::new("emptied");
    let agent = scene.agent_with(&["--poll-interval", "1s"]);
    let repo = scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    let first = repo.head();
    let repo = replace(&repo, &scene);
    let empty = "Failed to load target state: the repository is empty (push a first commit)";
    let app = scene.wait_app("shop", |app| condition(app, "ComparisonError") == empty);
    assert_eq!(sync_status(&app), "Unknown");
    scene.sync("shop", &json!({"prune": true}));
    scene.let_pass("marker");
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "one", "{}", agent.log_text());
    // What was deployed last stays in force.
    scene.edit_as("ops", "configmap/web", &json!({"data": {"key": "edited"}}));
    scene.wait_config_map("web", |web| web.is_some_and(|web| web["data"]["key"] == "one"));
    let again = repo.write("app/web.yaml", &config_map("web", "two")).commit("anew");
    assert_ne!(again, first);
    scene.wait_app("shop", |app| is_synced_to(app, &again));
}
