//! What comes of a tenant who may write some objects and would like to reach others? He reaches nothing that is not his.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use e2e::{
    Canaries, GitServer, Scene, Webhook, condition, config_map, is_synced_to, operation_message,
    operation_phase, result_of, settled,
};
use serde_json::{Value, json};

const DEFINITION: &str = "argoproj.io/v1alpha1";
const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";

/// A project of a namespaced tenant.
fn project(scene: &Scene, name: &str, rules: &Value) {
    let mut spec = json!({"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]});
    for (field, value) in rules.as_object().unwrap() {
        spec[field] = value.clone();
    }
    let metadata = json!({"name": name, "namespace": scene.control});
    scene
        .create(&json!({"apiVersion": DEFINITION, "kind": "AppProject", "metadata": metadata, "spec": spec}))
        .unwrap();
}

fn repository_secret(name: &str, namespace: &str, url: &str, password: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": name, "namespace": namespace, "labels": {"argocd.argoproj.io/secret-type": "repository"},
        },
        "stringData": {"url": url, "username": "ann", "password": password},
    })
}

// N31, N35: a namespace that CreateNamespace would make
#[test]
fn who_may_deploy_no_namespace_has_none_made_either() {
    let scene = Scene::new("no-namespace");
    let _agent = scene.agent();
    project(&scene, "closed", &json!({}));
    project(&scene, "open", &json!({"clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}]}));
    let repo = scene.repo("shop");
    let revision = repo.write("web.yaml", &config_map("web", "one")).commit("first");
    let [closed, open] = ["closed", "open"].map(|name| {
        let to = scene.unique(name);
        let app = scene.application(name).repo(&repo).automated().option("CreateNamespace=true");
        app.set("/spec/project", name).set("/spec/destination/namespace", to.as_str()).create();
        to
    });
    scene.wait_app("open", |app| is_synced_to(app, &revision));
    assert!(scene.get("v1", "ConfigMap", &open, "web").is_some());
    let app = scene.wait_app("closed", |app| !result_of(app, "ConfigMap", "web").is_null());
    let message = result_of(&app, "ConfigMap", "web")["message"].as_str().unwrap();
    let rule =
        "resource :Namespace is not permitted in project closed (not in spec.clusterResourceWhitelist)";
    assert!(message.contains(rule), "{message}");
    assert!(scene.get("v1", "Namespace", "", &closed).is_none());
}

// N32: an Application of another namespace, even where its project lists that
#[test]
fn an_application_outside_the_control_namespace_is_nobodys() {
    let scene = Scene::new("outside");
    let mut agent = scene.agent();
    project(&scene, "team", &json!({"sourceNamespaces": ["*"]}));
    let repo = scene.repo("shop");
    repo.write("web.yaml", &config_map("web", "one")).commit("first");
    let app = scene.application("shop").repo(&repo).automated().set("/spec/project", "team");
    let app =
        app.set("/metadata/namespace", scene.namespace.as_str()).set("/operation/sync/prune", true).create();
    let untouched = |agent: &e2e::Agent| {
        let now = scene.get(DEFINITION, "Application", &scene.namespace, "shop").unwrap();
        assert_eq!(now["metadata"]["resourceVersion"], app["metadata"]["resourceVersion"]);
        assert!(scene.config_map("web").is_none());
        for path in ["shop", "shop/drift"] {
            let path = format!("/api/v1/applications/{path}?appNamespace={}", scene.namespace);
            assert_eq!(agent.get(&path).status, 404, "{path}");
        }
        let path = format!("/api/v1/applications/shop/sync?appNamespace={}", scene.namespace);
        assert_eq!(agent.post(&path, &json!({})).status, 404);
        let list = agent.get("/api/v1/applications").json();
        assert!(!list["items"].to_string().contains("\"shop\""), "{list}");
    };
    scene.let_pass("neighbour");
    untouched(&agent);
    // Nor is it at a restart.
    agent.restart();
    agent.wait_ready();
    scene.let_pass("another");
    untouched(&agent);
}

// N33: manifests in an operation and in a request
#[test]
fn an_operation_brings_no_manifests_of_its_own() {
    let scene = Scene::new("local");
    let agent = scene.agent();
    scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    let manifests = json!([json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "smuggled", "namespace": scene.namespace},
    }).to_string()]);
    let app = scene.sync("shop", &json!({"manifests": manifests}));
    assert_ne!(operation_phase(&app), "Succeeded", "{app:#}");
    assert!(operation_message(&app).contains("operation.sync.manifests"), "{}", operation_message(&app));
    let answer = agent.post("/api/v1/applications/shop/sync", &json!({"manifests": manifests}));
    assert_eq!(answer.status, 501, "{answer:?}");
    // At its creation as well.
    let repo = scene.repo("new");
    repo.write("new.yaml", &config_map("new", "one")).commit("first");
    scene.application("new").repo(&repo).set("/operation/sync/manifests", manifests).create();
    let app = scene.wait_app("new", |app| settled(app) && !operation_message(app).is_empty());
    assert!(operation_message(&app).contains("operation.sync.manifests"), "{}", operation_message(&app));
    scene.let_pass("neighbour");
    assert!(scene.config_map("smuggled").is_none());
    assert!(scene.config_map("new").is_none());
}

