//! What does bad input get? A sentence that says what is wrong, and nothing is lost by it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use e2e::{DEADLINE, Scene, condition, config_map, is_synced_to, operation_phase, settled, sync_status};
use serde_json::{Value, json};

#[test]
fn invalid_files_are_named_with_their_lines_and_nothing_of_the_app_changes() {
    let scene = Scene::new("invalid");
    let _agent = scene.agent();
    let repo = scene.deployed(
        "shop",
        &[("web.yaml", &config_map("web", "one")), ("old.yaml", &config_map("old", "one"))],
    );
    repo.write("app/web.yaml", &config_map("web", "two"))
        .write("app/broken.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: [broken\n")
        .write("app/nameless.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  labels: {a: b}\n")
        .remove("app/old.yaml");
    let bad = repo.commit("bad");
    let app = scene.wait_app("shop", |app| !condition(app, "ComparisonError").is_empty());
    let messages: Vec<&str> = app["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|c| c["message"].as_str())
        .collect();
    let prefix = format!("Failed to load target state at {}: ", &bad[..7]);
    for start in ["app/broken.yaml:4:9: ", "app/nameless.yaml:4:3: metadata.name is missing"] {
        let start = format!("{prefix}{start}");
        assert!(messages.iter().any(|message| message.starts_with(&start)), "{start}: {messages:#?}");
    }
    assert_eq!(sync_status(&app), "Unknown");
    // Another app goes on, and by the time it is done this one would have been.
    scene.let_pass("other");
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "one");
    assert!(scene.config_map("old").is_some());

    let good = repo.remove("app/broken.yaml").remove("app/nameless.yaml").commit("good");
    let app = scene.wait_app("shop", |app| is_synced_to(app, &good));
    assert_eq!(condition(&app, "ComparisonError"), "");
    assert!(scene.config_map("old").is_none());
}

#[test]
fn a_wrong_repository_branch_or_path_is_told_and_the_last_good_state_stays() {
    let scene = Scene::new("wrong");
    let _agent = scene.agent();
    let repo = scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    let good = repo.head();
    let elsewhere = scene.repos().join("nowhere").display().to_string();
    for (field, value, expected) in [
        ("targetRevision", "no-such-branch", "no branch, tag or commit \"no-such-branch\" in the repository"),
        ("path", "no/such/path", "no/such/path"),
        ("repoURL", elsewhere.as_str(), "there is no Git repository at "),
        ("repoURL", "/etc", "is not in a folder that --local-repos names"),
        ("repoURL", "ext::sh -c id", "spec.source.repoURL: is not a URL"),
        ("repoURL", "ssh://-oProxyCommand=id/shop", "has a host that looks like an option"),
    ] {
        let before = scene.app("shop")["spec"]["source"][field].clone();
        scene.patch_app("shop", &json!({"spec": {"source": {field: value}}}));
        let told =
            |app: &Value| [condition(app, "ComparisonError"), condition(app, "InvalidSpecError")].concat();
        let app = scene.wait_app("shop", |app| !told(app).is_empty());
        assert!(told(&app).contains(expected), "{field}={value}: {}", told(&app));
        assert_eq!(sync_status(&app), "Unknown", "{field}={value}");
        assert_eq!(app["status"]["resources"][0]["name"], "web", "{field}={value}: {}", app["status"]);
        assert!(scene.config_map("web").is_some());
        scene.patch_app("shop", &json!({"spec": {"source": {field: before}}}));
        let app = scene.wait_app("shop", |app| is_synced_to(app, &good));
        assert_eq!(told(&app), "");
    }
}

#[test]
fn a_deleted_branch_leaves_what_was_deployed() {
    let scene = Scene::new("branch");
    let _agent = scene.agent();
    let repo = scene.repo("shop");
    repo.write("web.yaml", &config_map("web", "one")).commit("first");
    repo.branch("release");
    let revision = repo.head();
    repo.checkout("main");
    scene.application("shop").repo(&repo).revision("release").automated().create();
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
    repo.delete_branch("release");
    let app = scene.wait_app("shop", |app| !condition(app, "ComparisonError").is_empty());
    assert!(
        condition(&app, "ComparisonError").contains("\"release\""),
        "{}",
        condition(&app, "ComparisonError")
    );
    assert!(scene.config_map("web").is_some());
    // It comes back at another commit: a force-push, as far as anybody can tell.
    repo.branch("release").write("web.yaml", &config_map("web", "two"));
    let revision = repo.rewrite("again");
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
}

