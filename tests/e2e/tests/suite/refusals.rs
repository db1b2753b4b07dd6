//! What follows when the API server refuses an object: what is told, what becomes of its neighbours, and is it tried again?

use std::time::{Duration, Instant};

use application::install;
use e2e::{
    Repo, Scene, Webhook, condition, config_map, is_condemned, is_synced_to, operation_message,
    operation_phase, result_of, retries, sync_status,
};
use serde_json::{Value, json};

/// An app of two objects: a `ConfigMap` that nobody minds, and one that is refused.
struct Case<'a> {
    scene: &'a Scene,
    name: &'static str,
    kind: &'static str,
    repo: Repo,
    revision: String,
}

impl<'a> Case<'a> {
    /// Creates the app; the refused object has its name, and repeats come after a second.
    fn begin(scene: &'a Scene, name: &'static str, kind: &'static str, manifest: &str) -> Self {
        let repo = scene.repo(name);
        repo.write("fine.yaml", &config_map(&format!("{name}-fine"), "one")).write("refused.yaml", manifest);
        let revision = repo.commit("first");
        let backoff = json!({"limit": -1, "backoff": {"duration": "1s", "factor": 1, "maxDuration": "1s"}});
        scene.application(name).repo(&repo).automated().set("/spec/syncPolicy/retry", backoff).create();
        Self { scene, name, kind, repo, revision }
    }

    fn result<'v>(&self, app: &'v Value) -> &'v Value {
        result_of(app, self.kind, self.name)
    }

    /// Asserts that the refusal is told at its object, in the server's words and with what to do, and nowhere else.
    fn is_told(&self, app: &Value, words: &[&str], next: &str) {
        let result = self.result(app);
        let message = result["message"].as_str().unwrap_or_default();
        assert_eq!(result["status"], "SyncFailed", "{}: {app:#}", self.name);
        for word in words {
            assert!(message.contains(word), "{}: {word:?} is not in {message:?}", self.name);
        }
        assert!(message.ends_with(next), "{}: {message:?} does not end with {next:?}", self.name);
        let fine = format!("{}-fine", self.name);
        let neighbour = result_of(app, "ConfigMap", &fine);
        assert_eq!(neighbour["status"], "Synced", "{}: {app:#}", self.name);
        assert!(self.scene.config_map(&fine).is_some(), "{}: its neighbour is not there", self.name);
    }

    /// Waits until a refusal that may pass was met again, and asserts what it says.
    fn holds(&self, words: &[&str], next: &str) {
        let app = self.scene.wait_app(self.name, |app| retries(app) >= 1 && !self.result(app).is_null());
        self.is_told(&app, words, next);
        assert_ne!(sync_status(&app), "Synced", "{}: {app:#}", self.name);
        assert_eq!(operation_phase(&app), "Running", "{}: {app:#}", self.name);
        assert!(!is_condemned(&app), "{}: {app:#}", self.name);
    }

    /// Waits until the app is as Git wants it, by itself.
    fn passes(&self) {
        let app = self.scene.wait_app(self.name, |app| is_synced_to(app, &self.revision));
        assert_eq!(operation_phase(&app), "Succeeded", "{}", self.name);
        assert_eq!(self.result(&app)["status"], "Synced", "{}: {app:#}", self.name);
    }
}

fn pod(name: &str, namespace: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{containers: [{{name: web, image: 'web:1'{more}}}]}}\n"
    )
}

fn in_namespace(namespace: &str, name: &str, more: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}{more}}}\n")
}

