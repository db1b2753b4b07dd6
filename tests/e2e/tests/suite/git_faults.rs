//! What if the Git server fails, or lies? What was wanted last is still wanted, nothing is deleted, and afterwards all goes on.

use std::time::{Duration, Instant};

use e2e::{GitFault, GitServer, GitStep, Repo, Scene, condition, config_map, is_synced_to};
use serde_json::json;

/// Each of these befalls the server of an app of its own.
const FAULTS: [(&str, GitStep, GitFault); 12] = [
    ("refs-dropped", GitStep::Refs, GitFault::Drop),
    ("refs-held", GitStep::Refs, GitFault::Hold),
    ("refs-401", GitStep::Refs, GitFault::Refuse("401 Unauthorized")),
    ("refs-404", GitStep::Refs, GitFault::Refuse("404 Not Found")),
    ("refs-429", GitStep::Refs, GitFault::Refuse("429 Too Many Requests\r\nRetry-After: 86400")),
    ("refs-500", GitStep::Refs, GitFault::Refuse("500 Internal Server Error")),
    ("refs-truncated", GitStep::Refs, GitFault::Truncate),
    ("refs-empty", GitStep::Refs, GitFault::Empty),
    ("pack-dropped", GitStep::Pack, GitFault::Drop),
    ("pack-held", GitStep::Pack, GitFault::Hold),
    ("pack-500", GitStep::Pack, GitFault::Refuse("500 Internal Server Error")),
    ("pack-truncated", GitStep::Pack, GitFault::Truncate),
];
/// What fails is asked for again after waits that grow up to half a minute, and an answer is waited for for as long.
const LONGEST: Duration = Duration::from_mins(3);

struct Shop<'a> {
    name: &'static str,
    server: GitServer,
    repo: Repo,
    first: String,
    scene: &'a Scene,
}

impl<'a> Shop<'a> {
    fn new(scene: &'a Scene, name: &'static str) -> Self {
        let server = GitServer::start(scene.repos());
        let repo = scene.repo(name);
        repo.write("web.yaml", &config_map(&format!("{name}-web"), "one"));
        repo.write("old.yaml", &config_map(&format!("{name}-old"), "one"));
        let first = repo.commit("first");
        scene.application(name).set("/spec/source/repoURL", server.url(name)).automated().create();
        Self { name, server, repo, first, scene }
    }

    fn wait_synced(&self, revision: &str) {
        let key = ("argoproj.io/v1alpha1", "Application", self.scene.control.as_str(), self.name);
        self.scene.wait_object_for(LONGEST, key, |app| {
            app.is_some_and(|app| is_synced_to(app, revision) && condition(app, "ComparisonError").is_empty())
        });
    }

