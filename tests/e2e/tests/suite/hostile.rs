//! What do Applications and repositories made to do harm get? A condition, and their neighbours notice nothing.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use e2e::{
    Application, DEADLINE, Repo, Scene, config_map, is_synced_to, operation_message, operation_phase,
    sync_status,
};
use serde_json::{Value, json};

const RESOURCES_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";

/// What a terminal would act on.
const ESCAPE: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}";

/// A name, what is done to an otherwise plain Application or its repository, and what a condition must say.
struct Case {
    name: &'static str,
    spec: fn(Application) -> Application,
    files: fn(&Repo),
    told: &'static str,
}

fn plain(app: Application) -> Application {
    app
}

fn nothing(_: &Repo) {}

fn of_spec(name: &'static str, spec: fn(Application) -> Application, told: &'static str) -> Case {
    Case { name, spec, files: nothing, told }
}

fn of_files(name: &'static str, files: fn(&Repo), told: &'static str) -> Case {
    Case { name, spec: plain, files, told }
}

/// Maps in maps.
fn nested(depth: usize) -> Value {
    (0..depth).fold(json!("deep"), |inner, _| json!({"x": inner}))
}

fn cases() -> Vec<Case> {
    let mut cases = vec![
        of_spec(
            "ignores",
            |app| {
                let rules: Vec<Value> = (0..3_000)
                    .map(|n| json!({"group": "apps", "kind": format!("K{n}"), "jsonPointers": [format!("x/{n}")]}))
                    .collect();
                app.set("/spec/ignoreDifferences", rules)
            },
            "spec.ignoreDifferences[0].jsonPointers[0]: is not a JSON pointer",
        ),
        of_spec(
            "globs",
            |app| app.set("/spec/source/directory/include", "{*a,".repeat(400)),
            "spec.source.directory.include is not a valid pattern",
        ),
        of_spec(
            "excludes",
            |app| app.set("/spec/source/directory/exclude", format!("{}[", "*a".repeat(2_000))),
            "spec.source.directory.exclude is not a valid pattern",
        ),
        of_spec("climbs", |app| app.path("app/../../../etc"), "spec.source.path: leaves the repository"),
        of_spec(
            "escapes",
            |app| app.path(&format!("app/{ESCAPE}")),
            "spec.source.path: holds control characters",
        ),
        of_spec(
            "helper",
            |app| app.set("/spec/source/repoURL", "ext::sh -c touch% /tmp/x"),
            "spec.source.repoURL: is not a URL",
        ),
        of_spec(
            "option",
            |app| app.set("/spec/source/repoURL", "--upload-pack=touch /tmp/x"),
            "spec.source.repoURL: is not a URL",
        ),
        of_spec(
            "outside",
            |app| app.set("/spec/source/repoURL", "file:///etc"),
            "is not in a folder that --local-repos names",
        ),
        of_spec(
            "revision",
            |app| app.revision("--upload-pack=id"),
            "spec.source.targetRevision: is not a branch, tag or commit",
        ),
        of_spec(
            "bells",
            |app| app.revision(&format!("main{ESCAPE}")),
            "spec.source.targetRevision: is not a branch, tag or commit",
        ),
        of_spec("project", |app| app.set("/spec/project", ESCAPE), "AppProject"),
        of_spec(
            "namespace",
            |app| app.set("/spec/destination/namespace", ESCAPE),
            "spec.destination.namespace",
        ),
        of_spec("server", |app| app.set("/spec/destination/server", ESCAPE), "spec.destination.server"),
        of_spec(
            "choice",
            |app| app.option(ESCAPE),
            "spec.syncPolicy.syncOptions[0]: there is no sync option",
        ),
    ];
    cases.extend(repositories());
    cases
}

