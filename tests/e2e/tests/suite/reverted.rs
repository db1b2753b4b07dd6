//! Is a bad commit taken back in Git, where the Secret of its repository asks for that?

use e2e::{Agent, GitServer, Repo, Scene, condition, config_map, is_synced_to};
use serde_json::{Value, json};

fn deployment(name: &str, image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  \
         selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    \
         spec:\n      containers: [{{name: web, image: '{image}'}}]\n"
    )
}

/// Makes the Secret of a repository that asks for reverts.
fn secret(scene: &Scene, url: &str, to: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": "shop", "namespace": scene.control,
            "labels": {"argocd.argoproj.io/secret-type": "repository"},
            "annotations": {
                "tautline.dev/revert": to, "tautline.dev/revert-author": "Tautline <tautline@example.com>",
            },
        },
        "stringData": {"url": url, "username": "ann", "password": "password-1"},
    })
}

/// A repository that takes pushes over HTTP from who knows the password.
fn served(scene: &Scene) -> (Repo, GitServer) {
    let repo = scene.repo("shop");
    // It has a working tree, which a test brings up to date by itself.
    for (key, value) in [("http.receivepack", "true"), ("receive.denyCurrentBranch", "ignore")] {
        repo.git(&["config", key, value]);
    }
    let server = GitServer::start(scene.repos());
    server.ask_for("ann", "password-1");
    (repo, server)
}

fn app(scene: &Scene, name: &str, url: &str) {
    let app = scene.application(name).set("/spec/source/repoURL", url).path(name).automated();
    app.annotation("tautline.dev/deadline", "5s").annotation("tautline.dev/soak", "1s").create();
}

/// Begins with a release of one app; returns its commit.
fn cart(scene: &Scene, agent: &Agent, repo: &Repo, url: &str) -> String {
    let good = repo.write("cart/web.yaml", &deployment("cart", "web:1")).commit("first");
    app(scene, "cart", url);
    scene.wait_app("cart", |app| is_synced_to(app, &good));
    agent.wait_log(|line| line["message"] == "a release is kept");
    good
}

/// Has the agent look at Git now, as a webhook would.
fn look(scene: &Scene, name: &str) {
    scene.patch_app(name, &json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}));
}

fn story(app: &Value) -> String {
    condition(app, "RolledBack").to_owned()
}

#[test]
fn one_commit_that_breaks_two_apps_is_taken_back_by_one_that_nobody_deploys_again() {
    let scene = Scene::new("reverted");
    let agent = scene.agent();
    let (repo, server) = served(&scene);
    let url = server.url("shop");
    scene.create(&secret(&scene, &url, "commit")).unwrap();
    for name in ["cart", "desk", "till"] {
        repo.write(&format!("{name}/web.yaml"), &deployment(name, "web:1"));
    }
    let good = repo.write("notes/a.txt", "one").commit("first");
    for name in ["cart", "desk", "till"] {
        app(&scene, name, &url);
        scene.wait_app(name, |app| is_synced_to(app, &good));
        agent.wait_log(|line| line["message"] == "a release is kept" && line.to_string().contains(name));
    }

    for name in ["cart", "desk"] {
        repo.write(&format!("{name}/web.yaml"), &deployment(name, "web:not-found"));
    }
    repo.write("till/web.yaml", &deployment("till", "web:2"))
        .write("till/more.yaml", &config_map("more", "one"));
    let bad = repo.write("notes/a.txt", "two").commit("two that break and one that does not");
    look(&scene, "cart");
    agent.wait_log(|line| line["reason"] == "Reverted" && line.to_string().contains("desk"));
    let reverted = repo.head();
    let applied = agent.requests().get("apply Deployment.apps").copied();
    for name in ["cart", "desk"] {
        scene.wait_app(name, |app| is_synced_to(app, &reverted) && story(app).is_empty());
    }
    // Nothing of it changed, so that it costs no request.
    assert!(is_synced_to(&scene.app("till"), &bad));
    assert_eq!(agent.requests().get("apply Deployment.apps").copied(), applied, "nothing is deployed again");

    repo.git(&["reset", "--quiet", "--hard"]);
    let told = |arguments: &[&str]| repo.git(arguments);
    assert_eq!(told(&["rev-list", "--count", "HEAD"]).trim(), "3", "one commit takes it back");
    assert_eq!(told(&["rev-parse", "HEAD~1"]).trim(), bad);
    let changed = told(&["diff", "--name-only", "HEAD~1", "HEAD"]);
    assert_eq!(changed.lines().collect::<Vec<_>>(), ["cart/web.yaml", "desk/web.yaml"]);
    let message = told(&["log", "-1", "--format=%an <%ae>%n%B"]);
    for part in [
        "Tautline <tautline@example.com>\n",
        &format!("Revert {}: 2 Applications were rolled back", &bad[..7]),
        "web:not-found",
        &format!("Reverted-commit: {bad}"),
        &format!("Application: {}/cart", scene.control),
        "Verdict: RolledBack (HealthTimeout)",
        &format!("Restored: {good} (release 1)"),
        "Signed-off-by: Tautline <tautline@example.com>",
    ] {
        assert!(message.contains(part), "{part}\n{message}");
    }
}

#[test]
fn a_revert_goes_to_a_branch_of_its_own_where_somebody_is_to_merge_it() {
    let scene = Scene::new("reverted-branch");
    let agent = scene.agent();
    let (repo, server) = served(&scene);
    let url = server.url("shop");
    scene.create(&secret(&scene, &url, "branch")).unwrap();
    let good = cart(&scene, &agent, &repo, &url);

    let bad = repo.write("cart/web.yaml", &deployment("cart", "web:not-found")).commit("bad");
    look(&scene, "cart");
    agent.wait_log(|line| line["reason"] == "Reverted");
    let branch = format!("tautline/revert-{}", &bad[..7]);
    assert_eq!(repo.head(), bad, "the branch that is followed is left alone");
    assert_eq!(repo.git(&["diff", "--name-only", &good, &branch]).trim(), "");
    let app = scene.app("cart");
    assert!(story(&app).contains(&bad[..7]), "{app}");
    // Who merges it ends the story.
    repo.git(&["merge", "--quiet", "--ff-only", &branch]);
    let merged = repo.head();
    look(&scene, "cart");
    scene.wait_app("cart", |app| is_synced_to(app, &merged) && story(app).is_empty());
}

#[test]
fn a_push_that_is_refused_is_told_and_changes_nothing_about_the_rollback() {
    let scene = Scene::new("reverted-refused");
    let agent = scene.agent();
    let (repo, server) = served(&scene);
    let url = server.url("shop");
    repo.git(&["config", "http.receivepack", "false"]);
    scene.create(&secret(&scene, &url, "commit")).unwrap();
    cart(&scene, &agent, &repo, &url);
    let bad = repo.write("cart/web.yaml", &deployment("cart", "web:not-found")).commit("bad");
    look(&scene, "cart");
    let line = agent.wait_log(|line| line["reason"] == "RevertFailed");
    let told = line["message"].as_str().unwrap();
    assert!(told.contains(&format!("{} cannot be taken back in Git", &bad[..7])), "{told}");
    assert!(told.contains("give them write access"), "{told}");
    let app = scene.wait_app("cart", |app| !story(app).is_empty());
    assert_eq!(app["status"]["health"]["status"], "Healthy");
    assert_eq!(repo.head(), bad);
}
