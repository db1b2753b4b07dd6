//! What if an app is so large that its status does not fit into an object? It says what matters all the same.

use std::fmt::Write as _;
use std::time::Duration;

use e2e::{Scene, config_map, is_synced_to, operation_phase, result_of};
use serde_json::Value;

/// With their names of 240 characters, the status of so many is larger than etcd takes, and is not without their results.
const OBJECTS: usize = 1_700;

/// So many objects take long on a machine that is busy.
const LONGEST: Duration = Duration::from_mins(3);

fn n(app: &Value, list: &str) -> usize {
    app.pointer(list).and_then(Value::as_array).map_or(0, Vec::len)
}

#[test]
fn a_status_that_does_not_fit_tells_how_the_sync_ended_and_what_failed() {
    let scene = Scene::new("large");
    let agent = scene.agent();
    let repo = scene.repo("shop");
    let manifests = |value: &str| {
        let mut text = String::new();
        for number in 0..OBJECTS {
            let name = format!("{}-{number:04}", "n".repeat(235));
            writeln!(text, "{}---", config_map(&name, value)).expect("text grows");
        }
        text
    };
    let first = repo.write("all.yaml", &manifests("one")).commit("first");
    scene.application("shop").repo(&repo).automated().create();
    let results = "/status/operationState/syncResult/resources";
    let wait = |is_done: &dyn Fn(&Value) -> bool| {
        let key = ("argoproj.io/v1alpha1", "Application", scene.control.as_str(), "shop");
        let app = scene.wait_object_for(LONGEST, key, |app| app.is_some_and(is_done));
        app.expect("it held for an object")
    };
    let app = wait(&|app| is_synced_to(app, &first));
    assert_eq!((operation_phase(&app), n(&app, "/status/resources")), ("Succeeded", OBJECTS));
    assert_eq!(n(&app, results), 0, "there is no room for them");
    // It is tried whole once while the sync runs, where that is told at all, and once at its end.
    let n_tried = || agent.log().iter().filter(|line| line.to_string().contains("less detail")).count();
    let n_first = n_tried();
    assert!((1..=2).contains(&n_first), "{}", agent.log_text());

    // What failed is what a person needs, and there is room for it.
    let bad = "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 99999}]}\n";
    let second = repo.write("all.yaml", &manifests("two")).write("bad.yaml", bad).commit("second");
    let app = wait(&|app| operation_phase(app) == "Failed");
    assert_eq!(app["status"]["operationState"]["syncResult"]["revision"], second);
    assert_eq!((n(&app, results), &result_of(&app, "Service", "bad")["status"]), (1, &"SyncFailed".into()));
    let n_second = n_tried() - n_first;
    assert!(
        (1..=2).contains(&n_second),
        "within a sync it is remembered how much fits\n{}",
        agent.log_text()
    );

    // Once it is small enough it is whole again.
    let third = repo.remove("bad.yaml").write("all.yaml", &config_map("web", "one")).commit("third");
    let app = wait(&|app| is_synced_to(app, &third) && n(app, "/status/resources") == 1);
    assert_eq!(result_of(&app, "ConfigMap", "web")["status"], "Synced");
}
