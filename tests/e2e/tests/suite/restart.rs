//! What does a restart cost? Nothing that the cluster would notice, whatever is left of the cache.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use e2e::{Agent, Repo, Scene, condition, config_map, is_synced_to};
use serde_json::{Value, json};

/// How many apps nothing happens to.
const APPS: usize = 12;

/// Some apps at rest, and another one in a repository of its own, which shows that the agent is done with its start.
struct Resting {
    scene: Scene,
    repo: Repo,
    marker: Repo,
    agent: Agent,
}

impl Resting {
    fn new(name: &str) -> Self {
        let scene = Scene::new(name);
        let (repo, marker) = (scene.repo("shops"), scene.repo("marker"));
        for n in 0..APPS {
            repo.write(&format!("shop-{n}/web.yaml"), &config_map(&format!("web-{n}"), "one"));
        }
        let first = repo.commit("first");
        marker.write("app/marker.yaml", &config_map("marker", "0"));
        let first_mark = marker.commit("first");
        for n in 0..APPS {
            scene
                .application(&format!("shop-{n}"))
                .repo(&repo)
                .path(&format!("shop-{n}"))
                .automated()
                .create();
        }
        scene.application("marker").repo(&marker).path("app").automated().create();
        let agent = scene.agent();
        for n in 0..APPS {
            scene.wait_app(&format!("shop-{n}"), |app| is_synced_to(app, &first));
        }
        scene.wait_app("marker", |app| is_synced_to(app, &first_mark));
        Self { scene, repo, marker, agent }
    }

    /// Returns the resourceVersions of everything that must not be written.
    fn versions(&self) -> BTreeMap<String, String> {
        let version =
            |object: &Value| object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        let mut versions = BTreeMap::new();
        for n in 0..APPS {
            let app = format!("shop-{n}");
            versions.insert(app.clone(), version(&self.scene.app(&app)));
            let map = self.scene.config_map(&format!("web-{n}")).expect("it is deployed");
            versions.insert(format!("web-{n}"), version(&map));
        }
        versions
    }

    /// Waits until the agent has started: everything listed, every repository looked at.
    fn wait_started(&self) {
        self.agent.wait_ready();
        self.agent.wait_probe("/metrics", |_| self.agent.metric("tautline_polls_total") >= 2);
    }

    /// Has a commit deployed, after which whatever a start decides has been decided.
    fn mark(&self, value: &str) {
        self.marker.write("app/marker.yaml", &config_map("marker", value));
        let first_mark = self.marker.commit(value);
        self.scene.wait_app("marker", |app| is_synced_to(app, &first_mark));
    }

    fn cache(&self) -> std::path::PathBuf {
        self.scene.settings().cache
    }
}

