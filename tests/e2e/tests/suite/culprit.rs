//! Who is to blame that a commit failed, and what did they say last?
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use application::install;
use e2e::{
    Agent, Asked, Fault, Proxy, Repo, Rule, Scene, condition, is_synced_to, operation_message,
    operation_phase,
};
use serde_json::{Value, json};

const DEADLINE: &str = "tautline.dev/deadline";

/// What the lab's containers write is in `tests/lab/logs`: this is the end of the run before the last restart.
const LAST: &str = "its log ends with: FATAL cannot open /etc/web/config.yaml: no such file or directory";

fn deployment(image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  \
         selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    \
         spec:\n      containers: [{{name: app, image: '{image}'}}]\n"
    )
}

fn commit_as(repo: &Repo, author: &str, message: &str) -> String {
    repo.git(&["add", "--all"]);
    repo.git(&["commit", "--quiet", "--author", author, "--message", message]);
    repo.head()
}

/// Takes rights in the whole cluster from the account that the agent is installed with.
fn take_rights(scene: &Scene, resources: &[&str]) {
    let (api, role) = ("rbac.authorization.k8s.io/v1", scene.unique("agent"));
    let mut rules = scene.get(api, "ClusterRole", "", &role).unwrap()["rules"].as_array().unwrap().clone();
    rules.retain(|rule| !resources.iter().any(|resource| rule["resources"][0] == *resource));
    scene.patch(api, "ClusterRole", "", &role, &json!({"rules": rules}));
}

/// Waits until the sync has failed and what is said of it holds `text`.
fn failed_with(scene: &Scene, text: &str) -> Value {
    scene.wait_app("shop", |app| operation_phase(app) == "Failed" && operation_message(app).contains(text))
}

/// Returns the message of the release that a log line tells of.
fn message_of(agent: &Agent, scene: &Scene, kept: &Value) -> String {
    let path =
        format!("/api/v1/applications/shop/releases/{}?appNamespace={}", kept["release"], scene.control);
    let release = agent.get(&path).json();
    release["message"].as_str().unwrap_or_else(|| panic!("{release:#}")).to_owned()
}

#[test]
fn a_verdict_names_pod_container_reason_log_and_the_commit_that_changed_the_app_and_tells_no_secret() {
    let scene = Scene::new("culprit");
    let agent = scene.agent();
    let repo = scene.repo("shop");
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {password: swordfish-of-the-lab}\n";
    repo.write("app/web.yaml", &deployment("web:crash")).write("app/secret.yaml", secret);
    let bad = commit_as(&repo, "Ann <ann@example.com>", "web: a new config");
    repo.write("other/readme.txt", "nothing of ours");
    let unrelated = commit_as(&repo, "Bob <bob@example.com>", "somebody else's");
    scene.application("shop").repo(&repo).path("app").automated().annotation(DEADLINE, "5s").create();

    let app = failed_with(&scene, LAST);
    let message = operation_message(&app);
    let brought = format!("brought by {} of Ann <ann@example.com>: web: a new config; {LAST}", &bad[..7]);
    assert!(message.ends_with(&brought), "{message}");
    // Error while it ends, CrashLoopBackOff while it waits.
    assert!(message.contains(", container app: ") && message.contains("exit code 1"), "{message}");
    assert_eq!(app["status"]["operationState"]["syncResult"]["revision"], unrelated.as_str());

    let told = agent.wait_log(|line| {
        line["message"] == "what Deployment.apps %/web said last".replace('%', &scene.namespace)
    });
    let (log, events) = (told["log"].as_str().unwrap(), told["events"].as_str().unwrap());
    assert_eq!(log.matches("step ").count(), 17, "{log}");
    assert!(events.contains("BackOff"), "{events}");
    assert!(told["pod"].as_str().unwrap().starts_with("web-"), "{told}");
    // There is nothing to go back to: the release of the failure is written at once, but not before that was known.
    let kept = agent.wait_log(|line| line["message"] == "a release is kept" && line["verdict"] == "Failed");
    let message = message_of(&agent, &scene, &kept);
    assert!(message.contains(&brought) && message.contains("\n  step 17 of 17 done\n"), "{message}");
    // The Secret's value is one that the scene looks out for wherever the agent speaks; these are in no Secret.
    for secret in ["hunter22-of-the-lab", "correct-horse-of-the-lab"] {
        assert!(!agent.log_text().contains(secret) && !app.to_string().contains(secret), "{secret}");
    }
}

#[test]
fn what_may_not_be_read_is_left_out_and_holds_no_verdict_up() {
    let scene = Scene::new("culprit-rights");
    scene.install_account();
    scene.grant("deployments", "deployments.apps", &["get", "list", "watch", "create", "patch", "delete"]);
    take_rights(&scene, &["pods/log", "events"]);
    let _agent = scene.agent_as(install::NAME);
    let repo = scene.repo("shop");
    repo.write("app/web.yaml", &deployment("web:never-ready"));
    let bad = commit_as(&repo, "Ann <ann@example.com>", "web: 2");
    scene.application("shop").repo(&repo).path("app").automated().annotation(DEADLINE, "2s").create();
    let app = failed_with(&scene, "brought by");
    let message = operation_message(&app);
    assert!(
        message.ends_with(&format!("brought by {} of Ann <ann@example.com>: web: 2", &bad[..7])),
        "{message}"
    );
}