// N34: a repository Secret in a namespace of the tenant's own
#[test]
fn a_secret_of_another_namespace_is_no_setting() {
    let scene = Scene::new("strange-secret");
    let agent = scene.agent();
    let repo = scene.repo("shop");
    let revision = repo.write("web.yaml", &config_map("web", "one")).commit("first");
    let server = GitServer::start(scene.repos());
    server.ask_for("ann", "password-of-the-team");
    let url = server.url("shop");
    scene.create(&repository_secret("shop", &scene.namespace, &url, "password-of-a-tenant")).unwrap();
    scene.application("shop").set("/spec/source/repoURL", url.as_str()).automated().create();
    let app = scene.wait_app("shop", |app| !condition(app, "ComparisonError").is_empty());
    assert!(condition(&app, "ComparisonError").contains("wants credentials"), "{app:#}");
    scene.create(&repository_secret("shop", &scene.control, &url, "password-of-the-team")).unwrap();
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
    // What the tenant writes later changes nothing either.
    let other = json!({"stringData": {"password": "another-password"}});
    scene.patch("v1", "Secret", &scene.namespace, "shop", &other);
    let second = repo.write("web.yaml", &config_map("web", "two")).commit("second");
    scene.patch_app("shop", &json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "hard"}}}));
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    assert!(!server.was_told("password-of-a-tenant") && !server.was_told("another-password"));
    assert!(server.was_told("password-of-the-team"), "{}", agent.log_text());
}

/// Returns what must be there as it is: kind, namespace, name, uid.
fn precious(scene: &Scene) -> Vec<(&'static str, String, String, Value)> {
    let make = |kind: &'static str, namespace: &str, name: &str| {
        let mut metadata = json!({"name": name});
        if !namespace.is_empty() {
            metadata["namespace"] = namespace.into();
        }
        let made = scene.create(&json!({"apiVersion": "v1", "kind": kind, "metadata": metadata})).unwrap();
        (kind, namespace.to_owned(), name.to_owned(), made["metadata"]["uid"].clone())
    };
    vec![
        make("ConfigMap", "kube-system", &scene.unique("settings")),
        make("Namespace", "", &scene.unique("precious")),
        make("Secret", &scene.control, "precious"),
        make("ServiceAccount", &scene.namespace, "precious"),
    ]
}