    /// Waits until the repository was looked at so often, from now on.
    fn wait_looks(&self, n_looks: usize) {
        let (before, end) = (self.server.n_looks(), Instant::now() + LONGEST);
        while self.server.n_looks() < before + n_looks {
            assert!(Instant::now() < end, "nobody looks any more");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until some requests went wrong: the server cannot be watched.
    fn wait_failed(&self, n_requests: usize) {
        let end = Instant::now() + LONGEST;
        while self.server.n_failed() < n_requests {
            assert!(Instant::now() < end, "{}: only {} requests", self.name, self.server.n_failed());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_server_that_fails_or_lies_deletes_nothing_and_delays_only() {
    let scene = Scene::new("git-faults");
    let shops: Vec<Shop> = FAULTS.iter().map(|(name, ..)| Shop::new(&scene, name)).collect();
    let agent = scene.agent_with(&["--poll-interval", "1s"]);
    for shop in &shops {
        shop.wait_synced(&shop.first);
    }
    for (shop, (_, step, fault)) in shops.iter().zip(FAULTS) {
        shop.server.fail(step, fault);
        shop.repo.write("web.yaml", &config_map(&format!("{}-web", shop.name), "two")).remove("old.yaml");
        shop.repo.commit("second");
    }
    for shop in &shops {
        // One that is held is asked once in a while.
        let is_held = shop.name.ends_with("held");
        shop.wait_failed(if is_held { 1 } else { 3 });
        // What was wanted last still is.
        let web = format!("{}-web", shop.name);
        scene.patch("v1", "ConfigMap", &scene.namespace, &web, &json!({"data": {"key": "by hand"}}));
        scene.wait_config_map(&web, |map| map.is_some_and(|map| map["data"]["key"] == "one"));
        let app = scene.app(shop.name);
        assert_eq!(app["status"]["sync"]["revision"], shop.first.as_str(), "{}: {app:#}", shop.name);
        assert!(scene.config_map(&format!("{}-old", shop.name)).is_some(), "{}: pruned", shop.name);
    }
    for shop in &shops {
        assert!(shop.server.mend() > 0);
    }
    for shop in &shops {
        shop.wait_synced(&shop.repo.head());
        let web = scene.config_map(&format!("{}-web", shop.name)).unwrap();
        assert_eq!(web["data"]["key"], "two", "{}", shop.name);
        assert!(scene.config_map(&format!("{}-old", shop.name)).is_none(), "{}: not pruned", shop.name);
    }
    agent.wait_ready();
}

#[test]
fn a_branch_that_goes_back_is_followed_once_and_told() {
    let scene = Scene::new("git-back");
    let shop = Shop::new(&scene, "shop");
    let agent = scene.agent_with(&["--poll-interval", "1s"]);
    shop.wait_synced(&shop.first);
    shop.repo.write("web.yaml", &config_map("shop-web", "two")).remove("old.yaml");
    let second = shop.repo.commit("second");
    shop.wait_synced(&second);
    assert!(scene.config_map("shop-old").is_none());

    let told = || agent.log_text().matches("the ref went back to an older commit").count();
    assert_eq!(told(), 0, "{}", agent.log_text());
    shop.repo.reset(&shop.first);
    shop.wait_synced(&shop.first);
    assert_eq!(told(), 1, "{}", agent.log_text());
    assert_eq!(scene.config_map("shop-web").unwrap()["data"]["key"], "one");
    assert!(scene.config_map("shop-old").is_some());
    let app = scene.app("shop");
    let history = app["status"]["history"].as_array().unwrap();
    let revisions: Vec<&str> = history.iter().filter_map(|entry| entry["revision"].as_str()).collect();
    assert_eq!(revisions, [&shop.first, &second, &shop.first], "{}", agent.log_text());
}

#[test]
fn replicas_that_disagree_cost_one_sync_for_each_look_at_most_and_each_way_back_is_told() {
    let scene = Scene::new("git-replicas");
    let shop = Shop::new(&scene, "shop");
    let agent = scene.agent_with(&["--poll-interval", "1s"]);
    shop.wait_synced(&shop.first);
    let lagging = scene.repos().join("lagging.git").display().to_string();
    shop.repo.git(&["clone", "--quiet", "--bare", ".", &lagging]);
    let second = shop.repo.write("web.yaml", &config_map("shop-web", "two")).commit("second");
    shop.wait_synced(&second);

    let told = || agent.log_text().matches("the ref went back to an older commit").count();
    let (applies, begun) = (|| agent.metric("tautline_applies_total"), Instant::now());
    let before = applies();
    shop.server.fail(GitStep::Refs, GitFault::Replica("lagging"));
    shop.wait_failed(5);
    let n_lagging = shop.server.mend();
    // What the last one of those said may be acted on still: the status of before is no end of that.
    shop.wait_looks(2);
    shop.wait_synced(&second);
    scene.wait_config_map("shop-web", |map| map.is_some_and(|map| map["data"]["key"] == "two"));
    assert!((1..=n_lagging).contains(&told()), "{} of {n_lagging}: {}", told(), agent.log_text());
    // One object differs between the two, and each look finds one of them.
    let (n_applies, most) = (applies() - before, 2 * n_lagging as u64 + 1);
    assert!(n_applies <= most, "{n_applies} in {:?}: {}", begun.elapsed(), agent.log_text());
    assert!(scene.config_map("shop-old").is_some(), "pruned");
}

#[test]
fn a_commit_in_capital_letters_is_that_commit() {
    let scene = Scene::new("git-capitals");
    let agent = scene.agent_with(&["--poll-interval", "1s"]);
    let shop = Shop::new(&scene, "shop");
    shop.wait_synced(&shop.first);
    scene.patch_app("shop", &json!({"spec": {"source": {"targetRevision": shop.first.to_uppercase()}}}));
    scene.let_pass("other");
    // A later commit of the branch is not its business any more.
    shop.repo.write("web.yaml", &config_map("shop-web", "two")).commit("second");
    shop.wait_looks(3);
    let app = scene.app("shop");
    assert!(is_synced_to(&app, &shop.first) && condition(&app, "ComparisonError").is_empty(), "{app:#}");
    assert_eq!(scene.config_map("shop-web").unwrap()["data"]["key"], "one");
    let history = app["status"]["history"].as_array().unwrap();
    assert_eq!(history.len(), 1, "{history:?}\n{}", agent.log_text());
}

#[test]
fn refs_that_are_ignored_for_their_names_are_told_once_and_the_rest_is_deployed() {
    let scene = Scene::new("git-names");
    let shop = Shop::new(&scene, "shop");
    shop.repo.branch("reorder-\u{202e}").checkout("main");
    let agent = scene.agent_with(&["--poll-interval", "1s"]);
    shop.wait_synced(&shop.first);
    let second = shop.repo.write("web.yaml", &config_map("shop-web", "two")).commit("second");
    shop.wait_synced(&second);
    let warned: Vec<String> = agent
        .log_text()
        .lines()
        .filter(|line| line.contains("refs are ignored"))
        .map(str::to_owned)
        .collect();
    assert_eq!(warned.len(), 1, "{}", agent.log_text());
    assert!(warned[0].contains("\"n\":1") && warned[0].contains("shop"), "{}", warned[0]);
}
