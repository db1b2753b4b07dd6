//! Which rights does the agent need? Exactly those of the role that it is installed with.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::collections::BTreeSet;
use std::time::Instant;

use application::install::{self, AGENT_CLUSTER_RULES, AGENT_ROLE_RULES, Rule};
use e2e::{Agent, Repo, Scene, condition, config_map, is_synced_to};
use serde_json::{Value, json};

/// What the fixtures need beside the agent's own role: a kind that Git may hold is listed, watched, confirmed, applied
/// and deleted, and a namespace is made where an app asks for it.
const FIXTURES: &[Rule] = &[
    Rule { group: "", resource: "services", verbs: MANAGED },
    Rule { group: "", resource: "serviceaccounts", verbs: MANAGED },
    Rule { group: "apps", resource: "deployments", verbs: MANAGED },
    Rule { group: "", resource: "namespaces", verbs: &["create"] },
];
const MANAGED: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

/// How kinds are called in paths.
const RESOURCES: &[(&str, &str, &str)] = &[
    ("Application.argoproj.io", "argoproj.io", "applications"),
    ("AppProject.argoproj.io", "argoproj.io", "appprojects"),
    ("Secret", "", "secrets"),
    ("ConfigMap", "", "configmaps"),
    ("Event", "", "events"),
    ("StatefulSet.apps", "apps", "statefulsets"),
    ("Lease.coordination.k8s.io", "coordination.k8s.io", "leases"),
    ("CustomResourceDefinition.apiextensions.k8s.io", "apiextensions.k8s.io", "customresourcedefinitions"),
    ("Pod", "", "pods"),
    ("ReplicaSet.apps", "apps", "replicasets"),
    ("Service", "", "services"),
    ("ServiceAccount", "", "serviceaccounts"),
    ("Deployment.apps", "apps", "deployments"),
    ("Namespace", "", "namespaces"),
    ("TokenReview.authentication.k8s.io", "authentication.k8s.io", "tokenreviews"),
    ("SubjectAccessReview.authorization.k8s.io", "authorization.k8s.io", "subjectaccessreviews"),
];

/// A right: group, resource, verb.
type Right = (String, String, String);

fn rights(rules: &[Rule]) -> BTreeSet<Right> {
    let of = |rule: &Rule| {
        let (group, resource) = (rule.group.to_owned(), rule.resource.to_owned());
        rule.verbs
            .iter()
            .map(move |verb| (group.clone(), resource.clone(), (*verb).to_owned()))
            .collect::<Vec<_>>()
    };
    rules.iter().flat_map(of).collect()
}

/// Returns the rights that an agent has used, by what it counts itself.
fn used(agent: &Agent) -> BTreeSet<Right> {
    let text = agent.probe("/metrics").body;
    let mut used = BTreeSet::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("tautline_api_requests_total{")) {
        let label = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value.to_owned())
        };
        let (verb, kind) = (label("verb").unwrap(), label("kind").unwrap());
        // Discovery is everybody's right.
        if verb == "discover" {
            continue;
        }
        let resource = RESOURCES.iter().find(|(name, _, _)| *name == kind);
        let (_, group, resource) = resource.unwrap_or_else(|| panic!("{kind} is in no table"));
        let verb = match verb.as_str() {
            // An apply is a patch that may create (Kubernetes documentation, server-side apply).
            "apply" | "dry-run" => "patch",
            other => other,
        };
        let (resource, verb) = match verb {
            "log" => ("pods/log", "get"),
            "proxy" => ("services/proxy", "get"),
            verb => (*resource, verb),
        };
        used.insert(((*group).to_owned(), resource.to_owned(), verb.to_owned()));
    }
    used
}

/// Installs the agent's service account for a scene, with the rights that the fixtures need.
fn install(scene: &Scene) {
    scene.install_account();
    for (n, rule) in FIXTURES.iter().enumerate() {
        let group = if rule.group.is_empty() { String::new() } else { format!(".{}", rule.group) };
        scene.grant(&format!("fixtures-{n}"), &format!("{}{group}", rule.resource), rule.verbs);
    }
}

fn service(name: &str, port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{selector: {{app: web}}, ports: [{{port: {port}}}]}}\n"
    )
}

fn deployment(image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec: {{selector: {{matchLabels: {{app: web}}}}, \
         template: {{metadata: {{labels: {{app: web}}}}, spec: {{containers: [{{name: web, image: '{image}'}}]}}}}}}\n"
    )
}