#[test]
fn sigterm_ends_in_time_and_hands_the_lease_over() {
    let scene = Scene::new("sigterm");
    let repo = scene.repo("shop");
    repo.write("app/web.yaml", &config_map("web", "one"));
    let first = repo.commit("first");
    scene.application("shop").repo(&repo).path("app").automated().create();
    let mut agent = scene.agent();
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    let mut settings = scene.settings();
    settings.cache = scene.folder().join("cache-of-the-successor");
    let successor = scene.start(settings);
    successor.wait_ready();
    let holder = |lease: Option<&Value>| {
        lease
            .and_then(|lease| lease["spec"]["holderIdentity"].as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    let (old, new) = (format!("_{}_", agent.pid()), format!("_{}_", successor.pid()));
    let lease = scene.get("coordination.k8s.io/v1", "Lease", &scene.control, "tautline");
    assert!(holder(lease.as_ref()).contains(&old), "{lease:?}");

    let asked = Instant::now();
    let status = agent.terminate();
    let took = asked.elapsed();
    assert_eq!(status.code(), Some(0), "{}", agent.log_text());
    assert!(took < Duration::from_secs(3), "it took {took:?} to end");
    // Tried for every 2 s at most; one that was not handed back would be waited for for 15 s.
    scene.wait_object("coordination.k8s.io/v1", "Lease", &scene.control, "tautline", |lease| {
        holder(lease).contains(&new)
    });
    let waited = asked.elapsed();
    assert!(waited < took + Duration::from_secs(4), "the successor waited for {waited:?}");
    repo.write("app/web.yaml", &config_map("web", "two"));
    let second = repo.commit("second");
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    assert!(successor.metric("tautline_applies_total") >= 1);
}

#[test]
fn sigterm_in_the_middle_of_a_sync_loses_nothing() {
    let scene = Scene::new("sigterm-busy");
    let repo = scene.repo("shop");
    for n in 0..60 {
        repo.write(&format!("app/web-{n}.yaml"), &config_map(&format!("web-{n}"), "one"));
    }
    let first = repo.commit("first");
    let mut agent = scene.agent();
    agent.wait_ready();
    scene.application("shop").repo(&repo).path("app").automated().create();
    scene.wait_object("v1", "ConfigMap", &scene.namespace, "web-7", |map| map.is_some());
    let asked = Instant::now();
    assert_eq!(agent.terminate().code(), Some(0), "{}", agent.log_text());
    assert!(asked.elapsed() < Duration::from_secs(3), "it took {:?} to end", asked.elapsed());
    agent.restart();
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    for n in 0..60 {
        assert!(scene.config_map(&format!("web-{n}")).is_some(), "web-{n} is missing");
    }
}

#[test]
fn a_restart_with_the_cache_writes_and_renders_nothing() {
    let mut resting = Resting::new("warm");
    let before = resting.versions();
    assert_eq!(resting.agent.terminate().code(), Some(0));
    resting.agent.restart();
    resting.wait_started();
    assert_eq!(resting.agent.metric("tautline_status_writes_total"), 0, "{}", resting.agent.log_text());
    assert_eq!(resting.agent.metric("tautline_renders_total"), 0, "{}", resting.agent.log_text());
    assert_eq!(resting.agent.metric("tautline_applies_total"), 0, "{}", resting.agent.log_text());
    resting.mark("1");
    assert_eq!(resting.agent.metric("tautline_renders_total"), 1, "only the marker moved");
    assert_eq!(resting.agent.metric("tautline_applies_total"), 1, "only the marker moved");
    assert_eq!(resting.versions(), before, "{}", resting.agent.log_text());
    let requests = resting.agent.requests();
    // Managed ones, the settings, and the host keys of Git servers.
    for (request, most) in [("list ConfigMap", 3), ("list Application.argoproj.io", 1)] {
        let n = requests.get(request).copied().unwrap_or_default();
        assert!(n <= most, "{n} of {request}: {requests:?}");
    }
}

#[test]
fn a_commit_for_one_app_costs_the_others_nothing_by_the_next_start_either() {
    let mut resting = Resting::new("moved");
    let write = |resting: &Resting, n: usize| {
        resting.repo.write(&format!("shop-{n}/web.yaml"), &config_map(&format!("web-{n}"), "two"));
        resting.repo.commit(&format!("shop-{n}"))
    };
    let seen = write(&resting, 0);
    resting.scene.wait_app("shop-0", |app| is_synced_to(app, &seen));
    let before = resting.versions();
    assert_eq!(resting.agent.terminate().code(), Some(0));
    let unseen = write(&resting, 1);
    resting.agent.restart();
    resting.scene.wait_app("shop-1", |app| is_synced_to(app, &unseen));
    resting.mark("1");
    let mut after = resting.versions();
    for name in ["shop-1", "web-1"] {
        assert_ne!(after.get(name), before.get(name), "{name}");
        after.insert(name.into(), before[name].clone());
    }
    assert_eq!(after, before, "{}", resting.agent.log_text());
}

#[test]
fn a_restart_without_the_cache_writes_nothing_either() {
    let mut resting = Resting::new("cold");
    let before = resting.versions();
    assert_eq!(resting.agent.terminate().code(), Some(0));
    fs::remove_dir_all(resting.cache()).unwrap();
    resting.agent.restart();
    resting.wait_started();
    let all = APPS as u64 + 1;
    resting.agent.wait_probe("/metrics", |_| resting.agent.metric("tautline_renders_total") >= all);
    assert_eq!(resting.agent.metric("tautline_status_writes_total"), 0, "{}", resting.agent.log_text());
    resting.mark("1");
    assert_eq!(resting.agent.metric("tautline_applies_total"), 1, "only the marker moved");
    assert_eq!(resting.versions(), before, "{}", resting.agent.log_text());
}

// N41: everything, while the agent is down
#[test]
fn a_corrupted_cache_is_built_anew_by_itself() {
    let mut resting = Resting::new("torn");
    let before = resting.versions();
    assert_eq!(resting.agent.terminate().code(), Some(0));
    let n_spoilt = spoil(&resting.cache());
    assert!(n_spoilt > APPS, "only {n_spoilt} files in the cache");
    resting.agent.restart();
    resting.wait_started();
    resting.mark("1");
    assert_eq!(resting.versions(), before, "{}", resting.agent.log_text());
    // Each file is told once, however often its app is rendered from now on.
    let told = || {
        let lines = resting.agent.log().into_iter();
        let is_it =
            |line: &Value| line["message"].as_str().is_some_and(|text| text.contains("cut or altered"));
        let paths: Vec<String> = lines.filter(is_it).map(|line| line["path"].to_string()).collect();
        let once: BTreeSet<&String> = paths.iter().collect();
        assert_eq!(once.len(), paths.len(), "{paths:#?}");
        paths.len()
    };
    assert_eq!(told(), APPS + 1, "{}", resting.agent.log_text());
    // The clone has to be whole again: a commit needs what the earlier ones brought.
    resting.repo.write("shop-3/web.yaml", &config_map("web-3", "two"));
    let second = resting.repo.commit("second");
    resting.scene.wait_app("shop-3", |app| is_synced_to(app, &second));
    assert_eq!(resting.scene.config_map("web-3").unwrap()["data"]["key"], "two");
    assert_eq!(resting.scene.config_map("web-4").unwrap()["data"]["key"], "one");
    assert_eq!(told(), APPS + 1, "{}", resting.agent.log_text());
}

/// Overwrites every file below a folder; returns how many.
fn spoil(folder: &Path) -> usize {
    let mut n_spoilt = 0;
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            n_spoilt += spoil(&path);
            continue;
        }
        // Git makes objects read-only; a new file takes the old one's place.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "spoilt").unwrap();
        n_spoilt += 1;
    }
    n_spoilt
}