/// Answers every request with 401 and tells which `Authorization` it came with.
fn refusing_server() -> (SocketAddr, Receiver<Option<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    let (sender, seen) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            loop {
                let head: Vec<String> = reader
                    .by_ref()
                    .lines()
                    .map_while(Result::ok)
                    .take_while(|line| !line.is_empty())
                    .collect();
                if head.is_empty() {
                    break;
                }
                let authorization = head.iter().find_map(|line| {
                    let (name, value) = line.split_once(": ")?;
                    name.eq_ignore_ascii_case("authorization").then(|| value.to_owned())
                });
                let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\nContent-Length: 0\r\n\r\n";
                if reader.get_mut().write_all(answer.as_bytes()).is_err()
                    || sender.send(authorization).is_err()
                {
                    break;
                }
            }
        }
    });
    (address, seen)
}

fn secret(name: &str, namespace: &str, data: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": {"argocd.argoproj.io/secret-type": "repository"}},
        "stringData": data,
    })
}

// N19: what an Application and the log say
#[test]
fn refused_credentials_are_told_without_the_secret_and_an_unreadable_secret_changes_nothing() {
    let scene = Scene::new("credentials");
    let agent = scene.agent();
    let (address, seen) = refusing_server();
    let url = format!("http://{address}/shop.git");
    let with_password = |password: &str| {
        let data = json!({"url": url, "username": "ada", "password": password});
        secret("shop", &scene.control, &data)
    };
    scene.create(&with_password("hunter2-first")).unwrap();
    scene.application("shop").set("/spec/source/repoURL", url.as_str()).automated().create();
    // The app may be seen a moment before its Secret.
    let refuses = format!("repository {url} refuses the credentials");
    scene.wait_app("shop", |app| condition(app, "ComparisonError").contains(&refuses));
    // base64 of `ada:hunter2-first`.
    let first = "Basic YWRhOmh1bnRlcjItZmlyc3Q=";
    let asked = |expected: &str| {
        let end = Instant::now() + DEADLINE;
        let next = || seen.recv_timeout(end.saturating_duration_since(Instant::now()));
        std::iter::from_fn(|| next().ok()).any(|authorization| authorization.as_deref() == Some(expected))
    };
    assert!(asked(first));

    // A control character makes it unreadable.
    let unreadable = json!({"stringData": {"password": "hunter2\n-second"}});
    scene.patch("v1", "Secret", &scene.control, "shop", &unreadable);
    let line = agent
        .wait_log(|line| line["message"] == "the repository Secret cannot be read; the previous one stays");
    assert!(line["sentence"].as_str().unwrap().contains("field password"), "{line}");
    let app = scene.wait_app("shop", |app| !condition(app, "UnknownError").is_empty());
    let told = condition(&app, "UnknownError");
    assert_eq!(
        told,
        "repository Secret shop cannot be read: field password holds a control character. What it said before stays in force until it is corrected"
    );
    let metric = "tautline_unreadable_settings{kind=\"Secret\",name=\"shop\"}";
    agent.wait_probe("/metrics", |_| agent.metric(metric) == 1);
    while seen.try_recv().is_ok() {}
    scene.patch_app("shop", &json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "hard"}}}));
    assert!(asked(first), "the previous credentials are not used any more");
    scene.wait_app("shop", |app| app["metadata"]["annotations"]["argocd.argoproj.io/refresh"].is_null());

    // A readable one counts again.
    scene.patch(
        "v1",
        "Secret",
        &scene.control,
        "shop",
        &json!({"stringData": {"password": "hunter2-third"}}),
    );
    assert!(asked("Basic YWRhOmh1bnRlcjItdGhpcmQ="), "the new credentials are not used");
    scene.wait_app("shop", |app| condition(app, "UnknownError").is_empty());
    assert!(!agent.log_text().contains("hunter2"), "a password stands in the log");
    assert!(!scene.app("shop").to_string().contains("hunter2"), "a password stands in the Application");
}

