//! What does somebody get who asks over HTTP to look at Git again? What came of it, or a sentence.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use e2e::{Agent, GitServer, Repo, Scene, condition, config_map, is_synced_to};
use serde_json::{Value, json};

const REFRESH: &str = "argocd.argoproj.io/refresh";
const HYDRATE: &str = "argocd.argoproj.io/hydrate";
const SKIP: &str = "argocd.argoproj.io/skip-reconcile";

/// An app that nobody syncs, from a repository that is looked at only when somebody asks.
fn shop(scene: &Scene) -> (Agent, GitServer, Repo) {
    scene.poll_seldom();
    let agent = scene.agent();
    let server = GitServer::start(scene.repos());
    let repo = scene.repo("shop");
    let revision = repo.write("web.yaml", &config_map("web", "one")).commit("first");
    scene.application("shop").set("/spec/source/repoURL", server.url("shop")).create();
    scene.wait_app("shop", |app| app["status"]["sync"]["revision"] == revision);
    (agent, server, repo)
}

fn refreshed(agent: &Agent, kind: &str) -> Value {
    let answer = agent.get(&format!("/api/v1/applications/shop?refresh={kind}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    let app = answer.json();
    assert_eq!(app["metadata"]["annotations"][REFRESH], Value::Null, "{app:#}");
    app
}

#[test]
fn a_refresh_is_answered_with_what_it_found() {
    let scene = Scene::new("refresh");
    let (agent, _server, repo) = shop(&scene);
    // One after the other, so that each finds the last one's traces.
    for n in 0..12 {
        let revision = repo.write("web.yaml", &config_map("web", &n.to_string())).commit("next");
        let app = refreshed(&agent, if n % 3 == 0 { "hard" } else { "normal" });
        assert_eq!(app["status"]["sync"]["revision"], revision, "{n}");
    }
    // A commit that changes nothing for the app.
    let revision = repo.write("README.md", "nothing").commit("nothing");
    assert_eq!(refreshed(&agent, "normal")["status"]["sync"]["revision"], revision);
    // Nothing moved at all.
    assert_eq!(refreshed(&agent, "normal")["status"]["sync"]["revision"], revision);

    let bad = repo.write("web.yaml", &config_map("[web", "bad")).commit("bad");
    let app = refreshed(&agent, "normal");
    assert!(condition(&app, "ComparisonError").contains(&bad[..7]), "{app:#}");
    let good = repo.write("web.yaml", &config_map("web", "good")).commit("good");
    let app = refreshed(&agent, "normal");
    assert_eq!((&app["status"]["sync"]["revision"], condition(&app, "ComparisonError")), (&json!(good), ""));

    // An automated sync that follows is waited for, too.
    scene.patch_app("shop", &json!({"spec": {"syncPolicy": {"automated": {}}}}));
    scene.wait_app("shop", |app| is_synced_to(app, &good));
    let last = repo.write("web.yaml", &config_map("web", "last")).commit("last");
    assert!(is_synced_to(&refreshed(&agent, "normal"), &last));
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "last");
}

/// Argo CD's server (3.1 and later) asks for hydration as well, whatever the source.
#[test]
fn what_the_argocd_command_line_asks_for_is_answered_and_taken_off() {
    let scene = Scene::new("argocd-refresh");
    let (_agent, _server, repo) = shop(&scene);
    let revision = repo.write("web.yaml", &config_map("web", "two")).commit("second");
    scene.patch_app("shop", &json!({"metadata": {"annotations": {REFRESH: "normal", HYDRATE: "normal"}}}));
    let app = scene.wait_app("shop", |app| app["metadata"]["annotations"][REFRESH].is_null());
    assert_eq!(app["metadata"]["annotations"][HYDRATE], Value::Null);
    assert_eq!(app["status"]["sync"]["revision"], revision);
    assert_eq!(condition(&app, "SyncError"), "", "it is not read-only");
}

#[test]
fn many_that_ask_at_once_are_all_answered_with_what_is_new_to_them() {
    let scene = Scene::new("refreshes");
    let (agent, _server, repo) = shop(&scene);
    std::thread::scope(|threads| {
        let agent = &agent;
        let asking: Vec<_> = (0..8)
            .map(|n| {
                let revision = repo.write("web.yaml", &config_map("web", &n.to_string())).commit("next");
                threads.spawn(move || (n, revision, refreshed(agent, "normal")))
            })
            .collect();
        let log = repo.git(&["log", "--format=%H"]);
        let revisions: Vec<&str> = log.lines().collect();
        let age =
            |revision: &Value| revisions.iter().position(|known| revision == known).expect("it is known");
        for thread in asking {
            let (n, revision, app) = thread.join().unwrap();
            let found = &app["status"]["sync"]["revision"];
            assert!(age(found) <= age(&json!(revision)), "{n} asked after {revision} and got {found}");
        }
    });
}

#[test]
fn a_refresh_that_does_not_come_to_an_end_is_told_and_goes_on() {
    let scene = Scene::new("norefresh");
    let (agent, server, repo) = shop(&scene);
    server.hold();
    let revision = repo.write("web.yaml", &config_map("web", "two")).commit("second");
    let late = agent.get("/api/v1/applications/shop?refresh=normal");
    assert_eq!(late.status, 504, "{late:?}");
    let error = late.json();
    assert_eq!(error["code"], 4);
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("the application was not compared anew within 25s"), "{message}");
    assert_eq!(agent.get("/api/v1/applications/shop").status, 200);
    server.let_go();
    let app = scene.wait_app("shop", |app| app["metadata"]["annotations"][REFRESH].is_null());
    assert_eq!(app["status"]["sync"]["revision"], revision);

    let skip = json!({"metadata": {"annotations": {SKIP: "true"}}});
    scene.patch_app("shop", &skip);
    let begun = Instant::now();
    while agent.get("/api/v1/applications/shop").json()["metadata"]["annotations"][SKIP].is_null() {
        assert!(begun.elapsed() < e2e::DEADLINE, "the agent does not see the annotation");
    }
    let refused = agent.get("/api/v1/applications/shop?refresh=normal");
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.body.contains("skip-reconcile"), "{refused:?}");
    assert_eq!(agent.get("/api/v1/applications/nothing?refresh=normal").status, 404);
}

