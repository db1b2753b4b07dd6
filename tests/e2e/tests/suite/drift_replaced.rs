//! What happens when a person puts something else in the place of what Git wants, so that an apply alone cannot put it back?
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use e2e::{Repo, Scene, condition, is_synced_to, operation_phase, sync_status};
use serde_json::{Value, json};

fn automated(scene: &Scene) -> Repo {
    let repo = scene.repo("shop");
    scene.application("shop").repo(&repo).automated().create();
    repo
}

fn deploy(scene: &Scene, repo: &Repo, manifests: &str) -> Value {
    let revision = repo.write("all.yaml", manifests).commit("change");
    scene.wait_app("shop", |app| is_synced_to(app, &revision))
}

/// Changes an object as `kubectl edit` does.
fn edit(scene: &Scene, object: &str, patch: &Value) {
    let patch = patch.to_string();
    scene.kubectl(&["patch", object, "--field-manager=kubectl-edit", "--type=json", "--patch", &patch]);
}

fn service(ports: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{selector: {{app: web}}, ports: [{ports}]}}\n"
    )
}

fn wait_ports(scene: &Scene, expected: &[u64]) {
    let ports = |service: &Value| -> Vec<u64> {
        let ports = service["spec"]["ports"].as_array().into_iter().flatten();
        ports.filter_map(|port| port["port"].as_u64()).collect()
    };
    let is_so = |found: Option<&Value>| found.is_some_and(|service| ports(service) == expected);
    scene.wait_object("v1", "Service", &scene.namespace, "web", is_so);
}

fn deployment(containers: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: 1\n  \
         selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    spec:\n      \
         volumes: [{{name: data, emptyDir: {{}}}}]\n      containers: [{containers}]\n"
    )
}

/// Lets the second pass in which the Deployment was created: an entry of that second counts as its creator's, who holds
/// every default as well. Only objects tell the time of the API server.
fn let_a_second_pass(scene: &Scene) {
    let created = |object: &Value| object["metadata"]["creationTimestamp"].clone();
    let first = created(&scene.get("apps/v1", "Deployment", &scene.namespace, "web").unwrap());
    let tick = |n: usize| {
        let metadata = json!({"name": format!("tick-{n}"), "namespace": scene.namespace});
        scene.create(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})).unwrap()
    };
    assert!((0..100_000).map(tick).any(|tick| created(&tick) != first));
}

const WEB: &str = "{name: web, image: 'nginx:1'}";

fn names(deployment: &Value, list: &str) -> Vec<String> {
    let items = deployment["spec"]["template"]["spec"][list].as_array().into_iter().flatten();
    items.filter_map(|item| item["name"].as_str()).map(str::to_owned).collect()
}

fn wait_deployment(scene: &Scene, is_so: impl Fn(&Value) -> bool) {
    let is_so = |found: Option<&Value>| found.is_some_and(&is_so);
    scene.wait_object("apps/v1", "Deployment", &scene.namespace, "web", is_so);
}

/// Adds a container beside the one that Git wants, which is tolerated.
fn add_container(scene: &Scene) {
    let debug = json!({"name": "debug", "image": "busybox:1"});
    edit(
        scene,
        "deployment/web",
        &json!([
            {"op": "add", "path": "/spec/template/spec/containers/-", "value": debug}
        ]),
    );
}

#[test]
fn a_port_that_was_renumbered_by_hand_goes_back() {
    let scene = Scene::new("port");
    let repo = automated(&scene);
    let agent = scene.agent();
    deploy(&scene, &repo, &service("{port: 80}"));
    // Beside the other, either would need a name: the API server refuses the two.
    let renumber = json!([{"op": "replace", "path": "/spec/ports/0/port", "value": 81}]);
    edit(&scene, "service/web", &renumber);
    wait_ports(&scene, &[80]);
    let app = scene.wait_app("shop", |app| is_synced_to(app, &repo.head()));
    assert_eq!((operation_phase(&app), condition(&app, "SyncError")), ("Succeeded", ""));
    let told = agent.wait_log(|line| line["reason"] == "Drift");
    assert!(told["message"].as_str().unwrap().contains("spec.ports"), "{told}");

    // Named ones may stand beside each other; a person expects the edit to be undone all the same.
    deploy(&scene, &repo, &service("{port: 80, name: http}, {port: 443, name: https}"));
    edit(
        &scene,
        "service/web",
        &json!([
            {"op": "replace", "path": "/spec/ports/1/port", "value": 8443},
            {"op": "replace", "path": "/spec/ports/1/name", "value": "tls"},
        ]),
    );
    wait_ports(&scene, &[80, 443]);
    scene.wait_app("shop", |app| is_synced_to(app, &repo.head()));
}