#[test]
fn an_unreadable_setting_is_told_and_nothing_stops() {
    let scene = Scene::new("settings");
    let agent = scene.agent();
    let settings = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "namespace": scene.control},
        "data": {"timeout.reconciliation": "soon"},
    });
    scene.create(&settings).unwrap();
    let line =
        agent.wait_log(|line| line["message"].as_str().is_some_and(|m| m.contains("timeout.reconciliation")));
    assert!(line["message"].as_str().unwrap().contains("the previous value stays"), "{line}");
    let repo = scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    let told = |app: &Value| condition(app, "UnknownError").to_owned();
    let app = scene.wait_app("shop", |app| !told(app).is_empty());
    assert_eq!(
        told(&app),
        "ConfigMap argocd-cm: timeout.reconciliation is \"soon\", which is no duration such as 120s; the previous value stays"
    );
    assert_eq!(sync_status(&app), "Synced");
    let revision = repo.write("app/web.yaml", &config_map("web", "two")).commit("second");
    scene.wait_app("shop", |app| is_synced_to(app, &revision));

    let set = |value: &str| {
        let data = json!({"data": {"timeout.reconciliation": value}});
        scene.patch("v1", "ConfigMap", &scene.control, "argocd-cm", &data);
    };
    set("60s");
    scene.wait_app("shop", |app| is_synced_to(app, &revision) && told(app).is_empty());
    // It becomes unreadable while the agent runs.
    set("later");
    let app = scene.wait_app("shop", |app| told(app).contains("\"later\""));
    assert!(is_synced_to(&app, &revision), "{app:#}");
    let metric = "tautline_unreadable_settings{kind=\"ConfigMap\",name=\"argocd-cm\"}";
    agent.wait_probe("/metrics", |_| agent.metric(metric) == 1);
    // What is deployed is found by the id, so that another one waits for a restart.
    let id = json!({"data": {"installationID": "blue"}});
    scene.patch("v1", "ConfigMap", &scene.control, "argocd-cm", &id);
    let is_told = |line: &Value| {
        let message = line["message"].as_str().unwrap_or_default();
        message.contains("installationID is blue, and none goes on being used") && message.contains("Restart")
    };
    agent.wait_log(is_told);
    scene.delete("v1", "ConfigMap", &scene.control, "argocd-cm");
    scene.wait_app("shop", |app| is_synced_to(app, &revision) && told(app).is_empty());
    agent.wait_probe("/metrics", |answer| !answer.body.contains("tautline_unreadable_settings{"));
}

