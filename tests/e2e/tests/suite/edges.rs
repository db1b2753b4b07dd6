//! What do kubectl, HTTP clients, probes and monitoring get to see?

use e2e::{Scene, condition, config_map, is_synced_to, operation_phase};
use serde_json::json;

#[test]
fn kubectl_shows_status_in_columns_and_failures_as_events() {
    let scene = Scene::new("kubectl");
    let _agent = scene.agent();
    scene.deployed("good", &[("web.yaml", &config_map("web", "one"))]);
    let repo = scene.repo("bad");
    repo.write(
        "bad.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 99999}]}\n",
    );
    repo.commit("first");
    scene.application("bad").repo(&repo).automated().create();
    scene.wait_app("bad", |app| operation_phase(app) == "Failed");
    let table = scene.lab.kubectl(&["-n", &scene.control, "get", "applications"]).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        rows,
        [
            vec!["NAME", "SYNC", "STATUS", "HEALTH", "STATUS"],
            vec!["bad", "OutOfSync", "Missing"],
            vec!["good", "Synced", "Healthy"],
        ]
    );
    // Events are written beside the status.
    let about = format!("involvedObject.name=bad,involvedObject.namespace={}", scene.control);
    let wait = ["-n", &scene.control, "wait", "event", "--for=jsonpath={.type}=Warning", "--timeout=30s"];
    let wait = [&wait[..], &["--field-selector", &about]].concat();
    scene.wait_object("v1", "Namespace", "", &scene.namespace, |namespace| namespace.is_some());
    scene.lab.kubectl(&wait).unwrap();
    let described = scene.lab.kubectl(&["-n", &scene.control, "describe", "application", "bad"]).unwrap();
    let events = described.split_once("Events:").expect("there is a list of events").1;
    assert!(events.contains("Warning") && events.contains("spec.ports[0].port"), "{events}");
    assert!(events.contains("tautline"), "{events}");
}

#[test]
fn the_api_lists_gets_and_explains_drift() {
    let scene = Scene::new("api");
    let agent = scene.agent();
    let repo = scene.repo("shop");
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: web}\nstringData: {password: hunter2}\n";
    repo.write("app/web.yaml", &config_map("web", "one")).write("app/secret.yaml", secret);
    let revision = repo.commit("first");
    // Without self-heal, so that drift stays.
    scene
        .application("shop")
        .repo(&repo)
        .path("app")
        .set("/spec/syncPolicy/automated", json!({"prune": true}))
        .create();
    scene.wait_app("shop", |app| is_synced_to(app, &revision));

    let list = agent.get("/api/v1/applications");
    assert_eq!(list.status, 200);
    assert!(list.head.to_lowercase().contains("content-type: application/json"), "{}", list.head);
    let list = list.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["items"][0]["metadata"]["name"], "shop");
    let one = agent.get("/api/v1/applications/shop").json();
    assert_eq!(
        one["status"]["sync"],
        json!({
            "status": "Synced", "revision": revision,
            "comparedTo": {"source": one["spec"]["source"], "destination": one["spec"]["destination"]},
        })
    );
    let missing = agent.get("/api/v1/applications/nothing");
    assert_eq!(missing.status, 404);
    assert!(missing.json()["message"].as_str().unwrap().contains("there is no application `nothing`"));
    assert_eq!(agent.get("/api/v1/applications/shop/drift").json()["objects"], json!([]));

    scene.patch("v1", "ConfigMap", &scene.namespace, "web", &json!({"data": {"key": "by hand"}}));
    scene.patch("v1", "Secret", &scene.namespace, "web", &json!({"data": {"password": "c3dvcmRmaXNo"}}));
    scene.wait_app("shop", |app| {
        let out = |r: &&serde_json::Value| r["status"] == "OutOfSync";
        app["status"]["resources"].as_array().is_some_and(|all| all.iter().filter(out).count() == 2)
    });
    let drift = agent.get("/api/v1/applications/shop/drift").json();
    assert_eq!((&drift["status"], &drift["revision"]), (&json!("OutOfSync"), &json!(revision)));
    assert_eq!(drift["objects"].as_array().unwrap().len(), 2, "{drift:#}");
    let text = agent.get_as("/api/v1/applications/shop/drift", "text/plain");
    assert!(text.head.to_lowercase().contains("content-type: text/plain"), "{}", text.head);
    for line in ["-  key: by hand", "+  key: one"] {
        assert!(text.body.lines().any(|shown| shown == line), "{line}\n{}", text.body);
    }
    assert!(text.body.contains("e2e"), "who changed it is not told:\n{}", text.body);
    for secret in ["hunter2", "swordfish", "c3dvcmRmaXNo", "aHVudGVyMg"] {
        assert!(!text.body.contains(secret) && !drift.to_string().contains(secret), "{secret} is shown");
    }
}

#[test]
fn a_refresh_over_http_is_answered() {
    let scene = Scene::new("httprefresh");
    let agent = scene.agent();
    scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    let answer = agent.get("/api/v1/applications/shop?refresh=hard");
    assert_eq!(answer.status, 200, "{answer:?}");
    scene.wait_app("shop", |app| app["metadata"]["annotations"]["argocd.argoproj.io/refresh"].is_null());
}

#[test]
fn probes_and_metrics_say_how_the_agent_is() {
    let scene = Scene::new("probes");
    let agent = scene.agent();
    scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    agent.wait_ready();
    assert_eq!(agent.probe("/healthz").status, 200);
    assert_eq!(agent.probe("/api/v1/applications").status, 404, "the API is served beside the probes");
    let answer = agent.wait_probe("/metrics", |answer| answer.body.contains("sync_status=\"Synced\""));
    for name in [
        "argocd_app_info{",
        "tautline_renders_total ",
        "tautline_applies_total ",
        "tautline_checks_total ",
        "tautline_polls_total ",
        "tautline_status_writes_total ",
        "tautline_events_dropped_total ",
        "tautline_log_lines_dropped_total ",
        "tautline_live_objects ",
        "tautline_api_requests_total{verb=\"apply\",kind=\"ConfigMap\"} ",
        "tautline_source_age_seconds{",
    ] {
        assert!(
            answer.body.lines().any(|line| line.starts_with(name)),
            "{name} is missing:\n{}",
            answer.body
        );
    }
}

#[test]
fn a_termination_is_clean_and_a_restart_changes_nothing() {
    let scene = Scene::new("restart");
    let mut agent = scene.agent();
    let repo = scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    let before = scene.app("shop");
    assert!(agent.terminate().success());
    agent.restart();
    agent.wait_ready();
    scene.let_pass("other");
    assert_eq!(scene.app("shop")["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
    let revision = repo.write("app/web.yaml", &config_map("web", "two")).commit("second");
    let app = scene.wait_app("shop", |app| is_synced_to(app, &revision));
    assert_eq!(condition(&app, "SyncError"), "");
}
