//! Which failures condemn a commit, and which only hold it up?

use e2e::{
    Repo, Scene, is_condemned, is_synced_to, operation_message, operation_phase, retries, sync_status,
};
use serde_json::json;

const DEADLINE: &str = "tautline.dev/deadline";

/// Returns a Deployment as YAML; `more` goes into the pod's spec, `spec` into the Deployment's.
fn deployment(name: &str, image: &str, more: &str, spec: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  \
         selector: {{matchLabels: {{app: {name}}}}}\n{spec}  template:\n    metadata: {{labels: {{app: {name}}}}}\n    \
         spec:\n{more}      containers: [{{name: web, image: '{image}'}}]\n"
    )
}

/// Makes an app of one Deployment with its name, with repeats after a second; returns its repository and first commit.
fn app(scene: &Scene, name: &str, deadline: &str, manifest: &str) -> (Repo, String) {
    let repo = scene.repo(name);
    repo.write("web.yaml", manifest);
    let revision = repo.commit("first");
    let backoff = json!({"limit": -1, "backoff": {"duration": "1s", "factor": 1, "maxDuration": "1s"}});
    scene
        .application(name)
        .repo(&repo)
        .automated()
        .annotation(DEADLINE, deadline)
        .set("/spec/syncPolicy/retry", backoff)
        .create();
    (repo, revision)
}

#[test]
fn at_the_deadline_the_contents_fault_waits_for_other_content_and_the_rest_is_repeated() {
    let scene = Scene::new("evidence");
    let _agent = scene.agent();
    let nowhere = "      nodeSelector: {disk: none}\n";
    let condemned = [
        ("missing", "web:not-found", "ImagePullBackOff: cannot pull image \"web:not-found\" (not found)"),
        ("crashing", "web:crash", "exit code 1"),
        ("unready", "web:never-ready", "runs but is not ready"),
    ];
    let held = [
        ("locked", "web:unauthorized", "", "(not authorised)"),
        ("crowded", "web:1", nowhere, "Unschedulable"),
    ];
    let mut missing = None;
    for (name, image, _) in &condemned {
        let (repo, _) = app(&scene, name, "5s", &deployment(name, image, "", ""));
        missing = missing.or(Some(repo));
    }
    for (name, image, more, _) in &held {
        app(&scene, name, "5s", &deployment(name, image, more, ""));
    }

    let mut tries = Vec::new();
    for (name, _, why) in &condemned {
        let app = scene.wait_app(name, |app| operation_phase(app) == "Failed");
        let message = operation_message(&app);
        assert!(message.contains(why), "{name}: {message}");
        assert!(message.contains("with no progress before the deadline"), "{name}: {message}");
        assert!(is_condemned(&app), "{name}: {app}");
        // On a slow machine the first try may end before the pod has said what is wrong with it.
        tries.push(retries(&app));
    }
    for (name, _, _, why) in &held {
        // The second repeat shows that the first one waited anew and ended as the first try did.
        let app = scene.wait_app(name, |app| retries(app) >= 2);
        assert_eq!(operation_phase(&app), "Running", "{name}");
        let message = operation_message(&app);
        assert!(message.contains(why) && message.contains("Retrying attempt #"), "{name}: {message}");
        assert!(!is_condemned(&app), "{name}: {app}");
    }
    for ((name, ..), n_retries) in condemned.iter().zip(tries) {
        let app = scene.app(name);
        assert_eq!((operation_phase(&app), retries(&app)), ("Failed", n_retries), "{name} was tried again");
    }

    let repo = missing.expect("it was made above");
    let fixed = repo.write("web.yaml", &deployment("missing", "web:1", "", "")).commit("fixed");
    scene.wait_app("missing", |app| is_synced_to(app, &fixed));
}

