//! What if the agent may open no more files: no connection, nothing in its cache? It keeps what there is, says what is wrong,
//! and goes on by itself.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::fs;
use std::process::Command;
use std::time::Duration;

use e2e::{Agent, GitServer, Scene, config_map, is_condemned, is_synced_to};

/// How long nothing can be opened, in which repositories are looked at: the one thing that only time makes.
const LACK: Duration = Duration::from_secs(8);

/// Lets a process that runs open so many files, those that are open counted.
fn limit(agent: &Agent, n_files: usize) {
    let limit = format!("--nofile={n_files}:20000");
    let set = Command::new("prlimit").args(["--pid", &agent.pid().to_string(), &limit]).status();
    assert!(set.unwrap().success(), "prlimit {limit}");
}

#[test]
fn an_agent_that_can_open_nothing_keeps_what_there_is_and_goes_on_when_it_can() {
    let scene = Scene::new("no-files");
    let agent = scene.agent_with(&["--poll-interval", "1s"]);
    let server = GitServer::start(scene.repos());
    let (local, far) =
        (scene.deployed("local", &[("web.yaml", &config_map("local", "one"))]), scene.repo("far"));
    far.write("web.yaml", &config_map("far", "one")).write("old.yaml", &config_map("old", "one"));
    let first = far.commit("first");
    scene.application("far").set("/spec/source/repoURL", server.url("far")).automated().create();
    scene.wait_app("far", |app| is_synced_to(app, &first));

    let n_open = fs::read_dir(format!("/proc/{}/fd", agent.pid())).unwrap().count();
    assert!(n_open > 10, "{n_open}");
    limit(&agent, 3);
    let second = far.write("web.yaml", &config_map("far", "two")).remove("old.yaml").commit("second");
    let again = local.write("app/web.yaml", &config_map("local", "two")).commit("second");
    // Somebody calls, and is not answered.
    let calls = std::net::TcpStream::connect(agent.api()).unwrap();
    agent.wait_log(|line| {
        let says = line["message"].as_str().is_some_and(|message| message.contains("ulimit -n"));
        says && line.to_string().contains("Too many open files")
    });
    std::thread::sleep(LACK);
    drop(calls);
    assert!(scene.config_map("old").is_some());
    for name in ["local", "far"] {
        assert!(!is_condemned(&scene.app(name)), "{name}");
    }

    limit(&agent, 20_000);
    for (name, revision) in [("far", &second), ("local", &again)] {
        let app = scene.wait_app(name, |app| is_synced_to(app, revision));
        assert!(!is_condemned(&app), "{app:#}");
        assert_eq!(scene.config_map(name).unwrap()["data"]["key"], "two");
    }
    scene.wait_config_map("old", |old| old.is_none());
    agent.wait_ready();
    let log = agent.log();
    let n_told = log.iter().filter(|line| line.to_string().contains("no connection can be accepted")).count();
    assert!(n_told <= 4, "{n_told} lines say it of two listeners:\n{}", agent.log_text());
    assert!(!agent.log_text().contains("panicked"), "{}", agent.log_text());
}