#[test]
fn answers_that_do_not_come_hold_no_verdict_up() {
    let scene = Scene::new("culprit-hangs");
    let proxy = Proxy::start(&scene);
    let held = ["get pods app/web", "list events app/*"].map(|request| {
        let target = Asked::parse(request).unwrap();
        Rule { target, skip: 0, fault: Fault::Hold, times: usize::MAX }
    });
    proxy.arm(&held);
    let mut settings = scene.settings();
    settings.kubeconfig = proxy.kubeconfig(&scene);
    let _agent = scene.start(settings);
    let repo = scene.repo("shop");
    repo.write(
        "web.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: app, image: 'web:never-ready'}]}\n",
    );
    let bad = commit_as(&repo, "Ann <ann@example.com>", "a pod");
    scene.application("shop").repo(&repo).automated().annotation(DEADLINE, "2s").create();
    // The verdict is there while nobody has answered yet, and what Git says is told without the rest.
    let app = scene.wait_app("shop", |app| operation_phase(app) == "Failed");
    assert!(!operation_message(&app).contains("brought by"), "{}", operation_message(&app));
    let app = failed_with(&scene, "brought by");
    let brought = format!("brought by {} of Ann <ann@example.com>: a pod", &bad[..7]);
    assert!(operation_message(&app).ends_with(&brought), "{}", operation_message(&app));
    assert!(proxy.n_fired().iter().all(|n| *n > 0), "{:?}", proxy.n_fired());
}

#[test]
fn what_the_api_server_refuses_has_an_author_and_no_log() {
    let scene = Scene::new("culprit-refused");
    let _agent = scene.agent();
    let repo = scene.repo("shop");
    let refused = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 99999}]}\n";
    repo.write("web.yaml", refused);
    let bad = commit_as(&repo, "Ann <ann@example.com>", "web: another port");
    scene.application("shop").repo(&repo).automated().create();
    let app = failed_with(&scene, "brought by");
    let message = operation_message(&app);
    let brought = format!("brought by {} of Ann <ann@example.com>: web: another port", &bad[..7]);
    assert!(message.ends_with(&brought), "{message}");
}

// N20: the last lines of a log as a container's message, which many ask for (terminationMessagePolicy)
#[test]
fn what_a_container_leaves_behind_is_told_without_the_secrets_of_the_app() {
    let scene = Scene::new("left-behind");
    let _agent = scene.agent();
    let repo = scene.repo("shop");
    let nowhere =
        deployment("web:1").replace("      containers", "      nodeSelector: {disk: none}\n      containers");
    repo.write("app/web.yaml", &nowhere);
    repo.write(
        "app/secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {key: left-behind-of-the-lab}\n",
    );
    repo.commit("first");
    scene.application("shop").repo(&repo).path("app").automated().create();
    // kwok lets a pod alone that has no node; the test plays its kubelet.
    scene.wait_app("shop", |app| app["status"]["resources"].to_string().contains("Unschedulable"));
    let pods = scene.lab.kubectl(&["-n", &scene.namespace, "get", "pods", "-o", "name"]).unwrap();
    let ended = json!({"exitCode": 1, "reason": "Error", "message": "cannot log in with left-behind-of-the-lab at db"});
    let status = json!({"status": {
        "conditions": [{"type": "PodScheduled", "status": "True"}],
        "containerStatuses": [{
            "name": "app", "image": "web:1", "imageID": "", "ready": false, "restartCount": 1,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": ended},
        }],
    }});
    let patch = ["patch", pods.trim(), "--subresource=status", "--type=merge", "-p", &status.to_string()];
    scene.lab.kubectl(&[&["-n", scene.namespace.as_str()], patch.as_slice()].concat()).unwrap();
    let told = "CrashLoopBackOff: cannot log in with *** at db";
    scene.wait_app("shop", |app| app["status"]["resources"].to_string().contains(told));
}

#[test]
fn what_is_rolled_back_is_told_with_its_author_and_the_release_keeps_what_was_said_last() {
    let scene = Scene::new("culprit-rolled-back");
    let agent = scene.agent();
    let repo = scene.repo("shop");
    let settings = [(DEADLINE, "5s"), ("tautline.dev/soak", "1s")];
    let app = scene.application("shop").repo(&repo).path("app").automated();
    let app = settings.iter().fold(app, |app, (key, value)| app.annotation(key, value));
    repo.write("app/web.yaml", &deployment("web:1"));
    let good = commit_as(&repo, "Bob <bob@example.com>", "web: 1");
    app.create();
    scene.wait_app("shop", |app| is_synced_to(app, &good));
    agent.wait_log(|line| line["message"] == "a release is kept" && line["verdict"] == "Stable");

    repo.write("app/web.yaml", &deployment("web:crash"));
    let bad = commit_as(&repo, "Ann <ann@example.com>", "web: a new config");
    let brought = format!("brought by {} of Ann <ann@example.com>: web: a new config; {LAST}", &bad[..7]);
    let app = scene.wait_app("shop", |app| condition(app, "RolledBack").contains(&brought));
    assert!(condition(&app, "RolledBack").contains("Rolled back to"), "{app:#}");

    let kept =
        agent.wait_log(|line| line["message"] == "a release is kept" && line["verdict"] == "RolledBack");
    let path =
        format!("/api/v1/applications/shop/releases/{}?appNamespace={}", kept["release"], scene.control);
    let release = agent.get(&path).json();
    let message = release["message"].as_str().unwrap_or_else(|| panic!("{release:#}"));
    assert!(message.contains(&brought), "{message}");
    assert!(message.contains("\n  step 17 of 17 done\n"), "{message}");
    assert!(message.contains("\nits last events:\n"), "{message}");
    for secret in ["hunter22-of-the-lab", "correct-horse-of-the-lab"] {
        assert!(!message.contains(secret), "{secret}");
    }
}
