//! What follows from a webhook? A look at the repository that it names, and nothing without the secret.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use e2e::{Agent, Answer, DEADLINE, GitServer, Repo, Scene, config_map, is_synced_to};
use serde_json::{Value, json};

const PATH: &str = "/api/webhook";
const POLLS: &str = "tautline_polls_total";

/// An automated app from a repository that nobody looks at for an hour, unless somebody says that it moved.
fn shop(scene: &Scene) -> (Agent, GitServer, Repo) {
    scene.poll_seldom();
    let agent = scene.agent();
    let server = GitServer::start(scene.repos());
    let repo = scene.repo("shop");
    let revision = repo.write("web.yaml", &config_map("web", "one")).commit("first");
    let app = scene.application("shop").set("/spec/source/repoURL", server.url("shop"));
    app.revision("main").automated().create();
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
    (agent, server, repo)
}

fn secret(scene: &Scene, name: &str, data: &Value) {
    let metadata = json!({"name": name, "namespace": scene.control});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data});
    scene.create(&secret).expect("it is the first");
}

/// GitHub's payload for a push to the repository, whose page is not where it is cloned from.
fn github(server: &GitServer, after: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/webhooks");
    let text = fs::read_to_string(format!("{folder}/github_push.json")).expect("the fixture is there");
    let mut payload: Value = serde_json::from_str(&text).expect("it is JSON");
    let page = server.url("Shop").replace("http://", "https://ada@").replace(".git", "");
    payload["repository"]["html_url"] = page.into();
    payload["after"] = after.into();
    payload.to_string()
}

