//! Are objects that Argo CD deployed ours to prune, to delete and to find again, before we ever applied one?

use e2e::{Agent, Repo, Scene, condition, config_map, is_synced_to, sync_status};
use serde_json::{Value, json};

const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";
const LABELS: [&str; 2] = ["tautline.dev/instance", "tautline.dev/part-of"];

/// A `ConfigMap` with a tracking id, as Argo CD renders it.
fn tracked(name: &str, value: &str, id: &str) -> String {
    let annotations = format!("name: {name}\n  annotations: {{'argocd.argoproj.io/tracking-id': '{id}'}}");
    config_map(name, value).replace(&format!("name: {name}"), &annotations)
}

/// Has Argo CD deploy `ConfigMaps` for the app `shop`, by server-side apply.
fn deployed_by_argo_cd(scene: &Scene, names: &[&str]) {
    for name in names {
        let id = format!("shop:/ConfigMap:{}/{name}", scene.namespace);
        scene.apply_as("argocd-controller", &tracked(name, "one", &id));
    }
}

/// Writes the app's status as Argo CD's controller leaves it, with these `ConfigMaps` in its list.
fn status_of_argo_cd(scene: &Scene, names: &[&str]) {
    let resource = |name: &&str| json!({"version": "v1", "kind": "ConfigMap", "namespace": scene.namespace, "name": name, "status": "Synced"});
    let resources: Vec<Value> = names.iter().map(resource).collect();
    let status = json!({
        "resources": resources, "resourceHealthSource": "appTree", "sourceType": "Directory",
        "health": {"status": "Healthy"}, "sync": {"status": "Synced", "revision": "0".repeat(40)},
    });
    let patch = json!({"status": status}).to_string();
    let manager = "--field-manager=argocd-application-controller";
    let arguments =
        ["-n", &scene.control, "patch", "application/shop", manager, "--type=merge", "-p", &patch];
    scene.lab.kubectl(&arguments).unwrap_or_else(|error| panic!("{error:#}"));
}

/// An app whose Git holds `web` and whose list names what else Argo CD deployed.
fn taken_over(scene: &Scene, names: &[&str]) -> Repo {
    let repo = scene.repo("shop");
    repo.write("web.yaml", &config_map("web", "one")).commit("first");
    deployed_by_argo_cd(scene, names);
    scene.application("shop").repo(&repo).finalizer(FINALIZER).create();
    status_of_argo_cd(scene, names);
    repo
}

fn has_labels(object: &Value) -> bool {
    LABELS.iter().all(|label| object["metadata"]["labels"][label].is_string())
}

fn wait_labels(scene: &Scene, name: &str) -> Value {
    scene.wait_config_map(name, |map| map.is_some_and(has_labels)).expect("it held for an object")
}

fn managers(object: &Value) -> Vec<&str> {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    entries.filter_map(|entry| entry["manager"].as_str()).collect()
}

fn resource<'a>(app: &'a Value, name: &str) -> &'a Value {
    let resources = app["status"]["resources"].as_array().into_iter().flatten();
    resources.into_iter().find(|resource| resource["name"] == name).unwrap_or(&Value::Null)
}

fn needs_pruning(app: &Value, name: &str) -> bool {
    resource(app, name)["status"] == "OutOfSync" && resource(app, name)["requiresPruning"] == true
}

/// What the app's list may name and what is not the app's, whoever wrote the list.
fn strangers(scene: &Scene) -> [&'static str; 3] {
    scene.apply_as("argocd-controller", &config_map("untracked", "one"));
    let copy = format!("shop:/ConfigMap:{}/web", scene.namespace);
    scene.apply_as("argocd-controller", &tracked("copied", "one", &copy));
    let other = format!("shop-2:/ConfigMap:{}/other", scene.namespace);
    scene.apply_as("argocd-controller", &tracked("other", "one", &other));
    ["untracked", "copied", "other"]
}

fn assert_untouched(scene: &Scene, names: &[&str], agent: &Agent) {
    for name in names {
        let map = scene.config_map(name).unwrap_or_else(|| panic!("{name} is gone\n{}", agent.log_text()));
        assert_eq!(managers(&map), ["argocd-controller"], "{name}");
    }
}

