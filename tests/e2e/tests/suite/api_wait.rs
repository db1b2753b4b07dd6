//! What does a pipeline get that pushes a commit and waits for what comes of it? One verdict.

use std::time::{Duration, Instant};

use e2e::{Agent, DEADLINE, GitServer, Repo, Scene, config_map, is_synced_to, operation_phase};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};

/// A server whose repositories are looked at only when somebody asks.
fn seldom_polled(scene: &Scene) -> GitServer {
    scene.poll_seldom();
    GitServer::start(scene.repos())
}

/// An app of a server's repository that has deployed its first commit.
fn shop(scene: &Scene, agent: &Agent, server: &GitServer) -> Repo {
    let repo = scene.repo("shop");
    repo.write("web.yaml", &config_map("web", "one"));
    let first = repo.commit("first");
    scene.application("shop").set("/spec/source/repoURL", server.url("shop")).automated().create();
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    // What it knows it knows from the start.
    assert_eq!(wait(agent, &first).0, 200);
    repo
}

/// An app whose newest commit, which is returned last, was pushed and never becomes ready.
fn late(name: &str) -> (Scene, Agent, GitServer, Repo, String) {
    let scene = Scene::new(name);
    let agent = scene.agent();
    let server = seldom_polled(&scene);
    let repo = shop(&scene, &agent, &server);
    let pushed = repo.write("late.yaml", NEVER_READY).commit("late");
    (scene, agent, server, repo, pushed)
}

/// Waits for a revision; returns the status and the body.
fn wait(agent: &Agent, revision: &str) -> (u16, Value) {
    wait_for(agent, &format!("revision={revision}&timeout=100s"))
}

fn wait_for(agent: &Agent, query: &str) -> (u16, Value) {
    let answer = agent.get(&format!("/api/v1/applications/shop/wait?{query}"));
    (answer.status, answer.json())
}

#[track_caller]
fn verdict(answer: &(u16, Value), word: &str, revision: &str) {
    let status = if word == "Deployed" { 200 } else { 409 };
    let (got, body) = answer;
    assert_eq!(
        (*got, &body["verdict"], &body["revision"]),
        (status, &json!(word), &json!(revision)),
        "{body:#}"
    );
    assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()), "{body:#}");
    assert_eq!(body["error"].is_string(), status != 200, "an error looks like all errors: {body:#}");
}

/// A Deployment whose pods never come, for the lab runs none.
const NEVER_READY: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: late}\nspec:\n  selector: {matchLabels: {app: late}}\n  \
     template:\n    metadata: {labels: {app: late}}\n    spec: {containers: [{name: late, image: 'late:never-ready'}]}\n";

#[test]
fn a_pushed_commit_is_looked_at_at_once_and_waited_for() {
    let scene = Scene::new("wait");
    let agent = scene.agent();
    let server = seldom_polled(&scene);
    let repo = shop(&scene, &agent, &server);
    let second = repo.write("web.yaml", &config_map("web", "two")).commit("second");
    let answer = wait(&agent, &second);
    verdict(&answer, "Deployed", &second);
    assert_eq!(answer.1["application"], format!("{}/shop", scene.control));
    assert!(answer.1["syncId"].is_u64(), "{}", answer.1);
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "two");
    // A commit that changes nothing for the app, by its branch, by its beginning, and by what the app follows anyway.
    for name in ["revision=main", "revision=SHORT", ""] {
        let pushed = repo.write("notes.txt", name).commit("nothing");
        let name = name.replace("SHORT", &pushed[..8]);
        let answer = wait_for(&agent, &format!("{name}&timeout=100s"));
        verdict(&answer, "Deployed", &pushed);
        assert!(answer.1["message"].as_str().unwrap().contains("changed nothing"), "{}", answer.1);
    }
    // What comes after a commit holds it: the one between was never looked at.
    let between = repo.write("web.yaml", &config_map("web", "three")).commit("between");
    let last = repo.write("web.yaml", &config_map("web", "four")).commit("last");
    verdict(&wait(&agent, &between), "Deployed", &last);
    verdict(&wait(&agent, &second), "Deployed", &last);
}

#[test]
fn who_waits_again_and_again_keeps_nobody_from_hearing_of_a_commit() {
    let scene = Scene::new("wait-flood");
    let agent = scene.agent();
    let server = seldom_polled(&scene);
    let repo = shop(&scene, &agent, &server);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let floods: Vec<_> = (0..3)
            .map(|_| {
                threads.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        wait_for(&agent, "timeout=0s");
                    }
                })
            })
            .collect();
        let pushed = repo.write("web.yaml", &config_map("web", "two")).commit("second");
        let synced = wait(&agent, &pushed);
        is_over.store(true, Ordering::Relaxed);
        for flood in floods {
            flood.join().unwrap();
        }
        verdict(&synced, "Deployed", &pushed);
    });
}

