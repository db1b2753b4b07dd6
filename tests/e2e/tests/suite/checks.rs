//! What becomes of a commit whose objects are well, and which does not do what the app declares?
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use e2e::{Agent, Proxy, Repo, Scene, condition, is_synced_to, operation_message, sync_status};
use serde_json::{Value, json};

fn deployment(image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  \
         selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    \
         spec: {{containers: [{{name: web, image: '{image}'}}]}}\n"
    )
}

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n";

/// A scene whose agent reaches the API server through a proxy that answers for Services.
struct Place {
    scene: Scene,
    proxy: Proxy,
    agent: Agent,
    repo: Repo,
}

impl Place {
    fn new(name: &str, options: &[&str]) -> Self {
        let scene = Scene::new(name);
        let proxy = Proxy::start(&scene);
        let mut settings = scene.settings();
        settings.kubeconfig = proxy.kubeconfig(&scene);
        settings.options = options.iter().map(|option| (*option).to_owned()).collect();
        let agent = scene.start(settings);
        let repo = scene.repo("shop");
        repo.write("service.yaml", SERVICE);
        Self { scene, proxy, agent, repo }
    }

    /// Makes the app with these checks; it soaks for a second, and a check may fail for one.
    fn declare(&self, checks: &Value) {
        let app = self.scene.application("shop").repo(&self.repo).automated();
        let app = app.annotation("tautline.dev/soak", "1s").annotation("tautline.dev/degraded-grace", "1s");
        app.annotation("tautline.dev/checks", &checks.to_string()).create();
    }

    fn redeclare(&self, checks: &Value) {
        let text = checks.to_string();
        self.scene.patch_app("shop", &json!({"metadata": {"annotations": {"tautline.dev/checks": text}}}));
    }

    fn push(&self, image: &str) -> String {
        self.repo.write("web.yaml", &deployment(image)).commit(image)
    }

