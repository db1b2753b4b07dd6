//! Do the rules say what the fixtures expect?
//!
//! `fixtures/health/<group, or core>/<Kind>/<expected>_<why>.yaml` is one live object; `none` expects no opinion.
//! `fixtures/health/evidence/<expected>_<why>.yaml` is a list: the workload, then its `ReplicaSet`s and Pods.
//! Files are JSON, which is YAML, below comment lines: `# message:` or `# sentence:` is what must be said, and
//! `# captured:` or `# hand-made:` tells where the object is from.

#![expect(clippy::unwrap_used, reason = "a fixture that cannot be read fails the test")]

use health::{Cause, Members, aggregate, assess, cause, evidence};
use model::{Evidence, Object};
use std::fs;
use std::path::{Path, PathBuf};

struct Fixture {
    name: String,
    expected: String,
    headers: Vec<(String, String)>,
    content: serde_json::Value,
}

impl Fixture {
    #[expect(clippy::disallowed_methods, reason = "fixtures are files; the crate itself reads none")]
    fn read(path: &Path) -> Self {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).unwrap();
        let (comments, json): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('#'));
        let headers = comments
            .iter()
            .filter_map(|line| line.trim_start_matches("# ").split_once(':'))
            .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
            .collect();
        let file = path.file_stem().unwrap().to_str().unwrap();
        let (expected, _why) = file.split_once('_').unwrap_or_else(|| panic!("{name}: no <expected>_<why>"));
        let content = serde_json::from_str(&json.join("\n")).unwrap_or_else(|e| panic!("{name}: {e}"));
        let fixture = Self { expected: expected.into(), headers, content, name };
        assert!(
            fixture.header("captured").is_some() || fixture.header("hand-made").is_some(),
            "{} does not say where it is from",
            fixture.name
        );
        fixture
    }

    fn header(&self, key: &str) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    fn objects(&self) -> Vec<Object> {
        let items = self.content["items"].as_array().unwrap_or_else(|| panic!("{}: no items", self.name));
        items.iter().map(|item| Object::from_value(item.clone()).unwrap()).collect()
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fixtures/health")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let read = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = read.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn live_objects() -> Vec<(String, String, Fixture)> {
    let mut found = Vec::new();
    for group in entries(&folder()).iter().filter(|path| name(path) != "evidence") {
        for kind in entries(group) {
            for file in entries(&kind) {
                let group = if name(group) == "core" { "" } else { name(group) };
                found.push((group.to_owned(), name(&kind).to_owned(), Fixture::read(&file)));
            }
        }
    }
    found
}

