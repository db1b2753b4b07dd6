//! What if the server of an API group does not answer? Nobody knows which kinds it has, which is not the same as none.

use e2e::{Scene, config_map, result_of};
use serde_json::json;

#[test]
fn an_object_of_a_group_that_does_not_answer_waits_and_says_so() {
    let scene = Scene::alone("api-group");
    let service = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1.dead.example"},
        "spec": {
            "group": "dead.example", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "insecureSkipTLSVerify": true, "service": {"name": "nobody", "namespace": scene.control},
        },
    });
    scene.create(&service).unwrap();
    let _agent = scene.agent();
    let repo = scene.repo("shop");
    repo.write("app/fine.yaml", &config_map("fine", "one"));
    repo.write("app/widget.yaml", "apiVersion: dead.example/v1\nkind: Widget\nmetadata: {name: web}\n");
    repo.commit("first");
    scene.application("shop").repo(&repo).path("app").automated().create();
    let message =
        |app: &serde_json::Value| result_of(app, "Widget", "web")["message"].as_str().map(str::to_owned);
    let app = scene.wait_app("shop", |app| message(app).is_some());
    let waits = "API group dead.example does not answer; see to APIService v1.dead.example";
    assert_eq!(message(&app).unwrap(), waits, "{app:#}");
    assert!(scene.config_map("fine").is_some());

    // Once nobody claims to serve the group, there is no such kind.
    scene.delete("apiregistration.k8s.io/v1", "APIService", "", "v1.dead.example");
    let is_absent = |text: String| text.starts_with("no such kind: dead.example/v1 Widget");
    scene.wait_app("shop", |app| message(app).is_some_and(is_absent));
}