    fn image(&self) -> String {
        let web = self.scene.get("apps/v1", "Deployment", &self.scene.namespace, "web").unwrap();
        web["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
    }

    fn becomes_a_release(&self, revision: &str) {
        let short = &revision[..7];
        let is_kept = |line: &Value| line["message"] == "a release is kept" && line["revision"] == *short;
        assert_eq!(self.agent.wait_log(is_kept)["verdict"], "Stable", "{revision}");
    }

    fn is_rolled_back(&self, why: &str) -> Value {
        self.scene.wait_app("shop", |app| {
            let told = condition(app, "RolledBack");
            told.starts_with("Rolled back to") && told.contains(why)
        })
    }
}

#[test]
fn a_commit_whose_check_fails_is_rolled_back_and_one_that_passes_becomes_a_release() {
    let place = Place::new("check-http", &[]);
    let status = Arc::new(AtomicU16::new(200));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (says, hears) = (Arc::clone(&status), Arc::clone(&asked));
    place.proxy.serves((&place.scene.namespace, "web:80"), move |path, query| {
        hears.lock().unwrap().push(format!("{path}?{query}"));
        (says.load(Ordering::Acquire), "the body of web".into())
    });
    let good = place.push("web:1");
    place.declare(
        &json!([{"name": "smoke", "http": {"service": "web", "port": 80, "path": "/healthz?full=1"}}]),
    );
    place.becomes_a_release(&good);
    assert!(asked.lock().unwrap().iter().all(|asked| asked == "/healthz?full=1"), "{asked:?}");

    status.store(500, Ordering::Release);
    let bad = place.push("web:2");
    let url = format!("http://web.{}:80/healthz", place.scene.namespace);
    let app = place.is_rolled_back(&format!("check smoke failed: {url} answered 500 instead of 200"));
    let told = condition(&app, "RolledBack");
    assert!(told.contains(&bad[..7]) && told.contains(&good[..7]), "{told}");
    assert_eq!((place.image().as_str(), sync_status(&app)), ("web:1", "OutOfSync"));
    let log = place.agent.log_text();
    assert!(log.contains("CheckFailed") && !log.contains("the body of web"), "{log}");
    // What is restored is not asked about, and what Git holds stays left alone.
    let n_asked = asked.lock().unwrap().len();
    place.scene.let_pass("marker");
    assert_eq!((place.image().as_str(), asked.lock().unwrap().len()), ("web:1", n_asked));

    status.store(200, Ordering::Release);
    let fixed = place.push("web:3");
    place.becomes_a_release(&fixed);
    let app = place.scene.wait_app("shop", |app| is_synced_to(app, &fixed));
    assert_eq!(condition(&app, "RolledBack"), "", "{app:#}");
}

#[test]
fn a_restart_in_the_middle_changes_nothing_but_the_time() {
    let mut place = Place::new("check-restart", &[]);
    let status = Arc::new(AtomicU16::new(200));
    let says = Arc::clone(&status);
    place.proxy.serves((&place.scene.namespace, "web:80"), move |_, _| {
        (says.load(Ordering::Acquire), String::new())
    });
    let good = place.push("web:1");
    place.declare(&json!([{"name": "smoke", "http": {"service": "web", "port": 80}}]));
    place.becomes_a_release(&good);
    let long = json!({"metadata": {"annotations": {"tautline.dev/degraded-grace": "6s"}}});
    place.scene.patch_app("shop", &long);
    status.store(503, Ordering::Release);
    place.push("web:2");
    place.scene.wait_app("shop", |app| condition(app, "CheckWarning").contains("check smoke fails"));
    place.agent.kill();
    place.agent.restart();
    let app = place.is_rolled_back("answered 503 instead of 200");
    assert_eq!((place.image().as_str(), condition(&app, "CheckWarning")), ("web:1", ""), "{app:#}");
}

/// What Prometheus says of a number.
fn sample(value: u64) -> (u16, String) {
    let result = json!([{"metric": {}, "value": [0, value.to_string()]}]);
    (200, json!({"status": "success", "data": {"resultType": "vector", "result": result}}).to_string())
}

#[test]
fn a_query_is_compared_with_itself_before_the_sync() {
    let place = Place::new("check-query", &["--prometheus", "monitoring/prometheus:9090"]);
    let errors = Arc::new(AtomicU64::new(4));
    let says = Arc::clone(&errors);
    place.proxy.serves(("monitoring", "prometheus:9090"), move |path, query| {
        assert_eq!(path, "/api/v1/query");
        assert!(query.starts_with("query=sum%28errors%29"), "{query}");
        // What is asked with a time is asked of the sync's start.
        sample(if query.contains("&time=") { 4 } else { says.load(Ordering::Acquire) })
    });
    let good = place.push("web:1");
    place.declare(&json!([{"name": "errors", "query": {"expr": "sum(errors)", "atMostTimes": 1.5}}]));
    place.becomes_a_release(&good);
    errors.store(7, Ordering::Release);
    let bad = place.push("web:2");
    let app = place.is_rolled_back("check errors failed: 7, more than 1.5 times the 4 at the sync's start");
    assert!(condition(&app, "RolledBack").contains(&bad[..7]), "{app:#}");
    assert_eq!(place.image(), "web:1");
}

#[test]
fn a_query_without_data_fails_or_passes_as_it_is_declared() {
    let place = Place::new("check-no-data", &["--prometheus", "monitoring/prometheus:web"]);
    place.proxy.serves(("monitoring", "prometheus:web"), move |_, _| {
        (200, json!({"status": "success", "data": {"resultType": "vector", "result": []}}).to_string())
    });
    let query =
        |no_data: &str| json!([{"name": "up", "query": {"expr": "up", "above": 0, "noData": no_data}}]);
    let good = place.push("web:1");
    place.declare(&query("pass"));
    place.becomes_a_release(&good);
    place.redeclare(&query("fail"));
    place.push("web:2");
    place.is_rolled_back("check up failed: no data");
    assert_eq!(place.image(), "web:1");
}

#[test]
fn what_cannot_be_found_out_is_told_and_is_neither_a_release_nor_rolled_back() {
    let place = Place::new("check-unknown", &[]);
    let good = place.push("web:1");
    place.declare(&json!([]));
    place.becomes_a_release(&good);
    let nowhere = json!([
        {"name": "smoke", "http": {"service": "nothing", "port": 80}},
        {"name": "errors", "query": {"expr": "errors", "below": 1}},
    ]);
    place.redeclare(&nowhere);
    let second = place.push("web:2");
    let app = place.scene.wait_app("shop", |app| {
        is_synced_to(app, &second) && app["status"].to_string().contains("check errors cannot be made")
    });
    let told = app["status"]["conditions"].to_string();
    let no_service = format!("http://nothing.{}:80/ cannot be asked: services ", place.scene.namespace);
    assert!(told.contains(&no_service) && told.contains("not found (404)"), "{told}");
    assert!(told.contains("the agent knows no Prometheus: its option --prometheus names it"), "{told}");
    let waits = format!(
        "/api/v1/applications/shop/wait?revision={second}&timeout=1s&appNamespace={}",
        place.scene.control
    );
    let waits = place.agent.get(&waits);
    assert_eq!(waits.status, 408, "{waits:?}");
    assert!(waits.body.contains("check smoke: http://nothing."), "{}", waits.body);
    let log = place.agent.log_text();
    assert!(!log.contains("CheckFailed") && !log.contains("RollingBack"), "{log}");
    assert_eq!(place.image(), "web:2");
    // Once it can be found out, it is a release.
    place.redeclare(&json!([]));
    place.becomes_a_release(&second);
}

#[test]
fn checks_that_are_declared_wrong_are_told_with_their_fields_and_leave_what_is_deployed_alone() {
    let place = Place::new("check-wrong", &[]);
    let good = place.push("web:1");
    place.declare(&json!([]));
    place.becomes_a_release(&good);
    place.redeclare(&json!([{"name": "a", "http": {"port": 80}}, {"name": "a", "query": {"expr": "up"}}]));
    let all = [
        "metadata.annotations[tautline.dev/checks][0].http.service: is missing",
        "metadata.annotations[tautline.dev/checks][1].name: `a` is the name of another check",
        "metadata.annotations[tautline.dev/checks][1].query: has no bound: one of below, above, atMostTimes, atLeastTimes",
    ];
    place.scene.wait_app("shop", |app| {
        let told = app["status"]["conditions"].to_string();
        all.iter().all(|sentence| told.contains(sentence))
    });
    let second = place.push("web:2");
    place.scene.let_pass("other");
    assert_eq!(place.image(), "web:1");
    place.redeclare(&json!([]));
    place.becomes_a_release(&second);
}

#[test]
fn a_check_reaches_no_namespace_that_the_project_does_not_permit() {
    let place = Place::new("check-project", &[]);
    let (scene, own) = (&place.scene, place.scene.namespace.clone());
    let spec = json!({"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": own}]});
    let metadata = json!({"name": "team", "namespace": scene.control});
    let project = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": metadata, "spec": spec});
    scene.create(&project).unwrap();
    let asked = Arc::new(AtomicU64::new(0));
    let counts = Arc::clone(&asked);
    place.proxy.serves(("kube-system", "secrets:80"), move |_, _| {
        counts.fetch_add(1, Ordering::AcqRel);
        (200, String::new())
    });
    place.push("web:1");
    let http = json!({"service": "secrets", "namespace": "kube-system", "port": 80});
    let checks = json!([{"name": "peek", "http": http}]);
    let app = scene.application("shop").repo(&place.repo).automated().set("/spec/project", "team");
    app.annotation("tautline.dev/checks", &checks.to_string()).create();
    let refusal = "check peek: namespace kube-system is not permitted in project 'team'";
    scene.wait_app("shop", |app| condition(app, "InvalidSpecError").contains(refusal));
    scene.let_pass("other");
    assert_eq!(asked.load(Ordering::Acquire), 0);
}

