//! What becomes of what no rollback can take back? It stays and is told, and the rest is restored around it.

use e2e::{Scene, condition, is_synced_to};
use serde_json::json;

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  \
     selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    \
     spec:\n      containers: [{name: web, image: 'IMAGE'}]\n";

fn claim(class: &str, size: &str) -> String {
    format!(
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: data}}\nspec: {{storageClassName: {class}, accessModes: \
         [ReadWriteOnce], resources: {{requests: {{storage: {size}}}}}}}\n"
    )
}

/// Makes a class of volumes that may grow, and one of 1Gi that the claim is bound to.
fn volumes(scene: &Scene, class: &str) {
    let objects = [
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": class},
            "provisioner": "example.com/none", "allowVolumeExpansion": true}),
        json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": class}, "spec": {
            "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/nowhere"},
            "persistentVolumeReclaimPolicy": "Retain", "storageClassName": class,
            "claimRef": {"namespace": scene.namespace, "name": "data"}}}),
    ];
    for object in objects {
        scene.create(&object).unwrap_or_else(|error| panic!("create {object}: {error}"));
    }
}

#[test]
fn a_volume_that_a_bad_commit_grew_stays_and_the_rest_is_restored() {
    let scene = Scene::new("lasting");
    let agent = scene.agent();
    let repo = scene.repo("shop");
    let class = scene.unique("growing");
    volumes(&scene, &class);
    let image = |image: &str| DEPLOYMENT.replace("IMAGE", image);
    repo.write("web.yaml", &image("web:1")).write("data.yaml", &claim(&class, "1Gi")).commit("first");
    let app = scene.application("shop").repo(&repo).automated();
    app.annotation("tautline.dev/deadline", "5s").annotation("tautline.dev/soak", "1s").create();
    agent.wait_log(|line| line["message"] == "a release is kept");

    repo.write("web.yaml", &image("web:not-found")).write("data.yaml", &claim(&class, "2Gi"));
    repo.commit("bad, and with a larger volume");
    let requested = |size: &str| {
        scene.wait_object("v1", "PersistentVolumeClaim", &scene.namespace, "data", |claim| {
            claim.is_some_and(|claim| claim["spec"]["resources"]["requests"]["storage"] == size)
        })
    };
    requested("2Gi");
    // As the storage does that grew it: from now on the API server refuses less.
    let grown = json!({"status": {"capacity": {"storage": "2Gi"}}}).to_string();
    let patch = ["patch", "pvc/data", "--subresource=status", "--type=merge", "-p", &grown];
    scene.lab.kubectl(&[&["-n", scene.namespace.as_str()], &patch[..]].concat()).unwrap();

    let app = scene.wait_app("shop", |app| condition(app, "RolledBack").starts_with("Rolled back to"));
    let kept = format!(
        "PersistentVolumeClaim {}/data keeps 2Gi instead of 1Gi, for a volume does not shrink",
        scene.namespace
    );
    let story = condition(&app, "RolledBack");
    assert!(story.ends_with(&format!("Not restored: {kept}")), "{story}");
    let before = agent.wait_log(|line| line["reason"] == "RollingBack" && line.to_string().contains(&kept));
    assert!(before.to_string().contains("not all of release 1 can be restored"), "{before}");
    let web = scene.get("apps/v1", "Deployment", &scene.namespace, "web").unwrap();
    assert_eq!(web["spec"]["template"]["spec"]["containers"][0]["image"], "web:1");
    requested("2Gi");

    // Git mends the image and keeps the size.
    let good = repo.write("web.yaml", &image("web:2")).commit("mended");
    let app = scene.wait_app("shop", |app| is_synced_to(app, &good));
    assert_eq!(condition(&app, "RolledBack"), "");
    scene.delete("v1", "PersistentVolume", "", &class);
    scene.delete("storage.k8s.io/v1", "StorageClass", "", &class);
}
