//! Is an app that uses something we do not act on yet left alone: not applied, healed, pruned or deleted?

use e2e::{Repo, Scene, condition, config_map, is_synced_to};
use serde_json::{Value, json};

/// What makes an app read-only: a patch of its Application, or a change in Git.
enum Change {
    /// A merge patch of `spec`.
    Spec(Value),
    /// A merge patch of the `spec` of its project.
    Project(Value),
    /// Annotations (as flow YAML) of the object `web`.
    Annotation(&'static str),
    /// One more file.
    File(&'static str, &'static str),
}

/// An app's name, what makes it read-only, and what its condition must name.
type Case = (&'static str, Change, &'static str);

/// One representative of each kind of field.
fn cases() -> Vec<Case> {
    use Change::{Annotation, File, Project, Spec};
    let source = |value: Value| Spec(json!({"source": value}));
    let option = |value: &str| Spec(json!({"syncPolicy": {"syncOptions": [value]}}));
    vec![
        ("kustomize", source(json!({"kustomize": {"namePrefix": "x-"}})), "spec.source.kustomize"),
        ("kustomization", File("kustomization.yaml", "resources: [web.yaml]\n"), "Kustomize"),
        ("helm", source(json!({"helm": {"releaseName": "x"}})), "spec.source.helm"),
        ("chart", source(json!({"chart": "shop", "path": null})), "spec.source.chart"),
        ("plugin", source(json!({"plugin": {"name": "x"}})), "spec.source.plugin"),
        ("jsonnet", File("x.jsonnet", "{}\n"), "spec.source.directory.jsonnet"),
        (
            "hydrator",
            Spec(json!({"sourceHydrator": {
                "drySource": {"repoURL": "https://example.com/x", "path": "x", "targetRevision": "HEAD"},
                "syncSource": {"targetBranch": "x", "path": "x"},
            }})),
            "spec.sourceHydrator",
        ),
        (
            "cluster",
            Spec(json!({"destination": {"server": "https://elsewhere:6443"}})),
            "spec.destination.server",
        ),
        (
            "sources",
            // Both, as people write who move from one to the other: the first of several is not taken for all.
            Spec(json!({"sources": [{"repoURL": "https://example.com/x", "path": "x"}]})),
            "spec.sources",
        ),
        (
            "only-sources",
            Spec(json!({"source": null, "sources": [{"repoURL": "/x", "path": "x"}]})),
            "spec.sources",
        ),
        ("replace", option("Replace=true"), "Replace=true"),
        ("validate", option("Validate=false"), "Validate=false"),
        ("shared", option("FailOnSharedResource=true"), "FailOnSharedResource=true"),
        ("respect", option("RespectIgnoreDifferences=true"), "RespectIgnoreDifferences=true"),
        ("prune-last", option("PruneLast=true"), "PruneLast=true"),
        (
            "namespace-labels",
            Spec(json!({"syncPolicy": {"managedNamespaceMetadata": {"labels": {"a": "b"}}}})),
            "spec.syncPolicy.managedNamespaceMetadata",
        ),
        (
            "jq",
            Spec(json!({"ignoreDifferences": [{"kind": "ConfigMap", "jqPathExpressions": [".data"]}]})),
            "jqPathExpressions",
        ),
        (
            "managers",
            Spec(json!({"ignoreDifferences": [{"kind": "ConfigMap", "managedFieldsManagers": ["hpa"]}]})),
            "managedFieldsManagers",
        ),
        (
            "retry-refresh",
            Spec(json!({"syncPolicy": {"retry": {"limit": 1, "refresh": true}}})),
            "spec.syncPolicy.retry.refresh",
        ),
        (
            "windows",
            Project(json!({"syncWindows": [{"kind": "allow", "schedule": "* * * * *", "duration": "1h"}]})),
            "spec.syncWindows of project windows",
        ),
        (
            "signatures",
            Project(json!({"signatureKeys": [{"keyID": "x"}]})),
            "spec.signatureKeys of project signatures",
        ),
        (
            "accounts",
            Project(json!({"destinationServiceAccounts": [
                {"server": "*", "namespace": "*", "defaultServiceAccount": "x"},
            ]})),
            "spec.destinationServiceAccounts of project accounts",
        ),
        ("hook", Annotation("argocd.argoproj.io/hook: PreSync"), "argocd.argoproj.io/hook"),
        ("helm-hook", Annotation("helm.sh/hook: pre-install"), "helm.sh/hook"),
        ("wave", Annotation("argocd.argoproj.io/sync-wave: '1'"), "argocd.argoproj.io/sync-wave"),
        ("force", Annotation("argocd.argoproj.io/sync-options: Force=true"), "Force=true"),
    ]
}

fn web(name: &str, value: &str, annotations: &str) -> String {
    config_map(&format!("{name}-web"), value)
        .replace(&format!("name: {name}-web"), &format!("name: {name}-web\n  annotations: {{{annotations}}}"))
}

fn deploy(scene: &Scene, name: &str) -> Repo {
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {"name": name, "namespace": scene.control},
        "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]},
    });
    scene.create(&project).expect("the project is valid");
    let repo = scene.repo(name);
    repo.write("app/web.yaml", &web(name, "one", ""))
        .write("app/old.yaml", &config_map(&format!("{name}-old"), "one"));
    repo.commit("first");
    let app = scene.application(name).repo(&repo).path("app").automated().set("/spec/project", name);
    app.finalizer("resources-finalizer.argocd.argoproj.io").create();
    repo
}

