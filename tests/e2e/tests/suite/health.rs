//! What does a person read when pods do not run? Of each way in which they fail: which pod, which container, why.

use e2e::{Scene, operation_message, operation_phase};
use serde_json::{Value, json};

/// A workload whose pods fail in one way, and what the app says of it once it does.
struct Case {
    name: &'static str,
    kind: &'static str,
    image: &'static str,
    /// More of the pod's spec, as flow YAML.
    more: &'static str,
    status: &'static str,
    /// Parts of the message, in this order.
    words: &'static [&'static str],
}

const fn case(
    name: &'static str,
    kind: &'static str,
    image: &'static str,
    status: &'static str,
    words: &'static [&'static str],
) -> Case {
    Case { name, kind, image, more: "", status, words }
}

const ROLLOUT: &str = "Waiting for rollout to finish: 0 of 1 updated replicas are available: pod ";

const CASES: &[Case] = &[
    case(
        "not-found",
        "Deployment",
        "web:not-found",
        "Progressing",
        &[
            ROLLOUT,
            "not-found-",
            ", container app: ImagePullBackOff: cannot pull image \"web:not-found\" (not found)",
        ],
    ),
    case(
        "unauthorized",
        "Deployment",
        "web:unauthorized",
        "Progressing",
        &[
            ROLLOUT,
            "unauthorized-",
            ", container app: ImagePullBackOff: cannot pull image \"web:unauthorized\" (not authorised): pull access denied",
        ],
    ),
    case(
        "timeout",
        "Deployment",
        "web:timeout",
        "Progressing",
        &[
            ROLLOUT,
            "timeout-",
            ", container app: ImagePullBackOff: cannot pull image \"web:timeout\" (registry not reachable): ",
            "dial tcp 192.0.2.1:443: i/o timeout",
        ],
    ),
    case(
        "bad-name",
        "Deployment",
        "web:bad-name",
        "Progressing",
        &[ROLLOUT, "bad-name-", ", container app: InvalidImageName: \"web:bad-name\" is no valid image name"],
    ),
    case(
        "crash",
        "Deployment",
        "web:crash",
        "Progressing",
        &[ROLLOUT, "crash-", ", container app: CrashLoopBackOff; restarted ", " times, exit code 1"],
    ),
    // It was there already: what happens after a sync is told as well.
    case(
        "later",
        "Deployment",
        "web:ready-then-crash",
        "Progressing",
        &[ROLLOUT, "later-", ", container app: ", "exit code 1"],
    ),
    case(
        "never",
        "Deployment",
        "web:never-ready",
        "Progressing",
        &[ROLLOUT, "never-", ", container app: NotReady: runs but is not ready"],
    ),
    Case {
        more: ", nodeSelector: {disk: none}",
        ..case(
            "nowhere",
            "Deployment",
            "web:1",
            "Progressing",
            &[ROLLOUT, "nowhere-", ": Unschedulable: 0/2 nodes are available: 2 node(s) didn't match"],
        )
    },
    case(
        "set",
        "StatefulSet",
        "web:crash",
        "Progressing",
        &[
            "0 of 1 replicas are ready: pod set-0, container app: CrashLoopBackOff; restarted ",
            " times, exit code 1",
        ],
    ),
    case(
        "each-node",
        "DaemonSet",
        "web:unauthorized",
        "Progressing",
        &[
            "0 of 2 updated pods are available: pod each-node-",
            ", container app: ImagePullBackOff: ",
            "(not authorised)",
        ],
    ),
    case(
        "job",
        "Job",
        "web:exit-1",
        "Degraded",
        &[
            "BackoffLimitExceeded: Job has reached the specified backoff limit: pod job-",
            ", container app: Error; exit code 1",
        ],
    ),
    case(
        "pod",
        "Pod",
        "web:crash",
        "Degraded",
        &["container app: CrashLoopBackOff; restarted ", " times, exit code 1"],
    ),
    case("slow", "Deployment", "web:slow", "Healthy", &[""]),
    case("done", "Job", "web:1", "Healthy", &[""]),
];

impl Case {
    fn manifest(&self) -> String {
        let Self { name, kind, image, more, .. } = self;
        let pod = |more: &str| format!("{{containers: [{{name: app, image: '{image}'}}]{more}}}");
        let spec = pod(more);
        let template = format!("template: {{metadata: {{labels: {{app: {name}}}}}, spec: {spec}}}");
        let selector = format!("selector: {{matchLabels: {{app: {name}}}}}");
        let (api, spec) = match *kind {
            "Pod" => ("v1", spec),
            "Job" => {
                let never = pod(", restartPolicy: Never");
                ("batch/v1", format!("{{backoffLimit: 0, template: {{spec: {never}}}}}"))
            }
            "StatefulSet" => ("apps/v1", format!("{{serviceName: web, {selector}, {template}}}")),
            _ => ("apps/v1", format!("{{{selector}, {template}}}")),
        };
        format!("apiVersion: {api}\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n")
    }

    /// Returns whether an app says of its workload what it should.
    fn is_told(&self, app: &Value) -> bool {
        let health = &app["status"]["resources"][0]["health"];
        let mut rest = health["message"].as_str().unwrap_or_default();
        let is_next = |word: &&str| {
            let found = rest.split_once(*word);
            rest = found.map_or("", |(_, after)| after);
            found.is_some()
        };
        health["status"] == self.status && self.words.iter().all(is_next)
    }
}

/// Makes an automated app of one file.
fn deploy(scene: &Scene, name: &str, manifest: &str) {
    let repo = scene.repo(name);
    repo.write("all.yaml", manifest);
    repo.commit("first");
    scene.application(name).repo(&repo).automated().create();
}

#[test]
fn each_way_in_which_pods_fail_is_told_with_its_cause() {
    let scene = Scene::new("causes");
    let _agent = scene.agent();
    for case in CASES {
        deploy(&scene, case.name, &case.manifest());
    }
    for case in CASES {
        let app = scene.wait_app(case.name, |app| case.is_told(app));
        let health = &app["status"]["health"];
        assert_eq!(health["status"], case.status, "{}", case.name);
        if case.status != "Healthy" {
            let cause = format!("Caused by {}:{}/{}", case.kind, scene.namespace, case.name);
            assert_eq!(health["message"], cause.as_str(), "{}", case.name);
        }
        // Whoever looks at a sync that waits reads it there, too.
        let waits = operation_message(&app);
        let last = case.words.last().unwrap_or(&"");
        assert!(operation_phase(&app) != "Running" || waits.contains(last), "{}: {waits}", case.name);
    }
}

#[test]
fn pods_that_may_not_be_made_are_told_with_the_rule_that_forbids_them() {
    let scene = Scene::new("barred");
    let _agent = scene.agent();
    let enforce = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    scene.patch("v1", "Namespace", "", &scene.namespace, &enforce);
    let barred = case(
        "barred",
        "Deployment",
        "web:1",
        "Progressing",
        &["FailedCreate: pods \"barred-", "is forbidden: violates PodSecurity \"restricted:latest\""],
    );
    deploy(&scene, barred.name, &barred.manifest());
    scene.wait_app("barred", |app| barred.is_told(app));
}