/// Has everything happen that the agent ever does; returns the rights that it took.
fn everything(scene: &Scene, repo: &Repo, agent: &mut Agent) -> BTreeSet<Right> {
    let made = scene.unique("made");
    repo.write("app/account.yaml", "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: web}\n")
        .write("app/service.yaml", &service("web", 80))
        .write("app/old.yaml", &service("old", 80))
        .write("app/deployment.yaml", &deployment("web:never-ready"));
    let first = repo.commit("first");
    let app = scene.application("shop").repo(repo).path("app").automated().option("CreateNamespace=true");
    let app = app.set("/spec/destination/namespace", made.as_str());
    let app = app.finalizer("resources-finalizer.argocd.argoproj.io");
    let app = app.set("/spec/revisionHistoryLimit", 4).annotation("tautline.dev/soak", "1s");
    let check = "[{name: smoke, http: {service: web, port: 80}}]";
    let app = app.annotation("tautline.dev/checks", check).annotation("tautline.dev/degraded-grace", "1h");
    app.annotation("tautline.dev/deadline", "2s").create();
    // Why it is not healthy is known from its pods.
    scene.wait_app("shop", |app| {
        app["status"]["sync"]["revision"] == first.as_str()
            && app["status"]["resources"].to_string().contains("pod")
    });
    // What they said last is asked for once the commit has failed.
    let asked = [right("", "pods/log", "get"), right("", "events", "list")];
    agent.wait_probe("/metrics", |_| asked.iter().all(|right| used(agent).contains(right)));
    repo.write("app/deployment.yaml", &deployment("web:1")).remove("app/old.yaml");
    let second = repo.commit("second");
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    scene.wait_object("v1", "Service", &made, "old", |service| service.is_none());
    // What it declares is asked of a Service whose pods no network leads to, which says nothing of the commit.
    agent.wait_probe("/metrics", |_| used(agent).contains(&right("", "services/proxy", "get")));
    scene.patch_app("shop", &json!({"metadata": {"annotations": {"tautline.dev/checks": null}}}));
    heal(scene, &made);
    heal(scene, &made);
    agent.wait_probe("/metrics", |_| used(agent).contains(&right("", "events", "patch")));
    contend(scene, agent);
    // The lease is renewed after five seconds.
    agent.wait_probe("/metrics", |_| used(agent).contains(&right("coordination.k8s.io", "leases", "patch")));
    release(scene, repo, agent);
    let mut all = used(agent);

    assert_eq!(agent.terminate().code(), Some(0));
    agent.restart();
    agent.wait_ready();
    // The same news as before the restart: its event is found.
    heal(scene, &made);
    agent.wait_probe("/metrics", |_| used(agent).contains(&right("", "events", "get")));
    scene.delete_app("shop");
    scene.wait_app_gone("shop");
    scene.wait_object("apps/v1", "Deployment", &made, "web", |deployment| deployment.is_none());
    all.extend(used(agent));
    all
}

fn right(group: &str, resource: &str, verb: &str) -> Right {
    (group.to_owned(), resource.to_owned(), verb.to_owned())
}

/// Deploys until releases have been trimmed: of the first ones the objects go, and then they go themselves.
fn release(scene: &Scene, repo: &Repo, agent: &Agent) {
    for number in 3..=6 {
        repo.write("app/service.yaml", &service("web", 80 + number)).commit("another");
        let name = format!("tautline-release.shop.v{number}");
        scene.wait_object("v1", "Secret", &scene.control, &name, |secret| secret.is_some());
    }
    let trims = [right("", "secrets", "patch"), right("", "secrets", "delete")];
    agent.wait_probe("/metrics", |_| trims.iter().all(|right| used(agent).contains(right)));
}

/// Edits by hand what the agent puts back.
fn heal(scene: &Scene, namespace: &str) {
    let edit = json!({"spec": {"selector": {"app": "edited"}}});
    scene.patch("v1", "Service", namespace, "web", &edit);
    scene.wait_object("v1", "Service", namespace, "web", |service| {
        service.is_some_and(|service| service["spec"]["selector"]["app"] == "web")
    });
}

/// Writes the status against the agent until the two get into each other's way, so that it has to read it anew.
fn contend(scene: &Scene, agent: &Agent) {
    let wanted = right("argoproj.io", "applications", "get");
    for n in 0..300 {
        scene.patch_app("shop", &json!({"status": {"sync": {"status": "Unknown"}}}));
        scene.patch_app("shop", &json!({"metadata": {"annotations": {"example.com/n": n.to_string()}}}));
        if used(agent).contains(&wanted) {
            return;
        }
    }
    panic!("300 writes and no conflict\n{}", agent.log_text());
}

