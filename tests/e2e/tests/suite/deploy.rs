//! What does a sync put into the cluster?

use std::collections::{BTreeMap, BTreeSet};

use e2e::{Scene, condition, config_map, is_synced_to, operation_phase, result_of, sync_status};
use serde_json::{Value, json};

fn definition(group: &str) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: widgets.{group}}}\n\
         spec:\n  group: {group}\n  scope: Namespaced\n  names: {{plural: widgets, kind: Widget}}\n  versions:\n  \
         - name: v1\n    served: true\n    storage: true\n    schema:\n      openAPIV3Schema:\n        type: object\n        \
         properties: {{spec: {{type: object, properties: {{size: {{type: integer}}}}}}}}\n"
    )
}

fn widget(group: &str) -> String {
    format!("apiVersion: {group}/v1\nkind: Widget\nmetadata: {{name: gear}}\nspec: {{size: 3}}\n")
}

fn deployment(image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  selector: {{matchLabels: {{app: web}}}}\n  \
         template:\n    metadata: {{labels: {{app: web}}}}\n    spec: {{containers: [{{name: web, image: '{image}'}}]}}\n"
    )
}

#[test]
fn a_first_deploy_and_its_update_reach_the_cluster() {
    let scene = Scene::new("first");
    let repo = scene.repo("shop");
    repo.write("app/web.yaml", &config_map("web", "one"));
    let first = repo.commit("first");
    scene.application("shop").repo(&repo).path("app").automated().create();
    let _agent = scene.agent();
    let app = scene.wait_app("shop", |app| is_synced_to(app, &first));
    assert_eq!(app["status"]["operationState"]["phase"], "Succeeded");
    assert_eq!(app["status"]["health"]["status"], "Healthy");
    assert_eq!(app["status"]["history"][0]["revision"], first);
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "one");

    repo.write("app/web.yaml", &config_map("web", "two"));
    let second = repo.commit("second");
    let app = scene.wait_app("shop", |app| is_synced_to(app, &second));
    assert_eq!(app["status"]["history"][1]["revision"], second);
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "two");
}

#[test]
fn a_commit_on_this_disk_is_not_waited_for() {
    let scene = Scene::new("hinted");
    let (shop, pushed) = (scene.repo("shop"), scene.repo("pushed"));
    for (repo, name) in [(&shop, "committed"), (&pushed, "pushed")] {
        repo.write(&format!("app/{name}.yaml"), &config_map(name, "0")).commit("first");
    }
    let bare = scene.repos().join("bare.git").display().to_string();
    pushed.git(&["clone", "--quiet", "--bare", ".", &bare]);
    scene.application("shop").repo(&shop).path("app").automated().create();
    scene.application("pushed").set("/spec/source/repoURL", bare.as_str()).path("app").automated().create();
    // Nothing but the folder itself tells within the hour.
    let _agent = scene.agent_with(&["--poll-interval", "1h"]);
    scene.wait_app("shop", |app| is_synced_to(app, &shop.head()));
    scene.wait_app("pushed", |app| is_synced_to(app, &pushed.head()));
    for n in ["1", "2", "3"] {
        let revision = shop.write("app/committed.yaml", &config_map("committed", n)).commit(n);
        scene.wait_app("shop", |app| is_synced_to(app, &revision));
        let revision = pushed.write("app/pushed.yaml", &config_map("pushed", n)).commit(n);
        pushed.git(&["push", "--quiet", &bare, "main"]);
        scene.wait_app("pushed", |app| is_synced_to(app, &revision));
    }
    // Where refs are packed, a branch is no file of its own.
    shop.git(&["pack-refs", "--all"]);
    let revision = shop.write("app/committed.yaml", &config_map("committed", "4")).commit("4");
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
}

#[test]
fn branches_tags_and_commits_are_followed_as_they_move() {
    let scene = Scene::new("targets");
    let _agent = scene.agent();
    let repo = scene.repo("shop");
    let write = |value: &str| {
        for name in ["tag", "commit", "branch"] {
            repo.write(&format!("{name}/map.yaml"), &config_map(name, value));
        }
        repo.commit(value)
    };
    let first = write("one");
    repo.tag("v1");
    let second = write("two");
    for (name, target) in [("tag", "v1"), ("commit", first.as_str()), ("branch", "main")] {
        scene.application(name).repo(&repo).path(name).revision(target).automated().create();
    }
    for (name, revision) in [("tag", &first), ("commit", &first), ("branch", &second)] {
        scene.wait_app(name, |app| is_synced_to(app, revision));
    }
    repo.tag("v1");
    scene.wait_app("tag", |app| is_synced_to(app, &second));
    repo.reset(&first);
    scene.wait_app("branch", |app| is_synced_to(app, &first));
    let values =
        ["tag", "commit", "branch"].map(|name| scene.config_map(name).unwrap()["data"]["key"].clone());
    assert_eq!(values, [json!("two"), json!("one"), json!("one")]);
}