fn repositories() -> Vec<Case> {
    vec![
        of_files(
            "link",
            |repo| symlink("/etc/hostname", repo.path().join("app/host.yaml")).unwrap(),
            "\"app/host.yaml\" is a link out of the repository",
        ),
        of_files(
            "folder",
            |repo| symlink("../..", repo.path().join("app/up")).unwrap(),
            "\"app/up\" is a link out of the repository",
        ),
        of_files(
            "laughs",
            |repo| {
                let head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: lol}\na0: &a0 [lol]\n";
                let line =
                    |n: usize| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", "));
                let text: String = std::iter::once(head.to_owned()).chain((1..30).map(line)).collect();
                repo.write("app/lol.yaml", &text);
            },
            "app/lol.yaml:9:45: the file holds more values than the limit allows",
        ),
        of_files(
            "depth",
            |repo| {
                let text = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
                repo.write(
                    "app/depth.yaml",
                    &format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: depth}}\ndata: {text}\n"),
                );
            },
            "app/depth.yaml:4:107: maps and lists are nested more than 100 levels deep",
        ),
        of_files(
            "heavy",
            |repo| {
                repo.write("app/heavy.yaml", &"# fifty million bytes of nothing\n".repeat(1_500_000));
            },
            "file \"heavy.yaml\" has 49500000 bytes; the limit is 10000000 bytes",
        ),
        of_files(
            "many",
            |repo| {
                let document = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n";
                repo.write("app/many.yaml", &document.repeat(10_001));
            },
            "app/many.yaml: the file holds more than 10000 documents",
        ),
        of_files(
            "printed",
            |repo| {
                let name = "\"a\\e[2J\\e]0;owned\\a\"";
                let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
                repo.write(&format!("app/{ESCAPE}.yaml"), &text);
            },
            "3:18: metadata.name holds a control character",
        ),
    ]
}

fn create(scene: &Scene, case: &Case) -> String {
    let repo = scene.repo(case.name);
    repo.write("app/web.yaml", &config_map(case.name, "one"));
    (case.files)(&repo);
    let revision = repo.commit("first");
    let app = (case.spec)(scene.application(case.name).repo(&repo).path("app").automated()).object();
    // As a tenant does: what the answer holds is nobody's business here.
    scene.lab.kubectl_with_input(&["create", "-f", "-"], &app.to_string()).unwrap();
    revision
}

fn conditions(app: &Value) -> Vec<&str> {
    let conditions = app["status"]["conditions"].as_array().into_iter().flatten();
    conditions.filter_map(|condition| condition["message"].as_str()).collect()
}

/// Commits five times to an app and returns how long it took to be Synced to all of them.
fn pace(scene: &Scene, name: &str, repo: &Repo) -> Duration {
    let begin = Instant::now();
    for n in 0..5 {
        let revision = repo.write("app/web.yaml", &config_map(name, &n.to_string())).commit("again");
        scene.wait_app(name, |app| is_synced_to(app, &revision));
    }
    begin.elapsed()
}

// N1, N2, N8, N12, N13, N48, N50, N56: as Applications and repositories of a tenant
#[test]
fn each_is_told_what_is_wrong_and_its_neighbour_syncs_as_ever() {
    let scene = Scene::new("hostile");
    let agent = scene.agent();
    let repo = scene.deployed("good", &[("web.yaml", &config_map("good", "one"))]);
    let usual = pace(&scene, "good", &repo);
    let cases = cases();
    for case in &cases {
        create(&scene, case);
    }
    let took = pace(&scene, "good", &repo);
    // The machine has other things to do; a loop that is held up by any of them takes much longer.
    assert!(took < usual * 3 + Duration::from_secs(5), "{usual:?} before, {took:?} beside them");

    for case in &cases {
        let app = scene.wait_app(case.name, |app| !conditions(app).is_empty());
        let told = conditions(&app);
        assert!(told.iter().any(|told| told.contains(case.told)), "{}: {told:#?}", case.name);
        assert!(told.len() <= 21, "{}: {} conditions", case.name, told.len());
        let active = told.iter().find(|told| told.chars().any(char::is_control));
        assert_eq!(active, None, "{}: a condition holds what a terminal acts on", case.name);
        assert!(scene.config_map(case.name).is_none(), "{}: something was applied", case.name);
    }
    for line in agent.log() {
        let active =
            line.as_object().unwrap().values().filter_map(Value::as_str).find(|text| text.contains('\u{1b}'));
        assert_eq!(active, None, "a log line holds what a terminal acts on");
    }
    agent.wait_ready();
}

