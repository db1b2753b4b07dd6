//! Do the command line and the API give one verdict, and wait through what passes?

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use e2e::{
    Agent, DEADLINE, GitFault, GitServer, GitStep, Scene, Told, config_map, is_synced_to, operation_phase,
};
use serde_json::{Value, json};

/// Waits by the cluster and by the API, and returns the word of both.
#[track_caller]
fn word(scene: &Scene, agent: &Agent, revision: &str) -> String {
    let arguments = ["app", "wait", "shop", "--revision", revision, "-n", &scene.control, "-o", "json"];
    let by_cluster = scene.tautline(&arguments);
    let server = format!("http://{}", agent.api());
    let by_api = scene.tautline(&[&arguments[..], &["--server", &server]].concat());
    let word = |told: &Told| told.json()["verdict"].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (word(&by_cluster), by_cluster.code),
        (word(&by_api), by_api.code),
        "{by_cluster:?} {by_api:?}"
    );
    let fields = |told: &Told| ["application", "revision", "message"].map(|field| told.json()[field].clone());
    assert_eq!(fields(&by_cluster), fields(&by_api));
    word(&by_api)
}

#[test]
fn the_cluster_and_the_agent_give_one_verdict() {
    let scene = Scene::new("one-verdict");
    let agent = scene.agent();
    let repo = scene.repo("shop");
    repo.write("app/web.yaml", &config_map("web", "one")).write("app/old.yaml", &config_map("old", "one"));
    let first = repo.commit("first");
    let plain = json!({"automated": {}});
    scene.application("shop").repo(&repo).path("app").set("/spec/syncPolicy", plain).create();
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    assert_eq!(word(&scene, &agent, &first), "Deployed");
    // Somebody edits, and nothing puts it back.
    let edit = json!({"data": {"key": "edited"}});
    scene.edit_as("somebody", "configmap/web", &edit);
    scene.wait_app("shop", |app| app["status"]["sync"]["status"] == "OutOfSync");
    assert_eq!(word(&scene, &agent, &first), "Deployed");
    // Git drops an object, and nothing deletes it.
    let second =
        repo.remove("app/old.yaml").write("app/web.yaml", &config_map("web", "two")).commit("second");
    scene.wait_app("shop", |app| {
        app["status"]["sync"]["revision"] == second && operation_phase(app) == "Succeeded"
    });
    assert_eq!(word(&scene, &agent, &second), "Deployed");
    // Everything is gone from Git: that is for a person to say.
    scene.patch_app("shop", &json!({"spec": {"syncPolicy": {"automated": {"prune": true}}}}));
    let empty = repo.remove("app/web.yaml").write("app/notes.txt", "nothing").commit("empty");
    assert_eq!(word(&scene, &agent, &empty), "Held");
    // What is not synced automatically, and was synced without pruning.
    scene.patch_app("shop", &json!({"spec": {"syncPolicy": null}}));
    let last = repo.write("app/new.yaml", &config_map("new", "one")).commit("last");
    assert_eq!(word(&scene, &agent, &last), "NotRequested");
    let synced = scene.tautline(&["app", "sync", "shop", "-n", &scene.control, "--wait"]);
    assert_eq!(synced.code, 0, "{synced:?}");
    assert_eq!(word(&scene, &agent, &last), "Deployed");
}

#[test]
fn a_commit_that_mends_a_stuck_sync_is_not_blamed_for_it() {
    let scene = Scene::new("mending");
    let _agent = scene.agent();
    let repo = scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    let elsewhere =
        config_map("web", "two").replace("name: web", "name: web\n  namespace: nowhere-to-be-found");
    let stuck = repo.write("app/elsewhere.yaml", &elsewhere).commit("stuck");
    scene.wait_app("shop", |app| app["status"]["operationState"]["retryCount"].as_u64() >= Some(2));
    let wait = |revision: &str| {
        scene.tautline(&["app", "wait", "shop", "-n", &scene.control, "--revision", revision])
    };
    let held = wait(&stuck);
    assert!(held.code == 1 && held.out.starts_with("Held "), "{held:?}");
    let mended =
        repo.remove("app/elsewhere.yaml").write("app/web.yaml", &config_map("web", "two")).commit("mended");
    let deployed = wait(&mended);
    assert!(
        deployed.code == 0 && deployed.out.starts_with(&format!("Deployed {}", &mended[..7])),
        "{deployed:?}"
    );
}

/// An app that is not synced automatically, two of whose commits differ from the cluster, and they.
fn out_of_sync(scene: &Scene) -> (String, String) {
    let repo = scene.repo("shop");
    repo.write("a.yaml", &config_map("a", "one")).write("b.yaml", &config_map("b", "one"));
    let first = repo.commit("first");
    let second = repo.write("a.yaml", &config_map("a", "two")).commit("second");
    scene.application("shop").repo(&repo).create();
    scene.wait_app("shop", |app| app["status"]["sync"]["revision"] == second);
    (first, second)
}