#[test]
fn what_a_namespace_forbids_holds_its_object_until_it_is_permitted() {
    let scene = Scene::new("forbids");
    let _agent = scene.agent();
    let [strict, narrow, full, vague] =
        ["strict", "narrow", "full", "vague"].map(|name| scene.lab.namespace(name));
    let enforce = "pod-security.kubernetes.io/enforce";
    scene.patch("v1", "Namespace", "", &strict, &json!({"metadata": {"labels": {enforce: "restricted"}}}));
    let kind = |kind: &str, namespace: &str, spec: Value| {
        let object = json!({
            "apiVersion": "v1", "kind": kind, "metadata": {"name": "bounds", "namespace": namespace}, "spec": spec,
        });
        scene.create(&object).unwrap();
    };
    kind("LimitRange", &narrow, json!({"limits": [{"type": "Container", "max": {"cpu": "100m"}}]}));
    kind("ResourceQuota", &full, json!({"hard": {"pods": "0"}}));
    kind("ResourceQuota", &vague, json!({"hard": {"limits.cpu": "1"}}));
    for namespace in [&full, &vague] {
        // Before somebody counted, the refusal is another one.
        scene.wait_object("v1", "ResourceQuota", namespace, "bounds", |quota| {
            quota.is_some_and(|quota| quota["status"]["used"].is_object())
        });
    }
    let limit = ", resources: {limits: {cpu: '1'}}";
    let pods = [
        Case::begin(&scene, "insecure", "Pod", &pod("insecure", &strict, "")),
        Case::begin(&scene, "greedy", "Pod", &pod("greedy", &narrow, limit)),
        Case::begin(&scene, "late", "Pod", &pod("late", &full, "")),
        Case::begin(&scene, "silent", "Pod", &pod("silent", &vague, "")),
    ];
    let [insecure, greedy, late, silent] = &pods;
    insecure.holds(
        &["pods \"insecure\" is forbidden: violates PodSecurity \"restricted:latest\"", "runAsNonRoot"],
        &format!("; correct the manifest, or the label {enforce} of namespace {strict}"),
    );
    greedy.holds(
        &["maximum cpu usage per Container is 100m, but limit is 1"],
        &format!("; correct the manifest, or the LimitRange of namespace {narrow}"),
    );
    late.holds(
        &["exceeded quota: bounds, requested: pods=1, used: pods=0, limited: pods=0"],
        &format!("; ask for less, or raise the ResourceQuota of namespace {full}"),
    );
    silent.holds(
        &["failed quota: bounds: must specify limits.cpu for: web"],
        &format!("; correct the manifest, or the ResourceQuota of namespace {vague}"),
    );

    scene.patch("v1", "Namespace", "", &strict, &json!({"metadata": {"labels": {enforce: null}}}));
    scene.delete("v1", "LimitRange", &narrow, "bounds");
    scene.patch("v1", "ResourceQuota", &full, "bounds", &json!({"spec": {"hard": {"pods": "1"}}}));
    scene.delete("v1", "ResourceQuota", &vague, "bounds");
    pods.iter().for_each(Case::passes);
}

#[test]
fn a_webhook_that_denies_condemns_and_one_that_is_down_holds() {
    let scene = Scene::new("webhooks");
    let _agent = scene.agent();
    let [denies, down] = ["denies", "down"].map(|name| scene.unique(name));
    let webhook = Webhook::denying(scene.lab, "no cats here\u{1b}[2J");
    webhook.install(&scene, &denies, "ConfigMap");
    Webhook::install_missing(&scene, &down, "ConfigMap");
    let labelled = |name: &str, label: &str| {
        in_namespace(&scene.namespace, name, &format!(", labels: {{{label}: 'yes'}}"))
    };

    let unlucky = Case::begin(&scene, "unlucky", "ConfigMap", &labelled("unlucky", &down));
    let mut cat = Case::begin(&scene, "cat", "ConfigMap", &labelled("cat", &denies));
    // Whose commit it was is asked for afterwards; more is not said of it.
    let app = scene.wait_app("cat", |app| operation_message(app).contains("; brought by"));
    assert_eq!(operation_phase(&app), "Failed", "{app:#}");
    cat.is_told(
        &app,
        &["admission webhook \"cats.example.com\" denied the request: no cats here"],
        "; correct the manifest",
    );
    assert!(is_condemned(&app), "{app:#}");
    // Whoever runs a webhook writes on nobody's terminal.
    assert!(!app["status"].to_string().contains("\\u001b"), "{}", app["status"]);
    unlucky.holds(
        &["failed calling webhook \"cats.example.com\"", "connection refused"],
        "; see to the webhook, or to its failurePolicy",
    );
    Webhook::uninstall(&scene, &down);
    unlucky.passes();

    // What is condemned is not tried again, not even when it would be let in, until there is other content.
    Webhook::uninstall(&scene, &denies);
    scene.let_pass("other");
    assert!(scene.config_map("cat").is_none(), "the denied object was sent again");
    assert_eq!(scene.app("cat")["status"]["operationState"], app["status"]["operationState"]);
    cat.repo.write("refused.yaml", &in_namespace(&scene.namespace, "cat", ""));
    cat.revision = cat.repo.commit("a dog");
    cat.passes();
}