#[test]
fn a_commit_that_is_at_fault_fails_with_the_object_that_says_so() {
    let scene = Scene::new("wait-failed");
    let agent = scene.agent();
    let server = seldom_polled(&scene);
    let repo = shop(&scene, &agent, &server);
    let unreadable = repo.write("web.yaml", &config_map("[web", "two")).commit("unreadable");
    let answer = wait(&agent, &unreadable);
    verdict(&answer, "Failed", &unreadable);
    assert!(answer.1["message"].as_str().unwrap().contains("web.yaml:"), "{}", answer.1);
    let port = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 99999}]}\n";
    repo.write("web.yaml", &config_map("web", "two"));
    let refused = repo.write("service.yaml", port).commit("refused");
    let answer = wait(&agent, &refused);
    verdict(&answer, "RolledBack", &refused);
    let object = json!({"group": "", "kind": "Service", "namespace": scene.namespace, "name": "web"});
    assert_eq!(answer.1["object"], object, "{}", answer.1);
    let mended = repo.remove("service.yaml").commit("mended");
    verdict(&wait(&agent, &mended), "Deployed", &mended);
}

#[test]
fn what_stands_in_the_way_of_a_commit_holds_it() {
    let scene = Scene::new("wait-held");
    let agent = scene.agent();
    let server = seldom_polled(&scene);
    let repo = shop(&scene, &agent, &server);
    let elsewhere =
        config_map("web", "two").replace("name: web", "name: web\n  namespace: nowhere-to-be-found");
    let pushed = repo.write("elsewhere.yaml", &elsewhere).commit("elsewhere");
    let answer = wait(&agent, &pushed);
    verdict(&answer, "Held", &pushed);
    assert_eq!(answer.1["object"]["namespace"], "nowhere-to-be-found", "{}", answer.1);
    scene.patch_app("shop", &json!({"spec": {"project": "no-such-project"}}));
    scene.wait_app("shop", |app| !e2e::condition(app, "InvalidSpecError").is_empty());
    verdict(&wait(&agent, &pushed), "Held", &pushed);
}

#[test]
fn a_commit_that_nobody_asked_to_sync_is_not_requested_until_somebody_does() {
    let scene = Scene::new("wait-manual");
    let agent = scene.agent();
    let server = seldom_polled(&scene);
    let repo = scene.repo("shop");
    let first = repo.write("web.yaml", &config_map("web", "one")).commit("first");
    scene.application("shop").set("/spec/source/repoURL", server.url("shop")).create();
    scene.wait_app("shop", |app| app["status"]["sync"]["revision"] == first);
    verdict(&wait(&agent, &first), "NotRequested", &first);
    // Who asks for a sync and waits at once gets what that comes to.
    let sync = |body: Value| agent.post("/api/v1/applications/shop/sync", &body);
    assert_eq!(sync(json!({})).status, 200);
    verdict(&wait_for(&agent, "timeout=100s"), "Deployed", &first);
    let chosen = repo.branch("next").write("web.yaml", &config_map("web", "next")).commit("next");
    assert_eq!(sync(json!({"revision": "next"})).status, 200);
    verdict(&wait_for(&agent, "timeout=100s"), "Deployed", &chosen);
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "next");
}

#[test]
fn a_commit_that_is_replaced_is_superseded() {
    let (scene, agent, _server, repo, pushed) = late("wait-superseded");
    std::thread::scope(|threads| {
        let waiting = threads.spawn(|| wait(&agent, &pushed));
        scene.wait_app("shop", |app| operation_phase(app) == "Running");
        // A force-push: what takes its place does not come after it.
        let other = repo.remove("late.yaml").rewrite("another");
        verdict(&wait(&agent, &other), "Deployed", &other);
        verdict(&waiting.join().unwrap(), "Superseded", &other);
    });
}

#[test]
fn a_wait_whose_time_is_over_says_what_it_waits_for() {
    let (scene, agent, _server, _repo, pushed) = late("wait-late");
    std::thread::scope(|threads| {
        let on = threads.spawn(|| wait(&agent, &pushed));
        scene.wait_app("shop", |app| operation_phase(app) == "Running");
        let (status, body) = wait_for(&agent, &format!("revision={pushed}&timeout=1s"));
        assert_eq!((status, &body["revision"], &body["code"]), (408, &json!(pushed), &json!(4)), "{body:#}");
        assert!(body["syncId"].is_u64() && body["verdict"].is_null(), "{body:#}");
        let waits_for = body["waitsFor"].as_str().unwrap();
        assert!(waits_for.contains("Deployment.apps") && waits_for.contains("late"), "{waits_for}");
        // What is unknown may yet be pushed.
        let (status, body) = wait_for(&agent, "revision=no-such-branch&timeout=1s");
        assert_eq!(status, 408);
        assert!(body["message"].as_str().unwrap().contains("no branch, tag or commit"), "{body:#}");
        let unknown = "0123456789012345678901234567890123456789";
        assert_eq!(wait_for(&agent, &format!("revision={unknown}&timeout=1s")).0, 408);
        // Ended by hand, for the first one not to wait on.
        assert_eq!(agent.delete("/api/v1/applications/shop/operation").status, 200);
        verdict(&on.join().unwrap(), "Failed", &pushed);
    });
    let app = scene.wait_app("shop", |app| operation_phase(app) == "Failed");
    assert_eq!(e2e::operation_message(&app), "Operation terminated");
    let nothing = agent.delete("/api/v1/applications/shop/operation");
    assert_eq!(nothing.status, 400, "{nothing:?}");
    let message = "Unable to terminate operation. No operation is in progress";
    assert_eq!(nothing.json()["message"], message);
}

