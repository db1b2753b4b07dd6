//! What happens when the agent's disk is taken away from it? It is a cache, and nothing but a cache.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use e2e::{Agent, GitServer, Scene, condition, config_map, is_synced_to};
use serde_json::{Value, json};

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

/// Fills a disk with one file, up to the last byte.
fn fill_bytes(disk: &Path) {
    let mut file = File::create(disk.join("filler-0")).unwrap();
    while file.write(&[1; 512]).is_ok_and(|n_written| n_written > 0) {}
}

/// Fills a disk with files that hold nothing, as many as it takes.
fn fill_inodes(disk: &Path) {
    let _last = (0..1_000_000).find(|n| File::create(disk.join(format!("filler-{n}"))).is_err());
}

fn make_room(disk: &Path) {
    for entry in fs::read_dir(disk).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with("filler-") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

/// An agent on a small disk that is full for a while, and then has room again.
fn is_full_for_a_while(name: &str, options: &str, fill: impl Fn(&Path)) {
    let scene = Scene::new(name);
    let mut settings = scene.settings();
    settings.disk = Some(options.into());
    settings.options = vec!["--poll-interval".into(), "1s".into()];
    let mut agent: Agent = scene.start(settings);
    let server = GitServer::start(scene.repos());
    let repo = scene.repo("shop");
    repo.write("web.yaml", &config_map("web", "one")).write("old.yaml", &config_map("old", "one"));
    let first = repo.commit("first");
    scene.application("shop").set("/spec/source/repoURL", server.url("shop")).automated().create();
    scene.wait_app("shop", |app| is_synced_to(app, &first));

    fill(&agent.disk());
    repo.write("more.yaml", &config_map("more", &"much ".repeat(20_000)));
    let second = repo.write("web.yaml", &config_map("web", "two")).remove("old.yaml").commit("second");
    let told = agent.wait_log(|line| line.to_string().contains("the cache folder cannot be written"));
    assert_eq!(told["reason"], "SourceUnavailable", "{told}");
    assert!(scene.config_map("old").is_some(), "it was pruned although nobody could read what Git holds");
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "one");
    // What is known is kept as it is.
    scene.patch("v1", "ConfigMap", &scene.namespace, "web", &json!({"data": {"key": "edited"}}));
    scene.wait_config_map("web", |map| map.is_some_and(|map| map["data"]["key"] == "one"));
    assert_eq!(agent.probe("/readyz").status, 200, "{}", agent.probe("/readyz").body);

    make_room(&agent.disk());
    agent.wait_log(|line| line["reason"] == "SourceAvailable");
    let app = scene.wait_app("shop", |app| is_synced_to(app, &second));
    assert_eq!(condition(&app, "ComparisonError"), "");
    assert!(scene.config_map("old").is_none(), "it was not pruned");
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "two");
    assert_eq!(agent.terminate().code(), Some(0));
}

#[test]
fn a_full_disk_is_told_and_harms_nothing_until_there_is_room() {
    is_full_for_a_while("full-disk", "size=2m", fill_bytes);
}

#[test]
fn a_disk_without_room_for_another_file_is_told_and_harms_nothing() {
    is_full_for_a_while("no-inodes", "size=8m,nr_inodes=400", fill_inodes);
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

/// Rewrites a rendered set as another version of the program might have left it: whole by its sum, and in another form.
fn as_of_another_version(path: &Path, n: usize) {
    let text = fs::read_to_string(path).unwrap();
    let (_, body) = text.split_once('\n').unwrap();
    let mut set: Value = serde_json::from_str(body).unwrap();
    match n {
        0 => set = json!({"version": 9, "manifests": []}),
        1 => set["objects"] = json!({"web": set["objects"][0]}),
        2 => set["set"]["hash"] = "of-another-kind".into(),
        _ => drop(set["set"].as_object_mut().unwrap().remove("overruled").unwrap()),
    }
    let body = set.to_string();
    fs::write(path, format!("{}\n{body}", model::digest(body.as_bytes()))).unwrap();
}

#[test]
fn what_another_version_cached_is_rendered_anew_and_nothing_else_comes_of_it() {
    const APPS: usize = 4;
    let scene = Scene::new("other-version");
    let mut agent = scene.agent();
    let names: Vec<String> = (0..APPS).map(|n| format!("shop-{n}")).collect();
    for name in &names {
        scene.deployed(name, &[("web.yaml", &config_map(name, "one"))]);
    }
    assert_eq!(agent.terminate().code(), Some(0));
    let versions = || {
        let version = |object: Value| object["metadata"]["resourceVersion"].clone();
        let of = |name: &String| [version(scene.app(name)), version(scene.config_map(name).unwrap())];
        names.iter().map(of).collect::<Vec<_>>()
    };
    let before = versions();
    let rendered = fs::read_dir(scene.settings().cache.join("rendered")).unwrap();
    let mut rendered: Vec<_> = rendered.map(|entry| entry.unwrap().path()).collect();
    rendered.sort();
    assert_eq!(rendered.len(), APPS);
    for (n, path) in rendered.iter().enumerate() {
        as_of_another_version(path, n);
    }
    agent.restart();
    agent.wait_probe("/metrics", |_| agent.metric("tautline_renders_total") >= APPS as u64);
    scene.let_pass("marker");
    assert_eq!(agent.metric("tautline_applies_total"), 1, "only the marker is new\n{}", agent.log_text());
    assert_eq!(agent.metric("tautline_renders_total"), APPS as u64 + 1, "{}", agent.log_text());
    assert_eq!(agent.requests().get("delete ConfigMap"), None, "{:?}", agent.requests());
    assert_eq!(versions(), before, "{}", agent.log_text());
    assert!(!agent.log_text().contains("cut or altered"), "nobody altered them\n{}", agent.log_text());

    // The next start finds what this one left.
    assert_eq!(agent.terminate().code(), Some(0));
    agent.restart();
    scene.let_pass("marker-2");
    assert_eq!(agent.metric("tautline_renders_total"), 1, "{}", agent.log_text());
    assert_eq!(versions(), before, "{}", agent.log_text());
}