// N39: entries in a status for what is others', of any kind and in any namespace
#[test]
fn a_forged_inventory_deletes_nothing_of_others() {
    let scene = Scene::new("forged");
    let _agent = scene.agent();
    scene.deployed("other", &[("theirs.yaml", &config_map("theirs", "one"))]);
    let repo = scene.repo("shop");
    let first = repo
        .write("web.yaml", &config_map("web", "one"))
        .write("old.yaml", &config_map("old", "one"))
        .commit("first");
    let app = scene.application("shop").repo(&repo).automated().finalizer(FINALIZER);
    app.create();
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    let mut precious = precious(&scene);
    let theirs = scene.config_map("theirs").unwrap()["metadata"]["uid"].clone();
    precious.push(("ConfigMap", scene.namespace.clone(), "theirs".into(), theirs));
    let forge = || {
        let entry = |(kind, namespace, name, _): &(&str, String, String, Value)| json!({"version": "v1", "kind": kind, "namespace": namespace, "name": name, "requiresPruning": true, "status": "OutOfSync"});
        let mut resources = scene.app("shop")["status"]["resources"].as_array().cloned().unwrap_or_default();
        resources.extend(precious.iter().map(entry));
        scene.patch_app("shop", &json!({"status": {"resources": resources}}));
    };
    forge();
    let second = repo.remove("old.yaml").commit("second");
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    scene.wait_config_map("old", |old| old.is_none());
    forge();
    let app = scene.sync("shop", &json!({"prune": true}));
    assert_eq!(operation_phase(&app), "Succeeded", "{app:#}");
    forge();
    scene.delete_app("shop");
    scene.wait_app_gone("shop");
    assert!(scene.config_map("web").is_none());
    for (kind, namespace, name, uid) in &precious {
        let now = scene.get("v1", kind, namespace, name);
        let now = now.unwrap_or_else(|| panic!("{kind} {namespace}/{name} was deleted"));
        assert_eq!(&now["metadata"]["uid"], uid, "{kind} {namespace}/{name} is another one");
        assert!(now["metadata"]["deletionTimestamp"].is_null(), "{kind} {namespace}/{name} goes");
    }
    for (kind, namespace, name, _) in precious.iter().take(2) {
        scene.delete("v1", kind, namespace, name);
    }
}

// N53: passwords change while many apps use them
#[test]
fn credentials_that_change_all_the_time_break_nothing() {
    let scene = Scene::new("restless");
    let agent = scene.agent();
    let server = GitServer::start(scene.repos());
    let repo = scene.repo("shop");
    let names: Vec<String> = (0..20).map(|n| format!("app-{n}")).collect();
    for name in &names {
        repo.write(&format!("{name}/map.yaml"), &config_map(name, "one"));
    }
    let first = repo.commit("first");
    server.ask_for("ann", "password-1");
    let url = server.url("shop");
    scene.create(&repository_secret("shop", &scene.control, &url, "password-0")).unwrap();
    for name in &names {
        scene.application(name).set("/spec/source/repoURL", url.as_str()).path(name).automated().create();
    }
    let refresh = json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}});
    for n in 0..40 {
        // The right one, a wrong one, none at all, one that cannot be read.
        let data = match n % 4 {
            0 => json!({"password": "cGFzc3dvcmQtMQ=="}),
            1 => json!({"password": "cGFzc3dvcmQtMA=="}),
            2 => json!({"password": null, "bearerToken": "cGFzc3dvcmQtMA=="}),
            _ => json!({"bearerToken": null, "password": "AAEC"}),
        };
        scene.patch("v1", "Secret", &scene.control, "shop", &json!({"data": data}));
        scene.patch_app(&names[n % names.len()], &refresh);
    }
    let pid = agent.pid();
    let right = json!({"data": {"password": "cGFzc3dvcmQtMQ==", "bearerToken": null}});
    scene.patch("v1", "Secret", &scene.control, "shop", &right);
    for name in &names {
        scene.patch_app(name, &refresh);
        scene.wait_app(name, |app| is_synced_to(app, &first) && condition(app, "UnknownError").is_empty());
    }
    assert_eq!(agent.pid(), pid);
    assert!(!agent.log_text().contains("panicked"), "{}", agent.log_text());
}

