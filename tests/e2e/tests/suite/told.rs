//! What do people hear of an app, in the log and as events? One line per transition, and events where they should look.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use e2e::{Agent, Scene, config_map, is_synced_to, operation_message, sync_status};
use model::Reason;
use serde_json::{Value, json};

const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";

/// The app's transitions so far: level, reason, revision and message; without the lines about its status, which follow
/// whatever happens to be written, and without those that have no reason, which tell of requests that went wrong.
fn transitions(agent: &Agent, app: &str) -> Vec<[String; 4]> {
    let log = agent.log();
    let is_mine = |line: &&Value| line["app"].as_str().is_some_and(|name| name.ends_with(&format!("/{app}")));
    // Releases are kept when their time has come, whatever happens meanwhile.
    let is_transition =
        |line: &&Value| line["reason"].is_string() && line["sync"].is_null() && line["release"].is_null();
    let lines = log.iter().filter(is_mine).filter(is_transition);
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned();
    lines
        .map(|line| [&line["level"], &line["reason"], &line["revision"], &line["message"]].map(text))
        .collect()
}

/// Asserts that transitions are these: level, reason, revision, and parts of the message.
fn are(found: &[[String; 4]], expected: &[(&str, &str, &str, &[&str])]) {
    let words = |line: &[String; 4]| line[..3].join(" ");
    let reasons: Vec<String> = found.iter().map(words).collect();
    let wanted: Vec<String> =
        expected.iter().map(|(level, reason, revision, _)| format!("{level} {reason} {revision}")).collect();
    assert_eq!(reasons, wanted, "{found:#?}");
    for (line, (.., parts)) in found.iter().zip(expected) {
        for part in *parts {
            assert!(line[3].contains(part), "{part:?} is not in {line:?}");
        }
    }
}

