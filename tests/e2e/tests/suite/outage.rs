//! What happens while the API server, etcd, the network or Git is away, and afterwards?
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use e2e::{Agent, Repo, Scene, condition, config_map, is_synced_to};
use serde_json::{Value, json};

/// How long servers stay away: longer than a lease lasts.
const AWAY: Duration = Duration::from_secs(20);
/// How long they stay away where it matters only that they were.
const BRIEFLY: Duration = Duration::from_secs(5);

/// The outage itself is the one thing that only time makes.
fn stay_away(since: Instant, length: Duration) {
    std::thread::sleep(length.saturating_sub(since.elapsed()));
}

/// Starts an agent that looks at its repositories every second.
fn polls_often(scene: &Scene) -> Agent {
    let config = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "namespace": scene.control},
        "data": {"timeout.reconciliation": "1s"},
    });
    scene.create(&config).unwrap();
    scene.agent()
}

/// An app at rest, and its agent, which ends before its cluster may.
struct Shop {
    agent: Agent,
    scene: Scene,
    repo: Repo,
    revision: String,
}

impl Shop {
    /// In a cluster whose servers may be stopped.
    fn alone(name: &str) -> Self {
        Self::at(Scene::alone(name), Scene::agent)
    }

    fn with(name: &str, start: impl FnOnce(&Scene) -> Agent) -> Self {
        Self::at(Scene::new(name), start)
    }

    fn at(scene: Scene, start: impl FnOnce(&Scene) -> Agent) -> Self {
        let repo = scene.repo("shop");
        for n in 0..5 {
            repo.write(&format!("app/web-{n}.yaml"), &config_map(&format!("web-{n}"), "one"));
        }
        let revision = repo.commit("first");
        scene.application("shop").repo(&repo).path("app").automated().create();
        let agent = start(&scene);
        scene.wait_app("shop", |app| is_synced_to(app, &revision));
        Self { agent, scene, repo, revision }
    }

    /// Commits a change of all objects.
    fn push(&mut self, value: &str) {
        for n in 0..5 {
            self.repo.write(&format!("app/web-{n}.yaml"), &config_map(&format!("web-{n}"), value));
        }
        self.revision = self.repo.commit(value);
    }

    fn edit(&self, name: &str) {
        self.scene.patch("v1", "ConfigMap", &self.scene.namespace, name, &json!({"data": {"key": "edited"}}));
    }

    fn wait_value(&self, name: &str, value: &str) {
        self.scene.wait_config_map(name, |map| map.is_some_and(|map| map["data"]["key"] == value));
    }

    fn wait_synced(&self) -> Value {
        self.scene.wait_app("shop", |app| is_synced_to(app, &self.revision))
    }

    fn wait_blind(&self) {
        self.agent.wait_log(|line| line["message"].as_str().unwrap_or_default().contains("not see"));
    }

    /// Asserts that writes since `before` are in proportion to what there was to do.
    fn assert_calm(&self, before: &Writes, applies: u64, statuses: u64) {
        let now = Writes::of(&self.agent);
        let (n_applies, n_statuses) = (now.applies - before.applies, now.statuses - before.statuses);
        let log = self.agent.log_text();
        assert!(n_applies <= applies, "{n_applies} applies, {applies} expected at most\n{log}");
        assert!(n_statuses <= statuses, "{n_statuses} status writes, {statuses} expected at most\n{log}");
    }
}

/// What an agent has written.
struct Writes {
    applies: u64,
    statuses: u64,
}

impl Writes {
    fn of(agent: &Agent) -> Self {
        let statuses = agent.requests().get("patch Application.argoproj.io").copied().unwrap_or_default();
        Self { applies: agent.requests().get("apply ConfigMap").copied().unwrap_or_default(), statuses }
    }
}

fn n_requests(agent: &Agent) -> u64 {
    agent.requests().values().sum()
}

#[test]
fn the_api_server_goes_and_comes_back_while_nothing_is_to_do() {
    let mut shop = Shop::alone("idle-outage");
    let (before, asked) = (Writes::of(&shop.agent), n_requests(&shop.agent));
    let since = Instant::now();
    shop.scene.lab.stop_api_server().unwrap();
    shop.wait_blind();
    shop.push("two");
    stay_away(since, AWAY);
    // Attempts get rarer: a server that comes back must not be met by a crowd.
    let tried = n_requests(&shop.agent) - asked;
    assert!(tried < 150, "{tried} requests in {AWAY:?}: {:?}", shop.agent.requests());
    shop.scene.lab.start_api_server().unwrap();
    // Edited before the agent sees again, or after: both are undone.
    shop.edit("web-1");
    shop.wait_synced();
    shop.wait_value("web-1", "two");
    shop.edit("web-2");
    shop.wait_value("web-2", "two");
    shop.wait_synced();
    shop.agent.wait_ready();
    // Five objects, each applied once; two edits, and one of them may be seen apart from the sync.
    shop.assert_calm(&before, 5 + 3, 12);
}

