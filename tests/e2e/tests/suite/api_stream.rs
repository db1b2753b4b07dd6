//! What does somebody hear who watches Applications over HTTP? Every change, also those that were missed in between.

use e2e::{Agent, Lines, Scene, config_map, is_synced_to};
use serde_json::Value;

const STREAM: &str = "/api/v1/stream/applications";

/// An app without a source that could be read, with a label.
fn app(scene: &Scene, name: &str, team: &str) {
    let app = scene.application(name).repo(&scene.repo("empty"));
    app.set("/metadata/labels", serde_json::json!({ "team": team })).create();
}

fn event(line: &str) -> (String, String, Value) {
    let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let application = value["result"]["application"].clone();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (word(&value["result"]["type"]), word(&application["metadata"]["name"]), application)
}

/// Reads until something happened to an app; returns it as it was told.
#[track_caller]
fn wait_for(lines: &mut Lines, kind: &str, name: &str) -> Value {
    loop {
        let line = lines.next_line().expect("the stream goes on");
        let (got, of, application) = event(&line);
        if (got.as_str(), of.as_str()) == (kind, name) {
            return application;
        }
    }
}

fn version(application: &Value) -> &str {
    application["metadata"]["resourceVersion"].as_str().expect("an Application has one")
}

fn list_version(agent: &Agent) -> String {
    version(&agent.get("/api/v1/applications?limit=1").json()).to_owned()
}

#[test]
fn changes_are_told_as_they_happen_and_to_who_comes_back() {
    let scene = Scene::new("stream");
    let agent = scene.agent();
    agent.wait_ready();
    app(&scene, "one", "shop");
    let mut lines = agent.open(STREAM, &[]);
    assert!(lines.head.contains(" 200 ") && lines.head.contains("application/json"), "{}", lines.head);
    wait_for(&mut lines, "ADDED", "one");
    app(&scene, "two", "other");
    let two = wait_for(&mut lines, "ADDED", "two");
    assert!(two["metadata"]["managedFields"].is_null(), "{two:#}");
    scene.patch_app("two", &serde_json::json!({"metadata": {"labels": {"team": "shop"}}}));
    let known = loop {
        let seen = wait_for(&mut lines, "MODIFIED", "two");
        if seen["metadata"]["labels"]["team"] == "shop" {
            break version(&seen).to_owned();
        }
    };
    drop(lines);
    // What happened meanwhile, the deletion as well.
    scene.delete_app("one");
    scene.wait_app_gone("one");
    let mut back = agent.open(&format!("{STREAM}?resourceVersion={known}"), &[]);
    let gone = wait_for(&mut back, "DELETED", "one");
    let newest: u64 = version(&gone).parse().unwrap();
    // Nothing is told twice: all that comes is newer.
    app(&scene, "three", "shop");
    let mut again = agent.open(STREAM, &["Accept: text/event-stream", &format!("Last-Event-ID: {newest}")]);
    assert!(again.head.contains("text/event-stream"), "{}", again.head);
    loop {
        let line = again.next_line().unwrap();
        // What overtakes the watch is no place to come back to.
        if let Some(id) = line.strip_prefix("id: ") {
            assert!(id.parse::<u64>().unwrap() > newest, "{id}");
            continue;
        }
        let Some(data) = line.strip_prefix("data: ") else { continue };
        let (kind, name, _) = event(data);
        if (kind.as_str(), name.as_str()) == ("ADDED", "three") {
            break;
        }
    }
}

#[test]
fn a_stream_tells_of_those_that_were_asked_for_and_what_was_asked_of_them() {
    let scene = Scene::new("stream-some");
    let agent = scene.agent();
    agent.wait_ready();
    app(&scene, "one", "shop");
    app(&scene, "two", "other");
    let since = list_version(&agent);
    let fields = "fields=result.type,result.application.metadata.name";
    let mut lines = agent.open(&format!("{STREAM}?selector=team%3Dshop&{fields}"), &[]);
    assert_eq!(
        lines.next_line().unwrap(),
        r#"{"result":{"application":{"metadata":{"name":"one"}},"type":"ADDED"}}"#
    );
    scene.patch_app("two", &serde_json::json!({"metadata": {"labels": {"team": "shop"}}}));
    wait_for(&mut lines, "ADDED", "two");
    scene.patch_app("two", &serde_json::json!({"metadata": {"labels": {"team": "other"}}}));
    wait_for(&mut lines, "DELETED", "two");
    // What a list was as of is a place to begin at.
    let mut lines = agent.open(&format!("{STREAM}?resourceVersion={since}&name=two"), &[]);
    loop {
        if wait_for(&mut lines, "MODIFIED", "two")["metadata"]["labels"]["team"] == "shop" {
            break;
        }
    }
    for (query, status) in [("resourceVersion=1", 410), ("resourceVersion=x", 400), ("nonsense=1", 400)] {
        let refused = agent.get(&format!("{STREAM}?{query}"));
        assert_eq!(refused.status, status, "{refused:?}");
    }
    let old = agent.get(&format!("{STREAM}?resourceVersion=1")).json();
    assert!(old["message"].as_str().unwrap().contains("begin anew"), "{old}");
}

#[test]
fn streams_end_with_the_agent_and_a_restarted_one_says_what_it_does_not_know() {
    let scene = Scene::new("stream-restart");
    let mut agent = scene.agent();
    agent.wait_ready();
    let repo = scene.repo("shop");
    let revision = repo.write("web.yaml", &config_map("web", "one")).commit("first");
    scene.application("shop").repo(&repo).automated().create();
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
    let before = list_version(&agent);
    let mut lines = agent.open(STREAM, &[]);
    wait_for(&mut lines, "ADDED", "shop");
    assert_eq!(agent.terminate().code(), Some(0));
    let mut last = String::new();
    while let Some(line) = lines.next_line() {
        last = line;
    }
    let error: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(error["error"]["http_code"], 503, "{last}");
    // Something goes while nobody looks.
    scene.delete_app("shop");
    scene.wait_app_gone("shop");
    agent.restart();
    agent.wait_ready();
    let old = agent.get(&format!("{STREAM}?resourceVersion={before}"));
    assert_eq!(old.status, 410, "{old:?}");
}

#[test]
fn pages_of_a_list_show_every_app_once() {
    let scene = Scene::new("pages");
    let agent = scene.agent();
    agent.wait_ready();
    let names = ["a", "b", "c.x", "d", "e"];
    for name in names {
        app(&scene, name, "shop");
    }
    agent.wait_probe("/readyz", |_| {
        agent.get("/api/v1/applications").json()["items"].as_array().is_some_and(|items| items.len() == 5)
    });
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let page = agent.get(&format!("/api/v1/applications?limit=2&selector=team%3Dshop{next}")).json();
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|app| app["metadata"]["name"].as_str().unwrap().to_owned()));
        let metadata = &page["metadata"];
        assert_eq!(metadata["remainingItemCount"].as_u64().unwrap_or(0), 5 - seen.len() as u64);
        let Some(token) = metadata["continue"].as_str() else { break };
        next = format!("&continue={token}");
    }
    assert_eq!(seen, names);
    for query in ["limit=x", "limit=-1", "continue=x"] {
        assert_eq!(agent.get(&format!("/api/v1/applications?{query}")).status, 400, "{query}");
    }
}