#[test]
fn a_namespace_a_definition_and_its_resource_deploy_in_one_sync() {
    let scene = Scene::new("kinds");
    let _agent = scene.agent();
    let (group, inner) = (format!("{}.example.com", scene.namespace), scene.unique("inner"));
    let repo = scene.repo("shop");
    // Named against the order in which they have to be applied.
    repo.write("a-widget.yaml", &widget(&group))
        .write("b-inner.yaml", &config_map("web", "inner").replace("name: web", &format!("name: web\n  namespace: {inner}")))
        .write("c-web.yaml", &deployment("web:1"))
        .write("d-secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: web}\nstringData: {password: hunter2}\n")
        .write("e-service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}], selector: {app: web}}\n")
        .write("y-definition.yaml", &definition(&group))
        .write("z-namespace.yaml", &format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {inner}}}\n"));
    let revision = repo.commit("all");
    scene.application("shop").repo(&repo).automated().create();
    let app = scene.wait_app("shop", |app| is_synced_to(app, &revision));
    assert_eq!(app["status"]["health"]["status"], "Healthy", "{}", app["status"]);
    assert_eq!(
        app["status"]["operationState"]["retryCount"],
        Value::Null,
        "{}",
        app["status"]["operationState"]
    );
    let kinds: BTreeSet<&str> =
        app["status"]["resources"].as_array().unwrap().iter().map(|r| r["kind"].as_str().unwrap()).collect();
    let all =
        ["ConfigMap", "CustomResourceDefinition", "Deployment", "Namespace", "Secret", "Service", "Widget"];
    assert_eq!(kinds, BTreeSet::from(all));
    assert_eq!(app["status"]["summary"]["images"], json!(["web:1"]));
    assert_eq!(scene.get("v1", "ConfigMap", &inner, "web").unwrap()["data"]["key"], "inner");
    let gear = scene.get(&format!("{group}/v1"), "Widget", &scene.namespace, "gear").unwrap();
    assert_eq!(gear["spec"]["size"], 3);
    assert!(!app.to_string().contains("hunter2"), "a Secret's value stands in the status");
}

#[test]
fn a_missing_kind_holds_only_its_object_until_its_definition_appears() {
    let scene = Scene::new("unknown");
    let _agent = scene.agent();
    let group = format!("{}.example.com", scene.namespace);
    let repo = scene.repo("shop");
    repo.write("widget.yaml", &widget(&group)).write("web.yaml", &config_map("web", "one"));
    let revision = repo.commit("first");
    scene.application("shop").repo(&repo).automated().create();
    let app = scene.wait_app("shop", |app| !result_of(app, "Widget", "gear").is_null());
    let message = result_of(&app, "Widget", "gear")["message"].as_str().unwrap();
    assert_eq!(message, format!("no such kind: {group}/v1 Widget; is its CRD installed?"));
    assert_eq!(result_of(&app, "Widget", "gear")["status"], "SyncFailed");
    assert_eq!(result_of(&app, "ConfigMap", "web")["status"], "Synced");
    assert!(scene.config_map("web").is_some());

    scene.kubectl_apply(&definition(&group));
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
}

#[test]
fn a_refused_object_fails_alone_and_is_not_tried_again_before_a_new_commit() {
    let scene = Scene::new("refused");
    let agent = scene.agent();
    let repo = scene.repo("shop");
    let service = |port: u32| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{ports: [{{port: {port}}}]}}\n"
        )
    };
    repo.write("service.yaml", &service(99_999)).write("web.yaml", &config_map("web", "one"));
    repo.commit("bad");
    scene.application("shop").repo(&repo).automated().create();
    let app = scene.wait_app("shop", |app| operation_phase(app) == "Failed");
    let message = result_of(&app, "Service", "web")["message"].as_str().unwrap();
    assert!(message.contains("spec.ports[0].port: Invalid value: 99999"), "{message}");
    assert!(message.ends_with("; correct the manifest"), "{message}");
    assert_eq!(result_of(&app, "ConfigMap", "web")["status"], "Synced");
    assert_eq!(sync_status(&app), "OutOfSync");
    assert!(condition(&app, "SyncError").starts_with("Failed last sync attempt to ["), "{}", app["status"]);
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "one");

    let before = agent.requests().get("apply Service").copied();
    scene.let_pass("other");
    assert_eq!(agent.requests().get("apply Service").copied(), before, "the refused object was sent again");

    repo.write("service.yaml", &service(80));
    let good = repo.commit("good");
    let app = scene.wait_app("shop", |app| is_synced_to(app, &good));
    assert_eq!(condition(&app, "SyncError"), "");
}

