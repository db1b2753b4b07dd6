//! Does a `StatefulSet` come back, whose controller waits for the pod that a bad commit broke?

use e2e::{Scene, condition, is_synced_to};

fn stateful(image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: db}}\nspec:\n  replicas: 2\n  serviceName: db\n  \
         selector: {{matchLabels: {{app: db}}}}\n  template:\n    metadata: {{labels: {{app: db}}}}\n    \
         spec:\n      containers: [{{name: db, image: '{image}'}}]\n"
    )
}

#[test]
fn a_stateful_set_is_rolled_back_and_its_broken_pod_is_replaced() {
    let scene = Scene::new("stateful");
    let agent = scene.agent();
    let repo = scene.repo("shop");
    let first = repo.write("db.yaml", &stateful("db:1")).commit("first");
    let app = scene.application("shop").repo(&repo).automated();
    app.annotation("tautline.dev/deadline", "6s").annotation("tautline.dev/soak", "1s").create();
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    agent.wait_log(|line| line["message"] == "a release is kept");

    let pod = |name: &str| scene.get("v1", "Pod", &scene.namespace, name).unwrap();
    let served = pod("db-0")["metadata"]["uid"].clone();
    repo.write("db.yaml", &stateful("db:not-found")).commit("bad");
    let app = scene.wait_app("shop", |app| {
        let story = condition(app, "RolledBack");
        !story.is_empty() && !story.starts_with("Going back")
    });
    let pods = scene.kubectl(&["get", "pods", "-o", "wide"]);
    let story = condition(&app, "RolledBack");
    assert!(story.starts_with("Rolled back to"), "{story}\n{pods}");
    assert_eq!(app["status"]["health"]["status"], "Healthy");
    assert_eq!(pod("db-1")["spec"]["containers"][0]["image"], "db:1");
    assert_eq!(pod("db-0")["metadata"]["uid"], served, "what serves is left alone");
    let line = agent.wait_log(|line| line.to_string().contains("pod db-1 is deleted"));
    assert!(line.to_string().contains("waits for it and does not replace it"), "{line}");

    let good = repo.write("db.yaml", &stateful("db:2")).commit("good");
    scene.wait_app("shop", |app| is_synced_to(app, &good) && app["status"]["health"]["status"] == "Healthy");
    assert_eq!(pod("db-0")["spec"]["containers"][0]["image"], "db:2");
}
