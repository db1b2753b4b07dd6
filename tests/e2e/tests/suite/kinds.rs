//! Which kinds are watched and recorded, at which version, and for how long?

use std::time::Duration;

use e2e::{Agent, Scene, config_map, is_synced_to};
use serde_json::{Value, json};

const RECORD: &str = "tautline-kinds";

/// A kind of the scene's own, served as `v1` and `v2`.
struct Boxes<'a> {
    scene: &'a Scene,
    group: String,
}

impl<'a> Boxes<'a> {
    fn install(scene: &'a Scene) -> Self {
        Self { scene, group: scene.install_boxes(e2e::ANYTHING) }
    }

    fn manifest(&self, version: &str, name: &str) -> String {
        format!(
            "apiVersion: {}/{version}\nkind: Box\nmetadata: {{name: {name}}}\nspec: {{size: 1}}\n",
            self.group
        )
    }

    fn kind(&self) -> String {
        format!("Box.{}", self.group)
    }

    /// Returns how often an agent asked something about the kind.
    fn asked(&self, agent: &Agent, verb: &str) -> u64 {
        agent.requests().get(&format!("{verb} {}", self.kind())).copied().unwrap_or_default()
    }

    fn edit(&self, patch: &Value) {
        let version = format!("{}/v2", self.group);
        self.scene.patch(&version, "Box", &self.scene.namespace, "a", patch);
    }

    /// Returns the version that the record says; null where it says none.
    fn recorded(&self, record: Option<&Value>) -> Value {
        record.map_or(Value::Null, |record| record["data"][self.kind()].clone())
    }

    fn wait_recorded(&self, version: &Value) {
        let key = ("v1", "ConfigMap", self.scene.control.as_str(), RECORD);
        let longest = Duration::from_secs(100);
        self.scene.wait_object_for(longest, key, |record| self.recorded(record) == *version);
    }

    fn wait_watches(&self, agent: &Agent, count: u64) {
        let metric = format!("tautline_watches{{kind=\"{}\"}}", self.kind());
        agent.wait_probe("/metrics", |_| agent.metric(&metric) == count);
    }
}

#[test]
fn a_watch_follows_git_to_another_version() {
    let scene = Scene::new("versions");
    let boxes = Boxes::install(&scene);
    let mut agent = scene.agent();
    let repo = scene.deployed("boxes", &[("a.yaml", &boxes.manifest("v1", "a"))]);
    assert_eq!(boxes.asked(&agent, "watch"), 1);
    let second = repo.write("app/a.yaml", &boxes.manifest("v2", "a")).commit("v2");
    scene.wait_app("boxes", |app| is_synced_to(app, &second));
    agent.wait_probe("/metrics", |_| boxes.asked(&agent, "watch") == 2);
    boxes.wait_watches(&agent, 1);

    // What others write is judged by itself; nobody has to be asked.
    let questions = || (boxes.asked(&agent, "get"), boxes.asked(&agent, "dry-run"));
    let before = questions();
    for n in 0..5 {
        boxes.edit(&json!({"metadata": {"annotations": {"example.com/n": n.to_string()}}}));
    }
    scene.let_pass("marker");
    assert_eq!(questions(), before, "{}", agent.log_text());
    boxes.edit(&json!({"spec": {"size": 2}}));
    let version = format!("{}/v2", boxes.group);
    scene.wait_object(&version, "Box", &scene.namespace, "a", |it| {
        it.is_some_and(|it| it["spec"]["size"] == 1 && it["metadata"]["annotations"]["example.com/n"] == "4")
    });

    // A restart begins with it.
    boxes.wait_recorded(&json!(version));
    scene.wait_app("boxes", |app| is_synced_to(app, &second));
    agent.terminate();
    agent.restart();
    agent.wait_ready();
    scene.let_pass("after");
    assert_eq!((boxes.asked(&agent, "list"), boxes.asked(&agent, "watch")), (1, 1), "{}", agent.log_text());
}

#[test]
fn a_kind_of_which_nothing_is_left_is_neither_watched_nor_recorded() {
    let scene = Scene::new("idle");
    let boxes = Boxes::install(&scene);
    let agent = scene.agent();
    let repo = scene
        .deployed("shop", &[("a.yaml", &boxes.manifest("v1", "a")), ("web.yaml", &config_map("web", "one"))]);
    // One that only looks has nothing of its own.
    let looks = scene.repo("looks");
    let policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec: {podSelector: {}}\n";
    looks.write("policy.yaml", policy).commit("first");
    scene.application("looks").repo(&looks).create();
    scene.wait_app("looks", |app| app["status"]["sync"]["status"] == "OutOfSync");
    let policies = "tautline_watches{kind=\"NetworkPolicy.networking.k8s.io\"}";
    assert_eq!(agent.metric(policies), 1);
    scene.delete_app("looks");
    agent.wait_probe("/metrics", |_| agent.metric(policies) == 0);

    let second = repo.remove("app/a.yaml").commit("without");
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    boxes.wait_watches(&agent, 1);
    boxes.wait_recorded(&Value::Null);
    boxes.wait_watches(&agent, 0);

    // It comes back as it came the first time.
    let third = repo.write("app/a.yaml", &boxes.manifest("v1", "a")).commit("with");
    scene.wait_app("shop", |app| is_synced_to(app, &third));
    boxes.wait_recorded(&json!(format!("{}/v1", boxes.group)));
    boxes.wait_watches(&agent, 1);
}
