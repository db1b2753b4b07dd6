//! Do values of Secrets stay where they are: out of logs, drift reports, events and statuses?

use e2e::{Agent, Repo, Scene, is_synced_to, sync_status};
use serde_json::{Value, json};

/// What must never be seen, in plain text and as Secrets store it.
const CANARIES: [(&str, &str); 4] = [
    ("canary-in-git-73", "Y2FuYXJ5LWluLWdpdC03Mw=="),
    ("canary-live-8841", "Y2FuYXJ5LWxpdmUtODg0MQ=="),
    ("canary-next-5520", "Y2FuYXJ5LW5leHQtNTUyMA=="),
    ("9027773319", "OTAyNzc3MzMxOQ=="),
];

fn secret(data: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: keys}}\n{data}\n")
}

fn deploy(scene: &Scene, repo: &Repo, manifests: &str) {
    repo.write("all.yaml", manifests);
    let revision = repo.commit("change");
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
}

/// Starts an agent whose log holds all that it and the packages under it ever say.
fn talkative(scene: &Scene) -> Agent {
    let mut settings = scene.settings();
    settings.environment.insert("RUST_LOG".into(), "trace".into());
    scene.start(settings)
}

/// Asserts that no canary is in anything that people can read without the right to read Secrets.
fn assert_hidden(scene: &Scene, agent: &Agent) {
    let drift = "/api/v1/applications/shop/drift";
    let events = scene
        .lab
        .kubectl(&["-n", &scene.control, "get", "events", "-o", "yaml"])
        .expect("kubectl reads events");
    let seen = [
        ("log", agent.log_text()),
        ("drift as JSON", agent.get(drift).body),
        ("drift as text", agent.get_as(drift, "text/plain").body),
        ("application", agent.get("/api/v1/applications/shop").body),
        ("status", scene.app("shop").to_string()),
        ("events", events),
        ("metrics", agent.probe("/metrics").body),
    ];
    assert!(seen[0].1.contains("\"level\":\"TRACE\""), "the log is not what was asked for");
    for (place, text) in &seen {
        for (plain, encoded) in CANARIES {
            assert!(!text.contains(plain) && !text.contains(encoded), "{plain} is in the {place}:\n{text}");
        }
    }
}

// N20, N22: drift of others' values, and kubectl's annotation
#[test]
fn a_secret_that_drifts_is_told_without_its_values() {
    let scene = Scene::new("drifting");
    let repo = scene.repo("shop");
    let automated = json!({"prune": true, "selfHeal": false});
    scene.application("shop").repo(&repo).set("/spec/syncPolicy/automated", automated).create();
    let agent = talkative(&scene);
    // Applied by kubectl first, so that its annotation holds the value, too.
    scene.kubectl_apply(&secret("stringData: {password: canary-in-git-73}"));
    deploy(&scene, &repo, &secret("stringData: {password: canary-in-git-73, user: canary-in-git-73}"));
    scene.edit_as(
        "ops",
        "secret/keys",
        &json!({"stringData": {"password": "canary-live-8841", "more": "canary-live-8841"}}),
    );
    scene.wait_app("shop", |app| sync_status(app) == "OutOfSync");
    let report = agent.get("/api/v1/applications/shop/drift").json();
    assert_eq!(report["objects"][0]["fields"][0]["path"], "data.password", "{report}");
    let text = agent.get_as("/api/v1/applications/shop/drift", "text/plain").body;
    assert!(text.contains("data.password"), "{text}");
    assert_hidden(&scene, &agent);

    scene.patch_app("shop", &json!({"spec": {"syncPolicy": {"automated": {"selfHeal": true}}}}));
    scene.wait_app("shop", |app| sync_status(app) == "Synced");
    assert_hidden(&scene, &agent);
}

// N20, N21: wrong forms, from YAML to what is immutable
#[test]
fn a_secret_that_the_api_server_refuses_is_told_without_its_values() {
    let scene = Scene::new("refused");
    let repo = scene.repo("shop");
    scene.application("shop").repo(&repo).automated().create();
    let agent = talkative(&scene);
    deploy(&scene, &repo, &secret("immutable: true\nstringData: {password: canary-in-git-73}"));
    let wrong = [
        // What is immutable cannot change.
        "immutable: true\nstringData: {password: canary-next-5520}",
        // Neither text nor base64.
        "immutable: true\nstringData: {password: 9027773319}",
        "immutable: true\ndata: {password: canary-next-5520}",
        "immutable: true\ndata: {password: {canary-next-5520: 9027773319}}",
        "immutable: true\ndata: canary-next-5520",
        "immutable: true\nstringData: [canary-next-5520]",
        // Not even a manifest.
        "stringData: {password: canary-next-5520, password: canary-next-5520}",
        "stringData:\n  password: canary-next-5520\n\tpin: 9027773319",
        "data: {password: !!binary \"canary-next-5520 9027773319\"}",
        "stringData: {password: *canary-next-5520}",
    ];
    for text in wrong {
        repo.write("all.yaml", &secret(text));
        let revision = repo.commit("wrong");
        let is_told = |app: &Value| app["status"]["conditions"].to_string().contains(&revision[..7]);
        scene.wait_app("shop", is_told);
        assert_hidden(&scene, &agent);
    }
}

// N22: a Secret of which Git says nothing but its name; the API server would tell the values of others in a dry run
#[test]
fn a_secret_without_data_tells_nothing_of_what_others_put_in() {
    let scene = Scene::new("empty-secret");
    let repo = scene.repo("shop");
    let automated = json!({"prune": true, "selfHeal": false});
    scene.application("shop").repo(&repo).set("/spec/syncPolicy/automated", automated).create();
    let agent = talkative(&scene);
    // Three others write it: two hands and kubectl, whose annotation repeats the value.
    scene.kubectl_apply(&secret("stringData: {password: canary-live-8841}"));
    scene.edit_as("vault", "secret/keys", &json!({"stringData": {"token": "canary-next-5520"}}));
    let copy = json!({"metadata": {"annotations": {"example.com/copy": "Y2FuYXJ5LW5leHQtNTUyMA=="}}});
    scene.edit_as("backup", "secret/keys", &copy);
    let labelled = "apiVersion: v1\nkind: Secret\nmetadata: {name: keys, labels: {team: shop}}\n";
    deploy(&scene, &repo, labelled);
    scene.edit_as("ops", "secret/keys", &json!({"metadata": {"labels": {"team": "other"}}, "type": null}));
    scene.wait_app("shop", |app| sync_status(app) == "OutOfSync");
    let text = agent.get_as("/api/v1/applications/shop/drift", "text/plain").body;
    assert!(text.contains("metadata.labels.team"), "{text}");
    assert_hidden(&scene, &agent);
}