// N49: bad bytes in a repository Secret
#[test]
fn an_unreadable_secret_is_told_by_the_apps_that_it_would_serve_and_to_nobody_else() {
    let scene = Scene::new("unreadable");
    let agent = scene.agent();
    let (address, _seen) = refusing_server();
    // Never readable; the URL of one is, and it holds a password.
    let url = format!("http://ada:canary-url@{address}/shop.git");
    let control_character = "canary\u{7}password";
    for (name, data) in [
        ("known", json!({"url": url, "username": "ada", "password": control_character})),
        ("blank", json!({"username": "canary-name", "password": "canary-password"})),
    ] {
        scene.create(&secret(name, &scene.control, &data)).unwrap();
    }
    agent.wait_log(|line| line["secret"] == "blank");
    let plain = format!("http://{address}/shop.git");
    scene.application("served").set("/spec/source/repoURL", plain.as_str()).create();
    scene
        .application("refused")
        .set("/spec/source/repoURL", plain.replace("shop", "other").as_str())
        .create();
    scene.deployed("local", &[("web.yaml", &config_map("web", "one"))]);
    let told = |app: &Value| {
        let conditions = app["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let mine = conditions.into_iter().filter(|condition| condition["type"] == "UnknownError");
        mine.map(|condition| condition["message"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let blank = "repository Secret blank cannot be read: field url is missing or empty. If it is for this repository, correct it";
    let known = "repository Secret known cannot be read: field password holds a control character. The repository is read without it until it is corrected";
    scene.wait_app("served", |app| told(app) == [blank, known]);
    scene.wait_app("refused", |app| told(app) == [blank]);
    assert_eq!(told(&scene.app("local")), [""; 0]);

    scene.delete("v1", "Secret", &scene.control, "blank");
    scene.wait_app("served", |app| told(app) == [known]);
    scene.wait_app("refused", |app| told(app).is_empty());
    let apps = ["served", "refused"].map(|name| scene.app(name).to_string()).concat();
    let metrics = agent.probe("/metrics").body;
    for (place, text) in [("log", agent.log_text()), ("Applications", apps), ("metrics", metrics)] {
        assert!(!text.contains("canary"), "the {place} echo the Secret");
    }
}

// N34: as the apps tell it
#[test]
fn two_secrets_for_one_repository_are_told_with_the_one_that_is_used() {
    let scene = Scene::new("rivals");
    let agent = scene.agent();
    let (address, seen) = refusing_server();
    let url = format!("http://{address}/shop.git");
    for (name, password) in [("a", "canary-first"), ("b", "canary-second")] {
        let data = json!({"url": url, "username": "ada", "password": password});
        scene.create(&secret(name, &scene.control, &data)).unwrap();
    }
    let told = "repository Secrets a, b are for the same URL and project and hold different credentials: a is used. \
                Delete the others, or correct their url";
    agent.wait_log(|line| line["message"] == told);
    scene.application("shop").set("/spec/source/repoURL", url.as_str()).create();
    scene.deployed("local", &[("web.yaml", &config_map("web", "one"))]);
    let app = scene.wait_app("shop", |app| condition(app, "UnknownError") == told);
    assert_eq!(condition(&scene.app("local"), "UnknownError"), "");
    // base64 of `ada:canary-first`.
    let first = "Basic YWRhOmNhbmFyeS1maXJzdA==";
    assert!((0..20).any(|_| {
        seen.recv_timeout(Duration::from_secs(10)).is_ok_and(|asked| asked.as_deref() == Some(first))
    }));
    assert!(!app.to_string().contains("canary") && !agent.log_text().contains("canary"));
    scene.delete("v1", "Secret", &scene.control, "b");
    scene.wait_app("shop", |app| condition(app, "UnknownError").is_empty());
}

#[test]
fn an_object_that_two_apps_claim_has_one_owner_and_both_say_so() {
    let scene = Scene::new("claims");
    let _agent = scene.agent();
    scene.deployed("first", &[("web.yaml", &config_map("web", "of the first"))]);
    let repo = scene.repo("second");
    repo.write("web.yaml", &config_map("web", "of the second")).write("own.yaml", &config_map("own", "one"));
    repo.commit("first");
    scene.application("second").repo(&repo).automated().create();
    let control = &scene.control;
    for name in ["first", "second"] {
        let app =
            scene.wait_app(name, |app| !condition(app, "SharedResourceWarning").is_empty() && settled(app));
        let message = condition(&app, "SharedResourceWarning");
        assert!(message.starts_with("ConfigMap/web is part of applications "), "{message}");
        assert!(message.ends_with(&format!("; {control}/first owns it")), "{message}");
    }
    // What is not contested is deployed, and what is stays its owner's.
    scene.wait_config_map("own", |object| object.is_some());
    scene.let_pass("other");
    let web = scene.config_map("web").unwrap();
    assert_eq!(web["data"]["key"], "of the first");
    assert_eq!(sync_status(&scene.app("first")), "Synced");
    assert_ne!(sync_status(&scene.app("second")), "Synced");

    // The owner lets go: the other one takes over, and nobody complains any more.
    scene.delete_app("first");
    scene.wait_config_map("web", |object| object.is_some_and(|web| web["data"]["key"] == "of the second"));
    scene.wait_app("second", |app| {
        sync_status(app) == "Synced" && condition(app, "SharedResourceWarning").is_empty()
    });
}

#[test]
fn an_invalid_application_still_answers_and_says_why_it_does_not_go() {
    let scene = Scene::new("deaf");
    let _agent = scene.agent();
    let repo = scene.repo("shop");
    repo.write("web.yaml", &config_map("web", "one")).commit("first");
    scene
        .application("shop")
        .repo(&repo)
        .automated()
        .option("Nonsense=true")
        .finalizer("resources-finalizer.argocd.argoproj.io")
        .create();
    scene.wait_app("shop", |app| !condition(app, "InvalidSpecError").is_empty());

    let refresh = "argocd.argoproj.io/refresh";
    scene.patch_app("shop", &json!({"metadata": {"annotations": {refresh: "normal"}}}));
    scene.wait_app("shop", |app| app["metadata"]["annotations"].get(refresh).is_none());
    let app = scene.sync("shop", &json!({}));
    assert_eq!(operation_phase(&app), "Error");
    assert!(app.get("operation").is_none_or(Value::is_null), "{app}");

    scene.delete_app("shop");
    scene.wait_app("shop", |app| !condition(app, "DeletionError").is_empty());
    scene.patch_app("shop", &json!({"spec": {"syncPolicy": {"syncOptions": null}}}));
    scene.wait_app_gone("shop");
}

#[test]
fn a_new_app_says_at_once_that_its_repository_cannot_be_reached() {
    let scene = Scene::new("unreachable");
    let _agent = scene.agent();
    let url = "http://127.0.0.1:1/shop.git";
    scene.application("shop").set("/spec/source/repoURL", url).automated().create();
    let app = scene.wait_app("shop", |app| !condition(app, "ComparisonError").is_empty());
    let expected = format!("Failed to load target state: repository {url} cannot be reached: ");
    assert!(condition(&app, "ComparisonError").starts_with(&expected), "{app:#}");
    assert_eq!(sync_status(&app), "Unknown");
}