/// Makes the app read-only, and in the same breath gives it something to apply and something to prune.
fn change(scene: &Scene, repo: &Repo, name: &str, change: &Change) {
    let annotations = if let Change::Annotation(text) = change { text } else { "" };
    // First, so that the commit below meets it.
    let is_read_only = |app: &Value| condition(app, "SyncError").starts_with("Read-only: ");
    match change {
        Change::Spec(spec) => {
            scene.patch_app(name, &json!({"spec": spec}));
            scene.wait_app(name, is_read_only);
        }
        Change::Project(spec) => {
            let definition = ("argoproj.io/v1alpha1", "AppProject");
            scene.patch(definition.0, definition.1, &scene.control, name, &json!({"spec": spec}));
            scene.wait_app(name, is_read_only);
        }
        Change::File(path, text) => {
            repo.write(&format!("app/{path}"), text);
        }
        Change::Annotation(_) => {}
    }
    repo.write("app/web.yaml", &web(name, "two", annotations)).remove("app/old.yaml").commit("second");
}

fn all_untouched(scene: &Scene, cases: &[Case], what: &str) {
    for (name, ..) in cases {
        is_untouched(scene, name, what);
    }
}

fn is_untouched(scene: &Scene, name: &str, what: &str) {
    let value = |object: &str| {
        let object = scene.config_map(&format!("{name}-{object}"));
        object.map(|object| object["data"]["key"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(value("web").as_deref(), Some("by hand"), "{name}: applied or healed, {what}");
    assert_eq!(value("old").as_deref(), Some("one"), "{name}: pruned, {what}");
}

#[test]
fn nothing_of_an_app_with_an_unsupported_field_is_changed() {
    let scene = Scene::new("readonly");
    let _agent = scene.agent();
    let cases = cases();
    let repos: Vec<Repo> = cases.iter().map(|(name, ..)| deploy(&scene, name)).collect();
    for ((name, ..), repo) in cases.iter().zip(&repos) {
        scene.wait_app(name, |app| is_synced_to(app, &repo.head()));
    }
    for ((name, what, _), repo) in cases.iter().zip(&repos) {
        change(&scene, repo, name, what);
    }
    for (name, _, field) in &cases {
        let app = scene.wait_app(name, |app| condition(app, "SyncError").contains(field));
        let message = condition(&app, "SyncError");
        assert!(message.starts_with("Read-only: Tautline does not act on "), "{name}: {message}");
        // Somebody edits what an app with self-heal would put back.
        let edit = json!({"data": {"key": "by hand"}});
        scene.patch("v1", "ConfigMap", &scene.namespace, &format!("{name}-web"), &edit);
    }
    scene.let_pass("after-the-edit");
    all_untouched(&scene, &cases, "by itself");

    // A person's sync is refused with the same words.
    for (name, _, field) in &cases {
        let app = scene.sync(name, &json!({"prune": true}));
        let state = &app["status"]["operationState"];
        assert_eq!(state["phase"], "Failed", "{name}: {state}");
        assert!(state["message"].as_str().unwrap().contains(field), "{name}: {state}");
    }
    all_untouched(&scene, &cases, "by an operation");

    // Its deletion deletes nothing, and waits.
    for (name, ..) in &cases {
        scene.delete_app(name);
    }
    for (name, _, field) in &cases {
        let app = scene.wait_app(name, |app| !condition(app, "DeletionError").is_empty());
        assert!(condition(&app, "DeletionError").contains(field), "{name}: {app}");
    }
    scene.let_pass("after-the-deletion");
    all_untouched(&scene, &cases, "by its deletion");
    for (name, ..) in &cases {
        // Nobody waits for it after the test.
        scene.patch_app(name, &json!({"metadata": {"finalizers": null}}));
    }
}