#[test]
fn the_role_holds_what_is_used_and_what_is_used_is_in_the_role() {
    let scene = Scene::new("rights");
    install(&scene);
    let repo = scene.repo("shop");
    let mut settings = scene.settings();
    settings.kubeconfig = scene.lab.kubeconfig_for(&scene.control, install::NAME).unwrap();
    settings.options = vec!["--events".into(), "all".into(), "--authenticate".into()];
    let mut agent = scene.start(settings);
    let mut used = everything(&scene, &repo, &mut agent);
    // Of a caller it is asked who that is, and what they may.
    let token = scene.lab.kubectl(&["-n", &scene.control, "create", "token", install::NAME]).unwrap();
    scene.canaries().add("a caller's token", token.trim());
    let bearer = format!("Bearer {}", token.trim());
    let answer = agent.call(("GET", "/api/v1/applications"), &[("Authorization", &bearer)]);
    assert_eq!(answer.status, 200, "{answer:?}");
    used.extend(self::used(&agent));
    let refused: Vec<String> = agent
        .log_text()
        .lines()
        .filter(|line| line.to_lowercase().contains("forbidden"))
        .map(str::to_owned)
        .collect();
    assert_eq!(refused, Vec::<String>::new(), "a right is missing");
    let own: BTreeSet<Right> =
        rights(AGENT_ROLE_RULES).into_iter().chain(rights(AGENT_CLUSTER_RULES)).collect();
    // Releases are kept in Secrets, and no sync leaves one yet.
    let of_releases = ["get", "create", "patch", "delete"].map(|verb| right("", "secrets", verb));
    let unused: Vec<&Right> = own.difference(&used).filter(|right| !of_releases.contains(right)).collect();
    assert_eq!(unused, Vec::<&Right>::new(), "rights that nothing needs");
    let covered: BTreeSet<Right> = own.into_iter().chain(rights(FIXTURES)).collect();
    let uncovered: Vec<&Right> = used.difference(&covered).collect();
    assert_eq!(uncovered, Vec::<&Right>::new(), "requests that no rule names");
}

#[test]
fn an_agent_is_ready_once_it_has_listed_what_it_looks_at() {
    let scene = Scene::new("unlisted");
    install(&scene);
    let role =
        || scene.get("rbac.authorization.k8s.io/v1", "Role", &scene.control, install::AGENT_ROLE).unwrap();
    let rules = role()["rules"].as_array().unwrap().clone();
    let allow = |rules: &[&Value]| {
        let patch = json!({"rules": rules});
        scene.patch("rbac.authorization.k8s.io/v1", "Role", &scene.control, install::AGENT_ROLE, &patch);
    };
    let is_about = |rule: &Value, resource: &str| rule["resources"][0] == resource;
    let without = |left_out: &[&str]| -> Vec<&Value> {
        rules.iter().filter(|rule| !left_out.iter().any(|resource| is_about(rule, resource))).collect()
    };
    allow(&without(&["applications", "appprojects"]));
    let agent = scene.agent_as(install::NAME);
    let says = |reason: &str| agent.wait_probe("/readyz", |answer| answer.body.contains(reason));
    let (apps, settings) =
        ("Applications have not been listed yet", "projects, repository Secrets or settings");
    let answer = says(apps);
    assert_eq!((answer.status, answer.body.contains(settings)), (503, true), "{answer:?}");
    allow(&without(&["applications"]));
    let answer = agent.wait_probe("/readyz", |answer| !answer.body.contains(settings));
    assert_eq!((answer.status, answer.body.contains(apps)), (503, true), "{answer:?}");
    allow(&without(&[]));
    agent.wait_ready();
}