#[test]
fn what_is_degraded_fails_after_a_moment_only_by_its_contents_fault() {
    let scene = Scene::new("grace");
    let _agent = scene.agent();
    let at_once = "  progressDeadlineSeconds: 1\n";
    app(&scene, "locked", "25s", &deployment("locked", "web:unauthorized", "", at_once));
    app(&scene, "crashing", "10m", &deployment("crashing", "web:crash", "", at_once));

    let crashing = scene.wait_app("crashing", |app| operation_phase(app) == "Failed");
    let message = operation_message(&crashing);
    assert!(message.starts_with("Deployment.apps ") && message.contains("is Degraded"), "{message}");
    assert!(is_condemned(&crashing), "{crashing}");

    // As Degraded and for as long, and not at fault: it goes on waiting, and says for what, up to its deadline.
    let locked = scene.app("locked");
    assert_eq!((operation_phase(&locked), retries(&locked)), ("Running", 0), "{locked}");
    assert_eq!(locked["status"]["health"]["status"], "Degraded");
    let message = operation_message(&locked);
    assert!(message.starts_with("waiting for Deployment.apps "), "{message}");
    assert!(message.contains("is Degraded") && message.contains("(not authorised)"), "{message}");
    let locked = scene.wait_app("locked", |app| retries(app) >= 1);
    assert_eq!(operation_phase(&locked), "Running");
    assert!(!is_condemned(&locked), "{locked}");
}

#[test]
fn what_held_a_sync_up_passes_and_the_sync_succeeds() {
    let scene = Scene::new("passes");
    let _agent = scene.agent();
    let label = scene.unique("room");
    let selective = format!("      nodeSelector: {{{label}: 'yes'}}\n");
    let manifest = |name| deployment(name, "web:1", &selective, "");
    let (_, repeated) = app(&scene, "repeated", "2s", &manifest("repeated"));

    // A person's sync is not repeated. Its deadline leaves the controllers time to say what it waits for.
    let repo = scene.repo("manual");
    repo.write("web.yaml", &manifest("manual"));
    let revision = repo.commit("first");
    scene.application("manual").repo(&repo).annotation(DEADLINE, "10s").create();
    scene.wait_app("manual", |app| sync_status(app) == "OutOfSync");
    let manual = scene.sync("manual", &json!({}));
    assert_eq!((operation_phase(&manual), sync_status(&manual)), ("Failed", "Synced"), "{manual}");
    assert!(operation_message(&manual).contains("Unschedulable"), "{}", operation_message(&manual));
    assert!(manual["status"]["history"].is_null(), "{manual}");
    scene.wait_app("repeated", |app| retries(app) >= 1);

    scene.kubectl(&["label", "node", "node-0", &format!("{label}=yes")]);
    let app = scene.wait_app("repeated", |app| is_synced_to(app, &repeated));
    assert_eq!(operation_phase(&app), "Succeeded", "{app}");
    // Its verdict is taken back: all that it was to do is done.
    let app = scene.wait_app("manual", |app| operation_phase(app) == "Succeeded");
    assert_eq!(app["status"]["history"][0]["revision"], revision);
    scene.kubectl(&["label", "node", "node-0", &format!("{label}-")]);
}

#[test]
fn the_deadline_may_stand_in_the_spec_and_the_annotation_wins() {
    let scene = Scene::new("deadlines");
    let _agent = scene.agent();
    let nowhere = "      nodeSelector: {disk: none}\n";
    for (name, annotation) in [("spec", None), ("both", Some("10m"))] {
        let repo = scene.repo(name);
        repo.write("web.yaml", &deployment(name, "web:1", nowhere, ""));
        repo.commit("first");
        let app = scene.application(name).repo(&repo).automated();
        let app = annotation.into_iter().fold(app, |app, length| app.annotation(DEADLINE, length));
        app.set("/spec/syncPolicy/rollback/deadline", "2s").create();
    }
    let app = scene.wait_app("spec", |app| retries(app) >= 1);
    let message = operation_message(&app);
    assert!(message.contains("with no progress before the deadline"), "{message}");
    scene.wait_app("both", |app| operation_phase(app) == "Running");
    // By now the other one had time for a try, too, however much later it began.
    scene.wait_app("spec", |app| retries(app) >= 2);
    let both = scene.app("both");
    assert_eq!((operation_phase(&both), retries(&both)), ("Running", 0), "{both:#}");
    // What a person takes off in a hurry counts at once.
    scene.patch_app("both", &json!({"metadata": {"annotations": {DEADLINE: null}}}));
    scene.wait_app("both", |app| retries(app) >= 1);
}
