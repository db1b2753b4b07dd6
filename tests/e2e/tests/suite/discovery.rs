//! What if discovery does not tell of a kind that is there, and what if a kind is really gone?

use std::time::{Duration, Instant};

use e2e::{
    ANYTHING, Agent, Asked, DEADLINE, Entry, Fault, Proxy, Refusal, Repo, Rule, Scene, Verb, condition,
    config_map, is_synced_to, sync_status,
};
use serde_json::{Value, json};

const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";

/// A kind of the scene's own, an app that has a `Box` of it, and an agent that sees the API server through a proxy.
struct Case<'a> {
    scene: &'a Scene,
    proxy: Proxy,
    group: String,
    agent: Agent,
    repo: Repo,
}

impl<'a> Case<'a> {
    fn begin(scene: &'a Scene) -> Self {
        let group = scene.install_boxes(ANYTHING);
        let proxy = Proxy::start(scene);
        let mut settings = scene.settings();
        settings.kubeconfig = proxy.kubeconfig(scene);
        let agent = scene.start(settings);
        let manifest =
            format!("apiVersion: {group}/v1\nkind: Box\nmetadata: {{name: a}}\nspec: {{size: 1}}\n");
        let files = [("box.yaml", manifest.as_str()), ("web.yaml", &config_map("web", "one"))];
        let repo = scene.deployed("shop", &files);
        scene.patch_app("shop", &json!({"metadata": {"finalizers": [FINALIZER]}}));
        Self { scene, proxy, group, agent, repo }
    }

    /// Has discovery leave the group out: the answer of all groups lacks it, and where `own` says so the group's own answer
    /// is an error. Then lets the agent look, for something else is defined.
    fn hide(&self, own: Option<Refusal>) {
        self.proxy.hide_group(Some(&self.group));
        if let Some(refusal) = own {
            let target = Self::asks(&format!("/apis/{}", self.group));
            self.proxy.arm(&[Rule { target, skip: 0, fault: Fault::Refuse(refusal), times: usize::MAX }]);
        }
    }

    fn show(&self) {
        self.proxy.hide_group(None);
        self.proxy.disarm();
    }

    fn asks(path: &str) -> Asked {
        let nothing = String::new;
        Asked { verb: Verb::Discover, resource: path.into(), namespace: nothing(), name: nothing() }
    }