#[test]
fn a_manual_app_s_objects_are_ours_before_anything_is_applied() {
    let scene = Scene::new("takeover");
    let strangers = strangers(&scene);
    let names = [&["web", "old"], strangers.as_slice()].concat();
    let repo = taken_over(&scene, &["web", "old"]);
    status_of_argo_cd(&scene, &names);
    let mut agent = scene.agent();
    for name in ["web", "old"] {
        let map = wait_labels(&scene, name);
        assert_eq!(map["data"], json!({"key": "one"}), "{name}");
        assert_eq!(managers(&map), ["argocd-controller", "tautline-track"], "{name}");
    }
    let app = scene.wait_app("shop", |app| sync_status(app) == "OutOfSync");
    assert!(needs_pruning(&app, "old"), "{app:#}");
    assert_eq!(resource(&app, "web")["status"], "Synced", "{app:#}");
    assert_eq!(app["status"]["resources"].as_array().unwrap().len(), 2, "{app:#}");
    assert_eq!(agent.metric("tautline_applies_total"), 0);
    agent.wait_log(|line| line["reason"] == "TakeOver");
    let told: Vec<Value> = agent.log().into_iter().filter(|line| line["reason"] == "TakeOver").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_untouched(&scene, &strangers, &agent);

    // They are found again when nothing but themselves says what the app has.
    assert_eq!(agent.terminate().code(), Some(0));
    scene.patch_app("shop", &json!({"status": null}));
    agent.restart();
    scene.wait_app("shop", |app| needs_pruning(app, "old"));
    assert_eq!(agent.requests().get("apply ConfigMap"), None, "{:?}", agent.requests());

    // A commit and a person's sync with prune are as of any other app.
    repo.write("web.yaml", &config_map("web", "two"));
    let second = repo.commit("second");
    scene.wait_app("shop", |app| resource(app, "web")["status"] == "OutOfSync");
    scene.sync("shop", &json!({"prune": true}));
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    scene.wait_config_map("old", |map| map.is_none());
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "two");
    assert_untouched(&scene, &strangers, &agent);
}

#[test]
fn a_deletion_takes_what_argo_cd_deployed_and_nothing_else() {
    let scene = Scene::new("takeover-delete");
    let strangers = strangers(&scene);
    let repo = taken_over(&scene, &["web", "old"]);
    status_of_argo_cd(&scene, &[&["web", "old"], strangers.as_slice()].concat());
    // Nothing renders any more, and the deletion was asked for before anybody looked.
    std::fs::remove_dir_all(repo.path()).unwrap();
    scene.delete_app("shop");
    let agent = scene.agent();
    scene.wait_app_gone("shop");
    for name in ["web", "old"] {
        scene.wait_config_map(name, |map| map.is_none());
    }
    assert_untouched(&scene, &strangers, &agent);
}

#[test]
fn a_read_only_app_s_objects_are_not_touched() {
    let scene = Scene::new("takeover-readonly");
    let repo = taken_over(&scene, &["web", "old"]);
    repo.write(
        "web.yaml",
        &tracked("web", "one", "x").replace("tracking-id", "sync-wave").replace("'x'", "'1'"),
    )
    .commit("wave");
    let agent = scene.agent();
    scene.wait_app("shop", |app| condition(app, "SyncError").starts_with("Read-only"));
    scene.let_pass("marker");
    assert_untouched(&scene, &["web", "old"], &agent);
    // As soon as it is not read-only any more, they are taken over.
    repo.write("web.yaml", &config_map("web", "one")).commit("no wave");
    wait_labels(&scene, "web");
}