#[test]
fn a_namespace_that_goes_holds_its_object_until_it_is_made_anew() {
    let scene = Scene::new("goes");
    let _agent = scene.agent();
    let inner = scene.lab.namespace("inner");
    let keeper = in_namespace(&inner, "keeper", ", finalizers: [example.com/keep]");
    scene.lab.kubectl_with_input(&["apply", "-f", "-"], &keeper).unwrap();
    scene.delete("v1", "Namespace", "", &inner);
    scene.wait_object("v1", "Namespace", "", &inner, |namespace| {
        namespace.is_some_and(|namespace| namespace["status"]["phase"] == "Terminating")
    });
    let case = Case::begin(&scene, "tenant", "ConfigMap", &in_namespace(&inner, "tenant", ""));
    case.holds(
        &["unable to create new content in namespace", "because it is being terminated"],
        &format!("; namespace {inner} has to be gone, and made anew"),
    );
    scene.patch("v1", "ConfigMap", &inner, "keeper", &json!({"metadata": {"finalizers": null}}));
    let app = scene.wait_app("tenant", |app| {
        case.result(app)["message"].as_str().is_some_and(|message| message.contains("not found"))
    });
    case.is_told(
        &app,
        &[&format!("namespaces \"{inner}\" not found")],
        "; add the Namespace to the manifests, or set the sync option CreateNamespace=true",
    );
    let anew = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": inner}});
    scene.create(&anew).unwrap();
    case.passes();
}

#[test]
fn an_api_group_whose_server_is_away_holds_its_objects_and_no_others() {
    // No namespace of the whole cluster goes while a group does not answer.
    let scene = Scene::alone("aggregated");
    let _agent = scene.agent();
    let group = format!("{}.example.com", scene.namespace);
    let service = scene.unique("away");
    let aggregated = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": format!("v1.{group}")},
        "spec": {
            "group": group, "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 10,
            "insecureSkipTLSVerify": true, "service": {"name": service, "namespace": scene.namespace},
        },
    });
    let manifest = format!("apiVersion: {group}/v1\nkind: Widget\nmetadata: {{name: away}}\n");
    let case = Case::begin(&scene, "away", "Widget", &manifest);
    case.holds(&[&format!("no such kind: {group}/v1 Widget")], "; is its CRD installed?");

    // Nothing tells that such a group came: it is asked for again with each try.
    scene.create(&aggregated).unwrap();
    let away = format!("API group {group} does not answer; see to APIService v1.{group}");
    scene.wait_app("away", |app| case.result(app)["message"] == away.as_str());
    case.holds(&[], &away);
    scene.let_pass("neighbour");

    // Its server comes: here, as a CRD's.
    scene.delete("apiregistration.k8s.io/v1", "APIService", "", &format!("v1.{group}"));
    scene.kubectl_apply(&format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: widgets.{group}}}\nspec:\n  \
         group: {group}\n  scope: Namespaced\n  names: {{plural: widgets, singular: widget, kind: Widget}}\n  versions:\n  \
         - {{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {{type: object}}}}}}\n"
    ));
    case.passes();
}

