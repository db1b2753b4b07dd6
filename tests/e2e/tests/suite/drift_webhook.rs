//! Is what a mutating webhook changes on the way in no drift, and is it applied only once?

use e2e::{Agent, Scene, Webhook, is_synced_to, sync_status};
use serde_json::{Value, json};

fn applies(agent: &Agent) -> u64 {
    agent.metric("tautline_applies_total")
}

/// A `ConfigMap` whose `key` is `one`, deployed below a webhook.
struct Below {
    scene: Scene,
    label: String,
    agent: Agent,
    _webhook: Webhook,
}

impl Below {
    fn deploy(name: &str, webhook: impl FnOnce(&Scene) -> Webhook) -> Self {
        let scene = Scene::new(name);
        let label = scene.unique("mutated");
        let webhook = webhook(&scene);
        webhook.install(&scene, &label, "ConfigMap");
        let repo = scene.repo("shop");
        let labels = format!("name: web\n  labels: {{{label}: \"yes\"}}");
        repo.write("web.yaml", &e2e::config_map("web", "one").replace("name: web", &labels));
        let revision = repo.commit("first");
        scene.application("shop").repo(&repo).automated().create();
        let agent = scene.agent();
        scene.wait_app("shop", |app| is_synced_to(app, &revision));
        Self { scene, label, agent, _webhook: webhook }
    }

    fn data(&self) -> Option<Value> {
        self.scene.config_map("web").map(|map| map["data"].clone())
    }

    /// Changes what Git says nothing of, and waits until that was looked at.
    fn touch(&self) {
        self.scene.edit_as("ops", "configmap/web", &json!({"metadata": {"labels": {"touched": "yes"}}}));
        self.scene.let_pass("other");
    }

    /// Changes what Git says something of, and waits until it is `stored` again and nothing follows.
    fn edit(&self, stored: &Value) {
        self.scene.edit_as("ops", "configmap/web", &json!({"data": {"key": "two"}}));
        self.agent.wait_log(|line| line["reason"] == "Drift");
        self.scene.wait_config_map("web", |web| web.is_some_and(|web| web["data"] == *stored));
        self.scene.wait_app("shop", |app| sync_status(app) == "Synced");
        self.scene.let_pass("third");
    }

    fn end(self) {
        Webhook::uninstall_mutating(&self.scene, &self.label);
    }
}

/// Has it touched and edited below a webhook: `stored` is what it must come to, and nothing is applied that need not be.
fn is_applied_only_when_it_drifts(name: &str, patch: fn(&Value) -> Value, stored: &Value) {
    let below = Below::deploy(name, |scene| Webhook::mutating(scene.lab, patch));
    assert_eq!(below.data().as_ref(), Some(stored));
    below.touch();
    assert_eq!(applies(&below.agent), 2, "the object and the other app's");
    assert_eq!(sync_status(&below.scene.app("shop")), "Synced");
    below.edit(stored);
    assert_eq!(applies(&below.agent), 4, "one correction, and the third app's object");
    assert_eq!(sync_status(&below.scene.app("shop")), "Synced");
    below.end();
}

#[test]
fn a_field_that_a_webhook_defaults_is_no_drift() {
    let patch = |object: &Value| {
        let is_set = object["data"].is_null() || !object["data"]["added"].is_null();
        if is_set { json!([]) } else { json!([{"op": "add", "path": "/data/added", "value": "yes"}]) }
    };
    is_applied_only_when_it_drifts("webhook-adds", patch, &json!({"key": "one", "added": "yes"}));
}

#[test]
fn a_field_of_git_that_a_webhook_changes_is_not_fought_over() {
    let patch = |object: &Value| match object["data"]["key"].as_str() {
        Some(key) => json!([{"op": "replace", "path": "/data/key", "value": key.to_uppercase()}]),
        None => json!([]),
    };
    is_applied_only_when_it_drifts("webhook-overrules", patch, &json!({"key": "ONE"}));
}

/// Returns how often the API server was asked what an apply of a `ConfigMap` would do.
fn dry_runs(agent: &Agent) -> u64 {
    agent.requests().get("dry-run ConfigMap").copied().unwrap_or(0)
}

/// Has it touched and edited below a webhook that does not do to a dry-run what it does to an apply. What it comes to is told,
/// corrected a few times at most, and left alone then.
fn is_told_and_not_fought_over(name: &str, patch: fn(&Value) -> Value, stored: &Value) {
    let below = Below::deploy(name, |scene| Webhook::mutating_by_request(scene.lab, patch));
    below.touch();
    below.edit(stored);
    let agent = &below.agent;
    // Whoever judged a correction by a dry-run would find the next difference at once, and only wait with the next correction.
    let app = below.scene.app("shop");
    assert_eq!(sync_status(&app), "Synced", "{app:#}\n{}", agent.log_text());
    let (n_applies, n_dry_runs) = (applies(agent), dry_runs(agent));
    assert!(n_applies <= 6 && n_dry_runs <= 4, "{n_applies}, {n_dry_runs}\n{}", agent.log_text());
    assert_eq!(below.data().as_ref(), Some(stored));
    below.end();
}

#[test]
fn a_webhook_that_changes_only_dry_runs_is_told_and_not_fought_over() {
    // That it changes the key at all is what a dry-run is needed for.
    let patch = |request: &Value| {
        let mut patch = Vec::new();
        if let Some(key) = request["object"]["data"]["key"].as_str() {
            patch.push(json!({"op": "replace", "path": "/data/key", "value": key.to_uppercase()}));
            if request["dryRun"] == true {
                patch.push(json!({"op": "add", "path": "/data/tried", "value": "yes"}));
            }
        }
        Value::Array(patch)
    };
    is_told_and_not_fought_over("webhook-tries", patch, &json!({"key": "ONE"}));
}

#[test]
fn a_webhook_that_changes_all_but_dry_runs_is_told_and_not_fought_over() {
    let patch = |request: &Value| match request["object"]["data"]["key"].as_str() {
        Some(key) if request["dryRun"] != true => {
            json!([{"op": "replace", "path": "/data/key", "value": key.to_uppercase()}])
        }
        Some(_) | None => json!([]),
    };
    is_told_and_not_fought_over("webhook-spares-dry-runs", patch, &json!({"key": "ONE"}));
}
