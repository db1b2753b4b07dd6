//! What does `tautline app` print of a cluster, and with which code does it end?

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt as _;
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
    assert_eq!(rows[0], ["ID", "REVISION", "VERDICT", "CAUSE", "AGE", "BY", "IMAGES"]);
    // The first one had no time to settle, or had.
    assert_eq!((rows[1][1], rows[2][1]), (&first[..7], &second[..7]));
    assert_eq!((rows[1][5], rows.len()), ("auto-sync", 3), "{}", history.out);
}

#[test]
fn what_changes_is_printed_as_it_changes() {
    let (scene, _agent, repo, first) = shop("cli-watch");
    let list = ["app", "list", "-n", &scene.control, "-w"];
    let mut child = scene.tautline_command(&list).stdout(Stdio::piped()).spawn().expect("the program starts");
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    let mut lines = lines.inspect(|line| scene.keep(&list, line.clone()));
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
    // An API server says in its own words what is no selector; what an agent is asked is read here.
    for (options, told) in [
        (&[][..], "found 'c'"),
        (&["-w"], "found 'c'"),
        (&["--server", "http://127.0.0.1:1"], "`selector`: \"a=b c\" is not one of key=value"),
    ] {
        let wrong = scene.tautline(&[&["app", "list", "-n", control, "-l", "a=b c"], options].concat());
        assert!((wrong.code, wrong.out.as_str()) == (2, "") && wrong.err.contains(told), "{wrong:?}");
    }
    // Only the API server knows how long a value may be.
    let long = format!("a={}", "b".repeat(64));
    for options in [&[][..], &["-w"]] {
        let wrong = scene.tautline(&[&["app", "list", "-n", control, "-l", &long], options].concat());
        assert_eq!((wrong.code, wrong.out.as_str()), (2, ""), "{wrong:?}");
    }
    for variable in ["TAUTLINE_SERVER", "TAUTLINE_TOKEN"] {
        let mut command = scene.tautline_command(&["app", "list", "-n", control]);
        command.env("TAUTLINE_SERVER", "http://127.0.0.1:1");
        let output = command.env(variable, OsStr::from_bytes(b"http://\xff")).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert_eq!(told, format!("error: the variable {variable} is not UTF-8 (set it anew, or unset it)\n"));
    }
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

#[test]
fn an_application_is_made_synced_and_waited_for() {
    let scene = Scene::new("cli-sync");
    let _agent = scene.agent();
    let (control, namespace) = (scene.control.as_str(), scene.namespace.as_str());
    let repo = scene.repo("shop");
    let first = repo.write("app/web.yaml", &config_map("web", "one")).commit("first");
    let url = repo.url();
    let words = [
        "app",
        "create",
        "shop",
        "-n",
        control,
        "--repo",
        &url,
        "--path",
        "app",
        "--dest-namespace",
        namespace,
    ];
    let dry = scene.tautline(&[&words[..], &["--dry-run", "-o", "yaml"]].concat());
    assert_eq!((dry.code, dry.err.as_str()), (0, ""));
    assert!(dry.out.starts_with("apiVersion: argoproj.io/v1alpha1\nkind: Application\n"), "{}", dry.out);
    let absent = scene.tautline(&["app", "get", "shop", "-n", control]);
    assert_eq!(absent.code, 4, "a dry run made it: {absent:?}");

    // Nobody asked for a sync: that is a verdict, too.
    let made = scene.tautline(&[&words[..], &["--wait"]].concat());
    assert_eq!(made.code, 1, "{made:?}");
    assert!(made.out.starts_with("application.argoproj.io/shop created\nNotRequested "), "{}", made.out);
    let again = scene.tautline(&words);
    assert!(again.code == 6 && again.err.contains("exists already"), "{again:?}");

    let dry = scene.tautline(&["app", "sync", "shop", "-n", control, "--dry-run", "--wait"]);
    assert_eq!(dry.code, 0, "{dry:?}");
    assert!(dry.out.contains("configmap/web created"), "{}", dry.out);
    assert_eq!(scene.config_map("web"), None, "a dry run changed something");
    let synced = scene.tautline(&["app", "sync", "shop", "-n", control, "--wait"]);
    assert_eq!(synced.code, 0, "{synced:?}");
    assert!(synced.out.contains(&format!("Deployed {}: ", &first[..7])), "{}", synced.out);
    assert!(scene.config_map("web").is_some());

    let waited = scene.tautline(&["app", "wait", "shop", "-n", control, "--revision", &first[..7]]);
    assert_eq!(waited.code, 0, "{waited:?}");
}

#[test]
fn a_sync_of_single_objects_and_revisions() {
    let scene = Scene::new("cli-single");
    let _agent = scene.agent();
    let control = scene.control.as_str();
    let repo = scene.repo("shop");
    repo.write("a.yaml", &config_map("a", "one")).write("b.yaml", &config_map("b", "one"));
    let first = repo.commit("first");
    scene.application("shop").repo(&repo).create();
    scene.wait_app("shop", |app| app["status"]["sync"]["revision"] == first);
    let one = scene.tautline(&["app", "sync", "shop", "-n", control, "--resource", ":ConfigMap:a", "--wait"]);
    assert_eq!(one.code, 0, "{one:?}");
    assert!(scene.config_map("a").is_some() && scene.config_map("b").is_none());
    let wrong = scene.tautline(&["app", "sync", "shop", "-n", control, "--resource", "ConfigMap/a"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    let second = repo.write("a.yaml", &config_map("a", "two")).remove("b.yaml").commit("second");
    scene.wait_app("shop", |app| app["status"]["sync"]["revision"] == second);
    let back = scene.tautline(&["app", "sync", "shop", "-n", control, "--revision", &first, "--wait"]);
    assert_eq!(back.code, 0, "{back:?}");
    assert_eq!(scene.config_map("b").unwrap()["data"]["key"], "one");
    let pruned = scene.tautline(&["app", "sync", "shop", "-n", control, "--prune", "--wait"]);
    assert_eq!(pruned.code, 0, "{pruned:?}");
    assert!(
        pruned.out.contains("pruned") && scene.config_map("a").unwrap()["data"]["key"] == "two",
        "{pruned:?}"
    );
}

#[test]
fn a_wait_ends_with_one_word_or_with_its_time() {
    let (scene, _agent, repo, _first) = shop("cli-verdict");
    let control = scene.control.as_str();
    // Not what is checked out, which a commit to another branch moves for a moment.
    scene.patch_app("shop", &json!({"spec": {"source": {"targetRevision": "main"}}}));
    let second = repo.write("app/web.yaml", &config_map("web", "two")).commit("second");
    let deployed = scene.tautline(&["app", "wait", "shop", "-n", control, "--revision", "main"]);
    assert_eq!(deployed.code, 0, "{deployed:?}");
    assert!(deployed.out.starts_with(&format!("Deployed {}: ", &second[..7])), "{}", deployed.out);
    let told = scene.tautline(&["app", "wait", "shop", "-n", control, "-o", "yaml"]);
    assert!(told.code == 0 && told.out.lines().any(|line| line == "verdict: Deployed"), "{told:?}");

    repo.write("app/web.yaml", "kind: ConfigMap\napiVersion: v1\nmetadata: {name: web, name: web}\n");
    let bad = repo.commit("bad");
    let failed = scene.tautline(&["app", "wait", "shop", "-n", control, "--revision", &bad]);
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(failed.out.starts_with("Failed ") && failed.out.contains("given twice"), "{}", failed.out);

    // A commit that no branch holds is never seen by the agent.
    repo.branch("side").write("app/web.yaml", &config_map("web", "three"));
    let side = repo.commit("side");
    repo.checkout("main");
    let late =
        scene.tautline(&["app", "wait", "shop", "-n", control, "--revision", &side, "--timeout", "1s"]);
    assert_eq!((late.code, late.out.as_str()), (3, ""), "{late:?}");
    assert!(late.err.contains("no verdict within 1 s"), "{}", late.err);
    let unknown = scene.tautline(&["app", "wait", "shop", "-n", control, "--revision", "nothing"]);
    assert_eq!(unknown.code, 4, "{unknown:?}");
}

#[test]
fn the_same_is_asked_of_an_agent() {
    let (scene, agent, repo, first) = shop("cli-server");
    let server = format!("http://{}", agent.api());
    let ask = |arguments: &[&str]| scene.tautline(&[arguments, &["--server", &server]].concat());
    let listed = ask(&["app", "list"]);
    assert_eq!(listed.code, 0, "{listed:?}");
    assert_eq!(listed.rows()[1], ["shop", "Synced", "Healthy", &first[..7], "Succeeded"]);
    assert!(ask(&["app", "get", "shop"]).out.contains("Health:      Healthy\n"));
    assert_eq!(ask(&["app", "get", "nothing"]).code, 4);
    assert_eq!(ask(&["app", "drift", "shop"]).code, 0);

    let second = repo.write("app/web.yaml", &config_map("web", "two")).commit("second");
    let waited = ask(&["app", "wait", "shop", "--revision", &second]);
    assert_eq!(waited.code, 0, "{waited:?}");
    assert!(waited.out.starts_with(&format!("Deployed {}: ", &second[..7])), "{}", waited.out);
    // The verdict may be told a moment before the status is written, and who asks in between is to ask again.
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    let synced = ask(&["app", "sync", "shop", "--wait"]);
    assert_eq!(synced.code, 0, "{synced:?}");

    let create = ["app", "create", "a", "--repo", "https://git.example.com/b", "--path", "c"];
    let told = ask(&create);
    let sentence = "error: app create needs the cluster, for an agent's API makes no Applications: leave --server and TAUTLINE_SERVER away\n";
    assert_eq!((told.code, told.out.as_str(), told.err.as_str()), (2, "", sentence));
    let dry = ask(&[&create[..], &["--dry-run"]].concat());
    assert_eq!((dry.code, dry.out.as_str()), (0, "application.argoproj.io/a created (dry run)\n"), "{dry:?}");
    let help = scene.tautline(&["app", "create", "--help"]).out;
    assert!(help.contains("create needs the cluster, so leave --server away"), "{help}");
    let nobody = scene.tautline(&["app", "list", "--server", "http://127.0.0.1:1"]);
    assert!(nobody.code == 6 && nobody.err.contains("cannot reach 127.0.0.1:1"), "{nobody:?}");
    let list = ["app", "list", "--server", "http://example.com"];
    scene.canaries().add("the caller's token", "open-sesame");
    let clear = scene.tautline_command(&list).env("TAUTLINE_TOKEN", "open-sesame").output();
    let clear = clear.expect("the program starts");
    assert_eq!(clear.status.code(), Some(2));
    scene.keep(&list, format!("{clear:?}"));
}
