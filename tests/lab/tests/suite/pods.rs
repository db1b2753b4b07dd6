//! Do pods behave as the tags of their images say?

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, in its helpers as well")]

use std::io::BufReader;
use std::process::{Command, Stdio};

use lab::Lab;
use serde_json::Value;

const WAITING: &str = "jsonpath={.status.containerStatuses[0].state.waiting.reason}";

/// A pod named `web` in a namespace of its own.
struct Pod {
    lab: &'static Lab,
    namespace: String,
}

impl Pod {
    fn run(image: &str, more: &[&str]) -> Self {
        let lab = lab::shared();
        let namespace = lab.namespace("pods");
        let image = format!("--image={image}");
        lab.kubectl(&[&["-n", &namespace, "run", "web", &image], more].concat()).unwrap();
        Self { lab, namespace }
    }

    /// Waits for a condition of `kubectl wait`, and returns the status that fulfilled it.
    fn until(&self, condition: &str) -> Value {
        let condition = format!("--for={condition}");
        let wait = ["-n", &self.namespace, "wait", "pod/web", &condition, "--timeout=90s", "-o", "json"];
        let pod = self.lab.kubectl(&wait).unwrap_or_else(|error| panic!("{error:#}\n{}", self.describe()));
        serde_json::from_str::<Value>(&pod).unwrap()["status"].take()
    }

    fn describe(&self) -> String {
        self.lab.kubectl(&["-n", &self.namespace, "describe", "pod", "web"]).unwrap_or_default()
    }
}