#[test]
fn a_wait_for_an_app_that_goes_ends_with_it() {
    let (scene, agent, _server, _repo, pushed) = late("wait-gone");
    std::thread::scope(|threads| {
        let waiting = threads.spawn(|| wait(&agent, &pushed));
        scene.wait_app("shop", |app| operation_phase(app) == "Running");
        scene.delete_app("shop");
        let (status, body) = waiting.join().unwrap();
        // Without a finalizer it may be gone before its deletion is seen.
        assert!(status == 404 || body["verdict"] == "Superseded", "{status} {body:#}");
    });
    assert_eq!(agent.get("/api/v1/applications/nothing/wait").status, 404);
    for query in ["timeout=soon", "timeout=2h", "timeout=5", "revision=a%20b", "revision=%0a"] {
        assert_eq!(wait_for(&agent, query).0, 400, "{query}");
    }
}

#[test]
fn the_same_request_for_a_sync_may_be_sent_again_and_another_may_not() {
    let scene = Scene::new("sync-again");
    let agent = scene.agent();
    let repo = scene.repo("shop");
    repo.write("late.yaml", NEVER_READY).commit("late");
    scene.application("shop").repo(&repo).create();
    scene.wait_app("shop", |app| app["status"]["sync"]["status"] == "OutOfSync");
    let sync = |body: &Value| agent.post("/api/v1/applications/shop/sync", body);
    let first = sync(&json!({"prune": true}));
    assert_eq!(first.status, 200, "{first:?}");
    let again = sync(&json!({"prune": true}));
    assert_eq!((again.status, again.json()["operation"].clone()), (200, first.json()["operation"].clone()));
    let other = sync(&json!({"prune": true, "dryRun": true}));
    assert_eq!(other.status, 400, "{other:?}");
    assert_eq!(other.json()["message"], "another operation is already in progress");
    scene.wait_app("shop", |app| operation_phase(app) == "Running");
    assert_eq!(sync(&json!({"prune": true})).status, 200);
    assert_eq!(agent.delete("/api/v1/applications/shop/operation").json(), json!({}));
    scene.wait_app("shop", |app| operation_phase(app) == "Failed" && app["operation"].is_null());
    assert_eq!(sync(&json!({"dryRun": true})).status, 200, "nothing is under way any more");
}

#[test]
fn a_wait_that_a_restart_cuts_short_is_asked_again_and_finds_the_same_sync() {
    let scene = Scene::new("wait-restart");
    let mut agent = scene.agent();
    let server = seldom_polled(&scene);
    let repo = shop(&scene, &agent, &server);
    // Healthy once somebody gives it an address.
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: late}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n";
    let pushed = repo.write("late.yaml", service).commit("late");
    let asks = format!("/api/v1/applications/shop/wait?revision={pushed}");
    // Whoever was killed did not hand its lease back, and its successor says that it may not write yet: ask again.
    let ask_again = |agent: &Agent, timeout: &str| {
        let end = Instant::now() + DEADLINE;
        loop {
            let answer = wait_for(agent, &format!("revision={pushed}&timeout={timeout}"));
            if answer.0 != 503 {
                return answer;
            }
            assert!(Instant::now() < end, "{:#}", answer.1);
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    let sync_under_way = |agent: &Agent| {
        let (status, body) = ask_again(agent, "10s");
        assert_eq!((status, body["syncId"].is_u64()), (408, true), "{body:#}");
        body["syncId"].clone()
    };
    let mut sync = Value::Null;
    for end in [Agent::kill as fn(&mut Agent), |agent| assert_eq!(agent.terminate().code(), Some(0))] {
        // Somebody waits while it ends: the connection is closed, or answered by what says that it may be asked again.
        let (api, path) = (agent.api(), format!("{asks}&timeout=100s"));
        let waiting = std::thread::spawn(move || e2e::try_get(api, &path));
        let now = sync_under_way(&agent);
        assert!(sync.is_null() || sync == now, "{sync} is {now} by now");
        sync = now;
        end(&mut agent);
        if let Ok(answer) = waiting.join().unwrap() {
            assert!(matches!(answer.status, 0 | 408 | 503), "{answer:?}");
        }
        agent.restart();
        agent.wait_ready();
    }
    assert_eq!(sync_under_way(&agent), sync);
    let address = json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}).to_string();
    let patch = [
        "-n",
        &scene.namespace,
        "patch",
        "service/late",
        "--subresource=status",
        "--type=merge",
        "-p",
        &address,
    ];
    scene.lab.kubectl(&patch).unwrap();
    for _ in 0..2 {
        let answer = ask_again(&agent, "100s");
        verdict(&answer, "Deployed", &pushed);
        assert_eq!(answer.1["syncId"], sync, "{:#}", answer.1);
        // Whoever asks only after one more restart gets the same.
        agent.restart();
        agent.wait_ready();
    }
}
