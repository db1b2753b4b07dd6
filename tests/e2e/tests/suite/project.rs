//! What does a project refuse, and does it say which rule refused it?

use e2e::{Scene, Webhook, condition, config_map, is_synced_to, settled};
use serde_json::{Value, json};

const DEFINITION: &str = "argoproj.io/v1alpha1";

/// A project that permits everything, changed by `rules`.
fn project(scene: &Scene, name: &str, rules: &Value) {
    let mut spec = json!({"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]});
    for (field, value) in rules.as_object().expect("rules are a map") {
        spec[field] = value.clone();
    }
    let object = json!({
        "apiVersion": DEFINITION, "kind": "AppProject",
        "metadata": {"name": name, "namespace": scene.control}, "spec": spec,
    });
    scene.create(&object).expect("the project is valid");
}

// N31, N36: a sync, by each kind of rule
#[test]
fn each_rule_refuses_and_is_named() {
    let scene = Scene::new("rules");
    let _agent = scene.agent();
    let repo = scene.repo("shop");
    let inner = scene.unique("inner");
    repo.write("web.yaml", &config_map("web", "one"))
        .write("inner.yaml", &format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {inner}}}\n"));
    repo.commit("first");
    let config_maps = json!([{"group": "", "kind": "ConfigMap"}]);
    let namespaces = json!([{"group": "", "kind": "Namespace"}]);
    let everything = json!([{"group": "*", "kind": "*"}]);
    let cases = [
        (
            "no-repository",
            json!({"sourceRepos": ["https://elsewhere/*"]}),
            "is not permitted in project 'no-repository' (add it to spec.sourceRepos",
        ),
        (
            "repository-denied",
            json!({"sourceRepos": ["*", format!("!{}", repo.url())]}),
            "is not permitted in project 'repository-denied'",
        ),
        (
            "no-destination",
            json!({"destinations": [{"server": "*", "namespace": "elsewhere"}]}),
            "do not match any of the allowed destinations in project 'no-destination'",
        ),
        (
            "no-cluster-kinds",
            json!({}),
            "resource :Namespace is not permitted in project no-cluster-kinds (not in spec.clusterResourceWhitelist)",
        ),
        (
            "namespace-denied",
            json!({"clusterResourceWhitelist": everything, "clusterResourceBlacklist": namespaces}),
            "(in spec.clusterResourceBlacklist)",
        ),
        (
            "map-denied",
            json!({"clusterResourceWhitelist": everything, "namespaceResourceBlacklist": config_maps}),
            "resource :ConfigMap is not permitted in project map-denied (in spec.namespaceResourceBlacklist)",
        ),
        (
            "map-not-allowed",
            json!({"clusterResourceWhitelist": everything, "namespaceResourceWhitelist": [{"group": "apps", "kind": "*"}]}),
            "(not in spec.namespaceResourceWhitelist)",
        ),
    ];
    for (name, rules, _) in &cases {
        project(&scene, name, rules);
        scene.application(name).repo(&repo).set("/spec/project", *name).automated().create();
    }
    scene.application("no-project").repo(&repo).set("/spec/project", "no-such-project").automated().create();
    let told = |app: &Value| [condition(app, "InvalidSpecError"), condition(app, "ComparisonError")].concat();
    // A watch may tell of an app before another one tells of its project: then that is missing at first.
    for (name, _, expected) in &cases {
        scene.wait_app(name, |app| told(app).contains(expected));
    }
    scene.wait_app("no-project", |app| told(app).contains("there is no AppProject \"no-such-project\""));
    // A sync that a person asks for is refused with the same words.
    let app = scene.sync("no-repository", &json!({}));
    let message = app["status"]["operationState"]["message"].as_str().unwrap();
    assert!(message.contains("spec.sourceRepos"), "{message}");

    scene.let_pass("other");
    assert!(scene.config_map("web").is_none());
    assert!(scene.get("v1", "Namespace", "", &inner).is_none());
}

// N31: an update and self-heal
#[test]
fn a_project_that_changes_counts_at_once() {
    let scene = Scene::new("change");
    let _agent = scene.agent();
    let repo = scene.repo("shop");
    repo.write("web.yaml", &config_map("web", "one"));
    let revision = repo.commit("first");
    project(&scene, "team", &json!({"sourceRepos": []}));
    scene.application("shop").repo(&repo).set("/spec/project", "team").automated().create();
    scene.wait_app("shop", |app| !condition(app, "InvalidSpecError").is_empty());
    let permit = |repos: Value| {
        scene.patch(
            DEFINITION,
            "AppProject",
            &scene.control,
            "team",
            &json!({"spec": {"sourceRepos": repos}}),
        );
    };
    permit(json!(["*"]));
    let app = scene.wait_app("shop", |app| is_synced_to(app, &revision));
    assert_eq!(condition(&app, "InvalidSpecError"), "");

    // What is deployed stays when the permission goes, and is not updated.
    permit(json!([]));
    scene.wait_app("shop", |app| !condition(app, "InvalidSpecError").is_empty());
    repo.write("web.yaml", &config_map("web", "two")).commit("second");
    scene.let_pass("other");
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "one");
    // Nor is it healed.
    scene.edit_as("ops", "configmap/web", &json!({"data": {"key": "by hand"}}));
    scene.let_pass("third");
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "by hand");
    permit(json!(["*"]));
    scene.wait_app("shop", |app| is_synced_to(app, &repo.head()));
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "two");
}

