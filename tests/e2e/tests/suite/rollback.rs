//! What happens when a commit is bad? It is rolled back, stays quarantined, and the next commit resumes by itself.

use e2e::{Scene, condition, is_synced_to, sync_status};
use serde_json::{Value, json};

/// Returns a Deployment as YAML.
fn deployment(image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  \
         selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    \
         spec:\n      containers: [{{name: web, image: '{image}'}}]\n"
    )
}

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{key: {value}}}\n")
}

fn image(scene: &Scene) -> String {
    let web = scene.get("apps/v1", "Deployment", &scene.namespace, "web").expect("the Deployment");
    web["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_owned()
}

fn health_status(app: &Value) -> &str {
    app["status"]["health"]["status"].as_str().unwrap_or_default()
}

fn story(app: &Value) -> String {
    condition(app, "RolledBack").to_owned()
}

#[test]
fn a_bad_commit_is_rolled_back_stays_quarantined_and_the_next_one_resumes() {
    let scene = Scene::new("rollback");
    let agent = scene.agent();
    let repo = scene.repo("shop");
    repo.write("web.yaml", &deployment("web:1")).write("old.yaml", &config_map("old", "one"));
    let good = repo.commit("first");
    scene
        .application("shop")
        .repo(&repo)
        .automated()
        .annotation("tautline.dev/deadline", "5s")
        .annotation("tautline.dev/soak", "1s")
        .create();
    scene.wait_app("shop", |app| is_synced_to(app, &good) && health_status(app) == "Healthy");
    agent.wait_log(|line| line["message"] == "a release is kept");

    repo.write("web.yaml", &deployment("web:not-found")).write("new.yaml", &config_map("new", "one"));
    repo.remove("old.yaml");
    let bad = repo.commit("an image that does not exist");
    let app = scene.wait_app("shop", |app| !story(app).is_empty());
    assert_eq!(image(&scene), "web:1");
    assert!(scene.config_map("old").is_some(), "what the commit pruned is there again");
    assert!(scene.config_map("new").is_none(), "what the commit created is gone");
    assert_eq!((sync_status(&app), health_status(&app)), ("OutOfSync", "Healthy"), "{app}");
    let told = story(&app);
    assert!(
        told.contains(&bad[..7]) && told.contains(&good[..7]) && told.contains("web:not-found"),
        "{told}"
    );
    assert_eq!(app["status"]["operationState"]["phase"], "Succeeded");
    assert_eq!(app["status"]["operationState"]["syncResult"]["revision"], json!(good));

    // A person is called, and finds what happened where people look.
    let described = scene.lab.kubectl(&["-n", &scene.control, "describe", "application", "shop"]).unwrap();
    assert!(
        described.contains("Rolled back to") && described.contains("the next commit that changes what is"),
        "{described}"
    );
    for reason in ["Quarantined", "RollingBack", "RolledBack"] {
        assert!(described.contains(reason), "no event {reason}: {described}");
    }
    let labels =
        format!("namespace=\"{}\",name=\"shop\",project=\"default\",verdict=\"RolledBack\"", scene.control);
    assert_eq!(agent.metric(&format!("tautline_rollbacks_total{{{labels}}}")), 1);

    // The same content under another commit, and one that has nothing to do with the app.
    repo.write("readme.txt", "nothing to deploy");
    repo.commit("a readme");
    scene.let_pass("marker");
    let app = scene.app("shop");
    assert_eq!((image(&scene), sync_status(&app)), ("web:1".to_owned(), "OutOfSync"));
    assert!(!story(&app).is_empty());

    repo.write("web.yaml", &deployment("web:2"));
    let fixed = repo.commit("an image that exists");
    let app = scene.wait_app("shop", |app| is_synced_to(app, &fixed) && health_status(app) == "Healthy");
    assert_eq!(story(&app), "", "{app}");
    assert_eq!(image(&scene), "web:2");
    assert!(scene.config_map("old").is_none() && scene.config_map("new").is_some());
}

#[test]
fn a_person_rolls_back_and_resumes_whatever_git_holds() {
    let scene = Scene::new("by-hand");
    let agent = scene.agent();
    let repo = scene.repo("shop");
    let pushed = |image: &str| repo.write("web.yaml", &deployment(image)).commit(image);
    let first = pushed("web:1");
    scene.application("shop").repo(&repo).automated().annotation("tautline.dev/soak", "1s").create();
    let kept = |revision: &str| {
        scene.wait_app("shop", |app| is_synced_to(app, revision));
        let short = &revision[..7];
        agent.wait_log(|line| line["message"] == "a release is kept" && line["revision"] == *short);
    };
    kept(&first);
    let second = pushed("web:2");
    kept(&second);

    let told = scene.tautline(&["app", "rollback", "shop", "-n", &scene.control]);
    assert_eq!(told.out, "application.argoproj.io/shop rollback asked for\n", "{}", told.err);
    let app = scene.wait_app("shop", |app| !story(app).is_empty());
    assert!(story(&app).contains("(release 1), because"), "{}", story(&app));
    assert_eq!((image(&scene).as_str(), sync_status(&app)), ("web:1", "OutOfSync"));
    assert!(app["metadata"]["annotations"]["tautline.dev/request"].is_null(), "{app}");

    let told = scene.tautline(&["app", "resume", "shop", "-n", &scene.control]);
    assert_eq!(told.out, "application.argoproj.io/shop resumed\n", "{}", told.err);
    scene.wait_app("shop", |app| is_synced_to(app, &second) && story(app).is_empty());
    assert_eq!(image(&scene), "web:2");

    let answer = agent.post("/api/v1/applications/shop/rollback", &json!({"id": 1, "hold": "resumed"}));
    assert_eq!(answer.status, 200, "{}", answer.body);
    scene.wait_app("shop", |app| story(app).contains("until somebody resumes"));
    let third = pushed("web:3");
    scene.wait_app("shop", |app| app["status"]["sync"]["revision"] == json!(third));
    assert_eq!(image(&scene), "web:1", "no commit ends what a person holds");
    assert_eq!(agent.delete("/api/v1/applications/shop/quarantine").status, 200);
    scene.wait_app("shop", |app| is_synced_to(app, &third));
    assert_eq!(image(&scene), "web:3");

    let missing = scene.tautline(&["app", "rollback", "shop", "99", "-n", &scene.control]);
    assert!(
        missing.err.contains("release 99 of") && missing.err.contains("does not exist"),
        "{}",
        missing.err
    );
    let answer = agent.post("/api/v1/applications/shop/rollback", &json!({"id": 99}));
    assert_eq!(answer.status, 404, "{}", answer.body);
}

/// An app of one Deployment with its name whose first commit has become a release.
fn settled(scene: &Scene, name: &str) -> e2e::Repo {
    let repo = scene.repo(name);
    repo.write("web.yaml", &named(name, "web:1", ""));
    repo.commit("first");
    scene
        .application(name)
        .repo(&repo)
        .automated()
        .annotation("tautline.dev/deadline", "5s")
        .annotation("tautline.dev/soak", "1s")
        .annotation("tautline.dev/degraded-grace", "2s")
        .create();
    repo
}

/// Returns a Deployment as YAML; `more` goes into the pod's spec.
fn named(name: &str, image: &str, more: &str) -> String {
    deployment(image)
        .replace("name: web}\nspec", &format!("name: {name}}}\nspec"))
        .replace("app: web", &format!("app: {name}"))
        .replace("    spec:\n      containers", &format!("    spec:\n{more}      containers"))
}

#[test]
fn what_is_at_fault_is_rolled_back_and_what_may_pass_is_not() {
    let scene = Scene::new("columns");
    let agent = scene.agent();
    let port = "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 99999}]}\n";
    let nowhere = "      nodeSelector: {disk: none}\n";
    let condemned = [("crashing", "web:crash"), ("unready", "web:never-ready"), ("refused", "web:2")];
    let held = [("locked", "web:unauthorized", ""), ("crowded", "web:2", nowhere)];
    let names = condemned.iter().map(|(name, _)| *name).chain(held.iter().map(|(name, ..)| *name));
    let repos: Vec<(&str, e2e::Repo)> = names.map(|name| (name, settled(&scene, name))).collect();
    for (name, _) in &repos {
        agent.wait_log(|line| {
            line["release"] == 1 && line["app"].as_str().is_some_and(|app| app.ends_with(&format!("/{name}")))
        });
    }
    let repo = |wanted: &str| &repos.iter().find(|(name, _)| *name == wanted).unwrap().1;
    for (name, image) in condemned {
        repo(name).write("web.yaml", &named(name, image, ""));
        if name == "refused" {
            repo(name).write("service.yaml", port).write("fine.yaml", &config_map("fine", "one"));
        }
        repo(name).commit("bad");
    }
    for (name, image, more) in held {
        repo(name).write("web.yaml", &named(name, image, more)).commit("held up");
    }

    let live = |name: &str| {
        let found = scene.get("apps/v1", "Deployment", &scene.namespace, name).unwrap();
        found["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
    };
    for (name, _) in condemned {
        let app = scene.wait_app(name, |app| story(app).starts_with("Rolled back to"));
        assert_eq!((live(name).as_str(), sync_status(&app)), ("web:1", "OutOfSync"), "{name}");
        scene.wait_app(name, |app| health_status(app) == "Healthy");
    }
    assert!(scene.config_map("fine").is_none(), "what the refused commit created beside is gone");
    for (name, image, _) in held {
        let app = scene.wait_app(name, |app| e2e::retries(app) >= 1);
        assert_eq!((story(&app), live(name).as_str()), (String::new(), image), "{name}: it may pass");
        let own = app["metadata"]["annotations"]["tautline.dev/state"].as_str().unwrap();
        assert!(!own.contains("quarantine"), "{name}: {own}");
    }
}

#[test]
fn whoever_takes_over_leaves_alone_what_another_rolled_back() {
    let scene = Scene::new("handed-over");
    let mut first = scene.agent();
    first.wait_log(|line| line["message"] == "this replica writes from now on");
    let second = scene.agent();
    let repo = settled(&scene, "web");
    first.wait_log(|line| line["release"] == 1);
    repo.write("web.yaml", &named("web", "web:never-ready", "")).commit("bad");
    scene.wait_app("web", |app| story(app).starts_with("Rolled back to"));

    first.kill();
    second.wait_log(|line| line["message"] == "this replica writes from now on");
    scene.let_pass("marker");
    assert_eq!(image(&scene), "web:1", "what was rolled back is deployed again");
    assert!(story(&scene.app("web")).starts_with("Rolled back to"));
    let edit = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}});
    scene.edit_as("ops", "deployment/web", &edit);
    scene.wait_object("apps/v1", "Deployment", &scene.namespace, "web", |web| {
        web.is_some_and(|web| web["spec"]["template"]["spec"]["containers"][0]["image"] == "web:1")
    });

    let fixed = repo.write("web.yaml", &named("web", "web:3", "")).commit("fixed");
    scene.wait_app("web", |app| is_synced_to(app, &fixed) && story(app).is_empty());
    assert_eq!(image(&scene), "web:3");
}