#[test]
fn what_an_automated_sync_applies_is_not_labelled_before() {
    let scene = Scene::new("takeover-auto");
    let repo = taken_over(&scene, &["web", "old"]);
    scene.patch_app("shop", &json!({"spec": {"syncPolicy": {"automated": {"selfHeal": true}}}}));
    let _agent = scene.agent();
    let app = scene.wait_app("shop", |app| {
        sync_status(app) == "OutOfSync" && app["status"]["operationState"]["phase"] == "Succeeded"
    });
    assert!(needs_pruning(&app, "old"), "{app:#}");
    let web = scene.config_map("web").unwrap();
    assert!(has_labels(&web) && !managers(&web).contains(&"tautline-track"), "{web:#}");
    assert_eq!(managers(&scene.config_map("old").unwrap()), ["argocd-controller", "tautline-track"]);
    scene.patch_app("shop", &json!({"spec": {"syncPolicy": {"automated": {"prune": true}}}}));
    repo.write("web.yaml", &config_map("web", "two")).commit("second");
    scene.wait_config_map("old", |map| map.is_none());
}

#[test]
fn an_automated_app_that_will_not_sync_is_taken_over_all_the_same() {
    let scene = Scene::new("takeover-held");
    let repo = taken_over(&scene, &["web"]);
    let policy = json!({"automated": {}, "retry": {"limit": 1}});
    scene.patch_app("shop", &json!({"spec": {"syncPolicy": policy}}));
    let failed = json!({
        "phase": "Failed", "message": "one or more objects failed to apply", "retryCount": 1,
        "startedAt": "2026-01-01T10:00:00Z", "finishedAt": "2026-01-01T10:00:01Z",
        "operation": {"initiatedBy": {"automated": true}, "sync": {"revision": repo.head()}},
        "syncResult": {"revision": repo.head()},
    });
    scene.patch_app("shop", &json!({"status": {"operationState": failed}}));
    let agent = scene.agent();
    wait_labels(&scene, "web");
    scene.wait_app("shop", |app| is_synced_to(app, &repo.head()));
    assert_eq!(agent.metric("tautline_applies_total"), 0);
}

#[test]
fn what_the_app_wants_is_taken_over_although_no_list_names_it() {
    let scene = Scene::new("takeover-unlisted");
    let repo = taken_over(&scene, &["web"]);
    scene.patch_app("shop", &json!({"status": null}));
    let agent = scene.agent();
    let web = wait_labels(&scene, "web");
    assert_eq!(managers(&web), ["argocd-controller", "tautline-track"]);
    scene.wait_app("shop", |app| is_synced_to(app, &repo.head()));
    assert_eq!(agent.metric("tautline_applies_total"), 0);
    assert_eq!(agent.requests().get("apply ConfigMap"), Some(&1), "{:?}", agent.requests());
}

#[test]
fn nothing_is_labelled_before_its_kind_is_recorded() {
    let scene = Scene::new("takeover-record");
    let record = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "immutable": true,
        "metadata": {"name": "tautline-kinds", "namespace": scene.control},
    });
    scene.create(&record).unwrap_or_else(|error| panic!("{error}"));
    taken_over(&scene, &["web", "old"]);
    let agent = scene.agent();
    let app = scene.wait_app("shop", |app| !condition(app, "ComparisonError").is_empty());
    let message = condition(&app, "ComparisonError");
    assert!(message.contains("old") && message.contains("tautline-kinds"), "{message}");
    assert_eq!(resource(&app, "old")["status"], "Unknown", "{app:#}");
    assert_untouched(&scene, &["web", "old"], &agent);
    scene.delete("v1", "ConfigMap", &scene.control, "tautline-kinds");
    scene.wait_app("shop", |app| needs_pruning(app, "old") && condition(app, "ComparisonError").is_empty());
}

#[test]
fn once_all_of_a_kind_is_ours_only_ours_is_watched() {
    let scene = Scene::new("takeover-narrow");
    let repo = scene.repo("shop");
    let template = |name: &str| {
        format!(
            "apiVersion: v1\nkind: PodTemplate\nmetadata: {{name: {name}}}\n\
             template: {{spec: {{containers: [{{name: web, image: 'web:1'}}]}}}}\n"
        )
    };
    scene.kubectl_apply(&template("web"));
    repo.write("web.yaml", &template("web"));
    let first = repo.commit("first");
    scene.application("shop").repo(&repo).create();
    let agent = scene.agent();
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    // Nothing on it says that it is ours, so everybody's are looked at.
    let lists = || agent.requests().get("list PodTemplate").copied().unwrap_or_default();
    agent.wait_probe("/metrics", |_| lists() == 2);
    scene.sync("shop", &json!({}));
    agent.wait_probe("/metrics", |_| lists() == 3);
    // What happens to it is seen as before.
    scene.edit_as("ops", "podtemplate/web", &json!({"template": {"metadata": {"labels": {"a": "b"}}}}));
    repo.write("web.yaml", &template("web").replace("web:1", "web:2")).commit("second");
    scene.wait_app("shop", |app| sync_status(app) == "OutOfSync");
}

