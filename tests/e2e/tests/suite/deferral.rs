//! When is deleted what no rollback could bring back? Only once the state without it has settled.

use e2e::{Scene, condition, config_map, is_synced_to, operation_phase};
use serde_json::{Value, json};

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  \
     selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    \
     spec:\n      containers: [{name: web, image: 'IMAGE'}]\n";
const CLAIM: &str = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data, annotations: {tautline.dev/delete: allow}}\n\
     spec: {storageClassName: '', accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}\n";

fn claim(scene: &Scene) -> Option<Value> {
    scene.get("v1", "PersistentVolumeClaim", &scene.namespace, "data")
}

/// Returns a volume that the claim is bound to.
fn volume_for(scene: &Scene, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Mi"}, "hostPath": {"path": "/nowhere"},
            "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "",
            "claimRef": {"namespace": scene.namespace, "name": "data"},
        },
    })
}

/// Returns what the last sync says.
fn message(app: &Value) -> &str {
    app["status"]["operationState"]["message"].as_str().unwrap_or_default()
}

#[test]
fn a_claim_that_a_bad_commit_drops_keeps_its_data_and_goes_with_a_good_one() {
    let scene = Scene::new("deferral");
    let agent = scene.agent();
    let repo = scene.repo("shop");
    let image = |image: &str| DEPLOYMENT.replace("IMAGE", image);
    let volume = scene.unique("volume");
    scene.create(&volume_for(&scene, &volume)).unwrap();
    repo.write("web.yaml", &image("web:1")).write("data.yaml", CLAIM);
    repo.write("old.yaml", &config_map("old", "one")).commit("first");
    scene
        .application("shop")
        .repo(&repo)
        .automated()
        .annotation("tautline.dev/deadline", "5s")
        .annotation("tautline.dev/soak", "2s")
        .create();
    agent.wait_log(|line| line["message"] == "a release is kept");
    let uid = claim(&scene).unwrap()["metadata"]["uid"].clone();

    repo.remove("data.yaml").remove("old.yaml");
    repo.write("web.yaml", &image("web:not-found")).commit("bad, and without the claim");
    scene.wait_app("shop", |app| !condition(app, "RolledBack").is_empty());
    let kept = claim(&scene).unwrap();
    assert_eq!(kept["metadata"]["uid"], uid, "it was deleted and made anew");
    assert!(kept["metadata"]["deletionTimestamp"].is_null(), "it goes");
    assert!(scene.config_map("old").is_some(), "what can be brought back is");

    let good = repo.write("web.yaml", &image("web:2")).commit("good, and without the claim");
    let app = scene.wait_app("shop", |app| message(app).contains("is deleted once it has stayed so for 2s"));
    assert_eq!(operation_phase(&app), "Running");
    assert!(claim(&scene).unwrap()["metadata"]["deletionTimestamp"].is_null());
    assert!(scene.config_map("old").is_none(), "what could be brought back went at once");
    scene.wait_app("shop", |app| is_synced_to(app, &good));
    assert!(claim(&scene).is_none());
    scene.delete("v1", "PersistentVolume", "", &volume);
}