#[test]
fn a_project_that_becomes_unreadable_stays_as_it_was_and_its_apps_say_so() {
    let scene = Scene::new("badproject");
    let agent = scene.agent();
    let repo = scene.repo("shop");
    let first = repo.write("web.yaml", &config_map("web", "one")).commit("first");
    project(&scene, "team", &json!({"namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}]}));
    scene.application("shop").repo(&repo).set("/spec/project", "team").automated().create();
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    scene.deployed("other", &[("other.yaml", &config_map("other", "one"))]);
    let rules =
        |rules: Value| scene.patch(DEFINITION, "AppProject", &scene.control, "team", &json!({"spec": rules}));
    rules(json!({"sourceRepos": ["*", "[z-a]"]}));
    let app = scene.wait_app("shop", |app| !condition(app, "UnknownError").is_empty());
    let told = condition(&app, "UnknownError");
    assert!(
        told.starts_with("AppProject team cannot be read: spec.sourceRepos[1]: `[z-a]` is not a pattern"),
        "{told}"
    );
    assert!(told.ends_with(". What it said before stays in force until it is corrected"), "{told}");
    assert!(is_synced_to(&app, &first), "{app:#}");
    assert_eq!(condition(&scene.app("other"), "UnknownError"), "");
    assert_eq!(agent.wait_log(|line| line["project"] == "team")["message"], "the AppProject cannot be read");

    // Syncs go on, under the rules that could be read last.
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\n";
    let second = repo.write("web.yaml", &config_map("web", "two")).commit("second");
    scene.wait_app("shop", |app| is_synced_to(app, &second) && !condition(app, "UnknownError").is_empty());
    repo.write("secret.yaml", secret).commit("third");
    let app = scene.wait_app("shop", |app| !condition(app, "ComparisonError").is_empty());
    assert!(condition(&app, "ComparisonError").contains("(in spec.namespaceResourceBlacklist)"), "{app:#}");

    rules(json!({"sourceRepos": ["*"], "namespaceResourceBlacklist": null}));
    scene
        .wait_app("shop", |app| is_synced_to(app, &repo.head()) && condition(app, "UnknownError").is_empty());
}

// N38: while a sync applies
#[test]
fn a_project_that_is_narrowed_in_the_middle_of_a_sync_stops_what_has_not_begun() {
    let scene = Scene::new("narrowed");
    let _agent = scene.agent();
    let label = scene.unique("held");
    let webhook = Webhook::permitting(scene.lab);
    webhook.install(&scene, &label, "ServiceAccount");
    webhook.hold();
    let account = |name: &str| {
        format!(
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}, labels: {{{label}: 'yes'}}}}\n"
        )
    };
    let cases = [
        (
            "kinds",
            json!({"namespaceResourceBlacklist": [{"group": "", "kind": "ConfigMap"}]}),
            "(in spec.namespaceResourceBlacklist)",
        ),
        ("places", json!({"destinations": [{"server": "*", "namespace": "elsewhere"}]}), "spec.destinations"),
    ];
    for (name, ..) in &cases {
        project(&scene, name, &json!({}));
        let repo = scene.repo(name);
        repo.write("first.yaml", &account(name)).write("then.yaml", &config_map(name, "one"));
        repo.commit("first");
        scene.application(name).repo(&repo).set("/spec/project", *name).automated().create();
    }
    // Accounts come before everything that may use them.
    webhook.wait_held(cases.len());
    let told = |app: &Value| [condition(app, "InvalidSpecError"), condition(app, "ComparisonError")].concat();
    for (name, rules, _) in &cases {
        scene.patch(DEFINITION, "AppProject", &scene.control, name, &json!({"spec": rules}));
    }
    for (name, _, rule) in &cases {
        scene.wait_app(name, |app| told(app).contains(rule));
    }
    webhook.let_go();
    // What was asked for before is made, save where the whole app may not go on: its sync has ended, and what it still had
    // under way was given up.
    scene.wait_object("v1", "ServiceAccount", &scene.namespace, "kinds", |account| account.is_some());
    for (name, ..) in &cases {
        scene.wait_app(name, settled);
    }
    scene.let_pass("other");
    for (name, _, rule) in &cases {
        assert!(scene.config_map(name).is_none(), "{name}: applied against {rule}");
        let app = scene.app(name);
        assert!(told(&app).contains(rule), "{name}: {app:#}");
    }
    Webhook::uninstall(&scene, &label);
}

// N31: a deletion
#[test]
fn a_deletion_leaves_what_the_project_has_come_to_deny_and_ends() {
    let scene = Scene::new("denied");
    let agent = scene.agent();
    let repo = scene.repo("shop");
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\n";
    let first = repo.write("web.yaml", &config_map("web", "one")).write("keys.yaml", secret).commit("first");
    project(&scene, "team", &json!({}));
    let app = scene.application("shop").repo(&repo).set("/spec/project", "team").automated();
    app.finalizer("resources-finalizer.argocd.argoproj.io").create();
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    let secrets = json!({"spec": {"namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}]}});
    scene.patch(DEFINITION, "AppProject", &scene.control, "team", &secrets);
    scene.wait_app("shop", |app| {
        condition(app, "ComparisonError").contains("(in spec.namespaceResourceBlacklist)")
    });
    scene.delete_app("shop");
    scene.wait_app_gone("shop");
    assert!(scene.config_map("web").is_none());
    assert!(scene.get("v1", "Secret", &scene.namespace, "keys").is_some());
    let told = agent.wait_log(|line| line["reason"] == "NotPermitted" && line["app"].is_string());
    let message = told["message"].as_str().unwrap_or_default();
    assert!(message.contains("does not permit them: Secret") && message.ends_with("keys"), "{message}");
}
