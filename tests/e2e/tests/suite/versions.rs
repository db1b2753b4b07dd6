//! Does an app that follows a range of versions get the highest tag in it, and no other?

use e2e::{Scene, config_map, is_synced_to};

fn value(scene: &Scene) -> String {
    let found = scene.wait_config_map("web", |map| map.is_some());
    found.and_then(|map| Some(map["data"]["key"].as_str()?.to_owned())).unwrap_or_default()
}

#[test]
fn an_app_follows_the_highest_tag_in_its_range() {
    let scene = Scene::new("versions");
    let repo = scene.repo("shop");
    let release = |tag: &str| {
        let revision = repo.write("web.yaml", &config_map("web", tag)).commit(tag);
        repo.tag(tag);
        revision
    };
    let _agent = scene.agent();
    let first = release("v1.1.0");
    repo.write("web.yaml", &config_map("web", "main")).commit("not released");
    scene.application("shop").repo(&repo).revision(">=1.0.0 <2").automated().create();
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    assert_eq!(value(&scene), "v1.1.0");

    let second = release("v1.2.0");
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    assert_eq!(value(&scene), "v1.2.0");

    // Out of the range, a pre-release, no version: none of them moves the app, and what comes after them does.
    for tag in ["v2.0.0", "v1.3.0-rc.1", "shop/v1.9.0", "latest"] {
        release(tag);
    }
    scene.let_pass("marker");
    let app = scene.app("shop");
    assert_eq!(app["status"]["sync"]["revision"], second);
    let third = release("1.2.10");
    let app = scene.wait_app("shop", |app| is_synced_to(app, &third));
    assert_eq!(value(&scene), "1.2.10");
    let history = app["status"]["history"].as_array().map_or(0, Vec::len);
    assert_eq!(history, 3, "{}", app["status"]["history"]);
}

#[test]
fn a_range_without_a_version_in_it_says_what_there_is() {
    let scene = Scene::new("no-version");
    let repo = scene.repo("shop");
    repo.write("web.yaml", &config_map("web", "one")).commit("one");
    repo.tag("v1.4.2");
    let _agent = scene.agent();
    scene.application("shop").repo(&repo).revision("^3").automated().create();
    let told = "no tag in the repository is a version in the range \"^3\" (the highest version is v1.4.2)";
    scene.wait_app("shop", |app| {
        let conditions = app["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|one| one["message"].as_str().unwrap_or_default().contains(told))
    });
    assert!(scene.config_map("web").is_none());
}