#[test]
fn a_container_that_was_renamed_by_hand_goes_back_and_one_that_was_added_stays() {
    let scene = Scene::new("container");
    let repo = automated(&scene);
    let _agent = scene.agent();
    deploy(&scene, &repo, &deployment(WEB));
    edit(
        &scene,
        "deployment/web",
        &json!([
            {"op": "replace", "path": "/spec/template/spec/containers/0/name", "value": "renamed"}
        ]),
    );
    wait_deployment(&scene, |web| names(web, "containers") == ["web"]);
    scene.wait_app("shop", |app| sync_status(app) == "Synced");

    // Git asks for one more: what stands beside it is not in its place.
    add_container(&scene);
    let sidecar = format!("{WEB}, {{name: sidecar, image: 'nginx:1'}}");
    deploy(&scene, &repo, &deployment(&sidecar));
    let web = scene.get("apps/v1", "Deployment", &scene.namespace, "web").unwrap();
    let mut found = names(&web, "containers");
    found.sort();
    assert_eq!(found, ["debug", "sidecar", "web"]);
}

#[test]
fn what_excludes_a_field_of_git_goes() {
    let scene = Scene::new("union");
    let repo = automated(&scene);
    let _agent = scene.agent();
    deploy(&scene, &repo, &deployment(WEB));
    let_a_second_pass(&scene);
    // A volume has one source: as long as this one is there, the API server refuses Git's.
    edit(
        &scene,
        "deployment/web",
        &json!([
            {"op": "replace", "path": "/spec/template/spec/volumes/0", "value": {"name": "data", "hostPath": {"path": "/tmp"}}}
        ]),
    );
    wait_deployment(&scene, |web| {
        let volume = &web["spec"]["template"]["spec"]["volumes"][0];
        volume["hostPath"].is_null() && volume["emptyDir"].is_object()
    });
    let app = scene.wait_app("shop", |app| is_synced_to(app, &repo.head()));
    assert_eq!(condition(&app, "SyncError"), "");
}

#[test]
fn content_that_is_refused_takes_nothing_away_that_was_added_by_hand() {
    let scene = Scene::new("refused");
    let repo = automated(&scene);
    let agent = scene.agent();
    deploy(&scene, &repo, &deployment(WEB));
    add_container(&scene);
    let before = |scene: &Scene| {
        let web = scene.get("apps/v1", "Deployment", &scene.namespace, "web").unwrap();
        let entries = web["metadata"]["managedFields"].as_array().unwrap().clone();
        let by_hand = entries.into_iter().find(|entry| entry["manager"] == "kubectl-edit");
        by_hand.map(|entry| entry["fieldsV1"].to_string()).unwrap_or_default()
    };
    let owned = before(&scene);
    assert!(owned.contains("debug"), "{owned}");
    // What selects the pods can never change.
    let bad = deployment(WEB).replace("app: web}}", "app: other}}");
    let refused = repo.write("all.yaml", &bad).commit("cannot be");
    let app = scene.wait_app("shop", |app| {
        operation_phase(app) == "Failed"
            && app["status"]["operationState"]["syncResult"]["revision"] == refused
    });
    let message = app["status"]["operationState"]["message"].as_str().unwrap();
    assert!(message.contains("field is immutable"), "{message}");
    assert_eq!(before(&scene), owned);
    // The Deployment's controller writes meanwhile, so that either may take more than one try.
    assert!(
        agent.requests().get("patch Deployment.apps").is_some_and(|n| *n >= 2),
        "taken over, and given back"
    );

    deploy(&scene, &repo, &deployment("{name: web, image: 'nginx:2'}"));
    let web = scene.get("apps/v1", "Deployment", &scene.namespace, "web").unwrap();
    assert_eq!(names(&web, "containers"), ["web", "debug"]);
}
