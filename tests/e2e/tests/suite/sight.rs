//! What follows when a kind cannot be seen: for the apps that it concerns, and for their neighbours?

use std::net::TcpListener;

use e2e::{Scene, condition, config_map, is_synced_to, sync_status};
use serde_json::{Value, json};

/// A kind whose objects are stored as `v1` and wanted as `v2`, so that nobody sees them while their conversion fails.
struct Boxes<'a> {
    scene: &'a Scene,
    group: String,
}

impl<'a> Boxes<'a> {
    fn install(scene: &'a Scene) -> Self {
        Self { scene, group: scene.install_boxes(e2e::ANYTHING) }
    }

    fn manifest(&self, name: &str) -> String {
        format!("apiVersion: {}/v2\nkind: Box\nmetadata: {{name: {name}}}\nspec: {{size: 1}}\n", self.group)
    }

    fn convert_by(&self, conversion: &Value) {
        let name = format!("boxes.{}", self.group);
        let patch = json!({"spec": {"conversion": conversion}});
        self.scene.patch("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", &name, &patch);
    }

    /// Has objects converted by a webhook that is not there.
    fn hide(&self) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let url = format!("https://{}/convert", listener.local_addr().expect("it listens"));
        let webhook = json!({"conversionReviewVersions": ["v1"], "clientConfig": {"url": url}});
        self.convert_by(&json!({"strategy": "Webhook", "webhook": webhook}));
    }

    fn show(&self) {
        self.convert_by(&json!({"strategy": "None", "webhook": null}));
    }

    /// What an app says that cannot see the kind.
    fn unseen(&self) -> String {
        format!("Failed to load live state: Box.{} is not seen since 2", self.group)
    }
}

#[test]
fn a_kind_that_cannot_be_seen_concerns_the_apps_that_have_it_and_no_others() {
    let scene = Scene::alone("sight");
    let boxes = Boxes::install(&scene);
    let mut agent = scene.agent();
    let with_boxes =
        scene.deployed("boxes", &[("a.yaml", &boxes.manifest("a")), ("b.yaml", &boxes.manifest("b"))]);
    let repo = scene.deployed(
        "shop",
        &[("web.yaml", &config_map("web", "one")), ("old.yaml", &config_map("old", "one"))],
    );
    boxes.hide();
    let app = scene.wait_app("boxes", |app| sync_status(app) == "Unknown");
    let told = condition(&app, "ComparisonError");
    assert!(told.starts_with(&boxes.unseen()) && told.contains("conversion webhook"), "{told}");
    with_boxes.remove("app/b.yaml").commit("one is enough");

    // The neighbour syncs, prunes and heals, and says nothing.
    let revision =
        repo.write("app/web.yaml", &config_map("web", "two")).remove("app/old.yaml").commit("second");
    let app = scene.wait_app("shop", |app| is_synced_to(app, &revision));
    assert_eq!(condition(&app, "ComparisonError"), "");
    assert!(scene.config_map("old").is_none(), "it was not pruned");
    scene.patch("v1", "ConfigMap", &scene.namespace, "web", &json!({"data": {"key": "edited"}}));
    scene.wait_config_map("web", |web| web.is_some_and(|web| web["data"]["key"] == "two"));
    // So does one that comes now.
    scene.let_pass("newcomer");
    assert_eq!(condition(&scene.app("newcomer"), "ComparisonError"), "");
    assert_eq!(sync_status(&scene.app("boxes")), "Unknown");
    assert_eq!(agent.probe("/readyz").status, 200, "one kind is not all");

    // Of an app whose status was wiped while nobody looked, nobody knows what it had, until it was written again.
    agent.terminate();
    scene.patch_app("shop", &json!({"status": null}));
    agent.restart();
    let unknown = |line: &Value| {
        let is_shop = line["app"].as_str().is_some_and(|app| app.ends_with("/shop"));
        is_shop && line["conditions"].as_str().is_some_and(|told| told.starts_with(&boxes.unseen()))
    };
    assert_eq!(agent.wait_log(unknown)["sync"], "Unknown");
    let app = scene.wait_app("shop", |app| is_synced_to(app, &revision));
    assert_eq!(condition(&app, "ComparisonError"), "");
    // As ready as it can be, from the beginning and later.
    agent.wait_ready();

    boxes.show();
    let app = scene.wait_app("boxes", |app| is_synced_to(app, &with_boxes.head()));
    assert_eq!(condition(&app, "ComparisonError"), "");
    let version = format!("{}/v2", boxes.group);
    let gone = |found: Option<&Value>| found.is_none();
    scene.wait_object(&version, "Box", &scene.namespace, "b", gone);
    assert!(scene.get(&version, "Box", &scene.namespace, "a").is_some());
}

#[test]
fn a_deletion_ends_only_when_every_kind_is_seen_and_says_which_is_not() {
    let scene = Scene::alone("sight-end");
    let boxes = Boxes::install(&scene);
    let agent = scene.agent();
    scene.deployed("boxes", &[("a.yaml", &boxes.manifest("a"))]);
    scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    for name in ["boxes", "shop"] {
        let finalizers = json!({"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}});
        scene.patch_app(name, &finalizers);
    }
    boxes.hide();
    scene.wait_app("boxes", |app| sync_status(app) == "Unknown");
    scene.delete_app("shop");
    scene.delete_app("boxes");
    // What is seen goes, and whatever may be left behind is waited for.
    scene.wait_config_map("web", |web| web.is_none());
    let waits = format!("Deletion waits until every kind is seen: Box.{} is not seen since 2", boxes.group);
    for name in ["shop", "boxes"] {
        let app = scene.wait_app(name, |app| condition(app, "DeletionError").starts_with(&waits));
        let told = condition(&app, "DeletionError");
        assert!(told.contains("conversion webhook"), "{told}");
    }
    boxes.show();
    scene.wait_app_gone("shop");
    scene.wait_app_gone("boxes");
    let version = format!("{}/v2", boxes.group);
    assert!(scene.get(&version, "Box", &scene.namespace, "a").is_none());
    agent.wait_ready();
}