/// A Job cannot be changed into another one; that of a `CronJob` which is suspended can.
fn pattern(image: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: smoke}}\nspec:\n  suspend: true\n  schedule: '0 0 1 1 *'\n  \
         jobTemplate: {{spec: {{backoffLimit: 0, template: {{spec: {{restartPolicy: Never, \
         containers: [{{name: smoke, image: '{image}'}}]}}}}}}}}\n"
    )
}

#[test]
fn a_job_is_run_anew_for_each_commit_and_its_failure_condemns() {
    let place = Place::new("check-job", &[]);
    let smoke = |image: &str| place.repo.write("smoke.yaml", &pattern(image));
    smoke("smoke:1");
    let good = place.push("web:1");
    place.declare(&json!([{"name": "smoke", "job": {"name": "smoke"}}]));
    place.becomes_a_release(&good);
    let namespace = &place.scene.namespace;
    let runs = || {
        let jobs = place.scene.lab.kubectl(&["-n", namespace, "get", "jobs", "-o", "name"]).unwrap();
        let names = jobs.lines().filter_map(|line| line.strip_prefix("job.batch/smoke-"));
        names.map(|stamp| format!("smoke-{stamp}")).collect::<Vec<_>>()
    };
    assert_eq!(runs().len(), 1);
    let second = place.push("web:2");
    place.becomes_a_release(&second);
    assert_eq!(runs().len(), 2, "it ran for the second commit, too");
    // What is run is what the commit says.
    smoke("smoke:crash");
    place.push("web:3");
    let app = place.is_rolled_back("check smoke failed: Job ");
    assert!(condition(&app, "RolledBack").contains("BackoffLimitExceeded"), "{app:#}");
    assert_eq!(place.image(), "web:2");
    assert!(operation_message(&app).contains("rolled back"), "{app:#}");
    // With the pattern go its runs.
    let all = runs();
    assert_eq!(all.len(), 3);
    place.repo.remove("smoke.yaml");
    place.redeclare(&json!([]));
    place.push("web:4");
    for name in all {
        place.scene.wait_object("batch/v1", "Job", namespace, &name, |job| job.is_none());
    }
}
