//! Is every shape of a field compared and applied as the API server means it: lists, versions, replicas, what admission changes?

use e2e::{Agent, Repo, Scene, is_synced_to, sync_status};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn automated(scene: &Scene, name: &str) -> Repo {
    let repo = scene.repo(name);
    scene.application(name).repo(&repo).automated().create();
    repo
}

fn deploy(scene: &Scene, repo: &Repo, name: &str, manifests: &str) -> Value {
    repo.write("all.yaml", manifests);
    let revision = repo.commit("change");
    scene.wait_app(name, |app| is_synced_to(app, &revision))
}

fn applies(agent: &Agent) -> u64 {
    agent.metric("tautline_applies_total")
}

/// Returns the drift report of an app: one line per field, without times.
fn drift_of(agent: &Agent, app: &str) -> Vec<String> {
    let report = agent.get(&format!("/api/v1/applications/{app}/drift")).json();
    let objects = report["objects"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let lines = objects.iter().flat_map(|object| {
        let name = text(&object["name"]);
        let fields = object["fields"].as_array().cloned().unwrap_or_default();
        fields.into_iter().map(move |field| {
            [&json!(name), &field["change"], &field["path"], &field["manager"]].map(text).join(" ")
        })
    });
    lines.collect()
}

/// A Deployment, with `spec` fields of one's own; its pods are the lab's.
fn deployment(name: &str, replicas: &str, container: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  {replicas}\n  \
         selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    \
         spec:\n      containers:\n      - {{name: web, image: nginx:1{container}}}\n"
    )
}

fn wait_deployment(scene: &Scene, name: &str, is_done: impl Fn(&Value) -> bool) -> Value {
    let done = |object: Option<&Value>| object.is_some_and(&is_done);
    scene.wait_object("apps/v1", "Deployment", &scene.namespace, name, done).expect("it held for an object")
}

fn containers(deployment: &Value) -> Vec<&str> {
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array();
    containers.into_iter().flatten().filter_map(|container| container["name"].as_str()).collect()
}

#[test]
fn replicas_in_git_hold_against_kubectl_scale() {
    let scene = Scene::new("scale");
    let repo = automated(&scene, "shop");
    let agent = scene.agent();
    deploy(&scene, &repo, "shop", &deployment("web", "replicas: 2", ""));
    scene.kubectl(&["scale", "deployment/web", "--replicas=3"]);
    wait_deployment(&scene, "web", |web| web["spec"]["replicas"] == 2);
    let told = agent.wait_log(|line| line["reason"] == "Drift");
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("spec.replicas: 2 in Git, 3 live (kubectl"), "{message}");
}

#[test]
fn replicas_that_git_leaves_out_belong_to_whoever_scales() {
    let scene = Scene::new("autoscale");
    let repo = automated(&scene, "shop");
    let agent = scene.agent();
    deploy(&scene, &repo, "shop", &deployment("web", "paused: false", ""));
    scene.kubectl(&["scale", "deployment/web", "--replicas=3"]);
    scene.let_pass("other");
    assert_eq!(scene.get("apps/v1", "Deployment", &scene.namespace, "web").unwrap()["spec"]["replicas"], 3);
    let before = applies(&agent);
    // Below its minimum an autoscaler needs no metrics to act.
    scene.kubectl(&["autoscale", "deployment/web", "--min=4", "--max=5", "--cpu=50%"]);
    wait_deployment(&scene, "web", |web| web["spec"]["replicas"] == 4);
    scene.let_pass("third");
    assert_eq!(applies(&agent), before + 1, "only the other app's object was applied");
    assert_eq!(sync_status(&scene.app("shop")), "Synced");
}

#[test]
fn an_autoscaler_against_replicas_in_git_is_put_back_and_told_as_a_fight() {
    let scene = Scene::new("autoscale-git");
    let repo = automated(&scene, "shop");
    let agent = scene.agent();
    deploy(&scene, &repo, "shop", &deployment("web", "replicas: 2", ""));
    let before = applies(&agent);
    scene.kubectl(&["autoscale", "deployment/web", "--min=4", "--max=5", "--cpu=50%"]);
    let told = agent.wait_log(|line| line["reason"] == "Drift");
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("spec.replicas: 2 in Git, 4 live (kube-controller-manager"), "{message}");
    // An autoscaler looks every 15 s: the next rounds are played by one that is quicker.
    scene.kubectl(&["delete", "hpa/web"]);
    for _ in 0..3 {
        wait_deployment(&scene, "web", |web| web["spec"]["replicas"] == 2);
        scene.wait_app("shop", |app| sync_status(app) == "Synced");
        scene.kubectl(&["scale", "deployment/web", "--replicas=4"]);
    }
    let told = agent.wait_log(|line| line["reason"] == "Fight");
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("again and again by kubectl"), "{message}");
    assert!(message.contains("spec.ignoreDifferences"), "{message}");
    assert!(applies(&agent) <= before + 4, "{} corrections", applies(&agent) - before);
}