// N49: 130 levels in an Application
#[test]
fn an_application_that_cannot_be_read_says_so_until_it_can_be() {
    let scene = Scene::new("unread");
    let mut agent = scene.agent();
    let deep = Case {
        name: "deep",
        spec: |app| app.set("/spec/source/helm/valuesObject", nested(130)),
        files: nothing,
        told: "the Application cannot be read: nested deeper than 100 levels",
    };
    let revision = create(&scene, &deep);
    let is_told = || {
        let message = told_by_kubectl(&scene, 0, "InvalidSpecError");
        assert!(message.starts_with(deep.told), "{message}");
    };
    is_told();
    // Whoever becomes the writer says it, too.
    agent.terminate();
    let patch = ["-n", &scene.control, "patch", "application", "deep", "--type=merge", "-p"];
    scene.lab.kubectl(&[&patch[..], &[r#"{"status": null}"#]].concat()).unwrap();
    agent.restart();
    is_told();
    scene.let_pass("neighbour");

    let flat = r#"{"spec": {"source": {"helm": null}}}"#;
    scene.lab.kubectl(&[&patch[..], &[flat]].concat()).unwrap();
    let app = scene.wait_app("deep", |app| is_synced_to(app, &revision));
    assert_eq!(conditions(&app), [""; 0]);
}

#[test]
fn an_application_that_cannot_be_read_any_more_answers_a_refresh_and_says_why_it_is_not_deleted() {
    let scene = Scene::new("unreadable");
    let _agent = scene.agent();
    let repo = scene.repo("deep");
    let first = repo.write("web.yaml", &config_map("web", "one")).commit("first");
    scene.application("deep").repo(&repo).automated().finalizer(RESOURCES_FINALIZER).create();
    scene.wait_app("deep", |app| is_synced_to(app, &first));

    let app = ["-n", &scene.control, "application/deep"];
    let kubectl = |verb: &str, more: &[&str]| scene.lab.kubectl(&[&[verb], &app[..], more].concat()).unwrap();
    let patch = |patch: Value| kubectl("patch", &["--type=merge", "-p", &patch.to_string()]);
    let wait = |index: usize, kind: &str| told_by_kubectl(&scene, index, kind);
    patch(json!({"spec": {"source": {"helm": {"valuesObject": nested(130)}}}}));
    let message = wait(0, "InvalidSpecError");
    assert!(message.contains("nested deeper than 100 levels"), "{message}");
    // The condition comes back, and the refresh ends.
    let refresh = json!({"argocd.argoproj.io/refresh": "hard"});
    patch(json!({"metadata": {"annotations": refresh}, "status": {"conditions": null}}));
    wait(0, "InvalidSpecError");
    let begun = Instant::now();
    let annotations = || kubectl("get", &["-o", "jsonpath={.metadata.annotations}"]);
    while annotations().contains("argocd.argoproj.io/refresh") {
        assert!(begun.elapsed() < Duration::from_mins(1), "the refresh goes on: {}", annotations());
    }

    kubectl("delete", &["--wait=false"]);
    let message = wait(1, "DeletionError");
    assert!(message.starts_with("Deletion waits until the Application can be read"), "{message}");
    // Whoever is being deleted follows Git no more, whatever else changes.
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "spec": {},
        "metadata": {"name": "other", "namespace": scene.control},
    });
    scene.create(&project).unwrap();
    repo.write("web.yaml", &config_map("web", "two")).commit("second");
    scene.let_pass("neighbour");
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "one");
    patch(json!({"spec": {"source": {"helm": null}}}));
    scene.wait_app_gone("deep");
    assert!(scene.config_map("web").is_none());
}

