//! What does a sync put into the cluster?

use e2e::{Scene, config_map, is_synced_to};

#[test]
fn a_first_deploy_and_its_update_reach_the_cluster() {
    let scene = Scene::new("first");
    let repo = scene.repo("shop");
    repo.write("app/web.yaml", &config_map("web", "one"));
    let first = repo.commit("first");
    scene.application("shop").repo(&repo).path("app").automated().create();
    let _agent = scene.agent();
    let app = scene.wait_app("shop", |app| is_synced_to(app, &first));
    assert_eq!(app["status"]["operationState"]["phase"], "Succeeded");
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "one");

    repo.write("app/web.yaml", &config_map("web", "two"));
    let second = repo.commit("second");
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "two");
}