#[test]
fn how_long_nothing_was_seen_is_told_while_no_status_can_be_written() {
    let shop = Shop::alone("unseen-outage");
    let unseen = |answer: &e2e::Answer| {
        let line =
            answer.body.lines().find(|line| line.starts_with("tautline_unseen_seconds{kind=\"ConfigMap\"} "));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
    };
    assert_eq!(unseen(&shop.agent.probe("/metrics")), None, "all is seen");
    shop.scene.lab.stop_api_server().unwrap();
    shop.agent.wait_probe("/metrics", |answer| unseen(answer).is_some_and(|seconds| seconds >= 10));
    shop.scene.lab.start_api_server().unwrap();
    shop.agent.wait_probe("/metrics", |answer| unseen(answer).is_none());
}

#[test]
fn the_api_server_goes_in_the_middle_of_a_sync() {
    let mut shop = Shop::alone("busy-outage");
    for n in 0..40 {
        shop.repo.write(&format!("app/more-{n}.yaml"), &config_map(&format!("more-{n}"), "one"));
    }
    shop.push("two");
    shop.scene.wait_config_map("more-3", |map| map.is_some());
    let since = Instant::now();
    shop.scene.lab.stop_api_server().unwrap();
    stay_away(since, AWAY);
    shop.scene.lab.start_api_server().unwrap();
    let app = shop.wait_synced();
    assert_eq!(app["status"]["operationState"]["phase"], "Succeeded");
    // All of it is there, is known as the app's, and carries what it takes to be pruned one day.
    let wanted = (0..40).map(|n| format!("more-{n}"));
    let wanted: BTreeSet<String> = wanted.chain((0..5).map(|n| format!("web-{n}"))).collect();
    let ours =
        ["get", "configmaps", "-l", "tautline.dev/instance", "-o", "jsonpath={.items[*].metadata.name}"];
    let labelled = shop.scene.kubectl(&ours);
    let listed = app["status"]["resources"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap());
    for (place, names) in
        [("cluster", labelled.split_whitespace().collect()), ("status", listed.collect::<BTreeSet<&str>>())]
    {
        assert_eq!(names, wanted.iter().map(String::as_str).collect(), "in the {place}");
    }
    shop.agent.wait_ready();
    // Whatever was under way may be sent again, once or twice.
    shop.assert_calm(&Writes { applies: 5, statuses: 0 }, 3 * 45, 20);
}

#[test]
fn etcd_goes_and_comes_back() {
    let mut shop = Shop::alone("etcd-outage");
    let before = Writes::of(&shop.agent);
    let since = Instant::now();
    shop.scene.lab.stop_etcd().unwrap();
    // A sync begins while nothing can be stored.
    shop.push("two");
    stay_away(since, AWAY);
    shop.scene.lab.start_etcd().unwrap();
    shop.wait_synced();
    shop.edit("web-3");
    shop.wait_value("web-3", "two");
    shop.agent.wait_ready();
    // Each try of the sync sends what it has, with growing waits between.
    shop.assert_calm(&before, 5 * 8, 20);
}

#[test]
fn drift_made_while_the_agent_was_cut_off_is_healed() {
    let line = Line::open();
    let mut shop = Shop::with("cut-off", |scene| line.agent(scene));
    shop.agent.wait_ready();
    let before = Writes::of(&shop.agent);

    // Watches that are cut come back by themselves, and nothing follows from it.
    line.cut();
    line.mend();
    shop.edit("web-0");
    shop.wait_value("web-0", "one");
    shop.wait_synced();

    // An edit and a deletion that no watch shows.
    let since = Instant::now();
    line.cut();
    shop.wait_blind();
    shop.edit("web-1");
    shop.scene.delete("v1", "ConfigMap", &shop.scene.namespace, "web-2");
    stay_away(since, BRIEFLY);
    line.mend();
    shop.wait_value("web-1", "one");
    shop.wait_value("web-2", "one");
    shop.wait_synced();
    shop.assert_calm(&before, 3 + 2, 12);

    // A lease that could not be renewed is taken again: writes go on.
    shop.push("two");
    shop.wait_synced();
}

// N38: while the agent is blind
#[test]
fn a_project_that_went_while_the_agent_was_cut_off_permits_nothing_any_more() {
    let line = Line::open();
    let shop = Shop::with("cut-project", |scene| line.agent(scene));
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {"name": "team", "namespace": shop.scene.control},
        "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]},
    });
    shop.scene.create(&project).unwrap();
    shop.scene.patch_app("shop", &json!({"spec": {"project": "team"}}));
    shop.edit("web-0");
    shop.wait_value("web-0", "one");

    line.cut();
    shop.agent.wait_log(|line| line["message"] == "AppProjects are not seen");
    shop.scene.delete("argoproj.io/v1alpha1", "AppProject", &shop.scene.control, "team");
    line.mend();
    let app = shop.scene.wait_app("shop", |app| !condition(app, "InvalidSpecError").is_empty());
    let message = condition(&app, "InvalidSpecError");
    assert!(message.contains("there is no AppProject \"team\""), "{message}");
}