#[test]
fn what_the_agent_may_not_write_holds_only_itself_until_it_is_granted() {
    let scene = Scene::new("no-right");
    scene.install_account();
    scene.grant("maps", "configmaps", &["get", "list", "watch", "create", "patch"]);
    scene.grant("reads", "podtemplates", &["get", "list", "watch"]);
    let template = |name: &str| {
        format!(
            "apiVersion: v1\nkind: PodTemplate\nmetadata: {{name: {name}}}\n\
             template: {{spec: {{containers: [{{name: web, image: 'web:1'}}]}}}}\n"
        )
    };
    let account_of =
        |name: &str| format!("apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}}}\n");
    let readable = Case::begin(&scene, "readable", "PodTemplate", &template("readable"));
    let unreadable = Case::begin(&scene, "unreadable", "ServiceAccount", &account_of("unreadable"));
    let _agent = scene.agent_as(install::NAME);
    readable.holds(
        &["podtemplates \"readable\" is forbidden", "cannot patch resource \"podtemplates\""],
        "; grant the agent's service account what is missing on PodTemplate",
    );
    // A kind that may not even be read is applied all the same, and its app says that it does not see it.
    let app = scene.wait_app("unreadable", |app| retries(app) >= 1 && !unreadable.result(app).is_null());
    unreadable.is_told(
        &app,
        &["serviceaccounts \"unreadable\" is forbidden", "cannot patch resource \"serviceaccounts\""],
        "; grant the agent's service account what is missing on ServiceAccount",
    );
    let blind = condition(&app, "ComparisonError");
    assert!(blind.contains("ServiceAccount is not seen since") && blind.contains("cannot list"), "{blind}");
    assert_eq!((sync_status(&app), operation_phase(&app)), ("Unknown", "Running"), "{app:#}");

    scene.grant("writes", "podtemplates", &["create", "patch"]);
    readable.passes();
    scene.grant("manages", "serviceaccounts", &["get", "list", "watch", "create", "patch"]);
    unreadable.passes();
    assert_eq!(condition(&scene.app("unreadable"), "ComparisonError"), "");
}

#[test]
fn a_right_that_is_taken_away_holds_what_needs_it_and_condemns_nothing() {
    let scene = Scene::new("revoked");
    scene.install_account();
    let all = ["get", "list", "watch", "create", "patch", "delete"];
    scene.grant("maps", "configmaps", &all);
    let _agent = scene.agent_as(install::NAME);
    let repo = scene.repo("shop");
    let first = repo
        .write("web.yaml", &config_map("web", "one"))
        .write("old.yaml", &config_map("old", "one"))
        .commit("first");
    let backoff = json!({"limit": -1, "backoff": {"duration": "1s", "factor": 1, "maxDuration": "1s"}});
    scene.application("shop").repo(&repo).automated().set("/spec/syncPolicy/retry", backoff).create();
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    let rights = |verbs: &[&str]| {
        let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}]);
        let role = scene.unique("maps");
        scene.patch("rbac.authorization.k8s.io/v1", "ClusterRole", "", &role, &json!({"rules": rules}));
    };
    let message = |app: &Value, name: &str| {
        result_of(app, "ConfigMap", name)["message"].as_str().unwrap_or_default().to_owned()
    };
    let grant = "; grant the agent's service account what is missing on ConfigMap";

    rights(&all[..3]);
    let account = format!("--as=system:serviceaccount:{}:{}", scene.control, install::NAME);
    let may_patch = ["-n", &scene.namespace, "auth", "can-i", "patch", "configmaps", &account];
    // The API server itself learns of a role a moment later.
    let begun = Instant::now();
    while scene.lab.kubectl(&may_patch).is_ok() {
        assert!(begun.elapsed() < Duration::from_mins(1), "the right to patch is still there");
    }
    let second = repo.write("web.yaml", &config_map("web", "two")).remove("old.yaml").commit("second");
    let app = scene.wait_app("shop", |app| retries(app) >= 2 && message(app, "web").contains("cannot patch"));
    assert!(message(&app, "web").ends_with(grant), "{app:#}");
    assert!(operation_phase(&app) == "Running" && !is_condemned(&app), "{app:#}");
    // Nothing is pruned after a failed apply, nor where that may not be done.
    assert_eq!(scene.config_map("old").unwrap()["data"]["key"], "one");
    rights(&all[..5]);
    let app = scene.wait_app("shop", |app| message(app, "old").contains("cannot delete"));
    assert!(message(&app, "old").ends_with(grant), "{app:#}");
    assert!(operation_phase(&app) == "Running" && !is_condemned(&app), "{app:#}");
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "two");
    assert!(scene.config_map("old").is_some());
    rights(&all);
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    assert!(scene.config_map("old").is_none());
}
