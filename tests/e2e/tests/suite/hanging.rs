//! What if the API server does not answer for a while? Whatever does not depend on it goes on.

use std::time::{Duration, Instant};

use e2e::{HeldUp, Scene, config_map, is_synced_to};

#[test]
fn a_newer_commit_does_not_wait_for_a_request_that_hangs() {
    let scene = Scene::new("hanging");
    let repo = scene.repo("shop");
    repo.write("app/.keep", "").commit("nothing yet");
    scene.application("shop").repo(&repo).path("app").automated().create();
    let agent = scene.agent();
    scene.wait_app("shop", |app| is_synced_to(app, &repo.head()));
    let mut held = HeldUp::new(&scene);
    repo.write("app/slow.yaml", &config_map("slow", "one")).commit("held up");
    held.wait(1);
    let quick = "apiVersion: v1\nkind: Secret\nmetadata: {name: quick}\nstringData: {key: one}\n";
    repo.remove("app/slow.yaml").write("app/quick.yaml", quick);
    let revision = repo.commit("another way");
    let pushed = Instant::now();
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
    assert!(pushed.elapsed() < Duration::from_secs(6), "{:?}\n{}", pushed.elapsed(), agent.log_text());
    drop(held);
    // What was given up is not made behind anybody's back.
    scene.let_pass("marker");
    assert!(scene.config_map("slow").is_none());
}

#[test]
fn a_large_app_does_not_delay_a_small_one() {
    const LARGE: usize = 100;
    let scene = Scene::new("fair");
    let large = scene.repo("large");
    let empty = large.write("app/.keep", "").commit("nothing yet");
    scene.application("large").repo(&large).path("app").automated().create();
    let agent = scene.agent();
    scene.wait_app("large", |app| is_synced_to(app, &empty));
    let mut held = HeldUp::new(&scene);
    for number in 0..LARGE {
        large.write(&format!("app/{number}.yaml"), &config_map(&format!("large-{number}"), "one"));
    }
    let revision = large.commit("much to do");
    // As many as are sent at a time: the rest waits behind them, eight seconds each time.
    held.wait(16);
    let begun = Instant::now();
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: small}\nstringData: {key: one}\n";
    scene.deployed("small", &[("small.yaml", secret)]);
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}\n{}", begun.elapsed(), agent.log_text());
    let app = scene.app("large");
    assert!(!is_synced_to(&app, &revision), "the large one was not under way: {app:#}");
    drop(held);
    scene.wait_app("large", |app| is_synced_to(app, &revision));
}

#[test]
fn three_apps_that_hang_leave_a_fourth_its_share() {
    const OBJECTS: usize = 40;
    let scene = Scene::new("share");
    let hanging = ["first", "second", "third"].map(|name| (name, scene.repo(name)));
    for (name, repo) in &hanging {
        repo.write("app/.keep", "").commit("nothing yet");
        scene.application(name).repo(repo).path("app").automated().create();
    }
    let agent = scene.agent();
    for (name, repo) in &hanging {
        scene.wait_app(name, |app| is_synced_to(app, &repo.head()));
    }
    let mut held = HeldUp::new(&scene);
    for (name, repo) in &hanging {
        for number in 0..OBJECTS {
            repo.write(&format!("app/{number}.yaml"), &config_map(&format!("{name}-{number}"), "one"));
        }
        repo.commit("much to do");
    }
    // All places that are anybody's.
    held.wait(24);
    let begun = Instant::now();
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: small}\nstringData: {key: one}\n";
    scene.deployed("fourth", &[("small.yaml", secret)]);
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}\n{}", begun.elapsed(), agent.log_text());
    for (name, repo) in &hanging {
        let app = scene.app(name);
        assert!(!is_synced_to(&app, &repo.head()), "{name} was not under way: {app:#}");
    }
    drop(held);
    for (name, repo) in &hanging {
        scene.wait_app(name, |app| is_synced_to(app, &repo.head()));
    }
}
