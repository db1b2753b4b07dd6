//! Is an app that uses something we do not act on yet left alone: not applied, healed, pruned or deleted?

use e2e::{
    GitServer, Repo, Scene, condition, config_map, is_synced_to, operation_message, operation_phase, settled,
    sync_status,
};
use serde_json::{Value, json};

const RESOURCES_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";

/// What makes an app read-only: a patch of its Application, or a change in Git.
enum Change {
    /// A merge patch of the Application.
    Application(Value),
    /// A merge patch of the `spec` of its project.
    Project(Value),
    /// Annotations (as flow YAML) of the object `web`.
    Annotation(&'static str),
    /// One more file.
    File(&'static str, &'static str),
}

/// An app's name, what makes it read-only, and what its condition must name.
struct Case {
    name: String,
    change: Change,
    field: String,
}

fn cases() -> Vec<Case> {
    let named = [of_applications(), of_projects(), of_files(), of_objects()].into_iter().flatten();
    let named = named.map(|(name, change, field)| {
        // Messages show a value without YAML's quotes.
        Case { name: name.into(), change, field: field.replace('\'', "") }
    });
    listed().into_iter().chain(named).collect()
}

/// Every field of an Application that the list in `fixtures/` has, except the one that the CRD drops.
fn listed() -> Vec<Case> {
    // As the list of an object, for our parser reads objects.
    let list = include_str!("../../../../fixtures/application/not_yet.yaml");
    // No test asks a host outside for anything: the answer could take minutes.
    let list = list.replace("https://git.example.com/r", "/nowhere");
    let object = format!("apiVersion: v1\nkind: Fixture\nmetadata: {{name: not-yet}}\ncases:\n{list}");
    let (mut parsed, problems) = manifest::parse("not_yet.yaml", object.as_bytes());
    assert!(problems.is_empty(), "{problems:?}");
    let list = parsed.remove(0).object.into_value()["cases"].as_array().expect("it is a list").clone();
    let stored = list.into_iter().enumerate().filter(|(_, case)| case["field"] != "spec.somethingNew");
    let case = |(index, mut case): (usize, Value)| {
        // The hooks' finalizers come beside the one that deletes.
        if let Some(finalizers) = case.pointer_mut("/merge/metadata/finalizers").and_then(Value::as_array_mut)
        {
            finalizers.push(RESOURCES_FINALIZER.into());
        }
        let field = case["field"].as_str().expect("the fixture names the field").to_owned();
        Case { name: format!("listed-{index}"), change: Change::Application(case["merge"].take()), field }
    };
    stored.map(case).collect()
}

type Named = (&'static str, Change, &'static str);

/// What people write who move from one form to another: the first of several is not taken for all.
fn of_applications() -> Vec<Named> {
    let source = |value: Value| Change::Application(json!({"spec": value}));
    vec![
        (
            "source-and-sources",
            source(json!({"sources": [{"repoURL": "https://example.com/x", "path": "x"}]})),
            "spec.sources",
        ),
        (
            "source-and-hydrator",
            source(json!({"sourceHydrator": {
                "drySource": {"repoURL": "https://example.com/x", "path": "x", "targetRevision": "HEAD"},
                "syncSource": {"targetBranch": "x", "path": "x"},
            }})),
            "spec.sourceHydrator",
        ),
    ]
}

fn of_projects() -> Vec<Named> {
    let accounts = json!([{"server": "*", "namespace": "*", "defaultServiceAccount": "x"}]);
    let windows = json!([{"kind": "allow", "schedule": "* * * * *", "duration": "1h"}]);
    let policy = json!({"repos": [{"url": "*"}], "gpg": {"mode": "head", "keys": ["ABCD"]}});
    vec![
        ("windows", Change::Project(json!({"syncWindows": windows})), "spec.syncWindows of project windows"),
        (
            "signatures",
            Change::Project(json!({"signatureKeys": [{"keyID": "x"}]})),
            "spec.signatureKeys of project signatures",
        ),
        (
            "accounts",
            Change::Project(json!({"destinationServiceAccounts": accounts})),
            "spec.destinationServiceAccounts of project accounts",
        ),
        (
            "integrity",
            Change::Project(json!({"sourceIntegrity": {"git": {"policies": [policy]}}})),
            "spec.sourceIntegrity of project integrity",
        ),
        (
            "scoped",
            Change::Project(json!({"permitOnlyProjectScopedClusters": true})),
            "spec.permitOnlyProjectScopedClusters of project scoped",
        ),
        (
            "namespaces",
            Change::Project(json!({"sourceNamespaces": ["/team-.*/"]})),
            "spec.sourceNamespaces: /team-.*/ of project namespaces",
        ),
    ]
}

fn of_files() -> Vec<Named> {
    use Change::File;
    let chart = "apiVersion: v2\nname: shop\nversion: 1.0.0\n";
    vec![
        ("kustomization", File("kustomization.yaml", "resources: [web.yaml]\n"), "Kustomize"),
        ("chart", File("Chart.yaml", chart), "Helm"),
        ("jsonnet", File("x.jsonnet", "{}\n"), "spec.source.directory.jsonnet"),
        (
            "override",
            File(".argocd-source.yaml", "directory: {recurse: true}\n"),
            "holds .argocd-source.yaml",
        ),
        (
            "own-override",
            File(".argocd-source-own-override.yaml", "directory: {recurse: true}\n"),
            "holds .argocd-source-own-override.yaml",
        ),
    ]
}

fn of_objects() -> Vec<Named> {
    [
        ("hook", "argocd.argoproj.io/hook: PreSync"),
        ("hook-skip", "argocd.argoproj.io/hook: Skip"),
        ("helm-hook", "helm.sh/hook: pre-install"),
        ("wave", "argocd.argoproj.io/sync-wave: '1'"),
        ("wave-negative", "argocd.argoproj.io/sync-wave: '-5'"),
        ("hook-weight", "helm.sh/hook-weight: '3'"),
        ("force", "argocd.argoproj.io/sync-options: Force=true"),
        ("replace", "argocd.argoproj.io/sync-options: Replace=true"),
        ("validate", "argocd.argoproj.io/sync-options: Validate=false"),
        ("prune-last", "argocd.argoproj.io/sync-options: PruneLast=true"),
        ("unknown-option", "argocd.argoproj.io/sync-options: Nonsense=1"),
        ("compare", "argocd.argoproj.io/compare-options: ServerSideDiff=true"),
    ]
    .map(|(name, annotation)| (name, Change::Annotation(annotation), annotation))
    .into()
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
    app.finalizer(RESOURCES_FINALIZER).create();
    repo
}

/// Makes the app read-only, and in the same breath gives it something to apply and something to prune.
fn change(scene: &Scene, repo: &Repo, name: &str, change: &Change) {
    let annotations = if let Change::Annotation(text) = change { text } else { "" };
    // First, so that the commit below meets it.
    let is_read_only = |app: &Value| condition(app, "SyncError").starts_with("Read-only: ");
    match change {
        Change::Application(patch) => {
            scene.patch_app(name, patch);
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
    for case in cases {
        is_untouched(scene, &case.name, what);
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

/// Has somebody edit what an app with self-heal would put back, and take the app for read-only for the right reason.
fn edit_by_hand(scene: &Scene, Case { name, field, .. }: &Case) {
    let app = scene.wait_app(name, |app| condition(app, "SyncError").contains(field));
    let message = condition(&app, "SyncError");
    assert!(message.starts_with("Read-only: Tautline does not act on "), "{name}: {message}");
    let edit = json!({"data": {"key": "by hand"}});
    scene.patch("v1", "ConfigMap", &scene.namespace, &format!("{name}-web"), &edit);
}

#[test]
fn nothing_of_an_app_with_an_unsupported_field_is_changed() {
    let scene = Scene::new("readonly");
    let _agent = scene.agent();
    let cases = cases();
    assert!(cases.len() > 50, "only {} cases", cases.len());
    let repos: Vec<Repo> = cases.iter().map(|case| deploy(&scene, &case.name)).collect();
    for (case, repo) in cases.iter().zip(&repos) {
        scene.wait_app(&case.name, |app| is_synced_to(app, &repo.head()));
    }
    for (case, repo) in cases.iter().zip(&repos) {
        change(&scene, repo, &case.name, &case.change);
    }
    for case in &cases {
        edit_by_hand(&scene, case);
    }
    scene.let_pass("after-the-edit");
    all_untouched(&scene, &cases, "by itself");

    // A person's sync is refused with the same words.
    for Case { name, .. } in &cases {
        scene.patch_app(name, &json!({"operation": {"sync": {"prune": true}}}));
    }
    for Case { name, field, .. } in &cases {
        let app = scene.wait_app(name, |app| settled(app) && operation_message(app).contains(field));
        assert_eq!(operation_phase(&app), "Failed", "{name}: {}", app["status"]["operationState"]);
    }
    all_untouched(&scene, &cases, "by an operation");

    // Its deletion deletes nothing, and waits.
    for Case { name, .. } in &cases {
        scene.delete_app(name);
    }
    for Case { name, field, .. } in &cases {
        let app = scene.wait_app(name, |app| !condition(app, "DeletionError").is_empty());
        assert!(condition(&app, "DeletionError").contains(field), "{name}: {app}");
    }
    scene.let_pass("after-the-deletion");
    all_untouched(&scene, &cases, "by its deletion");
    for Case { name, .. } in &cases {
        // Nobody waits for it after the test.
        scene.patch_app(name, &json!({"metadata": {"finalizers": null}}));
    }
}

#[test]
fn what_the_spec_alone_makes_read_only_is_told_while_git_is_silent() {
    let scene = Scene::new("silent-git");
    let mut agent = scene.agent();
    let server = GitServer::start(scene.repos());
    let repo = scene.repo("shop");
    for name in ["shop", "later"] {
        repo.write(&format!("{name}/map.yaml"), &config_map(name, "one"));
    }
    let revision = repo.commit("first");
    server.hold();
    let told = |name: &str| {
        let app = scene.application(name).set("/spec/source/repoURL", server.url("shop")).path(name);
        app.option("PruneLast=true").automated().create();
        scene.wait_app(name, |app| condition(app, "SyncError").contains("PruneLast=true"))
    };
    let shop = told("shop");
    assert_eq!(sync_status(&shop), "Unknown");
    server.let_go();
    let seen = scene.wait_app("shop", |app| app["status"]["sync"]["revision"] == revision);
    assert_eq!(sync_status(&seen), "OutOfSync");
    assert_eq!(condition(&seen, "SyncError"), condition(&shop, "SyncError"));
    // Who starts anew while it is silent finds it said already, and leaves the rest as it is.
    server.hold();
    agent.terminate();
    agent.restart();
    agent.wait_ready();
    // Seen later, so that it is told after what would be told of the other.
    told("later");
    assert_eq!(scene.app("shop")["metadata"]["resourceVersion"], seen["metadata"]["resourceVersion"]);
    assert!(scene.config_map("shop").is_none());
}