#[test]
fn replicas_in_git_that_are_ignored_are_left_to_an_autoscaler() {
    let scene = Scene::new("autoscale-ignored");
    let repo = scene.repo("shop");
    let ignored = json!([{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]);
    scene.application("shop").repo(&repo).automated().set("/spec/ignoreDifferences", ignored).create();
    let agent = scene.agent();
    deploy(&scene, &repo, "shop", &deployment("web", "replicas: 2", ""));
    let before = applies(&agent);
    scene.kubectl(&["autoscale", "deployment/web", "--min=4", "--max=5", "--cpu=50%"]);
    wait_deployment(&scene, "web", |web| web["spec"]["replicas"] == 4);
    scene.let_pass("other");
    assert_eq!(applies(&agent), before + 1, "only the other app's object was applied");
    wait_deployment(&scene, "web", |web| web["spec"]["replicas"] == 4);
    assert_eq!(sync_status(&scene.app("shop")), "Synced");
}

#[test]
fn replicas_dropped_from_git_stay_until_somebody_scales() {
    let scene = Scene::new("handover");
    let repo = automated(&scene, "shop");
    let _agent = scene.agent();
    deploy(&scene, &repo, "shop", &deployment("web", "replicas: 3", ""));
    deploy(&scene, &repo, "shop", &deployment("web", "paused: false", ""));
    // Had they fallen to the default in between, there would have been more generations.
    let web = scene.get("apps/v1", "Deployment", &scene.namespace, "web").unwrap();
    assert_eq!((&web["spec"]["replicas"], &web["metadata"]["generation"]), (&json!(3), &json!(1)));
    scene.kubectl(&["scale", "deployment/web", "--replicas=5"]);
    deploy(&scene, &repo, "shop", &deployment("web", "paused: false", ", env: [{name: A, value: b}]"));
    let web = scene.get("apps/v1", "Deployment", &scene.namespace, "web").unwrap();
    assert_eq!(web["spec"]["replicas"], 5);
}

#[test]
fn a_container_that_a_person_added_is_tolerated_and_told() {
    let scene = Scene::new("added");
    let repo = automated(&scene, "shop");
    let agent = scene.agent();
    deploy(&scene, &repo, "shop", &deployment("web", "replicas: 1", ""));
    let before = applies(&agent);
    add_container(&scene);
    scene.let_pass("other");
    assert_eq!(applies(&agent), before + 1, "only the other app's object was applied");
    assert_eq!(sync_status(&scene.app("shop")), "Synced");
    assert_eq!(
        drift_of(&agent, "shop"),
        ["web Added spec.template.spec.containers[name=\"debug\"] kubectl-edit"]
    );
    assert_eq!(drift_of(&agent, "other"), [""; 0]);
}

#[test]
fn a_container_that_a_person_added_is_removed_where_the_app_says_so() {
    let scene = Scene::new("removed");
    let repo = scene.repo("shop");
    let application = scene.application("shop").repo(&repo).automated();
    application.annotation("tautline.dev/added-fields", "remove").create();
    let agent = scene.agent();
    deploy(&scene, &repo, "shop", &deployment("web", "replicas: 1", ""));
    let before = applies(&agent);
    add_container(&scene);
    wait_deployment(&scene, "web", |web| containers(web) == ["web"]);
    scene.wait_app("shop", |app| sync_status(app) == "Synced");
    scene.let_pass("other");
    // The Deployment's own controller may write while the container is taken over; then the correction is repeated.
    assert!(applies(&agent) <= before + 3, "a correction, its repeat and one other app");
}

fn add_container(scene: &Scene) {
    let debug = json!({"name": "debug", "image": "busybox:1"});
    let patch = json!({"spec": {"template": {"spec": {"containers": [debug]}}}}).to_string();
    let edit = ["--field-manager=kubectl-edit", "--type=strategic", "--patch", &patch];
    scene.kubectl(&[&["patch", "deployment/web"][..], &edit].concat());
    wait_deployment(scene, "web", |web| !web["metadata"]["managedFields"].is_null());
}

#[test]
fn a_key_dropped_from_string_data_goes() {
    let scene = Scene::new("stringdata");
    let repo = automated(&scene, "shop");
    let _agent = scene.agent();
    let secret = |data: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: keys}}\ndata: {{c: Yw==}}\nstringData: {{{data}}}\n"
        )
    };
    deploy(&scene, &repo, "shop", &secret("a: one, b: two"));
    deploy(&scene, &repo, "shop", &secret("a: three"));
    let keys = scene.get("v1", "Secret", &scene.namespace, "keys").unwrap();
    assert_eq!(keys["data"], json!({"a": "dGhyZWU=", "c": "Yw=="}));
    scene.edit_as("ops", "secret/keys", &json!({"stringData": {"a": "four"}}));
    let is_back = |keys: Option<&Value>| keys.is_some_and(|keys| keys["data"]["a"] == "dGhyZWU=");
    scene.wait_object("v1", "Secret", &scene.namespace, "keys", is_back);
}