    /// Defines something else, and returns once the agent has looked which kinds there are.
    fn let_look(&self) {
        let all = Self::asks("/apis");
        let n_looks = || self.proxy.entries().iter().filter(|entry| is_answered(entry, &all)).count();
        let before = n_looks();
        let group = format!("other.{}", self.group);
        self.scene.kubectl_apply(&format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: others.{group}}}\nspec:\n  \
             group: {group}\n  scope: Namespaced\n  names: {{plural: others, singular: other, kind: Other}}\n  versions:\n  \
             - {{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {{type: object}}}}}}\n"
        ));
        self.wait("the agent does not look which kinds there are", || n_looks() > before);
        // What it saw is taken in before what is asked later.
        self.scene.let_pass("marker");
    }

    fn wait(&self, what: &str, is_done: impl Fn() -> bool) {
        let end = Instant::now() + DEADLINE;
        while !is_done() {
            assert!(Instant::now() < end, "{what}:\n{}", self.agent.log_text());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn get_box(&self) -> Option<Value> {
        self.scene.get(&format!("{}/v1", self.group), "Box", &self.scene.namespace, "a")
    }

    fn wait_box_gone(&self) {
        let version = format!("{}/v1", self.group);
        self.scene.wait_object(&version, "Box", &self.scene.namespace, "a", |found| found.is_none());
    }

    /// Deletes the app and asserts that it waits for the kind; lets the kind be seen then, and asserts that both go.
    fn waits_for_the_kind(&self, show: impl FnOnce()) {
        self.scene.delete_app("shop");
        let waits = |app: &Value| condition(app, "DeletionError").contains(&format!("Box.{}", self.group));
        self.scene.wait_app("shop", waits);
        assert!(self.get_box().is_some(), "it is deleted unseen");
        show();
        self.scene.wait_app_gone("shop");
        assert!(self.get_box().is_none(), "the app ended before its objects");
    }

    fn define(&self, patch: &Value) {
        let name = format!("boxes.{}", self.group);
        self.scene.patch("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", &name, patch);
    }
}

fn is_answered(entry: &Entry, asked: &Asked) -> bool {
    entry.asked == *asked && entry.status == Some(200)
}

#[test]
fn a_kind_that_discovery_leaves_out_is_pruned_as_ever() {
    let scene = Scene::new("left-out");
    let case = Case::begin(&scene);
    case.hide(None);
    case.let_look();
    assert_eq!(sync_status(&scene.app("shop")), "Synced");
    let revision = case.repo.remove("app/box.yaml").commit("without it");
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
    assert!(case.get_box().is_none(), "it was left behind");
}

#[test]
fn a_kind_that_discovery_leaves_out_is_deleted_with_its_app_even_after_a_restart() {
    let scene = Scene::new("left-out-end");
    let mut case = Case::begin(&scene);
    case.hide(None);
    case.agent.restart();
    scene.delete_app("shop");
    scene.wait_app_gone("shop");
    assert!(case.get_box().is_none(), "the app ended before its objects");
}

#[test]
fn while_nobody_can_tell_whether_a_kind_is_there_no_deletion_ends_and_nothing_is_taken_as_pruned() {
    let scene = Scene::new("untold");
    let case = Case::begin(&scene);
    case.hide(Some(Refusal::Unavailable));
    case.let_look();
    let revision = case.repo.remove("app/box.yaml").commit("without it");
    scene.let_pass("later");
    assert!(!is_synced_to(&scene.app("shop"), &revision), "it is not pruned, and said to be");
    assert!(case.get_box().is_some());
    case.show();
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
    case.wait_box_gone();
}

#[test]
fn a_start_that_cannot_tell_whether_a_kind_is_there_holds_the_deletion_of_its_app() {
    let scene = Scene::new("untold-start");
    let mut case = Case::begin(&scene);
    case.hide(Some(Refusal::Unavailable));
    case.agent.restart();
    case.waits_for_the_kind(|| case.show());
}

#[test]
fn a_kind_whose_definition_is_there_is_not_gone_though_nothing_of_it_is_served() {
    let scene = Scene::new("unserved");
    let case = Case::begin(&scene);
    let stored = scene.get(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "",
        &format!("boxes.{}", case.group),
    );
    let versions = stored.expect("it is installed")["spec"]["versions"].clone();
    let mut unserved = versions.clone();
    for version in unserved.as_array_mut().expect("there are two") {
        version["served"] = json!(false);
    }
    case.define(&json!({"spec": {"versions": unserved}}));
    let unseen = format!("Box.{} is not seen since", case.group);
    scene.wait_app("shop", |app| condition(app, "ComparisonError").contains(&unseen));
    scene.delete_app("shop");
    scene.wait_app("shop", |app| condition(app, "DeletionError").contains(&unseen));
    case.define(&json!({"spec": {"versions": versions}}));
    scene.wait_app_gone("shop");
    assert!(case.get_box().is_none(), "the app ended before its objects");
}

#[test]
fn a_kind_whose_definition_is_deleted_holds_nothing_up() {
    let scene = Scene::new("undefined");
    let case = Case::begin(&scene);
    let begun = Instant::now();
    scene.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", &format!("boxes.{}", case.group));
    let is_missing = |app: &Value| {
        let is_it = |line: &&Value| line["kind"] == "Box";
        let line = app["status"]["resources"].as_array().and_then(|lines| lines.iter().find(is_it));
        line.is_some_and(|line| line["status"] == "OutOfSync") && sync_status(app) == "OutOfSync"
    };
    scene.wait_app("shop", is_missing);
    scene.delete_app("shop");
    scene.wait_app_gone("shop");
    let no_web = scene.config_map("web").is_none();
    assert!(no_web && begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
}

#[test]
fn a_kind_that_comes_back_with_another_scope_moves_its_objects() {
    let scene = Scene::new("rescoped");
    let case = Case::begin(&scene);
    let name = format!("boxes.{}", case.group);
    let mut crd =
        scene.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", &name).expect("it is installed");
    scene.lab.kubectl(&["delete", "crd", &name]).unwrap_or_else(|error| panic!("{error:#}"));
    crd["spec"]["scope"] = json!("Cluster");
    crd["metadata"] = json!({"name": name});
    scene.create(&crd).unwrap_or_else(|error| panic!("{error}"));
    // No commit, and nobody asks.
    let is_there = || scene.lab.kubectl(&["get", &name, "a", "-o", "jsonpath={.metadata.namespace}."]).ok();
    case.wait("the object does not come back", || is_there().is_some());
    assert_eq!(is_there().as_deref(), Some("."), "it has a namespace");
    scene.wait_app("shop", |app| is_synced_to(app, &case.repo.head()));
}
