//! What if the API server does not tell how an object compares? Its app says so, and the rest goes on.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use e2e::{Scene, condition, config_map, is_synced_to, sync_status};
use serde_json::{Value, json};

const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// Makes a service account that may do everything but read single `ConfigMaps` of the app namespace, other than these.
fn account(scene: &Scene, readable: &[&str]) {
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "agent", "namespace": scene.control},
    });
    scene.create(&account).unwrap();
    let all = json!({
        "apiGroups": ["*"], "resources": ["*"],
        "verbs": ["list", "watch", "create", "patch", "update", "delete"],
    });
    let others = json!({
        "apiGroups": ["argoproj.io", "coordination.k8s.io", "apps"], "resources": ["*"], "verbs": ["get"],
    });
    grant(scene, "ClusterRole", "", &json!([all, others]));
    let own = json!({"apiGroups": [""], "resources": ["*"], "verbs": ["get"]});
    grant(scene, "Role", &scene.control, &json!([own]));
    grant(scene, "Role", &scene.namespace, &readable_rules(readable));
}

fn readable_rules(names: &[&str]) -> Value {
    json!([{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": names, "verbs": ["get"]}])
}

fn grant(scene: &Scene, kind: &str, namespace: &str, rules: &Value) {
    let metadata = json!({"name": scene.unique("agent"), "namespace": namespace});
    let role = json!({"apiVersion": RBAC, "kind": kind, "metadata": metadata, "rules": rules});
    scene.create(&role).unwrap();
    let binding = json!({
        "apiVersion": RBAC, "kind": format!("{kind}Binding"), "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": scene.unique("agent")},
        "subjects": [{"kind": "ServiceAccount", "name": "agent", "namespace": scene.control}],
    });
    scene.create(&binding).unwrap();
}

fn status_of<'a>(app: &'a Value, name: &str) -> &'a str {
    let resources = app["status"]["resources"].as_array().into_iter().flatten();
    let mut found = resources.filter(|resource| resource["name"] == name);
    found.next().and_then(|resource| resource["status"].as_str()).unwrap_or_default()
}

#[test]
fn an_object_that_cannot_be_read_is_told_of_and_holds_up_nothing_else() {
    let scene = Scene::new("undecided");
    account(&scene, &["api"]);
    let agent = scene.agent_as("agent");
    let repo = scene.deployed(
        "shop",
        &[("web.yaml", &config_map("web", "one")), ("api.yaml", &config_map("api", "one"))],
    );
    // What counts as a difference changes, so both are looked at anew.
    let ignored = json!([{"kind": "ConfigMap", "jsonPointers": ["/data/other"]}]);
    scene.patch_app("shop", &json!({"spec": {"ignoreDifferences": ignored}}));
    let app = scene.wait_app("shop", |app| sync_status(app) == "Unknown");
    let told = condition(&app, "ComparisonError").to_owned();
    let web =
        format!("ConfigMap {}/web cannot be compared: configmaps \"web\" is forbidden", scene.namespace);
    assert!(told.starts_with(&format!("Failed to load live state: {web}")), "{told}");
    assert!(told.ends_with("; grant the agent's service account `get` and `patch` on ConfigMap"), "{told}");
    assert_eq!((status_of(&app, "web"), status_of(&app, "api")), ("Unknown", "Synced"), "{app:#}");

    scene.patch("v1", "ConfigMap", &scene.namespace, "api", &json!({"data": {"key": "edited"}}));
    scene.wait_config_map("api", |api| api.is_some_and(|api| api["data"]["key"] == "one"));
    scene.let_pass("marker");
    let asked = agent.requests()["get ConfigMap"];
    assert!(asked <= 6, "asked {asked} times\n{}", agent.log_text());
    assert_eq!(condition(&scene.app("shop"), "ComparisonError"), told);

    // Whoever grants what is missing need not wait.
    let readable = json!({"rules": readable_rules(&["api", "web"])});
    scene.patch(RBAC, "Role", &scene.namespace, &scene.unique("agent"), &readable);
    scene.patch_app("shop", &json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}));
    let app = scene.wait_app("shop", |app| is_synced_to(app, &repo.head()));
    assert_eq!(condition(&app, "ComparisonError"), "");
}

#[test]
fn a_drift_report_says_of_an_object_that_cannot_be_read_why() {
    let scene = Scene::new("unreported");
    account(&scene, &["api"]);
    let agent = scene.agent_as("agent");
    let repo = scene.repo("shop");
    repo.write("web.yaml", &config_map("web", "one")).write("api.yaml", &config_map("api", "one"));
    let revision = repo.commit("first");
    scene.application("shop").repo(&repo).set("/spec/syncPolicy/automated", json!({"prune": true})).create();
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
    for name in ["web", "api"] {
        scene.edit_as("ops", &format!("configmap/{name}"), &json!({"data": {"key": "edited"}}));
    }
    scene
        .wait_app("shop", |app| status_of(app, "web") == "OutOfSync" && status_of(app, "api") == "OutOfSync");
    let drift = "/api/v1/applications/shop/drift";
    let report = agent.get(drift).json();
    let objects = report["objects"].as_array().unwrap();
    assert_eq!(objects.len(), 2, "{report:#}");
    assert_eq!((&objects[0]["name"], &objects[0]["fields"][0]["live"]), (&json!("api"), &json!("edited")));
    assert_eq!((&objects[1]["kind"], &objects[1]["name"]), (&json!("ConfigMap"), &json!("web")));
    let why = objects[1]["error"].as_str().unwrap();
    assert!(why.starts_with("could not be read: configmaps \"web\" is forbidden"), "{why}");
    assert!(why.ends_with("; grant the agent's service account what is missing on ConfigMap"), "{why}");
    let text = agent.get_as(drift, "text/plain").body;
    assert!(text.contains(&format!("\n# ConfigMap {}/web: {why}\n", scene.namespace)), "{text}");
}
