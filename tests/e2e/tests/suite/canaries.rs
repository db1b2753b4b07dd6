//! Would a scene notice if its agent told a secret? It looks everywhere where one could stand.

use std::fs;

use application::install;
use e2e::{Canaries, Scene, config_map};

// N20: every scene is searched at its end, and the search finds
#[test]
fn what_an_agent_says_answers_and_writes_is_searched() {
    let scene = Scene::new("swept");
    let mut agent = scene.agent();
    scene.deployed("canary-shop", &[("web.yaml", &config_map("canary-web", "one"))]);
    agent.get("/api/v1/applications");
    let found_with = |text: &str| {
        let canaries = Canaries::default();
        canaries.add("it", text);
        scene.search(&canaries)
    };
    let found = found_with("canary-shop");
    for place in [
        "it stands in a log",
        "it stands in the answer to GET /api/v1/applications",
        "it stands in the answer to GET /api/v1/applications/canary-shop",
        "it stands in the answer to GET /api/v1/applications/canary-shop/drift",
        "it stands in the answer to GET /metrics",
        "it stands in Application canary-shop",
    ] {
        assert!(found.iter().any(|found| found == place), "{place} is not in {found:#?}");
    }
    // Kinds that the agent ever created are recorded in a ConfigMap, and who writes in a Lease.
    assert!(found_with("ConfigMap").iter().any(|found| found.starts_with("it stands in ConfigMap ")));
    assert!(found_with("holderIdentity").iter().any(|found| found == "it stands in Lease tautline"));
    // Rendered manifests are kept for the agent alone.
    let found = found_with("repositoryformatversion");
    assert!(found.is_empty(), "a local repository is not cloned: {found:#?}");
    agent.kill();
    assert!(found_with("canary-web-2").is_empty());
}

// N20: the token of an agent is a secret, wherever it has it from
#[test]
fn a_token_that_stands_in_a_file_is_looked_out_for() {
    let scene = Scene::new("swept-tokens");
    scene.install_account();
    let is_looked_out_for = |token: &str| scene.canaries().found_in(token) == ["the agent's token"];
    let in_pod = scene.agent_in_pod(install::NAME);
    let of_pod = scene.folder().join("var-run/secrets/kubernetes.io/serviceaccount/token");
    let of_pod = fs::read_to_string(of_pod).unwrap();
    assert!(is_looked_out_for(&of_pod));
    drop(in_pod);

    let kubeconfig = fs::read_to_string(scene.lab.kubeconfig_for(&scene.control, install::NAME).unwrap());
    let kubeconfig = kubeconfig.unwrap();
    let (before, rest) = kubeconfig.split_once("token: ").unwrap();
    let (token, after) = rest.split_once('\n').unwrap();
    assert!(!is_looked_out_for(token), "it is another one");
    let file = scene.folder().join("token");
    fs::write(&file, token).unwrap();
    let mut settings = scene.settings();
    settings.kubeconfig = scene.folder().join("by-file.kubeconfig");
    let by_file = format!("{before}tokenFile: {}\n{after}", file.display());
    fs::write(&settings.kubeconfig, by_file).unwrap();
    let _agent = scene.start(settings);
    assert!(is_looked_out_for(token));
}