#[test]
fn live_objects_have_the_expected_health() {
    let fixtures = live_objects();
    assert!(fixtures.len() >= 80, "only {} fixtures found", fixtures.len());
    let mut wrong = Vec::new();
    for (group, kind, fixture) in &fixtures {
        let object = Object::from_value(fixture.content.clone()).unwrap();
        assert!(object.key().is_kind(group, kind), "{} is in another kind's folder", fixture.name);
        let health = assess(&object);
        let said = health.as_ref().map_or("none".into(), |h| h.status.as_str().to_lowercase());
        let message = health.map(|h| h.message).unwrap_or_default();
        if said != fixture.expected || fixture.header("message") != Some(&message) {
            wrong.push(format!("{}\n  says {said}, message: {message}", fixture.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_kind_of_the_table_has_a_fixture() {
    let kinds: Vec<String> =
        live_objects().iter().map(|(group, kind, _)| format!("{group}/{kind}")).collect();
    for wanted in [
        "/PersistentVolumeClaim",
        "/Pod",
        "/Service",
        "apiextensions.k8s.io/CustomResourceDefinition",
        "apiregistration.k8s.io/APIService",
        "apps/DaemonSet",
        "apps/Deployment",
        "apps/ReplicaSet",
        "apps/StatefulSet",
        "argoproj.io/Application",
        "argoproj.io/Workflow",
        "autoscaling/HorizontalPodAutoscaler",
        "batch/CronJob",
        "batch/Job",
        "extensions/Ingress",
        "networking.k8s.io/Ingress",
        "policy/PodDisruptionBudget",
    ] {
        assert!(kinds.iter().any(|kind| kind == wanted), "{wanted}");
    }
}

/// What has no opinion says nothing.
fn weight(object: &Object, cause: Option<&Cause>) -> Evidence {
    assess(object).map_or(Evidence::None, |health| evidence(object, &health, cause))
}

#[test]
fn failures_weigh_and_read_as_expected() {
    let files = entries(&folder().join("evidence"));
    assert!(files.len() >= 20, "only {} fixtures found", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let fixture = Fixture::read(&file);
        let objects = fixture.objects();
        let (workload, others) = objects.split_first().expect("the workload is the first item");
        let mut members = Members::default();
        for other in others {
            members.put(other);
        }
        let cause = cause(workload, &members);
        let weight = weight(workload, cause.as_ref()).as_str().to_lowercase();
        let sentence = cause.map(|c| c.sentence()).unwrap_or_default();
        if weight != fixture.expected || fixture.header("sentence") != Some(&sentence) {
            wrong.push(format!("{}\n  {weight}, sentence: {sentence}", fixture.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The rows of the table in `src/evidence.rs`, as far as they are about live objects, with the fixtures that stand for them.
const ROWS: &[(&str, &[&str])] = &[
    ("invalid image name", &["condemns_invalid_image_name"]),
    ("image not found", &["condemns_image_not_found_on_new_replica_set"]),
    ("manifest not found", &["condemns_manifest_unknown"]),
    (
        "new pods exit",
        &["condemns_exits_with_zero", "condemns_out_of_memory", "condemns_init_container_fails"],
    ),
    ("new pods crash-loop", &["condemns_crash_loop", "condemns_ready_then_crash"]),
    (
        "new pods start and never become ready",
        &["condemns_never_ready", "condemns_never_ready_without_probe", "condemns_startup_probe_fails"],
    ),
    ("a Job that failed by its pods", &["condemns_job_pod_exits", "condemns_job_failed_pods_gone"]),
    ("a pod template that is invalid", &["condemns_invalid_pod_template"]),
    ("a webhook denied the pods", &["condemns_webhook_denied_pods"]),
    ("pull refused", &["holds_image_pull_refused"]),
    ("pull throttled", &["holds_image_pull_throttled"]),
    ("pull timed out", &["holds_image_pull_timeout"]),
    ("pull unauthorised", &["holds_image_pull_unauthorised"]),
    ("unschedulable", &["holds_unschedulable"]),
    ("mount failures", &["holds_mount_pending", "holds_missing_secret"]),
    ("claims", &["holds_claim_pending", "holds_claim_without_volume"]),
    ("load balancers pending", &["holds_load_balancer_pending"]),
    ("Ingress addresses pending", &["holds_ingress_pending"]),
    ("a Job that ran out of time", &["holds_job_out_of_time"]),
    ("evicted or lost pods", &["holds_evicted", "holds_node_not_ready", "holds_container_lost_by_its_node"]),
    ("quota", &["holds_quota_exceeded"]),
    ("a namespace that terminates", &["holds_namespace_terminating"]),
    ("a webhook that cannot be called", &["holds_webhook_failed_calling_pods"]),
    ("rights, and what they need", &["holds_service_account_missing"]),
    ("only an old pod is unwell", &["holds_only_an_old_pod_crashes", "holds_stateful_set_old_pod_crashes"]),
];

#[test]
fn every_row_of_the_table_of_evidence_has_a_fixture_that_is_named_after_it() {
    let files = entries(&folder().join("evidence"));
    let names: Vec<&str> = files.iter().filter_map(|path| path.file_stem()?.to_str()).collect();
    for (row, fixtures) in ROWS {
        for fixture in *fixtures {
            assert!(names.contains(fixture), "{row}: there is no {fixture}");
        }
    }
}

/// Whatever is missing or of another type, rules answer and never panic.
#[test]
fn mangled_objects_are_judged_too() {
    for (_, _, fixture) in live_objects() {
        for field in ["status", "spec", "metadata"] {
            for value in [
                serde_json::json!(null),
                serde_json::json!("text"),
                serde_json::json!([1]),
                serde_json::json!({}),
            ] {
                let mut content = fixture.content.clone();
                content[field] = value;
                let Ok(object) = Object::from_value(content) else { continue };
                let health = assess(&object);
                assert!(health.is_none_or(|h| h.message.chars().count() <= 400), "{}", fixture.name);
                let mut members = Members::default();
                members.put(&object);
                let cause = cause(&object, &members);
                let _weight = weight(&object, cause.as_ref());
            }
        }
    }
    assert_eq!(aggregate(&[]), model::Health::healthy());
}