/// HMAC by SHA-256 (RFC 2104), for a key of at most one block.
fn sign(secret: &str, body: &str) -> String {
    let keyed = |by: u8| {
        let mut block = [by; 64];
        block.iter_mut().zip(secret.bytes()).for_each(|(byte, key)| *byte ^= key);
        block.to_vec()
    };
    let inner = model::digest(&[keyed(0x36).as_slice(), body.as_bytes()].concat());
    let outer = model::digest(&[keyed(0x5c).as_slice(), inner.bytes().as_slice()].concat());
    outer.bytes().iter().fold("sha256=".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}

fn push(agent: &Agent, body: &str, signature: Option<&str>) -> Answer {
    let mut headers = vec![("X-GitHub-Event", "push")];
    headers.extend(signature.map(|signature| ("X-Hub-Signature-256", signature)));
    agent.post_with(PATH, &headers, body)
}

// N47: missing and wrong signatures, and one of another body
#[test]
fn a_signed_webhook_deploys_what_no_poll_would_find_and_an_unsigned_one_does_nothing() {
    let scene = Scene::new("webhook");
    secret(&scene, "argocd-secret", &json!({"webhook.github.secret": "$hooks:github.key"}));
    secret(&scene, "hooks", &json!({"github.key": "canary-of-the-hook\n"}));
    let (agent, server, repo) = shop(&scene);
    let revision = repo.write("web.yaml", &config_map("web", "two")).commit("second");
    let body = github(&server, &revision);
    let right = sign("canary-of-the-hook", &body);
    let other = sign("canary-of-the-hook", &body.replace("Shop", "Shed"));
    let (polls, looks) = (agent.metric(POLLS), server.n_looks());
    for wrong in [None, Some(""), Some("sha256="), Some(&*sign("other", &body)), Some(&*other)] {
        let answer = push(&agent, &body, wrong);
        assert_eq!((answer.status, &answer.json()["code"]), (401, &json!(16)), "{wrong:?}: {answer:?}");
    }
    scene.let_pass("marker");
    // The marker's own repository is looked at, and nothing else.
    assert_eq!(server.n_looks(), looks);

    let answer = push(&agent, &body, Some(&right));
    assert_eq!(answer.status, 202, "{answer:?}");
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
    assert!(agent.metric(POLLS) > polls && server.n_looks() > looks);
    assert_eq!(agent.metric("tautline_webhooks_total{answer=\"Refused\"}"), 5);
    assert_eq!(agent.metric("tautline_webhooks_total{answer=\"Accepted\"}"), 1);
    assert!(!agent.log_text().contains("canary"), "{}", agent.log_text());
}

// N44: more webhooks that never end than are read in a while
#[test]
fn webhooks_that_never_end_keep_no_signed_one_out_and_are_counted_as_refused() {
    let scene = Scene::new("dripping");
    secret(&scene, "argocd-secret", &json!({"webhook.github.secret": "canary-of-the-hook"}));
    let (agent, server, repo) = shop(&scene);
    let revision = repo.write("web.yaml", &config_map("web", "two")).commit("second");
    let body = github(&server, &revision);
    let begun = format!(
        "POST {PATH} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
        agent.api()
    );
    let drip = || {
        let mut stream = TcpStream::connect(agent.api()).expect("the agent listens");
        stream.write_all(begun.as_bytes()).expect("it reads");
        stream
    };
    let _dripping: Vec<TcpStream> = (0..64).map(|_| drip()).collect();
    let sent = Instant::now();
    let answer = push(&agent, &body, Some(&sign("canary-of-the-hook", &body)));
    // A body has 10 s.
    assert!(
        answer.status == 202 && sent.elapsed() < Duration::from_secs(8),
        "{:?}: {answer:?}",
        sent.elapsed()
    );
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
    let refused = "tautline_webhooks_total{answer=\"Refused\"} 64";
    agent.wait_probe("/metrics", |answer| answer.body.lines().any(|line| line == refused));
}

// N46: a payload that names an old commit, a thousand times
#[test]
fn a_thousand_replays_cost_a_poll_a_second_and_bring_no_old_commit_back() {
    let scene = Scene::new("replays");
    let (agent, server, repo) = shop(&scene);
    let old = repo.head();
    let revision = repo.write("web.yaml", &config_map("web", "two")).commit("second");
    let body = github(&server, &old);
    let (polls, begin) = (agent.metric(POLLS), Instant::now());
    for _ in 0..1_000 {
        assert_eq!(push(&agent, &body, None).status, 202);
    }
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
    let polls = agent.metric(POLLS) - polls;
    let most = begin.elapsed().as_secs() + 2;
    assert!((1..=most).contains(&polls), "{polls} polls, at most {most} were expected");
    // What follows is what Git says.
    let third = repo.write("web.yaml", &config_map("web", "three")).commit("third");
    let generic = json!({"repository": server.url("shop"), "revision": old}).to_string();
    assert_eq!(agent.post_with(PATH, &[], &generic).status, 202);
    let states = scene.watch_app("shop", |app| is_synced_to(app, &third));
    assert!(states.iter().all(|app| app["status"]["sync"]["revision"] != old), "{states:#?}");
    // Another repository's webhook concerns nobody here.
    let (looks, elsewhere) = (server.n_looks(), json!({"repository": "https://git.example.com/team/shop"}));
    assert_eq!(agent.post_with(PATH, &[], &elsewhere.to_string()).status, 202);
    scene.let_pass("marker");
    assert_eq!(server.n_looks(), looks);
}

#[test]
fn a_secret_that_is_changed_counts_at_once() {
    let scene = Scene::new("rehooked");
    let (agent, server, repo) = shop(&scene);
    let body = json!({"project": {"git_http_url": server.url("shop")}}).to_string();
    let send = |token: &str| {
        agent.post_with(PATH, &[("X-Gitlab-Event", "Push Hook"), ("X-Gitlab-Token", token)], &body).status
    };
    let wait = |token: &str, expected: u16| {
        let end = Instant::now() + DEADLINE;
        while send(token) != expected {
            assert!(Instant::now() < end, "{token} is not answered with {expected}");
        }
    };
    assert_eq!(send("any"), 202, "nothing is set");
    secret(&scene, "argocd-secret", &json!({"webhook.gitlab.secret": "first"}));
    wait("any", 401);
    assert_eq!(send("first"), 202);
    let patch = json!({"stringData": {"webhook.gitlab.secret": "second"}});
    scene.patch("v1", "Secret", &scene.control, "argocd-secret", &patch);
    wait("first", 401);
    let revision = repo.write("web.yaml", &config_map("web", "two")).commit("second");
    assert_eq!(send("second"), 202);
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
    // A reference that leads nowhere opens nothing.
    let patch = json!({"stringData": {"webhook.gitlab.secret": "$nowhere:key.of.it"}});
    scene.patch("v1", "Secret", &scene.control, "argocd-secret", &patch);
    wait("second", 503);
    agent.wait_log(|line| line.to_string().contains("refers to key.of.it of the Secret nowhere"));
    scene.delete("v1", "Secret", &scene.control, "argocd-secret");
    wait("any", 202);
}