/// Installs a kind `Box`, served as `v1` and `v2`, with a list of each type; returns its group.
fn install_boxes(scene: &Scene) -> String {
    let list =
        |kind: &str, items: &str| format!("{{type: array, x-kubernetes-list-type: {kind}, items: {items}}}");
    let keyed = "{type: object, required: [name], properties: {name: {type: string}, size: {type: integer}}}";
    let keyed = list("map, x-kubernetes-list-map-keys: [name]", keyed);
    let (atomic, set) = (list("atomic", "{type: string}"), list("set", "{type: string}"));
    let spec = format!("{{type: object, properties: {{keyed: {keyed}, atomic: {atomic}, set: {set}}}}}");
    scene.install_boxes(&format!("{{type: object, properties: {{spec: {spec}}}}}"))
}

fn box_of(version: &str, name: &str, spec: &str) -> String {
    format!("---\napiVersion: {version}\nkind: Box\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n")
}

#[test]
fn two_versions_of_one_kind_live_side_by_side() {
    let scene = Scene::new("versions");
    let group = install_boxes(&scene);
    let (v1, v2) = (format!("{group}/v1"), format!("{group}/v2"));
    let repo = automated(&scene, "shop");
    let agent = scene.agent();
    let manifests =
        |old: &str| format!("{}{}", box_of(old, "old", "atomic: [a]"), box_of(&v2, "new", "atomic: [a]"));
    deploy(&scene, &repo, "shop", &manifests(&v1));
    let before = applies(&agent);
    for name in ["old", "new"] {
        scene.edit_as(
            "ops",
            &format!("boxes.{group}/{name}"),
            &json!({"metadata": {"labels": {"touched": "yes"}}}),
        );
    }
    scene.let_pass("other");
    assert_eq!(applies(&agent), before + 1, "only the other app's object was applied");
    assert_eq!(sync_status(&scene.app("shop")), "Synced");

    for name in ["old", "new"] {
        scene.edit_as("ops", &format!("boxes.{group}/{name}"), &json!({"spec": {"atomic": ["b"]}}));
        let is_back =
            |found: Option<&Value>| found.is_some_and(|found| found["spec"]["atomic"] == json!(["a"]));
        scene.wait_object(&v1, "Box", &scene.namespace, name, is_back);
    }
    scene.wait_app("shop", |app| sync_status(app) == "Synced");

    // The manifest moves to the other version: nothing else changes.
    deploy(&scene, &repo, "shop", &manifests(&v2));
    let moved = scene.get(&v2, "Box", &scene.namespace, "old").unwrap();
    assert_eq!(moved["spec"], json!({"atomic": ["a"]}));
}