// N18, N19: a password in the URL of an Application, and kubectl's copy of it; it serves no other Application
#[test]
fn a_password_in_a_url_is_told_to_nobody() {
    let scene = Scene::new("in-url");
    let _agent = scene.agent();
    let repo = scene.repo("shop");
    let revision = repo.write("web.yaml", &config_map("web", "one")).commit("first");
    let server = GitServer::start(scene.repos());
    server.ask_for("ann", "canary-in-the-url");
    let url = |password: &str| server.url("shop").replace("http://", &format!("http://ann:{password}@"));
    for (name, url) in [
        ("right", url("canary-in-the-url")),
        ("wrong", url("canary-of-another")),
        ("token", format!("{}?sig=canary-in-the-query", server.url("shop"))),
    ] {
        let app = scene.application(name).set("/spec/source/repoURL", url.as_str()).automated().object();
        scene.lab.kubectl_with_input(&["apply", "-f", "-"], &app.to_string()).unwrap();
    }
    scene.application("plain").set("/spec/source/repoURL", server.url("shop")).automated().create();
    scene.wait_app("plain", |app| condition(app, "ComparisonError").contains("wants credentials"));
    scene.wait_app("right", |app| is_synced_to(app, &revision));
    scene.wait_app("wrong", |app| !condition(app, "ComparisonError").is_empty());
    scene.wait_app("token", |app| !condition(app, "ComparisonError").is_empty());
    let canaries = Canaries::default();
    for canary in ["canary-in-the-url", "canary-of-another", "canary-in-the-query"] {
        canaries.add(canary, canary);
        let status: String =
            ["right", "wrong", "token", "plain"].map(|name| scene.app(name)["status"].to_string()).concat();
        assert!(!messages_of(&status).contains(canary), "{status}");
    }
    // What people wrote into an Application stays in it, and so does what Argo CD's fields repeat of it.
    let found = scene.search(&canaries);
    let told: Vec<&String> = found.iter().filter(|found| !found.contains("stands in Application ")).collect();
    assert!(told.is_empty(), "{told:#?}");
}

/// Returns the sentences of a status: it repeats the source word for word, as Argo CD's does.
fn messages_of(status: &str) -> String {
    let messages = status.split("\"message\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    messages.collect::<Vec<_>>().join("\n")
}

// N56: words of a webhook that would forge a line of the log, or clear a terminal
#[test]
fn what_others_say_forges_no_line_and_no_colour() {
    let scene = Scene::new("forging");
    let forged = "no\u{1b}[2J\u{1b}]0;owned\u{7}\n2026-01-01T00:00:00.000000Z  INFO forged line reason=Synced\r\u{202e}desrever";
    let webhook = Webhook::denying(scene.lab, forged);
    let label = scene.unique("forged");
    webhook.install(&scene, &label, "ConfigMap");
    let repo = scene.repo("shop");
    let map =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: web, labels: {{{label}: 'yes'}}}}\n");
    repo.write("web.yaml", &map).commit(forged);
    scene.application("shop").repo(&repo).automated().create();
    let log = scene.folder().join("text.log");
    let settings = scene.settings();
    let path = |path: &std::path::Path| path.display().to_string();
    let mut child = scene
        .tautline_command(&[
            "run",
            "--log-format",
            "text",
            "--listen",
            "127.0.0.1:0",
            "--probes",
            "127.0.0.1:0",
        ])
        .args(["--namespace", &scene.control, "--kubeconfig", &path(&settings.kubeconfig)])
        .args(["--cache-dir", &path(&settings.cache), "--local-repos", &path(&settings.repos)])
        .env("RUST_LOG", "debug")
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let app = scene.wait_app("shop", |app| operation_phase(app) == "Failed");
    child.kill().unwrap();
    child.wait().unwrap();
    let message = result_of(&app, "ConfigMap", "web")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("forged line"), "{message}");
    let events = scene.lab.kubectl(&["-n", &scene.control, "get", "events", "-o", "json"]).unwrap();
    let events: Value = serde_json::from_str(&events).unwrap();
    let said = events["items"].as_array().unwrap().iter().filter_map(|event| event["message"].as_str());
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("forged line"), "{text}");
    scene.keep(&["run"], text.clone());
    for line in text.lines().chain([message.as_str()]).chain(said) {
        let active =
            line.chars().find(|c| (c.is_control() && *c != '\n') || ('\u{202a}'..='\u{202e}').contains(c));
        assert_eq!(active, None, "{line:?}");
    }
    for line in text.lines() {
        assert!(!line.starts_with("2026-01-01T"), "a line of the log is forged: {line}");
    }
    Webhook::uninstall(&scene, &label);
}