#[test]
fn what_happened_while_an_application_could_not_be_read_is_told_afterwards() {
    let scene = Scene::new("meanwhile");
    let _agent = scene.agent();
    let repo = scene.deployed("deep", &[("web.yaml", &config_map("web", "one"))]);
    let patch = ["-n", &scene.control, "patch", "application", "deep", "--type=merge", "-p"];
    let patch = |helm: Value| {
        let patch_of = json!({"spec": {"source": {"helm": helm}}}).to_string();
        scene.lab.kubectl(&[&patch[..], &[&patch_of]].concat()).unwrap();
    };
    patch(json!({"valuesObject": nested(130)}));
    told_by_kubectl(&scene, 0, "InvalidSpecError");
    // What was read of it last stays in force.
    let second = repo.write("app/web.yaml", &config_map("web", "two")).commit("second");
    scene.wait_config_map("web", |map| map.is_some_and(|map| map["data"]["key"] == "two"));
    patch(Value::Null);
    let app = scene.wait_app("deep", |app| is_synced_to(app, &second) && conditions(app).is_empty());
    assert_eq!(operation_phase(&app), "Succeeded");
}

// N49: wrong types in status, annotations and operation
#[test]
fn garbage_beside_the_spec_stops_nothing() {
    let scene = Scene::new("garbage");
    let _agent = scene.agent();
    let cases = [
        of_spec(
            "statuses",
            |app| {
                app.set(
                    "/status",
                    json!({
                        "sync": "x", "health": [1], "resources": {"a": "b"}, "history": "none", "conditions": 7,
                        "operationState": [[]], "summary": null, "reconciledAt": {"x": 1},
                    }),
                )
            },
            "",
        ),
        of_spec(
            "lists",
            |app| {
                let entry =
                    json!({"kind": 1, "name": [], "namespace": "kube-system", "group": {}, "version": null});
                app.set("/status", json!({"resources": [entry, null, "x"], "history": [null, {"id": "x"}]}))
            },
            "",
        ),
        of_spec(
            "notes",
            |app| {
                let annotations =
                    [("tautline.dev/state", "{\"v\": []}"), ("argocd.argoproj.io/refresh", ESCAPE)];
                let app = annotations.into_iter().fold(app, |app, (key, value)| app.annotation(key, value));
                app.annotation("example.com/long", &"x".repeat(200_000))
                    .set("/spec/info", json!([{"name": "long", "value": "y".repeat(600_000)}]))
            },
            "",
        ),
    ];
    for case in &cases {
        let revision = create(&scene, case);
        let app = scene.wait_app(case.name, |app| is_synced_to(app, &revision));
        assert_eq!(conditions(&app), [""; 0], "{}", case.name);
        assert_eq!(app["status"]["resources"][0]["name"], case.name, "{}", app["status"]["resources"]);
    }

    // An operation that makes no sense is answered, and taken off.
    let revision = format!("--upload-pack={ESCAPE}");
    let operation =
        json!({"sync": {"revision": revision, "resources": [{"kind": "", "name": ""}], "dryRun": true}});
    let app = scene.patch_app("lists", &json!({"operation": operation}));
    assert!(app["operation"].is_object());
    let app = scene.wait_app("lists", |app| app["operation"].is_null() && operation_phase(app) == "Failed");
    let message = operation_message(&app);
    assert!(message.contains("operation.sync.revision"), "{message}");
    assert!(!message.chars().any(char::is_control), "{message:?}");
    assert_eq!(sync_status(&app), "Synced");
}

/// Waits until `kubectl` shows a condition of the app `deep`, which is nested too deep for others, and returns its message.
fn told_by_kubectl(scene: &Scene, index: usize, kind: &str) -> String {
    let get =
        |form: &str| scene.lab.kubectl(&["-n", &scene.control, "get", "application", "deep", "-o", form]);
    let field = |name: &str| get(&format!("jsonpath={{.status.conditions[{index}].{name}}}"));
    let begun = Instant::now();
    // A list that is too short yet is a mistake to kubectl, which ends a `kubectl wait`.
    while field("type").ok().as_deref() != Some(kind) {
        assert!(begun.elapsed() < DEADLINE, "{kind} is not told: {}", get("yaml").unwrap());
    }
    field("message").unwrap()
}