/// Returns the events about an app: type and reason, sorted.
fn events(scene: &Scene, app: &str) -> Vec<String> {
    let about = format!("involvedObject.kind=Application,involvedObject.name={app}");
    let each = "jsonpath={range .items[*]}{.type} {.reason}{\"\\n\"}{end}";
    let listed =
        scene.lab.kubectl(&["-n", &scene.control, "get", "events", "--field-selector", &about, "-o", each]);
    let mut found: Vec<String> = listed.unwrap().lines().map(str::to_owned).collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn each_transition_is_one_line_with_the_app_the_revision_and_a_reason() {
    let scene = Scene::new("transitions");
    let agent = scene.agent();
    let repo = scene.repo("shop");
    let first = repo.write("web.yaml", &config_map("web", "one")).commit("first");
    let app = scene.application("shop").repo(&repo).automated().finalizer(FINALIZER);
    app.annotation("tautline.dev/rollback", "manual").create();
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    scene.edit_as("ops", "configmap/web", &json!({"data": {"key": "edited"}}));
    scene.wait_config_map("web", |web| web.is_some_and(|web| web["data"]["key"] == "one"));
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    let uid = scene.config_map("web").unwrap()["metadata"]["uid"].clone();
    scene.delete("v1", "ConfigMap", &scene.namespace, "web");
    scene.wait_config_map("web", |web| web.is_some_and(|web| web["metadata"]["uid"] != uid));
    let succeeded = || transitions(&agent, "shop").iter().filter(|line| line[1] == "Synced").count();
    agent.wait_probe("/metrics", |_| succeeded() == 3);
    scene.wait_app("shop", |app| is_synced_to(app, &first));

    let bad = "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 99999}]}\n";
    let second = repo.write("bad.yaml", bad).commit("second");
    scene.wait_app("shop", |app| operation_message(app).contains("; brought by"));
    let third = repo
        .remove("bad.yaml")
        .write("broken.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: [\n")
        .commit("third");
    scene.wait_app("shop", |app| sync_status(app) == "Unknown");
    let fourth = repo.remove("broken.yaml").write("web.yaml", &config_map("web", "two")).commit("fourth");
    scene.wait_app("shop", |app| is_synced_to(app, &fourth));
    scene.delete_app("shop");
    scene.wait_app_gone("shop");
    agent.wait_log(|line| line["reason"] == "Deleted" && line["message"] == "the Application is gone");

    let web = format!("ConfigMap {}/web", scene.namespace);
    let [first, second, third, fourth] = [&first, &second, &third, &fourth].map(|revision| &revision[..7]);
    let found = transitions(&agent, "shop");
    are(
        &found[..found.len() - 1],
        &[
            ("INFO", "NewRevision", first, &["sync to", "begins"]),
            ("INFO", "Synced", first, &["succeeded in"]),
            ("WARN", "Drift", first, &[&web, "data.key: \"one\" in Git, \"edited\" live (ops, Update"]),
            ("INFO", "SelfHeal", first, &[&format!("{web} goes back to {first}")]),
            ("INFO", "Synced", first, &["succeeded in"]),
            ("WARN", "Drift", first, &[&format!("{web} drifted: it was deleted")]),
            ("INFO", "SelfHeal", first, &[&format!("{web} goes back to {first}")]),
            ("INFO", "Synced", first, &["succeeded in"]),
            ("INFO", "NewRevision", second, &["begins"]),
            ("WARN", "Refused", second, &["failed after", "spec.ports[0].port"]),
            ("WARN", "Quarantined", second, &["until a commit changes what is deployed"]),
            ("WARN", "Refused", second, &["Service ", "brought by", "of Ada <ada@example.com>: second"]),
            ("WARN", "SourceInvalid", second, &[third, "broken.yaml:3:11: a bracket is not closed"]),
            ("INFO", "NewRevision", fourth, &["begins"]),
            ("INFO", "Synced", fourth, &["succeeded in"]),
        ],
    );
    let told: Vec<String> = agent
        .log()
        .iter()
        .filter(|line| line["sync"].is_string())
        .map(|line| line["message"].as_str().unwrap().to_owned())
        .collect();
    assert!(told.contains(&"sync status Synced, health Healthy".into()), "{told:#?}");
}

/// Counts everything that is said of one app, whatever it is about.
#[test]
fn all_that_is_told_of_a_deploy_are_transitions_each_said_once() {
    let scene = Scene::new("told-in-all");
    let agent = scene.agent();
    let repo = scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    let second = repo.write("app/web.yaml", &config_map("web", "two")).commit("second");
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    let name = format!("{}/shop", scene.control);
    let lines: Vec<Value> = agent.log().into_iter().filter(|line| line["app"] == *name).collect();
    let lines: Vec<&Value> = lines.iter().filter(|line| line["level"] != "DEBUG").collect();
    for line in &lines {
        assert_eq!(line["level"], "INFO", "{line}");
        assert!(line["revision"].is_string() && line["message"].is_string(), "{line}");
        let reason = line["reason"].as_str().unwrap_or_default();
        assert!(Reason::parse(reason).is_some(), "{line}");
    }
    let of = |reason: &str| lines.iter().filter(|line| line["reason"] == reason).count();
    let statuses: Vec<[&str; 2]> = lines
        .iter()
        .filter(|line| line["reason"] == "Compared")
        .map(|line| ["sync", "health"].map(|field| line[field].as_str().unwrap()))
        .collect();
    assert_eq!((of("NewRevision"), of("Synced")), (2, 2), "{lines:#?}");
    assert_eq!(statuses.len() + 4, lines.len(), "{lines:#?}");
    // A status is told when it is another, and the last one is what the app is.
    assert!(statuses.windows(2).all(|pair| pair[0] != pair[1]), "{lines:#?}");
    assert_eq!(statuses.last(), Some(&["Synced", "Healthy"]), "{lines:#?}");
}

#[test]
fn events_are_for_what_a_person_should_look_at_unless_all_are_wanted() {
    for (options, name, successes) in [
        (&[][..], "events-few", &[][..]),
        (
            &["--events", "all"][..],
            "events-all",
            &["Normal NewRevision", "Normal SelfHeal", "Normal Synced"][..],
        ),
    ] {
        let scene = Scene::new(name);
        let agent = scene.agent_with(options);
        scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
        scene.edit_as("ops", "configmap/web", &json!({"data": {"key": "edited"}}));
        let succeeded = || transitions(&agent, "shop").iter().filter(|line| line[1] == "Synced").count();
        agent.wait_probe("/metrics", |_| succeeded() == 2);
        let expected = [successes, &["Warning Drift"]].concat();
        agent.wait_probe("/metrics", |_| events(&scene, "shop").len() >= expected.len());
        // Whatever else was to be written has been written by then.
        scene.let_pass("marker");
        assert_eq!(events(&scene, "shop"), expected, "{name}");
    }
}
