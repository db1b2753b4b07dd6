//! What may be asked for about bad commits, and what is said of what may not?
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use e2e::{Repo, Scene, condition, config_map, is_synced_to, operation_message, operation_phase};
use serde_json::{Value, json};

/// A project that permits everything, with these annotations.
fn project(scene: &Scene, name: &str, annotations: &Value) {
    let spec = json!({"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]});
    let metadata = json!({"name": name, "namespace": scene.control, "annotations": annotations});
    let object = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": metadata, "spec": spec,
    });
    scene.create(&object).unwrap();
}

#[test]
fn who_asks_for_more_than_the_project_permits_is_refused_with_the_rule_until_it_asks_for_less() {
    let scene = Scene::new("rollback-limits");
    let _agent = scene.agent();
    let limits = json!({
        "tautline.dev/rollback": "manual", "tautline.dev/rollback-allowed": "automatic,manual",
        "tautline.dev/longest-deadline": "10m", "tautline.dev/longest-soak": "1m",
    });
    project(&scene, "limits", &limits);
    let repo = scene.repo("shop");
    let revision = repo.write("web.yaml", &config_map("web", "one")).commit("first");
    let cases = [
        ("off", ("rollback", "off"), "tautline.dev/rollback: off is not permitted in project 'limits'"),
        ("late", ("deadline", "11m"), "tautline.dev/deadline: 11m is not permitted in project 'limits'"),
        ("slow", ("soak", "2m"), "tautline.dev/soak: 2m is not permitted in project 'limits'"),
    ];
    for (name, (setting, value), _) in &cases {
        let app = scene.application(name).repo(&repo).set("/spec/project", "limits").automated();
        let namespace = scene.lab.namespace(name);
        let app = app.set("/spec/destination/namespace", namespace.as_str());
        app.annotation(&format!("tautline.dev/{setting}"), value).create();
    }
    for (name, (setting, _), refusal) in &cases {
        scene.wait_app(name, |app| condition(app, "InvalidSpecError").contains(refusal));
        let patch = json!({"metadata": {"annotations": {format!("tautline.dev/{setting}"): null}}});
        scene.patch_app(name, &patch);
        scene.wait_app(name, |app| is_synced_to(app, &revision));
    }
}

#[test]
fn a_value_that_says_nothing_is_told_and_leaves_what_is_deployed_alone() {
    let scene = Scene::new("rollback-nonsense");
    let _agent = scene.agent();
    let repo = scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    let nonsense = json!({"metadata": {"annotations": {"tautline.dev/soak": "a while"}}});
    scene.patch_app("shop", &nonsense);
    let told = "metadata.annotations[tautline.dev/soak]: `a while` is not a length of time";
    scene.wait_app("shop", |app| condition(app, "InvalidSpecError").contains(told));
    let second = repo.write("app/web.yaml", &config_map("web", "two")).commit("second");
    scene.let_pass("other");
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "one");
    scene.patch_app("shop", &json!({"metadata": {"annotations": {"tautline.dev/soak": "1s"}}}));
    scene.wait_app("shop", |app| is_synced_to(app, &second));
}

#[test]
fn an_agent_with_an_unknown_policy_does_not_start() {
    let scene = Scene::new("rollback-option");
    let told = scene.tautline(&["run", "--rollback", "sometimes"]);
    assert_eq!(told.code, 2, "{told:?}");
    assert!(told.err.contains("automatic, manual, off"), "{told:?}");
}

fn deployment(image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  \
         selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    \
         spec: {{containers: [{{name: web, image: '{image}'}}]}}\n"
    )
}

/// An app of its own in a namespace of its own.
struct Case {
    name: &'static str,
    namespace: String,
    repo: Repo,
}

impl Case {
    fn begin(scene: &Scene, name: &'static str, annotations: &[(&str, &str)], rollback: &Value) -> Self {
        let (repo, namespace) = (scene.repo(name), scene.lab.namespace(name));
        repo.write("web.yaml", &deployment("web:1"));
        repo.commit("good");
        let app = scene.application(name).repo(&repo).automated();
        let app = app.set("/spec/destination/namespace", namespace.as_str());
        let app = app.set("/spec/syncPolicy/rollback", rollback.clone());
        annotations.iter().fold(app, |app, (key, value)| app.annotation(key, value)).create();
        Self { name, namespace, repo }
    }

    fn image(&self, scene: &Scene) -> String {
        let web = scene.get("apps/v1", "Deployment", &self.namespace, "web").unwrap();
        web["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
    }
}

#[test]
fn who_goes_back_is_said_by_the_app_or_else_by_the_option_and_nobody_does_to_what_has_not_soaked() {
    let scene = Scene::new("rollback-policy");
    let mut settings = scene.settings();
    settings.options = vec!["--rollback".into(), "manual".into()];
    let agent = scene.start(settings);
    let quick = json!({"deadline": "5s", "soak": "1s"});
    let automatic = ("tautline.dev/rollback", "automatic");
    let cases = [
        (Case::begin(&scene, "own", &[automatic], &quick), true),
        (Case::begin(&scene, "option", &[], &quick), false),
        (Case::begin(&scene, "off", &[], &json!({"policy": "off", "deadline": "5s", "soak": "1s"})), false),
        (Case::begin(&scene, "soaking", &[automatic, ("tautline.dev/soak", "1h")], &quick), false),
    ];
    for (case, _) in &cases {
        scene.wait_app(case.name, |app| is_synced_to(app, &case.repo.head()));
        if case.name != "soaking" {
            let is_kept = |line: &Value| {
                line["message"] == "a release is kept"
                    && line["app"].as_str().is_some_and(|app| app.ends_with(&format!("/{}", case.name)))
            };
            agent.wait_log(is_kept);
        }
        case.repo.write("web.yaml", &deployment("web:crash"));
        case.repo.commit("bad");
    }
    for (case, goes_back) in &cases {
        if *goes_back {
            scene.wait_app(case.name, |app| condition(app, "RolledBack").contains("Rolled back to"));
            assert_eq!(case.image(&scene), "web:1", "{}", case.name);
            continue;
        }
        // By the time that it is known who is to blame, whoever goes back has begun to.
        let app = scene.wait_app(case.name, |app| operation_message(app).contains("; brought by"));
        assert_eq!((operation_phase(&app), condition(&app, "RolledBack")), ("Failed", ""), "{app:#}");
        assert_eq!(case.image(&scene), "web:crash", "{}", case.name);
    }
}