#[test]
fn what_is_asked_for_over_http_needs_no_other_rights() {
    let scene = Scene::new("http-rights");
    install(&scene);
    let repo = scene.repo("shop");
    repo.write("app/web.yaml", &service("web", 80));
    let first = repo.commit("first");
    scene.application("shop").repo(&repo).path("app").create();
    let agent = scene.agent_as(install::NAME);
    scene.wait_app("shop", |app| app["status"]["sync"]["revision"] == first.as_str());

    let answer = agent.post("/api/v1/applications/shop/sync", &json!({"revision": first}));
    assert_eq!(answer.status, 200, "{answer:?}");
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    assert!(scene.get("v1", "Service", &scene.namespace, "web").is_some());
    repo.write("app/web.yaml", &service("web", 81));
    let second = repo.commit("second");
    for kind in ["normal", "hard"] {
        let answer = agent.get(&format!("/api/v1/applications/shop?refresh={kind}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        let app = answer.json();
        assert_eq!(app["status"]["sync"]["revision"], second.as_str(), "{app:#}");
        assert_eq!(app["status"]["sync"]["status"], "OutOfSync", "{app:#}");
    }
    assert!(!agent.log_text().to_lowercase().contains("forbidden"), "{}", agent.log_text());
}

#[test]
fn in_a_pod_the_cluster_is_reached_by_the_service_account() {
    let scene = Scene::new("in-pod");
    install(&scene);
    let repo = scene.repo("shop");
    let revision = repo.write("app/web.yaml", &service("web", 80)).commit("first");
    scene.application("shop").repo(&repo).path("app").automated().create();
    let mut agent = scene.agent_in_pod(install::NAME);
    let start = agent.wait_log(|line| line["message"] == "tautline starts");
    assert_eq!(start["cluster"].as_str().unwrap().trim_end_matches('/'), scene.lab.url());
    agent.wait_ready();
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
    // It acts with the account's rights, not with an administrator's.
    repo.write(
        "app/quota.yaml",
        "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: all}\nspec: {hard: {pods: 9}}\n",
    );
    repo.commit("second");
    let account = format!("system:serviceaccount:{}:{}", scene.control, install::NAME);
    scene.wait_app("shop", |app| condition(app, "ComparisonError").contains(&account));
    assert!(agent.terminate().success());
}

fn shipped(name: &str) -> String {
    format!("{}/../../manifests/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// What the README says of callers from elsewhere: the Service, and a patch that changes nothing the second time.
fn assert_is_exposed_as_shipped(scene: &Scene) {
    let lab = scene.lab;
    let patch = format!("--patch-file={}", shipped("api-patch.yaml"));
    let patch = ["-n", install::NAMESPACE, "patch", "deployment", install::NAME, &patch];
    lab.kubectl(&["apply", "-f", &shipped("api.yaml")]).unwrap();
    let deployment = || scene.get("apps/v1", "Deployment", install::NAMESPACE, install::NAME).unwrap();
    lab.kubectl(&patch).unwrap();
    let generation = deployment()["metadata"]["generation"].clone();
    lab.kubectl(&patch).unwrap();
    assert_eq!(deployment()["metadata"]["generation"], generation, "the second time changes nothing");
    let service = scene.get("v1", "Service", install::NAMESPACE, install::NAME).unwrap();
    let deployment = deployment();
    let pod = &deployment["spec"]["template"];
    for (key, value) in service["spec"]["selector"].as_object().unwrap() {
        assert_eq!(pod["metadata"]["labels"][key], *value);
    }
    let container = &pod["spec"]["containers"][0];
    let ports: Vec<&str> =
        container["ports"].as_array().unwrap().iter().map(|port| port["name"].as_str().unwrap()).collect();
    assert!(ports.contains(&"probes") && ports.contains(&"api"), "{ports:?}");
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "api");
    let mounts = container["volumeMounts"].as_array().unwrap();
    assert_eq!(mounts.len(), 3, "{mounts:?}");
    assert!(mounts.iter().any(|mount| mount["mountPath"] == "/tls"));
    // The program takes the arguments: what it misses is the certificate that is mounted there.
    let arguments = container["args"].as_array().unwrap().iter();
    let mut arguments: Vec<&str> = arguments.map(|argument| argument.as_str().unwrap()).collect();
    arguments.extend(["--kubeconfig", lab.kubeconfig().to_str().unwrap()]);
    let told = scene.tautline(&arguments);
    assert!(told.err.contains("/tls/tls.crt"), "{told:?}");
    assert!(!told.err.contains("--help"), "{told:?}");
}

#[test]
fn the_shipped_manifest_installs_twice_and_its_account_can_sync() {
    let mut scene = Scene::new("shipped");
    // As strict as a cluster can be about pods.
    let lab = scene.lab;
    lab.kubectl(&["create", "namespace", install::NAMESPACE]).unwrap();
    let strict = "pod-security.kubernetes.io/enforce=restricted";
    lab.kubectl(&["label", "namespace", install::NAMESPACE, strict]).unwrap();
    let manifest = shipped("install.yaml");
    lab.kubectl(&["apply", "-f", &manifest]).unwrap();
    let again = lab.kubectl(&["apply", "-f", &manifest]).unwrap();
    let changed: Vec<&str> = again.lines().filter(|line| !line.ends_with(" unchanged")).collect();
    assert_eq!(changed, Vec::<&str>::new(), "the second time changes nothing");
    let rollout = ["-n", install::NAMESPACE, "rollout", "status", "deployment/tautline", "--timeout=60s"];
    lab.kubectl(&rollout).unwrap();
    assert_is_exposed_as_shipped(&scene);

    scene.control = install::NAMESPACE.into();
    let repo = scene.repo("shop");
    let unusual = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: NAME}\n\
                   rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]\n";
    let name = scene.unique("shipped");
    repo.write("app/web.yaml", &config_map("web", "one"))
        .write("app/role.yaml", &unusual.replace("NAME", &name));
    let first = repo.commit("first");
    let app = scene.application("shop").repo(&repo).path("app").automated();
    app.finalizer("resources-finalizer.argocd.argoproj.io").create();
    let agent = scene.agent_as(install::NAME);
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "one");
    assert!(scene.get("rbac.authorization.k8s.io/v1", "ClusterRole", "", &name).is_some());
    scene.delete_app("shop");
    scene.wait_app_gone("shop");
    scene.wait_config_map("web", |map| map.is_none());
    assert!(!agent.log_text().to_lowercase().contains("forbidden"), "{}", agent.log_text());
}