/// A project that denies one kind.
fn denying(scene: &Scene, kind: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {"name": "team", "namespace": scene.control},
        "spec": {
            "sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}],
            "namespaceResourceBlacklist": [{"group": "", "kind": kind}],
        },
    })
}

// N31: objects that Argo CD deployed, of a kind that the project denies
#[test]
fn what_the_project_denies_is_neither_labelled_nor_looked_at() {
    let scene = Scene::new("takeover-denied");
    scene.create(&denying(&scene, "PodTemplate")).unwrap_or_else(|error| panic!("{error}"));
    let id = format!("shop:/PodTemplate:{}/old", scene.namespace);
    scene.apply_as(
        "argocd-controller",
        &format!(
            "apiVersion: v1\nkind: PodTemplate\nmetadata:\n  name: old\n  annotations: \
             {{'argocd.argoproj.io/tracking-id': '{id}'}}\ntemplate: {{spec: {{containers: [{{name: web, image: 'web:1'}}]}}}}\n"
        ),
    );
    let old = || scene.get("v1", "PodTemplate", &scene.namespace, "old").expect("nobody may delete it");
    let before = old();
    let repo = taken_over(&scene, &["web"]);
    let resource = |kind: &str, name: &str| json!({"version": "v1", "kind": kind, "namespace": scene.namespace, "name": name});
    let listed = json!([resource("ConfigMap", "web"), resource("PodTemplate", "old")]);
    scene.patch_app("shop", &json!({"spec": {"project": "team"}, "status": {"resources": listed}}));
    let agent = scene.agent();
    // What the project permits is taken over.
    wait_labels(&scene, "web");
    scene.wait_app("shop", |app| is_synced_to(app, &repo.head()));
    // Neither a sync with prune nor a deletion has it then.
    scene.sync("shop", &json!({"prune": true}));
    scene.let_pass("marker");
    assert_eq!(old(), before);
    scene.delete_app("shop");
    scene.wait_app_gone("shop");
    assert_eq!(old(), before);
    let of_it: Vec<_> = agent.requests().into_keys().filter(|name| name.contains("PodTemplate")).collect();
    assert!(of_it.is_empty(), "{of_it:?}");
}

// N31: and of one that it comes to deny before they are labelled
#[test]
fn what_the_project_comes_to_deny_before_it_is_labelled_stays_as_it_is() {
    let scene = Scene::new("takeover-narrowed");
    let record = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "immutable": true,
        "metadata": {"name": "tautline-kinds", "namespace": scene.control},
    });
    scene.create(&record).unwrap_or_else(|error| panic!("{error}"));
    scene.create(&denying(&scene, "Secret")).unwrap_or_else(|error| panic!("{error}"));
    taken_over(&scene, &["web", "old"]);
    scene.patch_app("shop", &json!({"spec": {"project": "team"}}));
    let agent = scene.agent();
    let told = |app: &Value| condition(app, "ComparisonError").to_owned();
    scene.wait_app("shop", |app| told(app).contains("old") && told(app).contains("tautline-kinds"));
    scene.patch("argoproj.io/v1alpha1", "AppProject", &scene.control, "team", &denying(&scene, "ConfigMap"));
    scene.wait_app("shop", |app| {
        told(app).contains("spec.namespaceResourceBlacklist") && !told(app).contains("tautline-kinds")
    });
    scene.delete("v1", "ConfigMap", &scene.control, "tautline-kinds");
    scene.let_pass("marker");
    assert_untouched(&scene, &["web", "old"], &agent);
}
