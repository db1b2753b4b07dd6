//! What if something of a release is gone: its objects, its app, the key that it is sealed with?

use e2e::{Agent, Repo, Scene, config_map, is_synced_to};
use serde_json::{Value, json};

/// Deploys an app of one `ConfigMap` whose states are stable after a second, and waits until the first one is a release.
fn deployed(scene: &Scene, name: &str) -> Repo {
    let repo = scene.repo(name);
    repo.write("web.yaml", &config_map(name, "one")).commit("one");
    create(scene, name, &repo);
    kept(scene, name, 1);
    repo
}

fn create(scene: &Scene, name: &str, repo: &Repo) {
    let app = scene.application(name).repo(repo).automated().annotation("tautline.dev/soak", "1s");
    app.set("/spec/revisionHistoryLimit", 4).finalizer("resources-finalizer.argocd.argoproj.io").create();
}

fn secret(scene: &Scene, name: &str, is_done: impl FnMut(Option<&Value>) -> bool) -> Option<Value> {
    scene.wait_object("v1", "Secret", &scene.control, &format!("tautline-release.{name}"), is_done)
}

fn kept(scene: &Scene, app: &str, number: u64) -> Value {
    secret(scene, &format!("{app}.v{number}"), |secret| secret.is_some()).expect("it held for a Secret")
}

fn of(releases: &Value, list: &str, field: &str) -> Vec<Value> {
    releases[list].as_array().into_iter().flatten().map(|release| release[field].clone()).collect()
}

/// Asks an agent, and the cluster by the command line, to go back to a release; both refuse it with the same sentence.
fn refused(scene: &Scene, agent: &Agent, id: u64, (status, code): (u16, i32)) -> String {
    let answer = agent.post("/api/v1/applications/shop/rollback", &json!({"id": id}));
    assert_eq!(answer.status, status, "{answer:?}");
    let why = answer.json()["message"].as_str().unwrap_or_default().to_owned();
    let server = format!("http://{}", agent.api());
    let (id, control) = (id.to_string(), scene.control.as_str());
    let command = ["app", "rollback", "shop", &id, "-n", control];
    for more in [&[][..], &["--server", &server]] {
        let told = scene.tautline(&[&command, more].concat());
        assert_eq!((told.code, told.out.as_str()), (code, ""), "{told:?}");
        assert!(told.err.contains(&why), "{told:?} does not say: {why}");
    }
    why
}

#[test]
fn a_release_whose_objects_were_trimmed_is_not_gone_back_to_and_nothing_changes() {
    let scene = Scene::new("release-trimmed");
    let agent = scene.agent();
    let repo = deployed(&scene, "shop");
    for number in 2..=5 {
        repo.write("web.yaml", &config_map("shop", &format!("value {number}"))).commit("another");
        kept(&scene, "shop", number);
    }
    secret(&scene, "shop.v1", |secret| secret.is_none());
    secret(&scene, "shop.v2", |secret| secret.is_some_and(|secret| secret["data"]["payload"].is_null()));
    scene.let_pass("before");
    let all = || (scene.app("shop"), scene.config_map("shop"));
    let before = all();
    let why = refused(&scene, &agent, 2, (400, 6));
    assert_eq!(
        why,
        format!(
            "release 2 of {}/shop is remembered without its objects, which are kept for the stable release and the two \
             before it; choose one of those",
            scene.control
        )
    );
    let why = refused(&scene, &agent, 1, (404, 4));
    assert!(why.ends_with("does not exist; `tautline app history shop` lists those that do"), "{why}");
    scene.let_pass("after");
    assert_eq!(all(), before);
    // One of those that are named there.
    assert_eq!(agent.post("/api/v1/applications/shop/rollback", &json!({"id": 3})).status, 200);
    scene.wait_config_map("shop", |web| web.is_some_and(|web| web["data"]["key"] == "value 3"));
}

#[test]
fn releases_go_with_their_app_and_one_of_the_same_name_begins_anew() {
    let scene = Scene::new("release-orphans");
    let agent = scene.agent();
    let repo = deployed(&scene, "shop");
    deployed(&scene, "till");
    repo.write("web.yaml", &config_map("shop", "two")).commit("two");
    kept(&scene, "shop", 2);
    scene.delete_app("shop");
    scene.wait_app_gone("shop");
    for name in ["shop.v1", "shop.v2"] {
        secret(&scene, name, |secret| secret.is_none());
    }
    kept(&scene, "till", 1);
    assert!(scene.get("v1", "Secret", &scene.control, "tautline-release-key").is_some(), "it is all apps'");
    create(&scene, "shop", &repo);
    let first = kept(&scene, "shop", 1);
    assert_eq!(first["metadata"]["ownerReferences"][0]["uid"], scene.app("shop")["metadata"]["uid"]);
    let told = agent.get("/api/v1/applications/shop/releases").json();
    assert_eq!((of(&told, "items", "id"), of(&told, "refused", "id")), (vec![json!(1)], vec![]), "{told:#}");
}

#[test]
fn when_the_key_is_lost_old_releases_are_not_used_and_what_is_found_becomes_one() {
    let scene = Scene::new("release-keyless");
    let mut agent = scene.agent();
    let repo = deployed(&scene, "shop");
    let first = kept(&scene, "shop", 1);
    assert_eq!(agent.terminate().code(), Some(0));
    scene.delete("v1", "Secret", &scene.control, "tautline-release-key");
    agent.restart();
    let line = agent.wait_log(|line| line["message"] == "a release is not used");
    let told = line["refusal"].as_str().unwrap_or_default();
    let expected =
        format!("release 1 of {}/shop does not match: it is sealed with another key", scene.control);
    assert!(told.starts_with(&expected), "{told}");
    kept(&scene, "shop", 2);
    let told = agent.get("/api/v1/applications/shop/releases").json();
    assert_eq!((of(&told, "items", "id"), of(&told, "refused", "id")), (vec![json!(2)], vec![json!(1)]));
    assert_eq!(kept(&scene, "shop", 1), first, "what another key sealed is left to people");
    let why = refused(&scene, &agent, 1, (400, 6));
    assert!(why.contains("another key than the one in Secret tautline-release-key"), "{why}");
    // From here on all is as ever.
    let second = repo.write("web.yaml", &config_map("shop", "two")).commit("two");
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    kept(&scene, "shop", 3);
    assert_eq!(agent.post("/api/v1/applications/shop/rollback", &json!({})).status, 200);
    scene.wait_config_map("shop", |web| web.is_some_and(|web| web["data"]["key"] == "one"));
}
