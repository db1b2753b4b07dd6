//! Does the agent end in time on SIGTERM whatever it is about, and does its successor finish it?
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::time::{Duration, Instant};

use e2e::{
    Agent, Asked, Fault, GitServer, Proxy, Refusal, Rule, Scene, config_map, is_synced_to, operation_phase,
};
use serde_json::{Value, json};

/// A pod has 30 s; half of it is left to a machine that is busy.
const GRACE: Duration = Duration::from_secs(15);

/// A scene whose agent reaches the API server by a proxy.
struct Play {
    scene: Scene,
    proxy: Proxy,
    agent: Agent,
}

impl Play {
    fn new(name: &str, rules: &[&str]) -> Self {
        let scene = Scene::new(name);
        let proxy = Proxy::start(&scene);
        proxy.arm(&rules.iter().map(|text| held(text)).collect::<Vec<_>>());
        let mut settings = scene.settings();
        settings.kubeconfig = proxy.kubeconfig(&scene);
        let agent = scene.start(settings);
        Self { scene, proxy, agent }
    }

    /// Ends the agent, which must hand the Lease back if it has it.
    fn terminate(&mut self) {
        let asked = Instant::now();
        let status = self.agent.terminate();
        assert_eq!(status.code(), Some(0), "{}", self.agent.log_text());
        assert!(asked.elapsed() < GRACE, "it took {:?}\n{}", asked.elapsed(), self.agent.log_text());
        let lease = self.scene.get("coordination.k8s.io/v1", "Lease", &self.scene.control, "tautline");
        let holder = lease.map(|lease| lease["spec"]["holderIdentity"].clone()).unwrap_or_default();
        assert!(holder.as_str().unwrap_or_default().is_empty(), "the Lease is left to {holder}");
    }