#[test]
fn create_namespace_makes_the_destination_and_its_lack_is_explained() {
    let scene = Scene::new("ns");
    let agent = scene.agent();
    let repo = scene.repo("shop");
    repo.write("web.yaml", &config_map("web", "one"));
    for n in 0..8 {
        repo.write(&format!("more-{n}.yaml"), &config_map(&format!("more-{n}"), "one"));
    }
    let revision = repo.commit("first");
    let [made, missing] = [scene.unique("made"), scene.unique("missing")];
    let app = |name: &str, to: &str| {
        scene.application(name).repo(&repo).automated().set("/spec/destination/namespace", to)
    };
    app("made", &made).option("CreateNamespace=true").create();
    app("missing", &missing).create();
    scene.wait_app("made", |app| is_synced_to(app, &revision));
    assert!(scene.get("v1", "ConfigMap", &made, "web").is_some());
    let requests = agent.requests();
    assert_eq!(requests.get("create Namespace"), Some(&1), "each object found that it lacks: {requests:?}");

    let failed = scene.wait_app("missing", |app| !result_of(app, "ConfigMap", "web").is_null());
    let message = result_of(&failed, "ConfigMap", "web")["message"].as_str().unwrap();
    assert!(message.contains("not found") && message.contains("CreateNamespace=true"), "{message}");
    assert!(scene.get("v1", "Namespace", "", &missing).is_none());
}

#[test]
fn an_update_costs_two_requests_and_a_settled_app_none() {
    let scene = Scene::new("count");
    let agent = scene.agent();
    let settled_app = scene.deployed("settled", &[("web.yaml", &config_map("settled", "one"))]);
    let repo = scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    let before = agent.requests();
    for n in 0..3 {
        repo.write("app/web.yaml", &config_map("web", &format!("update {n}")));
        let revision = repo.commit("update");
        scene.wait_app("shop", |app| is_synced_to(app, &revision));
    }
    let spent: BTreeMap<String, u64> = agent
        .requests()
        .into_iter()
        .map(|(name, count)| (name.clone(), count - before.get(&name).copied().unwrap_or(0)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let expected = [("apply ConfigMap", 3), ("patch Application.argoproj.io", 3)];
    assert_eq!(spent, expected.map(|(name, count)| (name.to_owned(), count)).into());
    drop(settled_app);
}

#[test]
fn a_long_sync_is_told_once_while_it_runs() {
    let scene = Scene::new("long");
    let _agent = scene.agent();
    let repo = scene.repo("shop");
    repo.write(
        "claim.yaml",
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\n\
         spec: {accessModes: [ReadWriteOnce], storageClassName: none, resources: {requests: {storage: 1Gi}}}\n",
    );
    let revision = repo.commit("first");
    scene.application("shop").repo(&repo).automated().create();
    let states = scene.watch_app("shop", |app| {
        if operation_phase(app) == "Running" {
            // There is no storage in the lab: this is what binding a claim looks like.
            let bound =
                ["-n", &scene.namespace, "patch", "pvc", "data", "--subresource=status", "--type=merge"];
            let bound = [&bound[..], &["-p", r#"{"status": {"phase": "Bound"}}"#]].concat();
            scene.lab.kubectl(&bound).unwrap();
        }
        is_synced_to(app, &revision)
    });
    let phases: Vec<&str> = states.iter().map(operation_phase).filter(|phase| !phase.is_empty()).collect();
    assert_eq!(phases, ["Running", "Succeeded"]);
    let running = states.iter().find(|app| operation_phase(app) == "Running").unwrap();
    let message = running["status"]["operationState"]["message"].as_str().unwrap();
    assert!(message.starts_with("waiting for PersistentVolumeClaim"), "{message}");
}

#[test]
fn links_to_what_is_published_stand_in_the_summary() {
    let scene = Scene::new("links");
    let _agent = scene.agent();
    let repo = scene.repo("shop");
    repo.write(
        "app/ingress.yaml",
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\nspec:\n  \
         tls: [{hosts: [shop.example], secretName: cert}]\n  rules:\n  - host: shop.example\n    http: {paths: \
         [{path: /start, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}\n",
    );
    let annotation =
        "metadata: {annotations: {link.argocd.argoproj.io/docs: 'Docs|https://docs.example/'}, name: web}";
    repo.write("app/map.yaml", &format!("apiVersion: v1\nkind: ConfigMap\n{annotation}\n"));
    let revision = repo.commit("first");
    scene.application("shop").repo(&repo).path("app").automated().create();
    let key = ("networking.k8s.io/v1", "Ingress");
    scene.wait_object(key.0, key.1, &scene.namespace, "web", |ingress| ingress.is_some());
    let address = json!({"status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}}).to_string();
    scene.kubectl(&["patch", "ingress", "web", "--subresource=status", "--type=merge", "-p", &address]);
    let app = scene.wait_app("shop", |app| is_synced_to(app, &revision));
    let expected = ["Docs|https://docs.example/", "https://shop.example/start"];
    assert_eq!(app["status"]["summary"]["externalURLs"], json!(expected));
}
