//! What does an agent write that stood still past the end of its lease? Nothing, until it holds it again.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::collections::BTreeMap;

use e2e::{HeldUp, Repo, Scene, config_map, is_synced_to};
use serde_json::Value;

/// As many at a time as one app applies; two apps have more than the agent sends at once.
const OBJECTS: usize = 16;
const APPS: [&str; 2] = ["one", "two"];
/// How many requests of two apps the agent has in flight at most: the other places are for apps that have none.
const IN_FLIGHT: usize = 24;

fn write_all(repo: &Repo, value: &str) -> String {
    for app in APPS {
        for n in 0..OBJECTS {
            let name = format!("{app}-{n}");
            repo.write(&format!("{app}/{name}.yaml"), &config_map(&name, value));
        }
    }
    repo.commit(value)
}

/// Returns the resourceVersion of every object of the apps, and of the apps.
fn versions(scene: &Scene) -> BTreeMap<String, Value> {
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    let apps = APPS.iter().map(|app| (format!("application {app}"), version(&scene.app(app))));
    let names = APPS.iter().flat_map(|app| (0..OBJECTS).map(move |n| format!("{app}-{n}")));
    let maps = names.map(|name| {
        let map = scene.config_map(&name).unwrap();
        assert_eq!(map["data"]["key"], "second", "{name}");
        (name, version(&map))
    });
    apps.chain(maps).collect()
}

#[test]
fn who_stood_still_past_the_end_of_its_lease_writes_nothing_that_was_waiting() {
    let scene = Scene::new("frozen");
    let repo = scene.repo("shop");
    for app in APPS {
        repo.write(&format!("{app}/.keep"), "");
    }
    repo.commit("nothing yet");
    for app in APPS {
        scene.application(app).repo(&repo).path(app).automated().create();
    }
    let first = scene.agent();
    let writing = "tautline_writer{reason=\"Writing\"} 1";
    first.wait_probe("/metrics", |answer| answer.body.contains(writing));
    let mut settings = scene.settings();
    settings.cache = scene.folder().join("cache-of-the-standby");
    let mut second = scene.start(settings);
    second.wait_ready();

    // Some applies are under way, and the rest wait for their turn.
    let mut held = HeldUp::new(&scene);
    write_all(&repo, "first");
    held.wait(IN_FLIGHT);
    let n_sent = first.requests()["apply ConfigMap"];
    first.freeze();
    drop(held);
    let revision = write_all(&repo, "second");
    for app in APPS {
        scene.wait_app(app, |app| is_synced_to(app, &revision));
    }
    let before = versions(&scene);

    first.thaw();
    let looks_on = "tautline_writer{reason=\"LeaseNotHeld\"} 0";
    first.wait_probe("/metrics", |answer| answer.body.contains(looks_on));
    first.wait_log(|line| line["reason"] == "LeaseNotHeld");
    scene.let_pass("marker");
    assert_eq!(versions(&scene), before, "{}", first.log_text());
    assert_eq!(first.requests()["apply ConfigMap"], n_sent, "{:?}", first.requests());

    // Once it holds the lease again it goes on, from what Git wants by then.
    second.terminate();
    let third = write_all(&repo, "third");
    for app in APPS {
        scene.wait_app(app, |app| is_synced_to(app, &third));
    }
    assert!(first.requests()["apply ConfigMap"] >= (IN_FLIGHT + APPS.len() * OBJECTS) as u64);
}