#[test]
fn what_may_not_be_taken_over_is_told_once_and_tried_again_later() {
    let scene = Scene::new("no-patch");
    install(&scene);
    scene.grant("reads", "podtemplates", &["get", "list", "watch"]);
    let template = |name: &str| {
        format!(
            "apiVersion: v1\nkind: PodTemplate\nmetadata:\n  name: {name}\n  annotations: \
             {{'argocd.argoproj.io/tracking-id': 'shop:/PodTemplate:{0}/{name}'}}\n\
             template: {{spec: {{containers: [{{name: web, image: 'web:1'}}]}}}}\n",
            scene.namespace
        )
    };
    let names = ["web-0", "web-1", "old-0", "old-1"];
    for name in names {
        scene.apply_as("argocd-controller", &template(name));
    }
    let repo = scene.repo("shop");
    repo.write("all.yaml", &[template("web-0"), template("web-1")].join("---\n"));
    let first = repo.commit("first");
    scene.application("shop").repo(&repo).create();
    let resource = |name: &&str| json!({"version": "v1", "kind": "PodTemplate", "namespace": scene.namespace, "name": name});
    let resources: Vec<Value> = names.iter().map(resource).collect();
    scene.patch_app("shop", &json!({"status": {"resources": resources}}));
    let begun = Instant::now();
    let agent = scene.agent_as(install::NAME);

    // What Git holds is compared all the same; what it holds no more stays listed, and the condition says what to do.
    let app = scene.wait_app("shop", |app| !condition(app, "ComparisonError").is_empty());
    let message = condition(&app, "ComparisonError");
    assert!(message.contains("old-0") && message.contains("grant the agent's service account"), "{message}");
    let status = |app: &Value, name: &str| {
        let resources = app["status"]["resources"].as_array().unwrap();
        resources.iter().find(|resource| resource["name"] == name).map(|resource| resource["status"].clone())
    };
    let statuses: Vec<_> = names.iter().filter_map(|name| status(&app, name)).collect();
    assert_eq!(statuses, ["Synced", "Synced", "Unknown", "Unknown"], "{app:#}");
    let tries = || agent.requests().get("apply PodTemplate").copied().unwrap_or_default();
    scene.deployed("marker", &[("service.yaml", &service("marker", 80))]);
    agent.wait_log(|line| line["reason"] == "TakeOver");
    let told = agent.log().iter().filter(|line| line["reason"] == "TakeOver").count();
    assert_eq!(told, 1, "{}", agent.log_text());
    // Each is tried at once, and again after 5 seconds, 10 more, 20 more.
    let (n_tries, passed) = (tries(), begun.elapsed().as_secs());
    let rounds = (0..8).filter(|n| 5 * ((1_u64 << n) - 1) <= passed).count() as u64;
    assert!((4..=4 * rounds).contains(&n_tries), "{n_tries} tries in {passed} s\n{}", agent.log_text());

    scene.grant("writes", "podtemplates", &["patch"]);
    let app = scene.wait_app("shop", |app| status(app, "old-1") == Some(json!("OutOfSync")));
    assert_eq!((condition(&app, "ComparisonError"), &app["status"]["sync"]["revision"]), ("", &json!(first)));
}