#[test]
fn lists_are_compared_as_the_schema_has_them() {
    let scene = Scene::new("lists");
    let group = install_boxes(&scene);
    let version = format!("{group}/v1");
    let manifest = |spec: &str| box_of(&version, "box", spec);
    let repo = automated(&scene, "shop");
    let agent = scene.agent();
    let first = "keyed: [{name: a, size: 1}, {name: b, size: 2}], atomic: [v, w], set: [p, q]";
    deploy(&scene, &repo, "shop", &manifest(first));
    let before = applies(&agent);

    // What another adds to a list of items, or to a set, is the other's.
    scene.apply_as("tuner", &manifest("keyed: [{name: t, size: 9}], set: [t]"));
    scene.let_pass("other");
    assert_eq!(applies(&agent), before + 1, "only the other app's object was applied");
    assert_eq!(sync_status(&scene.app("shop")), "Synced");

    // Ours inside such a list, and anything in a list that is one value, is corrected.
    let theirs = json!([{"name": "a", "size": 7}, {"name": "t", "size": 9}]);
    let edit = json!({"spec": {"keyed": theirs, "atomic": ["v", "w", "x"], "set": ["q", "t"]}});
    scene.edit_as("ops", &format!("boxes.{group}/box"), &edit);
    let is_healed = |spec: &Value| {
        let sizes = spec["keyed"].as_array().into_iter().flatten().filter_map(|item| item["size"].as_u64());
        let set = spec["set"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let (sizes, set): (BTreeSet<_>, BTreeSet<_>) = (sizes.collect(), set.collect());
        spec["atomic"] == json!(["v", "w"]) && sizes == [1, 2, 9].into() && set == ["p", "q", "t"].into()
    };
    let healed = |found: Option<&Value>| found.is_some_and(|found| is_healed(&found["spec"]));
    scene.wait_object(&version, "Box", &scene.namespace, "box", healed);
    scene.wait_app("shop", |app| sync_status(app) == "Synced");

    // What Git drops goes, and what the other added stays.
    deploy(&scene, &repo, "shop", &manifest("keyed: [{name: b, size: 2}], atomic: [w], set: [q]"));
    let spec = scene.get(&version, "Box", &scene.namespace, "box").unwrap()["spec"].take();
    let names: Vec<_> = spec["keyed"].as_array().unwrap().iter().map(|item| item["name"].as_str()).collect();
    assert!(names.contains(&Some("b")) && names.contains(&Some("t")) && names.len() == 2, "{spec}");
    assert_eq!(spec["atomic"], json!(["w"]));
    let set: BTreeSet<_> = spec["set"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(set, ["q", "t"].into());
}

#[test]
fn what_admission_changes_on_the_way_in_is_no_drift() {
    let scene = Scene::new("admission");
    let name = scene.unique("upper");
    let mutation = "Object{metadata: Object.metadata{labels: {\\\"seen\\\": \\\"yes\\\"}}, data: {\\\"key\\\": object.data[\\\"key\\\"].upperAscii()}}";
    let rule =
        r#"{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}"#;
    scene.kubectl_apply(&format!(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicy\nmetadata: {{name: {name}}}\nspec:\n  \
         reinvocationPolicy: Never\n  failurePolicy: Fail\n  matchConstraints: {{resourceRules: [{rule}]}}\n  \
         matchConditions: [{{name: ours, expression: \"has(object.data) && 'key' in object.data\"}}]\n  \
         mutations: [{{patchType: ApplyConfiguration, applyConfiguration: {{expression: \"{mutation}\"}}}}]\n---\n\
         apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicyBinding\nmetadata: {{name: {name}}}\nspec:\n  \
         policyName: {name}\n  matchResources: {{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {}}}}}}}\n",
        scene.namespace
    ));
    // That a policy has come into force can only be tried.
    let begun = std::time::Instant::now();
    let trial = [
        "create",
        "configmap",
        "trial",
        "--from-literal=key=a",
        "--dry-run=server",
        "-o=jsonpath={.data.key}",
    ];
    while scene.kubectl(&trial) != "A" {
        assert!(begun.elapsed() < e2e::DEADLINE, "the policy has not come into force");
    }
    let repo = automated(&scene, "shop");
    let mut agent = scene.agent();
    deploy(&scene, &repo, "shop", &e2e::config_map("web", "one"));
    let web = scene.config_map("web").unwrap();
    assert_eq!((&web["data"]["key"], &web["metadata"]["labels"]["seen"]), (&json!("ONE"), &json!("yes")));
    let before = applies(&agent);
    scene.edit_as("ops", "configmap/web", &json!({"metadata": {"labels": {"touched": "yes"}}}));
    scene.let_pass("other");
    assert_eq!(applies(&agent), before + 1, "only the other app's object was applied");
    assert_eq!(sync_status(&scene.app("shop")), "Synced");

    // Nothing is remembered of the answer; the API server is asked.
    agent.restart();
    agent.wait_ready();
    scene.let_pass("third");
    assert_eq!(applies(&agent), 1, "only the third app's object was applied");
    assert_eq!(sync_status(&scene.app("shop")), "Synced");
    scene.edit_as("ops", "configmap/web", &json!({"data": {"key": "two"}}));
    let is_back = |web: Option<&Value>| web.is_some_and(|web| web["data"]["key"] == "ONE");
    scene.wait_config_map("web", is_back);
}