#[test]
fn an_object_that_two_apps_want_stays_with_the_one_that_has_it() {
    let scene = Scene::new("both");
    let mut agent = scene.agent();
    let mine = scene.deployed("mine", &[("web.yaml", &config_map("web", "mine"))]);
    // The first by name, if nobody had it.
    let theirs = scene.repo("a-late-one");
    theirs.write("web.yaml", &config_map("web", "theirs"));
    theirs.commit("first");
    scene.application("a-late-one").repo(&theirs).automated().create();
    let is_told = |app: &Value| !condition(app, "SharedResourceWarning").is_empty();
    let before = scene.wait_app("a-late-one", is_told);
    let warning = condition(&before, "SharedResourceWarning");
    assert!(warning.ends_with("/mine owns it"), "{warning}");

    // When the agent comes back, it cannot tell what the owner wants.
    assert_eq!(agent.terminate().code(), Some(0));
    fs::remove_dir_all(scene.settings().cache).unwrap();
    let aside = scene.folder().join("aside");
    fs::rename(mine.path(), &aside).unwrap();
    agent.restart();
    agent.wait_probe("/metrics", |_| agent.metric("tautline_renders_total") >= 1);
    scene.let_pass("marker");
    let value = || scene.config_map("web").unwrap()["data"]["key"].clone();
    assert_eq!(value(), "mine", "{}", agent.log_text());
    assert_eq!(condition(&scene.app("a-late-one"), "SharedResourceWarning"), warning);
    assert_eq!(agent.metric("tautline_applies_total"), 1, "the marker alone");

    // It wants it, and later does not any more: then it goes over.
    fs::rename(&aside, mine.path()).unwrap();
    let refresh = json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}});
    scene.patch_app("mine", &refresh);
    scene.wait_app("mine", |app| is_told(app) && is_synced_to(app, &mine.head()));
    assert_eq!(value(), "mine");
    mine.remove("app/web.yaml").write("app/other.yaml", &config_map("other", "mine")).commit("without");
    scene.wait_config_map("web", |map| map.is_some_and(|map| map["data"]["key"] == "theirs"));
    scene.wait_app("a-late-one", |app| is_synced_to(app, &theirs.head()));
}