#[test]
fn an_agent_is_not_ready_before_it_has_seen_the_api_server() {
    let scene = Scene::new("not-ready");
    let line = Line::open();
    line.cut();
    let agent = line.agent(&scene);
    agent.wait_log(|line| {
        line["message"].as_str().unwrap_or_default().contains("the API server cannot be used yet")
    });
    let answer = agent.probe("/readyz");
    assert_eq!((answer.status, answer.body.contains("starting")), (503, true), "{answer:?}");
    // It is alive all the same: whoever restarts it changes nothing.
    assert_eq!(agent.probe("/healthz").status, 200);
    line.mend();
    agent.wait_ready();
}

#[test]
fn a_repository_that_is_gone_leaves_everything_as_it_is() {
    let mut shop = Shop::with("no-git", polls_often);
    let aside = shop.scene.folder().join("aside");
    fs::rename(shop.repo.path(), &aside).unwrap();
    let failed = shop.agent.metric("tautline_polls_total");
    shop.agent.wait_probe("/metrics", |_| shop.agent.metric("tautline_polls_total") > failed + 1);
    // Asked every second: whoever looks at the metrics sees that the view of it grows old.
    let age = format!("tautline_source_age_seconds{{repo=\"{}\",project=\"default\"}}", shop.repo.url());
    shop.agent.wait_probe("/metrics", |_| shop.agent.metric(&age) >= 5);
    shop.edit("web-1");
    // What Git wanted last is still wanted: drift is healed from what is known.
    shop.wait_value("web-1", "one");
    let app = shop.scene.app("shop");
    assert_eq!(app["status"]["sync"]["revision"], shop.revision.as_str(), "{app:#}");
    for n in 0..5 {
        assert!(shop.scene.config_map(&format!("web-{n}")).is_some(), "web-{n} is gone");
    }
    fs::rename(&aside, shop.repo.path()).unwrap();
    shop.push("two");
    let app = shop.wait_synced();
    assert_eq!(condition(&app, "ComparisonError"), "");
    assert!(shop.agent.metric(&age) < 5, "it was seen just now");
}

#[test]
fn a_git_server_that_does_not_answer_ends_a_command_with_the_code_of_a_timeout() {
    // Connections are accepted by the kernel, and nobody ever says anything on them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let repository = format!("http://{address}/shop.git");
    let output = Command::new(e2e::program()).args(["render", "--repo", &repository]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert_eq!(told, format!("error: read repository {repository}: no answer from {address} within 30 s\n"));
    assert!(output.stdout.is_empty());
}

/// A line to the API server that can be cut, for one agent alone.
struct Line {
    address: SocketAddr,
    ends: Arc<Mutex<Ends>>,
}

#[derive(Default)]
struct Ends {
    to: String,
    is_cut: bool,
    streams: Vec<TcpStream>,
}

impl Line {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ends = Arc::new(Mutex::new(Ends::default()));
        let shared = Arc::clone(&ends);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                // A connection that cannot be joined is closed: so does a network that is down, in the end.
                drop(join(&shared, near));
            }
        });
        Self { address, ends }
    }

    fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    fn leads_to(&self, url: &str) {
        url.trim_start_matches("https://").clone_into(&mut self.ends.lock().unwrap().to);
    }

    /// Starts an agent that reaches the API server by this line only.
    fn agent(&self, scene: &Scene) -> Agent {
        let mut settings = scene.settings();
        let lab = &scene.lab;
        self.leads_to(lab.url());
        let text = fs::read_to_string(lab.kubeconfig()).unwrap().replace(lab.url(), &self.url());
        settings.kubeconfig = scene.folder().join("cut.kubeconfig");
        fs::write(&settings.kubeconfig, text).unwrap();
        scene.start(settings)
    }

    fn cut(&self) {
        let mut ends = self.ends.lock().unwrap();
        ends.is_cut = true;
        for stream in ends.streams.drain(..) {
            // The other side may have closed it before.
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    fn mend(&self) {
        self.ends.lock().unwrap().is_cut = false;
    }
}

fn join(ends: &Mutex<Ends>, near: TcpStream) -> io::Result<()> {
    let mut ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
    if ends.is_cut {
        return near.shutdown(Shutdown::Both);
    }
    let far = TcpStream::connect(&ends.to)?;
    ends.streams.extend([near.try_clone()?, far.try_clone()?]);
    relay(near.try_clone()?, far.try_clone()?);
    relay(far, near);
    Ok(())
}

fn relay(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        drop(io::copy(&mut from, &mut to));
        drop(to.shutdown(Shutdown::Both));
    });
}
