//! Would a scene notice if its agent told a secret? It looks everywhere where one could stand.

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
