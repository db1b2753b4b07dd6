//! What may Tautline do beside Argo CD? Nothing but look, in whatever shape its controller runs.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use application::install;
use e2e::{Agent, Repo, Scene, config_map, is_synced_to};
use serde_json::{Value, json};

fn app(scene: &Scene) -> (Repo, String) {
    let repo = scene.repo("shop");
    repo.write("web.yaml", &config_map("web", "one"));
    let revision = repo.commit("first");
    scene.application("shop").repo(&repo).automated().create();
    (repo, revision)
}

/// Asserts that an agent has looked, and done nothing else, because of something.
fn assert_only_looks(scene: &Scene, agent: &Agent, why: &str) {
    agent.wait_ready();
    let writer = format!("tautline_writer{{reason=\"{why}\"}} 0");
    agent.wait_probe("/metrics", |answer| answer.body.contains(&writer));
    agent.wait_probe("/metrics", |_| agent.metric("tautline_renders_total") == 1);
    assert_eq!(agent.metric("tautline_status_writes_total"), 0, "{}", agent.log_text());
    assert_eq!(agent.metric("tautline_applies_total"), 0);
    assert_eq!(scene.config_map("web"), None);
}

#[test]
fn a_controller_that_is_a_deployment_is_found_by_its_labels() {
    let scene = Scene::new("argo-deployment");
    let (_, first) = app(&scene);
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "gitops-controller", "namespace": scene.control,
            "labels": {"app.kubernetes.io/name": "argocd-application-controller"},
        },
        "spec": {
            "replicas": 1, "selector": {"matchLabels": {"app": "argocd"}},
            "template": {
                "metadata": {"labels": {"app": "argocd"}},
                "spec": {"containers": [{"name": "controller", "image": "argocd:3"}]},
            },
        },
    });
    scene.create(&deployment).unwrap();
    let agent = scene.agent();
    assert_only_looks(&scene, &agent, "ArgoCdRuns");
    let scale = json!({"spec": {"replicas": 0}});
    scene.patch("apps/v1", "Deployment", &scene.control, "gitops-controller", &scale);
    scene.wait_app("shop", |app| is_synced_to(app, &first));
}

/// Installs the agent's account with its role, but for what `restrict` takes of its own namespace's rules, and with rights
/// on what the app holds.
fn install(scene: &Scene, restrict: impl Fn(&mut Vec<Value>)) {
    let documents = install::documents(&scene.control, install::IMAGE).into_iter();
    for mut document in documents.filter(|document| document["metadata"]["name"] != install::MANAGED_ROLE) {
        let kind = document["kind"].as_str().unwrap().to_owned();
        match kind.as_str() {
            "Role" => restrict(document["rules"].as_array_mut().unwrap()),
            "ClusterRole" | "ClusterRoleBinding" => {
                document["metadata"]["name"] = scene.unique("agent").into();
                if kind == "ClusterRoleBinding" {
                    document["roleRef"]["name"] = scene.unique("agent").into();
                } else {
                    let managed = json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]});
                    document["rules"].as_array_mut().unwrap().push(managed);
                }
            }
            "ServiceAccount" | "RoleBinding" => {}
            _ => continue,
        }
        scene.create(&document).unwrap();
    }
}

#[test]
fn where_it_may_not_be_looked_for_nothing_is_written() {
    let scene = Scene::new("argo-unseen");
    let (_, first) = app(&scene);
    install(&scene, |rules| rules.retain(|rule| rule["resources"] != json!(["deployments"])));
    let agent = scene.agent_as(install::NAME);
    assert_only_looks(&scene, &agent, "ArgoCdMayRun");
    let says = |line: &Value| {
        let message = line["message"].as_str().unwrap_or_default();
        message.contains("may not be seen") && message.contains("deployments.apps are granted")
    };
    agent.wait_log(says);
    grant_all(&scene);
    scene.wait_app("shop", |app| is_synced_to(app, &first));
}

#[test]
fn where_it_may_be_listed_and_not_watched_nothing_is_written_either() {
    let scene = Scene::new("argo-unwatched");
    let (_, first) = app(&scene);
    install(&scene, |rules| {
        for rule in rules.iter_mut().filter(|rule| rule["resources"] == json!(["deployments"])) {
            rule["verbs"] = json!(["list"]);
        }
    });
    let agent = scene.agent_as(install::NAME);
    assert_only_looks(&scene, &agent, "ArgoCdMayRun");
    // It is listed again and again meanwhile.
    let lists = || agent.requests().get("list Deployment.apps").copied().unwrap_or_default();
    agent.wait_probe("/metrics", |_| lists() > 2);
    assert_only_looks(&scene, &agent, "ArgoCdMayRun");
    let log = agent.log_text();
    assert!(!log.contains("writes from now on"), "{log}");
    grant_all(&scene);
    scene.wait_app("shop", |app| is_synced_to(app, &first));
}

/// Gives the agent's account all of its role in its own namespace.
fn grant_all(scene: &Scene) {
    let mut documents = install::documents(&scene.control, install::IMAGE).into_iter();
    let role = documents.find(|document| document["kind"] == "Role").unwrap();
    let (api, name) = ("rbac.authorization.k8s.io/v1", role["metadata"]["name"].as_str().unwrap());
    scene.patch(api, "Role", &scene.control, name, &json!({"rules": role["rules"]}));
}