/// Runs a pod and returns each state that its first container goes through, up to the one that begins with
/// `last`. The pod is held back until the watch has shown it, so that no state is missed.
fn history(image: &str, last: &str) -> Vec<String> {
    let pod = Pod::run(image, &[r#"--overrides={"spec":{"schedulingGates":[{"name":"lab/hold"}]}}"#]);
    let mut watch = Command::new(lab::programs().unwrap().join("kubectl"))
        .args(["-n", &pod.namespace, "get", "pods", "--watch", "-o", "json"])
        .env("KUBECONFIG", pod.lab.kubeconfig())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let shown = serde_json::Deserializer::from_reader(BufReader::new(watch.stdout.take().unwrap()));
    let mut states: Vec<String> = Vec::new();
    for shown in shown.into_iter::<Value>() {
        if states.is_empty() {
            let release = r#"[{"op":"remove","path":"/spec/schedulingGates"}]"#;
            pod.lab
                .kubectl(&["-n", &pod.namespace, "patch", "pod", "web", "--type=json", "-p", release])
                .unwrap();
        }
        states.push(state(&shown.unwrap()["status"]));
        if states.last().unwrap().starts_with(last) {
            break;
        }
    }
    watch.kill().unwrap();
    watch.wait().unwrap();
    // Changes elsewhere in the pod show the same state again.
    states.dedup();
    states
}

/// Returns a line such as `Running ready=false restarts=1 CrashLoopBackOff`.
fn state(status: &Value) -> String {
    let phase = status["phase"].as_str().unwrap();
    let container = &status["containerStatuses"][0];
    if container.is_null() {
        return phase.to_owned();
    }
    let reasons = ["waiting", "terminated"].map(|state| container["state"][state]["reason"].as_str());
    let reason = reasons.into_iter().flatten().next().unwrap_or("running");
    format!("{phase} ready={} restarts={} {reason}", container["ready"], container["restartCount"])
}

/// Returns `<type>=<status>` of a condition, with the reason and message when it has them.
fn condition(status: &Value, kind: &str) -> String {
    let all = status["conditions"].as_array().unwrap();
    let one = all.iter().find(|condition| condition["type"] == kind).unwrap();
    let words = ["status", "reason", "message"].map(|field| one[field].as_str().unwrap_or_default());
    words.join(" ").trim().to_owned()
}

#[test]
fn any_other_tag_is_ready() {
    let status = Pod::run("web:1", &[]).until("condition=Ready");
    let container = &status["containerStatuses"][0];
    assert_eq!(status["phase"], "Running");
    assert_eq!(container["ready"], true);
    assert!(container["state"]["running"]["startedAt"].is_string(), "{container}");
    assert!(status["podIP"].is_string() && status["hostIP"].is_string(), "{status}");
    assert_eq!(condition(&status, "Ready"), "True");
}

#[test]
fn an_image_that_cannot_be_pulled_says_why() {
    let cases = [
        (
            "web:not-found",
            "rpc error: code = NotFound desc = failed to pull and unpack image \"docker.io/library/web:not-found\": \
             failed to resolve reference \"docker.io/library/web:not-found\": \
             docker.io/library/web:not-found: not found",
        ),
        (
            "acme/web:unauthorized",
            "rpc error: code = Unknown desc = failed to pull and unpack image \"docker.io/acme/web:unauthorized\": \
             failed to resolve reference \"docker.io/acme/web:unauthorized\": pull access denied, repository does not \
             exist or may require authorization: server message: insufficient_scope: authorization failed",
        ),
        (
            "web:timeout",
            "rpc error: code = DeadlineExceeded desc = failed to pull and unpack image \
             \"docker.io/library/web:timeout\": failed to resolve reference \"docker.io/library/web:timeout\": failed \
             to do request: Head \"https://registry-1.docker.io/v2/library/web/manifests/timeout\": dial tcp \
             192.0.2.1:443: i/o timeout",
        ),
        (
            "registry.local:5000/web:timeout",
            "rpc error: code = DeadlineExceeded desc = failed to pull and unpack image \
             \"registry.local:5000/web:timeout\": failed to resolve reference \"registry.local:5000/web:timeout\": \
             failed to do request: Head \"https://registry.local:5000/v2/web/manifests/timeout\": dial tcp \
             192.0.2.1:443: i/o timeout",
        ),
    ];
    let pods = cases.map(|(image, message)| (Pod::run(image, &[]), image, message));
    for (pod, image, message) in pods {
        let status = pod.until(&format!("{WAITING}=ImagePullBackOff"));
        assert_eq!(status["phase"], "Pending");
        assert_eq!(status["containerStatuses"][0]["ready"], false);
        let waiting = &status["containerStatuses"][0]["state"]["waiting"]["message"];
        assert_eq!(waiting, &format!("Back-off pulling image \"{image}\": ErrImagePull: {message}"));
        assert_eq!(
            condition(&status, "Ready"),
            "False ContainersNotReady containers with unready status: [web]"
        );
    }
}

#[test]
fn the_first_pull_error_comes_before_the_back_off() {
    assert_eq!(
        history("web:not-found", "Pending ready=false restarts=0 ImagePullBackOff"),
        [
            "Pending",
            "Pending ready=false restarts=0 ContainerCreating",
            "Pending ready=false restarts=0 ErrImagePull",
            "Pending ready=false restarts=0 ImagePullBackOff",
        ]
    );
}

#[test]
fn a_name_that_cannot_be_read_is_refused() {
    let status = Pod::run("web:bad-name", &[]).until(&format!("{WAITING}=InvalidImageName"));
    assert_eq!(
        status["containerStatuses"][0]["state"]["waiting"]["message"],
        "Failed to apply default image tag \"web:bad-name\": couldn't parse image name \"web:bad-name\": \
         invalid reference format"
    );
}

#[test]
fn a_crashing_container_is_restarted_at_once_and_then_after_waits() {
    assert_eq!(
        history("web:crash", "Running ready=false restarts=3"),
        [
            "Pending",
            "Pending ready=false restarts=0 ContainerCreating",
            "Running ready=false restarts=0 running",
            "Running ready=false restarts=0 Error",
            "Running ready=false restarts=1 running",
            "Running ready=false restarts=1 Error",
            "Running ready=false restarts=1 CrashLoopBackOff",
            "Running ready=false restarts=2 running",
            "Running ready=false restarts=2 Error",
            "Running ready=false restarts=2 CrashLoopBackOff",
            "Running ready=false restarts=3 running",
        ]
    );
}

#[test]
fn a_crashing_container_says_how_it_ended_and_how_long_it_waits() {
    let pod = Pod::run("web:crash", &[]);
    let status = pod.until(&format!("{WAITING}=CrashLoopBackOff"));
    let container = &status["containerStatuses"][0];
    assert_eq!(container["lastState"]["terminated"]["exitCode"], 1);
    assert_eq!(container["lastState"]["terminated"]["reason"], "Error");
    let restarts = usize::try_from(container["restartCount"].as_u64().unwrap()).unwrap();
    let wait = ["10s", "20s", "40s", "1m20s", "2m40s", "5m0s"][restarts - 1];
    let message = container["state"]["waiting"]["message"].as_str().unwrap();
    let begin = format!("back-off {wait} restarting failed container=web pod=web_{}(", pod.namespace);
    assert!(message.starts_with(&begin), "{message}");
}

#[test]
fn the_containers_beside_a_failing_one_run() {
    let sidecar =
        r#"{"spec":{"containers":[{"name":"web","image":"web:crash"},{"name":"proxy","image":"proxy:1"}]}}"#;
    let pod = Pod::run("web:crash", &["--overrides", sidecar]);
    let status = pod.until(&format!("{WAITING}=CrashLoopBackOff"));
    assert_eq!(status["containerStatuses"][1]["name"], "proxy");
    assert_eq!(status["containerStatuses"][1]["ready"], true);
}

#[test]
fn ready_then_crash_is_ready_first_and_again() {
    assert_eq!(
        history("web:ready-then-crash", "Running ready=true restarts=2"),
        [
            "Pending",
            "Pending ready=false restarts=0 ContainerCreating",
            "Running ready=true restarts=0 running",
            "Running ready=false restarts=0 Error",
            "Running ready=true restarts=1 running",
            "Running ready=false restarts=1 Error",
            "Running ready=false restarts=1 CrashLoopBackOff",
            "Running ready=true restarts=2 running",
        ]
    );
}

#[test]
fn the_conditions_follow_a_container_that_crashes_after_it_was_ready() {
    let pod = Pod::run("web:ready-then-crash", &[]);
    assert_eq!(condition(&pod.until("condition=Ready"), "Ready"), "True");
    let status = pod.until("condition=Ready=false");
    assert_eq!(condition(&status, "Ready"), "False ContainersNotReady containers with unready status: [web]");
    assert_eq!(condition(&pod.until("condition=Ready"), "ContainersReady"), "True");
}

#[test]
fn a_slow_pod_runs_before_it_is_ready() {
    assert_eq!(
        history("web:slow", "Running ready=true"),
        [
            "Pending",
            "Pending ready=false restarts=0 ContainerCreating",
            "Running ready=false restarts=0 running",
            "Running ready=true restarts=0 running",
        ]
    );
}

#[test]
fn a_pod_that_is_never_ready_runs() {
    let status = Pod::run("web:never-ready", &[]).until("jsonpath={.status.phase}=Running");
    assert_eq!(status["containerStatuses"][0]["ready"], false);
    assert!(status["containerStatuses"][0]["state"]["running"].is_object(), "{status}");
    assert_eq!(condition(&status, "Ready"), "False ContainersNotReady containers with unready status: [web]");
}

#[test]
fn a_pod_that_no_node_suits_is_unschedulable() {
    let selector = r#"{"spec":{"nodeSelector":{"disk":"fast"}}}"#;
    let status = Pod::run("web:1", &["--overrides", selector]).until("condition=PodScheduled=false");
    let scheduled = condition(&status, "PodScheduled");
    assert!(
        scheduled.starts_with("False Unschedulable 0/2 nodes are available: 2 node(s) didn't match"),
        "{scheduled}"
    );
}

#[test]
fn a_pod_that_is_not_to_be_restarted_finishes() {
    for (image, policy, phase, exit_code) in [
        ("web:1", "Never", "Succeeded", 0),
        ("web:1", "OnFailure", "Succeeded", 0),
        ("web:exit-1", "Never", "Failed", 1),
        ("web:crash", "Never", "Failed", 1),
    ] {
        let pod = Pod::run(image, &["--restart", policy]);
        let status = pod.until(&format!("jsonpath={{.status.phase}}={phase}"));
        let terminated = &status["containerStatuses"][0]["state"]["terminated"];
        assert_eq!(terminated["exitCode"], exit_code, "{image} {policy}");
    }
}

#[test]
fn a_failing_container_that_may_be_restarted_loops() {
    let status =
        Pod::run("web:exit-1", &["--restart=OnFailure"]).until(&format!("{WAITING}=CrashLoopBackOff"));
    assert_eq!(status["phase"], "Running");
}

#[test]
fn init_containers_have_succeeded() {
    let init = r#"{"spec":{"initContainers":[{"name":"migrate","image":"migrate:1"}]}}"#;
    let status = Pod::run("web:1", &["--overrides", init]).until("condition=Ready");
    assert_eq!(status["initContainerStatuses"][0]["state"]["terminated"]["reason"], "Completed");
}

#[test]
fn a_deleted_pod_goes_at_once() {
    let pod = Pod::run("web:crash", &[]);
    pod.until(&format!("{WAITING}=CrashLoopBackOff"));
    pod.lab.kubectl(&["-n", &pod.namespace, "delete", "pod", "web", "--timeout=20s"]).unwrap();
}

#[test]
fn containers_have_logs_of_this_run_and_of_the_one_before() {
    let pod = Pod::run("web:1", &[]);
    pod.until("condition=Ready");
    let log =
        |more: &[&str]| pod.lab.kubectl(&[&["-n", &pod.namespace, "logs", "web"], more].concat()).unwrap();
    assert!(log(&[]).ends_with("listening on :8080\n"), "{}", log(&[]));
    assert_eq!(log(&["--tail=1"]).lines().count(), 1);
    let last = "FATAL cannot open /etc/web/config.yaml: no such file or directory\n";
    assert_eq!(log(&["--previous", "--tail=1"]), last);
}