/// How often the agent changed the one Application that is refreshed, and what it looked at.
fn cost(agent: &Agent) -> [u64; 3] {
    let patches = ["patch", "apply"]
        .map(|verb| agent.requests().get(&format!("{verb} Application.argoproj.io")).copied());
    [
        patches.into_iter().flatten().sum(),
        agent.metric("tautline_renders_total"),
        agent.metric("tautline_polls_total"),
    ]
}

// N47: a thousand hard refreshes over HTTP, by somebody who may only read
#[test]
fn a_flood_of_refreshes_shares_a_few_and_holds_up_nobody() {
    const CALLERS: usize = 40;
    const EACH: u64 = 25;
    let scene = Scene::new("flooded");
    let (agent, _server, repo) = shop(&scene);
    let before = cost(&agent);
    let is_over = AtomicBool::new(false);
    let (last, n_calls) = std::thread::scope(|threads| {
        let call = || {
            let mut n_calls = 0;
            while n_calls < EACH || !is_over.load(Ordering::Relaxed) {
                refreshed(&agent, "hard");
                n_calls += 1;
            }
            n_calls
        };
        let callers: Vec<_> = (0..CALLERS).map(|_| threads.spawn(call)).collect();
        // Meanwhile another app is made and synced, and the flooded one follows Git.
        scene.let_pass("other");
        let last = repo.write("web.yaml", &config_map("web", "last")).commit("last");
        scene.wait_app("shop", |app| app["status"]["sync"]["revision"] == last);
        is_over.store(true, Ordering::Relaxed);
        (last, callers.into_iter().map(|caller| caller.join().unwrap()).sum::<u64>())
    });
    assert_eq!(refreshed(&agent, "normal")["status"]["sync"]["revision"], last);
    // A round is an annotation put on, a poll, a render, and a status; each answers those who came before it. How many come in
    // time for one is the machine's affair.
    let cost: Vec<u64> = cost(&agent).iter().zip(before).map(|(now, before)| now - before).collect();
    let rounds = n_calls / 4;
    assert!(cost[0] <= 2 * rounds && cost[1] <= rounds && cost[2] <= rounds, "{cost:?} for {n_calls} calls");
}

// N47: annotations, by somebody who may change the Application
#[test]
fn annotations_without_end_cost_no_more_than_their_writes_and_hold_up_nobody() {
    let scene = Scene::new("annotated");
    let (agent, _server, repo) = shop(&scene);
    let before = cost(&agent);
    let other = scene.repo("other");
    let first = other.write("web.yaml", &config_map("other", "one")).commit("first");
    scene.application("other").repo(&other).automated().create();
    let last = repo.write("web.yaml", &config_map("web", "last")).commit("last");
    let is_done = || {
        is_synced_to(&scene.app("other"), &first) && scene.app("shop")["status"]["sync"]["revision"] == last
    };
    let (begun, mut n_written) = (Instant::now(), 0);
    while n_written < 200 || !is_done() {
        let stamp = format!("stamp-{n_written}");
        let annotations = json!({REFRESH: "hard", "argocd.argoproj.io/refresh-timestamp": stamp});
        scene.patch_app("shop", &json!({"metadata": {"annotations": annotations}}));
        n_written += 1;
        assert!(begun.elapsed() < 2 * e2e::DEADLINE, "held up by {n_written} annotations");
    }
    scene.wait_app("shop", |app| app["metadata"]["annotations"][REFRESH].is_null());
    let cost: Vec<u64> = cost(&agent).iter().zip(before).map(|(now, before)| now - before).collect();
    assert!(cost.iter().all(|cost| *cost <= n_written + 20), "{cost:?} for {n_written} annotations");
}