#[test]
fn a_sync_over_the_api_ends_as_that_sync_ends() {
    let scene = Scene::new("cli-sync-api");
    let agent = scene.agent();
    let (first, second) = out_of_sync(&scene);
    let server = format!("http://{}", agent.api());
    let sync = |arguments: &[&str]| {
        let all = [&["app", "sync", "shop", "--wait", "--server", &server], arguments].concat();
        let told = scene.tautline(&all);
        assert_eq!(told.code, 0, "{told:?}");
        told
    };
    let dry = sync(&["--dry-run"]);
    assert!(dry.out.contains("configmap/a created") && dry.out.contains("configmap/b created"), "{dry:?}");
    assert_eq!(scene.config_map("a"), None, "a dry run changed something");
    let one = sync(&["--resource", ":ConfigMap:a"]);
    assert!(one.out.contains("configmap/a created") && !one.out.contains("configmap/b"), "{one:?}");
    let chosen = sync(&["--revision", &first]);
    assert!(chosen.out.contains(&format!("Deployed {}: ", &first[..7])), "{chosen:?}");
    assert_eq!(scene.config_map("a").unwrap()["data"]["key"], "one");
    let document = sync(&["-o", "json"]).json();
    assert_eq!((&document["verdict"], &document["revision"]), (&json!("Deployed"), &json!(second)));
    assert_eq!(document["resources"].as_array().map(Vec::len), Some(2), "{document:#}");
    let named = sync(&["-o", "name"]);
    assert_eq!(named.out, "application.argoproj.io/shop\n");
    assert!(named.err.contains("Deployed"), "{named:?}");
}

#[test]
fn who_asks_for_a_sync_by_http_waits_for_that_sync() {
    let scene = Scene::new("http-sync");
    let agent = scene.agent();
    let (first, _) = out_of_sync(&scene);
    let wait = || {
        let answer = agent.get("/api/v1/applications/shop/wait?sync=true&timeout=100s");
        (answer.status, answer.json())
    };
    let (status, body) = wait();
    assert_eq!(status, 400, "nobody has asked for any: {body:#}");
    let asked = |body: &Value| {
        assert_eq!(agent.post("/api/v1/applications/shop/sync", body).status, 200);
        let (status, body) = wait();
        assert_eq!((status, &body["verdict"]), (200, &json!("Deployed")), "{body:#}");
        // It is remembered however late one asks.
        assert_eq!(wait().1, body);
        body
    };
    let dry = asked(&json!({"dryRun": true}));
    assert_eq!(dry["resources"].as_array().map(Vec::len), Some(2), "{dry:#}");
    asked(&json!({"resources": [{"kind": "ConfigMap", "name": "a"}]}));
    assert_eq!(asked(&json!({"revision": first}))["revision"], json!(first));
    for query in ["sync=yes", "sync=true&revision=main"] {
        let answer = agent.get(&format!("/api/v1/applications/shop/wait?{query}"));
        assert_eq!(answer.status, 400, "{query}");
    }
}

#[test]
fn a_wait_outlasts_a_repository_that_does_not_answer_and_its_own_time_holds() {
    let scene = Scene::new("wait-git");
    let _agent = scene.agent();
    scene.poll_seldom();
    let server = GitServer::start(scene.repos());
    let repo = scene.repo("shop");
    let first = repo.write("web.yaml", &config_map("web", "one")).commit("first");
    scene.application("shop").set("/spec/source/repoURL", server.url("shop")).automated().create();
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    let second = repo.write("web.yaml", &config_map("web", "two")).commit("second");
    let wait = ["app", "wait", "shop", "-n", &scene.control, "--revision", &second];
    server.fail(GitStep::Refs, GitFault::Refuse("503 Service Unavailable"));
    let mut child = scene.tautline_command(&wait);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let talk = BufReader::new(child.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
    let mut talk = talk.inspect(|line| scene.keep(&wait, line.clone()));
    let warned = talk.find(|line| line.contains("the repository does not tell"));
    assert!(warned.is_some(), "it ended");
    server.mend();
    let mut said = String::new();
    child.stdout.take().expect("it is piped").read_to_string(&mut said).expect("it is text");
    assert_eq!(child.wait().expect("it is our child").code(), Some(0), "{said}");
    assert!(said.starts_with(&format!("Deployed {}: ", &second[..7])), "{said}");

    server.hold();
    let begun = Instant::now();
    let late = scene.tautline(&[&wait[..], &["--timeout", "2s"]].concat());
    assert_eq!((late.code, late.out.as_str()), (3, ""), "{late:?}");
    assert!(begun.elapsed() < Duration::from_secs(2) + DEADLINE / 2, "{:?}", begun.elapsed());
    server.let_go();
}
