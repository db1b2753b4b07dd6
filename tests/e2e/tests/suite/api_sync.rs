//! What does a request to sync come to while others write the Application, too?
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::sync::Barrier;

use e2e::{Agent, Answer, Asked, Fault, Proxy, Rule, Scene, operation_phase, sync_status};
use serde_json::json;

const SYNC: &str = "/api/v1/applications/shop/sync";
/// Callers at once.
const MANY: usize = 8;

/// An app that nobody syncs, whose sync waits for a pod that never becomes ready.
fn shop(scene: &Scene) {
    let repo = scene.repo("shop");
    repo.write(
        "app/web.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n  \
         template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: web, image: 'web:never-ready'}]}\n",
    );
    repo.commit("first");
    scene.application("shop").repo(&repo).path("app").create();
    scene.wait_app("shop", |app| sync_status(app) == "OutOfSync");
}

/// Posts from many threads at the same moment.
fn at_once(agent: &Agent) -> Vec<Answer> {
    let start = Barrier::new(MANY);
    std::thread::scope(|scope| {
        let post = || {
            start.wait();
            agent.post_with(SYNC, &[], "{\"prune\": true}")
        };
        let callers: Vec<_> = (0..MANY).map(|_| scope.spawn(post)).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    })
}

#[test]
fn equal_requests_at_once_are_one_operation_and_all_are_told_so() {
    let scene = Scene::new("sync-at-once");
    let agent = scene.agent();
    shop(&scene);
    let answers = at_once(&agent);
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200; MANY], "{answers:#?}");
    for answer in &answers {
        assert_eq!(answer.json()["operation"]["sync"], json!({"prune": true}), "{answer:?}");
    }
    scene.wait_app("shop", |app| operation_phase(app) == "Running");
    let begun = agent.log().iter().filter(|line| line["reason"] == "Requested").count();
    assert!(begun <= 1, "{}", agent.log_text());
    let other = agent.post(SYNC, &json!({}));
    assert_eq!(other.status, 400, "{other:?}");
}

/// An agent that does not hear any more what others write to the app.
fn deaf(scene: &Scene) -> (Proxy, Agent) {
    let proxy = Proxy::start(scene);
    let mut settings = scene.settings();
    settings.kubeconfig = proxy.kubeconfig(scene);
    let agent = scene.start(settings);
    shop(scene);
    let target = Asked::parse("watch applications.argoproj.io control/*").unwrap();
    proxy.arm(&[Rule { target, skip: 0, fault: Fault::Freeze, times: usize::MAX }]);
    (proxy, agent)
}

#[test]
fn a_request_beside_another_write_to_the_application_is_taken() {
    let scene = Scene::new("sync-beside");
    let (_proxy, agent) = deaf(&scene);
    scene.patch_app("shop", &json!({"metadata": {"annotations": {"example.com/note": "written meanwhile"}}}));
    let answer = agent.post(SYNC, &json!({"dryRun": true}));
    assert_eq!(answer.status, 200, "{answer:?}");
    let shown = answer.json();
    assert_eq!(shown["operation"]["sync"], json!({"dryRun": true}), "{shown}");
    assert_eq!(shown["metadata"]["annotations"]["example.com/note"], "written meanwhile");
}

#[test]
fn what_was_done_to_the_application_meanwhile_is_told() {
    let scene = Scene::new("sync-skipped");
    let (_proxy, agent) = deaf(&scene);
    let skip = "argocd.argoproj.io/skip-reconcile";
    scene.patch_app("shop", &json!({"metadata": {"annotations": {skip: "true"}}}));
    let answer = agent.post(SYNC, &json!({}));
    assert_eq!(answer.status, 409, "{answer:?}");
    assert!(answer.json()["message"].as_str().unwrap().contains(skip), "{answer:?}");

    let scene = Scene::new("sync-gone");
    let (_proxy, agent) = deaf(&scene);
    scene.delete_app("shop");
    scene.wait_app_gone("shop");
    assert_eq!(agent.post(SYNC, &json!({})).status, 404);
}

#[test]
fn an_operation_that_was_written_meanwhile_is_the_callers_own_or_in_its_way() {
    for (posted, status) in [(json!({"prune": true}), 200), (json!({}), 400)] {
        let scene = Scene::new("sync-meanwhile");
        let (_proxy, agent) = deaf(&scene);
        let operation = json!({"sync": {"prune": true}, "initiatedBy": {"username": "ops"}});
        scene.patch_app("shop", &json!({"operation": operation}));
        let answer = agent.post(SYNC, &posted);
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(scene.app("shop")["operation"], operation, "it was written over");
    }
}

#[test]
fn nobody_is_told_of_what_ended_before_the_agent_heard_of_it() {
    let scene = Scene::new("sync-ended");
    let (_proxy, agent) = deaf(&scene);
    assert_eq!(agent.post(SYNC, &json!({"prune": true})).status, 200);
    for asked in [json!({}), json!({})] {
        scene.patch_app("shop", &json!({"operation": null}));
        let answer = agent.post(SYNC, &asked);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(scene.app("shop")["operation"]["sync"], asked, "it was asked for and not written");
    }
}