#[test]
fn an_object_of_an_app_that_wants_it_no_more_goes_over_after_a_restart() {
    let scene = Scene::new("let-go");
    let mut agent = scene.agent();
    let mine = scene.deployed("mine", &[("web.yaml", &config_map("web", "mine"))]);
    let theirs = scene.repo("a-late-one");
    theirs.write("web.yaml", &config_map("web", "theirs"));
    let head = theirs.commit("first");
    scene.application("a-late-one").repo(&theirs).automated().create();
    scene.wait_app("a-late-one", |app| !condition(app, "SharedResourceWarning").is_empty());
    assert_eq!(agent.terminate().code(), Some(0));
    mine.remove("app/web.yaml").write("app/other.yaml", &config_map("other", "mine")).commit("without");
    agent.restart();
    scene.wait_app("a-late-one", |app| is_synced_to(app, &head));
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "theirs");
    scene.wait_app("mine", |app| is_synced_to(app, &mine.head()));
}

#[test]
fn what_was_there_before_us_is_looked_for_and_never_said_to_be_missing() {
    let scene = Scene::new("looked");
    scene.kubectl_apply(&config_map("web", "one"));
    let repo = scene.repo("shop");
    repo.write("web.yaml", &config_map("web", "one")).commit("first");
    scene.application("shop").repo(&repo).create();
    let mut agent = scene.agent();
    let states = scene.watch_app("shop", |app| app["status"]["sync"]["status"] == "Synced");
    let is_false_alarm = |app: &&Value| app["status"]["sync"]["status"] == "OutOfSync";
    assert!(!states.iter().any(|app| is_false_alarm(&app)), "{states:?}");
    let before = scene.app("shop")["metadata"]["resourceVersion"].clone();
    agent.terminate();
    agent.restart();
    scene.let_pass("marker");
    assert_eq!(scene.app("shop")["metadata"]["resourceVersion"], before);

    // What was not there when it was looked for is looked for again when somebody asks.
    repo.write("more.yaml", &config_map("more", "one")).commit("more");
    scene.wait_app("shop", |app| app["status"]["sync"]["status"] == "OutOfSync");
    scene.kubectl_apply(&config_map("more", "one"));
    scene.patch_app("shop", &json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}));
    scene.wait_app("shop", |app| app["status"]["sync"]["status"] == "Synced");
}

#[test]
fn a_dry_run_before_a_restart_was_no_try() {
    let scene = Scene::new("dry-run");
    let repo = scene.repo("shop");
    repo.write("web.yaml", &config_map("web", "one"));
    let revision = repo.commit("first");
    scene.application("shop").repo(&repo).create();
    let mut agent = scene.agent();
    scene.wait_app("shop", |app| app["status"]["sync"]["status"] == "OutOfSync");
    let app = scene.sync("shop", &json!({"dryRun": true}));
    assert_eq!(app["status"]["operationState"]["phase"], "Succeeded");
    assert_eq!(agent.terminate().code(), Some(0));
    scene.patch_app("shop", &json!({"spec": {"syncPolicy": {"automated": {}}}}));
    agent.restart();
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
}

#[test]
fn what_is_cached_of_an_app_goes_with_it_even_while_nobody_looks() {
    let scene = Scene::new("swept");
    let mut agent = scene.agent();
    for name in ["shop", "old"] {
        scene.deployed(name, &[("web.yaml", &config_map(name, "one"))]);
    }
    let folder = scene.settings().cache.join("rendered");
    let wait_cached = |agent: &Agent, count: usize| {
        agent.wait_probe("/metrics", |_| fs::read_dir(&folder).unwrap().count() == count);
    };
    wait_cached(&agent, 2);
    assert_eq!(agent.terminate().code(), Some(0));
    scene.delete_app("old");
    scene.wait_app_gone("old");
    agent.restart();
    wait_cached(&agent, 1);
    scene.delete_app("shop");
    wait_cached(&agent, 0);
}
