//! What if the API server does not know the agent any more? Nothing is undone or condemned by that, and it goes on once it is
//! known again.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use application::install;
use e2e::{Agent, Scene, config_map, is_condemned, is_synced_to, operation_phase};

/// A token file is read anew once a minute.
const REREAD: Duration = Duration::from_mins(2);

/// Writes a token of the agent's account where its kubeconfig says that there is one; returns the kubeconfig.
fn write_token(scene: &Scene, file: &Path) -> PathBuf {
    let kubeconfig = scene.lab.kubeconfig_for(&scene.control, install::NAME).unwrap();
    let text = fs::read_to_string(&kubeconfig).unwrap();
    let token =
        text.split_once("token: ").unwrap().1.lines().next().unwrap().trim_end_matches(['}', ']', ' ']);
    fs::write(file, token.trim_matches('"')).unwrap();
    let by_file = text.replace(&format!("token: {token}"), &format!("tokenFile: {}", file.display()));
    let path = scene.folder().join("rotated.kubeconfig");
    fs::write(&path, by_file).unwrap();
    path
}

fn is_refused(agent: &Agent) {
    agent.wait_log(|line| {
        line.to_string().contains("does not accept the agent's credentials (401 Unauthorized)")
    });
}

// N19: the token for the API server
#[test]
fn a_token_that_is_no_longer_accepted_condemns_nothing_and_the_next_one_is_taken_up() {
    let scene = Scene::new("rotated");
    scene.install_account();
    scene.grant("maps", "configmaps", &["get", "list", "watch", "create", "patch", "delete"]);
    let token = scene.folder().join("token");
    let mut settings = scene.settings();
    settings.kubeconfig = write_token(&scene, &token);
    let agent = scene.start(settings);
    let files = [("web.yaml", config_map("web", "one")), ("old.yaml", config_map("old", "one"))];
    let repo = scene.deployed("shop", &files.each_ref().map(|(path, text)| (*path, text.as_str())));
    let before = scene.app("shop");

    // Whoever deletes the account takes its token's worth; one of the same name is another.
    scene.delete("v1", "ServiceAccount", &scene.control, install::NAME);
    scene.lab.kubectl(&["-n", &scene.control, "create", "serviceaccount", install::NAME]).unwrap();
    is_refused(&agent);
    let revision =
        repo.write("app/web.yaml", &config_map("web", "two")).remove("app/old.yaml").commit("second");
    agent.wait_probe("/metrics", |_| agent.metric("tautline_renders_total") == 2);
    assert_eq!(scene.app("shop")["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "one");
    assert!(scene.config_map("old").is_some());
    assert!(!agent.log_text().contains("grant the agent's service account"), "{}", agent.log_text());

    write_token(&scene, &token);
    let key = ("argoproj.io/v1alpha1", "Application", scene.control.as_str(), "shop");
    let app = scene.wait_object_for(REREAD, key, |app| app.is_some_and(|app| is_synced_to(app, &revision)));
    let app = app.expect("it held for an object");
    assert!(operation_phase(&app) == "Succeeded" && !is_condemned(&app), "{app:#}");
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "two");
    scene.wait_config_map("old", |old| old.is_none());
    let secret = fs::read_to_string(&token).unwrap();
    assert!(!agent.log_text().contains(&secret), "a token stands in the log");
}
