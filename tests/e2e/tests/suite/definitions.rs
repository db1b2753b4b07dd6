//! What becomes of Applications when Argo CD's own definitions are applied over ours, and ours over theirs?
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::collections::BTreeSet;
use std::time::Instant;

use e2e::{DEADLINE, Scene, config_map, is_synced_to, settled};
use serde_json::{Value, json};

const ARGO_CD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/argo_cd/crds.yaml");
const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../manifests/crds");
/// An Application and an `AppProject` with every field that there is.
const EVERY_FIELD: &str = include_str!("../../../../fixtures/application/every_field.yaml");

/// Applies definitions and returns once the API server goes by them: theirs have a type for each field of a status.
fn apply(scene: &Scene, definitions: &str, has_typed_status: bool) {
    scene.lab.kubectl(&["apply", "-f", definitions]).unwrap();
    let probe = scene.application("probe").set("/status/sync", json!("no map")).object().to_string();
    let end = Instant::now() + DEADLINE;
    let create = ["create", "--dry-run=server", "--validate=false", "-f", "-"];
    while scene.lab.kubectl_with_input(&create, &probe).is_ok() == has_typed_status {
        assert!(Instant::now() < end, "the definitions do not count");
    }
}

/// Returns every path in a value, lists counted as one.
fn paths(value: &Value) -> BTreeSet<String> {
    fn walk(value: &Value, path: &str, paths: &mut BTreeSet<String>) {
        paths.insert(path.to_owned());
        for (name, value) in value.as_object().into_iter().flatten() {
            walk(value, &format!("{path}.{name}"), paths);
        }
        for value in value.as_array().into_iter().flatten() {
            walk(value, &format!("{path}[]"), paths);
        }
    }
    let mut found = BTreeSet::new();
    walk(value, "", &mut found);
    found
}

/// Everything that people write, stored where no agent answers it.
struct Stored<'a> {
    scene: &'a Scene,
    /// Kind, and what was written of it.
    written: [(&'static str, Value); 2],
}

impl<'a> Stored<'a> {
    fn create(scene: &'a Scene) -> Self {
        let written = ["Application", "AppProject"].into_iter().zip(EVERY_FIELD.split("\n---\n"));
        let written: Vec<(&'static str, Value)> = written
            .map(|(kind, text)| {
                let head = format!(
                    "apiVersion: argoproj.io/v1alpha1\nkind: {kind}\nmetadata: {{name: every, namespace: {}}}\n",
                    scene.namespace
                );
                let create = ["create", "-f", "-", "-o", "json"];
                let created = scene.lab.kubectl_with_input(&create, &format!("{head}{text}")).unwrap();
                (kind, serde_json::from_str(&created).unwrap())
            })
            .collect();
        Self { scene, written: written.try_into().expect("there are two") }
    }

    /// Writes both anew, so that what the definitions do not have would be gone, and asserts that nothing is.
    fn is_whole(&self, which: &str, but: &[&str]) {
        for (kind, written) in &self.written {
            let touch = json!({"metadata": {"annotations": {"example.com/touched-under": which}}});
            let now = self.scene.patch("argoproj.io/v1alpha1", kind, &self.scene.namespace, "every", &touch);
            for part in ["spec", "operation"] {
                let mut lost = paths(&written[part]);
                lost.retain(|path| !but.iter().any(|but| path.contains(but)));
                let now = paths(&now[part]);
                let lost: Vec<_> = lost.difference(&now).collect();
                assert_eq!(lost, Vec::<&String>::new(), "{which}: {kind}.{part}");
            }
        }
    }
}

#[test]
fn argo_cd_s_definitions_can_be_applied_over_ours_and_back() {
    let scene = Scene::alone("definitions");
    let agent = scene.agent();
    let stored = Stored::create(&scene);
    let repo = scene.repo("shop");
    let deploy = |value: &str| {
        let revision = repo.write("web.yaml", &config_map("web", value)).commit(value);
        if value == "one" {
            let app = scene.application("shop").repo(&repo).automated();
            app.annotation("tautline.dev/deadline", "7m").create();
        }
        let app = scene.wait_app("shop", |app| is_synced_to(app, &revision) && settled(app));
        assert_eq!(scene.config_map("web").unwrap()["data"]["key"], value);
        app
    };
    let before = deploy("one");
    stored.is_whole("ours", &[]);

    apply(&scene, ARGO_CD, true);
    // Our settings in the spec are the one thing that they do not know; as annotations they stay.
    let ours_alone = [".syncPolicy.tautline", ".syncPolicy.rollback", ".directory.disableExtensionFilter"];
    stored.is_whole("theirs", &ours_alone);
    let under_theirs = deploy("two");
    assert_eq!(paths(&under_theirs["status"]), paths(&before["status"]), "a status is written in full");
    let annotations = |app: &Value| paths(&app["metadata"]["annotations"]);
    assert_eq!(annotations(&under_theirs), annotations(&before), "they hold what we remember, and settings");

    apply(&scene, OURS, false);
    stored.is_whole("ours again", &ours_alone);
    let after = deploy("three");
    assert_eq!(paths(&after["status"]), paths(&before["status"]));
    assert_eq!(
        after["status"]["history"].as_array().map(Vec::len),
        Some(3),
        "{:#}",
        after["status"]["history"]
    );
    let failed = |line: &&Value| line["message"].as_str().is_some_and(|m| m.contains("could not be written"));
    assert_eq!(agent.log().iter().find(failed), None);
    agent.wait_ready();
}
