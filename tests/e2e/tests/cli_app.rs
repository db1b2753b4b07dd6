//! What does `tautline app` print of a cluster, and with which code does it end?

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use e2e::{Scene, config_map, is_synced_to};
use serde_json::json;

/// A scene with an app that is deployed, and its revision.
fn shop(name: &str) -> (Scene, e2e::Agent, e2e::Repo, String) {
    let scene = Scene::new(name);
    let agent = scene.agent();
    let repo = scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    let revision = repo.head();
    (scene, agent, repo, revision)
}

#[test]
fn applications_are_listed_as_kubectl_lists() {
    let (scene, _agent, repo, revision) = shop("cli-list");
    let control = scene.control.as_str();
    scene.application("till").repo(&repo).path("app").set("/metadata/labels/team", "till").create();
    scene.wait_app("till", |app| app["status"]["sync"]["revision"] == revision);

    let listed = scene.tautline(&["app", "list", "-n", control]);
    assert_eq!((listed.code, listed.err.as_str()), (0, ""));
    let rows = listed.rows();
    assert_eq!(rows[0], ["NAME", "SYNC", "HEALTH", "REVISION", "LAST SYNC"]);
    assert_eq!(rows[1], ["shop", "Synced", "Healthy", &revision[..7], "Succeeded"]);
    assert_eq!(rows[2][0], "till");
    assert!(!listed.out.contains('\u{1b}'), "no colours but on a terminal");

    let wide = scene.tautline(&["app", "list", "-A", "-o", "wide", "-l", "team=till"]);
    let rows = wide.rows();
    assert_eq!(rows.len(), 2, "{}", wide.out);
    assert_eq!(rows[0][..2], ["NAMESPACE", "NAME"]);
    assert!(rows[1].contains(&control) && rows[1].contains(&repo.url().as_str()), "{}", wide.out);

    let names = scene.tautline(&["app", "list", "-n", control, "-o", "name"]);
    assert_eq!(names.out, "application.argoproj.io/shop\napplication.argoproj.io/till\n");
    let json = scene.tautline(&["app", "list", "-n", control, "-o", "json"]).json();
    assert_eq!((&json["kind"], &json["items"][1]["metadata"]["name"]), (&json!("List"), &json!("till")));

    // What is printed is what kubectl takes.
    let yaml = scene.tautline(&["app", "get", "shop", "-n", control, "-o", "yaml"]);
    let applied = scene.lab.kubectl_with_input(&["apply", "--dry-run=server", "-f", "-"], &yaml.out);
    assert!(applied.unwrap().contains("shop"), "{}", yaml.out);
}

#[test]
fn an_application_tells_its_story_and_its_history() {
    let (scene, _agent, repo, first) = shop("cli-get");
    let control = scene.control.as_str();
    let second = repo.write("app/web.yaml", &config_map("web", "two")).commit("second");
    scene.wait_app("shop", |app| is_synced_to(app, &second));

    let got = scene.tautline(&["app", "get", "shop", "-n", control]);
    assert_eq!(got.code, 0, "{got:?}");
    for part in [
        format!("Name:        {control}/shop\n"),
        format!("Source:      {}, app at HEAD\n", repo.url()),
        format!("Sync:        Synced with {}\n", &second[..7]),
        format!("ConfigMap   {}/web   Synced", scene.namespace),
    ] {
        assert!(got.out.contains(&part), "{part:?} is not in\n{}", got.out);
    }

    let history = scene.tautline(&["app", "history", "shop", "-n", control]);
    let rows = history.rows();
    assert_eq!(rows[0], ["ID", "REVISION", "DEPLOYED AT", "TOOK", "BY"]);
    assert_eq!((rows[1][1], rows[2][1]), (&first[..7], &second[..7]));
    assert_eq!((rows[1][4], rows.len()), ("auto-sync", 3), "{}", history.out);
}

#[test]
fn what_changes_is_printed_as_it_changes() {
    let (scene, _agent, repo, first) = shop("cli-watch");
    let mut command = scene.tautline_command(&["app", "list", "-n", &scene.control, "-w"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    let header = lines.next().expect("a header");
    assert!(header.starts_with("NAME"), "{header}");
    let row = lines.next().expect("a row");
    assert!(row.starts_with("shop") && row.contains(&first[..7]), "{row}");

    let second = repo.write("app/web.yaml", &config_map("web", "two")).commit("second");
    let seen = lines.find(|line| line.contains(&second[..7]) && line.contains("Synced"));
    assert!(seen.is_some(), "it ended");
    child.kill().expect("it runs");
    child.wait().expect("it is our child");
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let scene = Scene::new("cli-codes");
    let control = scene.control.as_str();
    let empty = scene.tautline(&["app", "list", "-n", control]);
    assert_eq!((empty.code, empty.out.as_str()), (0, ""), "{empty:?}");
    assert_eq!(empty.err, format!("there are no Applications in namespace {control}\n"));
    let empty = scene.tautline(&["app", "list", "-n", control, "-o", "json"]);
    assert_eq!(empty.json()["items"], json!([]));

    let usage = scene.tautline(&["app", "list", "-o", "xml"]);
    assert_eq!((usage.code, usage.out.as_str()), (2, ""));
    for command in [["app", "get"], ["app", "history"]] {
        let absent = scene.tautline(&[&command[..], &["nothing", "-n", control]].concat());
        assert_eq!((absent.code, absent.out.as_str()), (4, ""));
        assert!(absent.err.contains("there is no Application nothing"), "{}", absent.err);
    }
    let nowhere = scene.tautline(&["app", "list", "--kubeconfig", "/nowhere/config"]);
    assert_eq!(nowhere.code, 4, "{nowhere:?}");
    let no_context = scene.tautline(&["app", "list", "--context", "nowhere"]);
    assert_ne!(no_context.code, 0, "{no_context:?}");

    scene.lab.kubectl(&["-n", control, "create", "serviceaccount", "nobody"]).unwrap();
    for command in [&["app", "list"][..], &["app", "list", "-w"], &["app", "get", "shop"]] {
        let forbidden = scene.tautline_as("nobody", &[command, &["-n", control]].concat());
        assert_eq!((forbidden.code, forbidden.out.as_str()), (5, ""), "{forbidden:?}");
        assert!(forbidden.err.contains("ask for that right"), "{}", forbidden.err);
    }
}

#[test]
fn names_and_messages_forge_nothing() {
    let scene = Scene::new("cli-forged");
    let repo = scene.repo("shop");
    repo.write("a.yaml", &config_map("a", "one")).commit("first");
    scene.application("shop").repo(&repo).create();
    let forged = "x\u{1b}[2J\nfine   Synced   Healthy\u{202e}";
    let status = json!({"status": {"conditions": [{"type": "SyncError", "message": forged}],
        "health": {"status": forged}, "sync": {"status": "Synced"}}});
    scene.patch_app("shop", &status);
    let control = scene.control.as_str();
    for arguments in [
        &["app", "list", "-o", "wide"][..],
        &["app", "get", "shop"],
        &["app", "get", "shop", "-o", "yaml"],
        &["app", "get", "shop", "-o", "json"],
    ] {
        let told = scene.tautline(&[arguments, &["-n", control]].concat());
        assert_eq!(told.code, 0, "{told:?}");
        assert!(!told.out.contains(['\u{1b}', '\u{202e}']), "{told:?}");
        assert!(!told.out.lines().any(|line| line.trim_start().starts_with("fine ")), "{told:?}");
    }
}