    /// Waits until a fault has come.
    fn wait_fault(&self) {
        let end = Instant::now() + e2e::DEADLINE;
        while self.proxy.n_fired().iter().sum::<usize>() == 0 {
            assert!(Instant::now() < end, "nothing was asked\n{}", self.agent.log_text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Lets a successor come to the end.
    fn succeed(&mut self, is_done: impl Fn(&Value) -> bool) {
        self.proxy.disarm();
        self.agent.restart();
        self.scene.wait_app("shop", is_done);
    }
}

/// Returns a rule by which a request is never answered.
fn held(request: &str) -> Rule {
    let target = Asked::parse(request).unwrap();
    Rule { target, skip: 0, fault: Fault::Hold, times: usize::MAX }
}

fn deploys(scene: &Scene) -> String {
    let repo = scene.repo("shop");
    repo.write("app/web.yaml", &config_map("web", "one"));
    let revision = repo.commit("first");
    scene.application("shop").repo(&repo).path("app").automated().create();
    revision
}

#[test]
fn while_it_starts_and_the_api_server_does_not_answer() {
    let mut play = Play::new("term-start", &["list applications.argoproj.io control/*"]);
    let revision = deploys(&play.scene);
    play.wait_fault();
    play.terminate();
    play.succeed(|app| is_synced_to(app, &revision));
}

#[test]
fn while_git_does_not_answer() {
    let mut play = Play::new("term-git", &[]);
    let server = GitServer::start(play.scene.repos());
    server.hold();
    let repo = play.scene.repo("shop");
    let revision = repo.write("web.yaml", &config_map("web", "one")).commit("first");
    play.scene.application("shop").set("/spec/source/repoURL", server.url("shop")).automated().create();
    server.wait_held(1);
    play.terminate();
    server.let_go();
    play.succeed(|app| is_synced_to(app, &revision));
}

#[test]
fn while_an_apply_is_not_answered() {
    let mut play = Play::new("term-apply", &["apply configmaps app/web"]);
    let revision = deploys(&play.scene);
    play.wait_fault();
    play.terminate();
    play.succeed(|app| is_synced_to(app, &revision));
    assert_eq!(play.scene.config_map("web").unwrap()["data"]["key"], "one");
}

#[test]
fn while_a_dry_run_is_not_answered() {
    let mut play = Play::new("term-dry-run", &["dry-run configmaps app/web"]);
    let repo = play.scene.repo("shop");
    repo.write("app/web.yaml", &config_map("web", "one")).write("app/api.yaml", &config_map("api", "one"));
    let revision = repo.commit("first");
    play.scene.application("shop").repo(&repo).path("app").create();
    play.scene.wait_app("shop", |app| e2e::sync_status(app) == "OutOfSync");
    let answer = play.agent.post("/api/v1/applications/shop/sync", &json!({"dryRun": true}));
    assert_eq!(answer.status, 200, "{answer:?}");
    play.wait_fault();
    play.terminate();
    assert!(play.scene.config_map("web").is_none() && play.scene.config_map("api").is_none());
    // Its successor says how it ended, and changes nothing either.
    play.succeed(|app| matches!(operation_phase(app), "Succeeded" | "Failed" | "Error"));
    assert!(play.scene.config_map("web").is_none() && play.scene.config_map("api").is_none());
    assert_eq!(play.agent.post("/api/v1/applications/shop/sync", &json!({})).status, 200);
    play.scene.wait_app("shop", |app| is_synced_to(app, &revision));
}

#[test]
fn while_a_prune_is_not_answered() {
    let mut play = Play::new("term-prune", &["delete configmaps app/old"]);
    let repo = play.scene.deployed(
        "shop",
        &[("web.yaml", &config_map("web", "one")), ("old.yaml", &config_map("old", "one"))],
    );
    let revision = repo.remove("app/old.yaml").commit("without old");
    play.wait_fault();
    play.terminate();
    assert!(play.scene.config_map("old").is_some(), "the proxy did not hold it");
    play.succeed(|app| is_synced_to(app, &revision));
    assert!(play.scene.config_map("old").is_none() && play.scene.config_map("web").is_some());
}

#[test]
fn while_it_waits_for_the_next_try() {
    let mut play = Play::new("term-retry", &[]);
    let target = Asked::parse("apply configmaps app/web").unwrap();
    let fault = Fault::Refuse(Refusal::Unavailable);
    play.proxy.arm(&[Rule { target, skip: 0, fault, times: usize::MAX }]);
    let revision = deploys(&play.scene);
    play.scene.wait_app("shop", |app| e2e::retries(app) > 0 && operation_phase(app) == "Running");
    play.terminate();
    play.succeed(|app| is_synced_to(app, &revision));
}

#[test]
fn while_what_argo_cd_deployed_is_being_labelled() {
    let mut play = Play::new("term-takeover", &["apply configmaps app/old"]);
    let (scene, repo) = (&play.scene, play.scene.repo("shop"));
    repo.write("web.yaml", &config_map("web", "one")).commit("first");
    let id = format!(
        "name: old\n  annotations: {{'argocd.argoproj.io/tracking-id': 'shop:/ConfigMap:{}/old'}}",
        scene.namespace
    );
    scene.apply_as("argocd-controller", &config_map("old", "one").replace("name: old", &id));
    let old = json!({"version": "v1", "kind": "ConfigMap", "namespace": scene.namespace, "name": "old", "status": "Synced"});
    let status = json!({"resources": [old], "sync": {"status": "Synced", "revision": "0".repeat(40)}});
    // With the status that it was left with: what is written into one of ours later is no inheritance.
    scene.application("shop").repo(&repo).set("/status", status).create();
    play.wait_fault();
    play.terminate();
    let labelled = |map: Option<&Value>| {
        map.is_some_and(|map| map["metadata"]["labels"]["tautline.dev/part-of"].is_string())
    };
    assert!(!labelled(play.scene.config_map("old").as_ref()), "the proxy did not hold it");
    play.proxy.disarm();
    play.agent.restart();
    play.scene.wait_config_map("old", labelled);
}

#[test]
fn while_the_lease_is_refused() {
    let mut play = Play::new("term-refused", &[]);
    let fault = Fault::Refuse(Refusal::Forbidden);
    let rules =
        ["get leases.coordination.k8s.io control/tautline", "create leases.coordination.k8s.io control/*"];
    let rule = |text: &&str| Rule { target: Asked::parse(text).unwrap(), skip: 0, fault, times: usize::MAX };
    play.proxy.arm(&rules.iter().map(rule).collect::<Vec<_>>());
    play.agent.restart();
    let revision = deploys(&play.scene);
    play.wait_fault();
    play.terminate();
    assert!(play.scene.config_map("web").is_none(), "it wrote without a lease");
    let gone = ["-n", &play.scene.control, "delete", "lease", "tautline", "--ignore-not-found"];
    // One that was taken before the rules came runs out in 15 s: tests of the lease wait for that.
    play.scene.lab.kubectl(&gone).unwrap();
    play.succeed(|app| is_synced_to(app, &revision));
}

/// What a kubelet does whose grace period is over.
#[test]
fn and_is_killed_a_second_later_in_the_middle_of_a_sync() {
    let mut play = Play::new("term-killed", &["apply configmaps app/web"]);
    // It has to be asked for in vain: else it is gone before.
    play.proxy.arm(&[held("patch leases.coordination.k8s.io control/tautline")]);
    let revision = deploys(&play.scene);
    play.wait_fault();
    play.agent.ask_to_end();
    std::thread::sleep(Duration::from_secs(1));
    play.agent.kill();
    // Nobody handed the Lease back: whoever comes waits until it has run out.
    play.succeed(|app| is_synced_to(app, &revision));
    assert_eq!(play.scene.config_map("web").unwrap()["data"]["key"], "one");
}

#[test]
fn while_a_status_is_not_written() {
    let mut play = Play::new("term-status", &["patch applications.argoproj.io control/shop"]);
    let revision = deploys(&play.scene);
    play.wait_fault();
    play.terminate();
    play.succeed(|app| is_synced_to(app, &revision) && operation_phase(app) == "Succeeded");
}

#[test]
fn while_a_deployment_is_not_ready() {
    let mut play = Play::new("term-settle", &[]);
    let repo = play.scene.repo("shop");
    let deployment = |tag: &str| {
        let pod = format!(
            "metadata: {{labels: {{app: web}}}}, spec: {{containers: [{{name: web, image: 'web:{tag}'}}]}}"
        );
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\n\
             spec: {{replicas: 1, selector: {{matchLabels: {{app: web}}}}, template: {{{pod}}}}}\n"
        )
    };
    repo.write("app/web.yaml", &deployment("never-ready")).commit("first");
    play.scene.application("shop").repo(&repo).path("app").automated().create();
    play.scene.wait_app("shop", |app| operation_phase(app) == "Running");
    play.terminate();
    let revision = repo.write("app/web.yaml", &deployment("two")).commit("second");
    play.succeed(|app| is_synced_to(app, &revision) && app["status"]["health"]["status"] == "Healthy");
}

#[test]
fn while_a_deletion_waits_for_a_finalizer() {
    let mut play = Play::new("term-delete", &[]);
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, finalizers: [example.com/hold]}\ndata: {key: one}\n";
    let repo = play.scene.repo("shop");
    let revision = repo.write("app/web.yaml", map).commit("first");
    let app = play.scene.application("shop").repo(&repo).path("app").automated();
    app.finalizer("resources-finalizer.argocd.argoproj.io").create();
    play.scene.wait_app("shop", |app| is_synced_to(app, &revision));
    play.scene.delete_app("shop");
    play.scene
        .wait_config_map("web", |map| map.is_some_and(|map| !map["metadata"]["deletionTimestamp"].is_null()));
    play.terminate();
    play.agent.restart();
    let free = json!({"metadata": {"finalizers": null}});
    play.scene.patch("v1", "ConfigMap", &play.scene.namespace, "web", &free);
    play.scene.wait_app_gone("shop");
    assert!(play.scene.config_map("web").is_none());
}

#[test]
fn while_the_lease_is_somebody_elses() {
    let play = Play::new("term-standby", &[]);
    let revision = deploys(&play.scene);
    play.scene.wait_app("shop", |app| is_synced_to(app, &revision));
    let mut settings = play.scene.settings();
    settings.cache = play.scene.folder().join("cache-of-the-standby");
    let mut standby = play.scene.start(settings);
    standby.wait_ready();
    let asked = Instant::now();
    assert_eq!(standby.terminate().code(), Some(0), "{}", standby.log_text());
    assert!(asked.elapsed() < GRACE, "it took {:?}", asked.elapsed());
    play.scene.let_pass("marker");
}

#[test]
fn while_nothing_is_answered_at_all() {
    let mut play = Play::new("term-away", &[]);
    let revision = deploys(&play.scene);
    play.scene.wait_app("shop", |app| is_synced_to(app, &revision));
    play.proxy.refuse_all(Some(e2e::Refusal::Unavailable));
    let asked = Instant::now();
    assert_eq!(play.agent.terminate().code(), Some(0), "{}", play.agent.log_text());
    assert!(asked.elapsed() < GRACE, "it took {:?}", asked.elapsed());
    play.proxy.refuse_all(None);
    let gone = ["-n", &play.scene.control, "delete", "lease", "tautline"];
    // It could not be handed back, and runs out in 15 s: tests of the lease wait for that.
    play.scene.lab.kubectl(&gone).unwrap();
    play.agent.restart();
    let repo = play.scene.repo("other");
    let second = repo.write("app/late.yaml", &config_map("late", "one")).commit("first");
    play.scene.application("other").repo(&repo).path("app").automated().create();
    play.scene.wait_app("other", |app| is_synced_to(app, &second));
}
