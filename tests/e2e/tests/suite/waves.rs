//! What if the API server refuses everything for a while? Nothing is concluded from it, it is not pressed, and afterwards all goes on.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::time::Duration;

use e2e::{Proxy, Refusal, Scene, Verb, config_map, is_condemned, is_synced_to};
use serde_json::json;

/// What has pods, so that its sync has a deadline.
const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: pods}\nspec:\n  \
     selector: {matchLabels: {app: pods}}\n  template:\n    metadata: {labels: {app: pods}}\n    \
     spec:\n      containers: [{name: web, image: 'IMAGE'}]\n";

/// The wave itself is the one thing that only time makes.
const LENGTH: Duration = Duration::from_secs(12);
/// How many requests may be refused meanwhile: about a dozen watches, and what is to be applied.
const MOST: usize = 150;
/// After a wave that asked to come again in a day, half a minute is waited for at most; watches have waits of their own.
const LONGEST: Duration = Duration::from_mins(3);

fn wave(name: &str, refusal: Refusal) {
    let scene = Scene::new(name);
    let proxy = Proxy::start(&scene);
    let mut settings = scene.settings();
    settings.kubeconfig = proxy.kubeconfig(&scene);
    let agent = scene.start(settings);
    let pods = |image: &str| DEPLOYMENT.replace("IMAGE", image);
    let (web, old) = (config_map("web", "one"), config_map("old", "one"));
    let files = [("web.yaml", &*web), ("old.yaml", &*old), ("pods.yaml", &*pods("web:1"))];
    let repo = scene.deployed("shop", &files);
    // Whoever concluded anything from the wave would go back.
    let hasty = json!({"tautline.dev/deadline": "5s", "tautline.dev/soak": "1s"});
    scene.patch_app("shop", &json!({"metadata": {"annotations": hasty}}));
    agent.wait_log(|line| line["message"] == "a release is kept");

    // Something is under way when it begins, and something is edited while nobody sees it.
    let before = proxy.entries().len();
    repo.write("app/web.yaml", &config_map("web", "two")).write("app/pods.yaml", &pods("web:2"));
    let revision = repo.remove("app/old.yaml").commit("two");
    proxy.refuse_all(Some(refusal));
    scene.patch("v1", "ConfigMap", &scene.namespace, "web", &json!({"data": {"key": "by hand"}}));
    std::thread::sleep(LENGTH);
    let n_refused = proxy.entries().len() - before;
    proxy.refuse_all(None);

    let key = ("argoproj.io/v1alpha1", "Application", scene.control.as_str(), "shop");
    let app = scene.wait_object_for(LONGEST, key, |app| app.is_some_and(|app| is_synced_to(app, &revision)));
    let app = app.unwrap();
    let own = app["metadata"]["annotations"]["tautline.dev/state"].as_str().unwrap_or_default();
    assert!(
        !is_condemned(&app) && !own.contains("quarantine") && !own.contains("held"),
        "{refusal:?}: {own}"
    );
    assert!(agent.log().iter().all(|line| line["reason"] != "RollingBack"), "{refusal:?}");
    // It may have been Synced before the edit, which is undone a moment later then.
    scene.wait_config_map("web", |web| web.is_some_and(|web| web["data"]["key"] == "two"));
    scene.wait_config_map("old", |old| old.is_none());
    agent.wait_ready();
    assert!(n_refused <= MOST, "{refusal:?}: {n_refused} requests in {LENGTH:?}\n{}", agent.log_text());
    let deleted = proxy.entries().into_iter().filter(|entry| entry.asked.verb == Verb::Delete);
    let names: Vec<String> = deleted.map(|entry| entry.asked.name).collect();
    assert!(names.iter().all(|name| name == "old"), "{refusal:?}: {names:?}");
}

#[test]
fn whatever_is_refused_for_a_while_is_done_afterwards() {
    let refusals = [
        ("wave-401", Refusal::Unauthorized),
        ("wave-403", Refusal::Forbidden),
        ("wave-409", Refusal::Conflict),
        ("wave-429", Refusal::ThrottledForADay),
        ("wave-etcd", Refusal::Etcd),
        ("wave-503", Refusal::Unavailable),
    ];
    std::thread::scope(|threads| {
        for (name, refusal) in refusals {
            threads.spawn(move || wave(name, refusal));
        }
    });
}
