//! Do pods behave as the tags of their images say?

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, in its helpers as well")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use lab::Lab;
use serde_json::Value;

const WAITING: &str = "jsonpath={.status.containerStatuses[0].state.waiting.reason}";
const RESTARTS: &str = "jsonpath={.status.containerStatuses[0].restartCount}";

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

    /// Waits for a condition of `kubectl wait`, and returns the status that the pod has then.
    fn until(&self, condition: &str) -> Value {
        let condition = format!("--for={condition}");
        let waited =
            self.lab.kubectl(&["-n", &self.namespace, "wait", "pod/web", &condition, "--timeout=90s"]);
        waited.unwrap_or_else(|error| panic!("{error:#}\n{:#}", self.status()));
        self.status()
    }

    fn status(&self) -> Value {
        let pod = self.lab.kubectl(&["-n", &self.namespace, "get", "pod", "web", "-o", "json"]).unwrap();
        serde_json::from_str::<Value>(&pod).unwrap()["status"].take()
    }
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
    let pod = Pod::run("web:not-found", &[]);
    // Events stay, while the first state may have passed before a command looks.
    let mut events = Command::new(lab::programs().unwrap().join("kubectl"))
        .args(["get", "events", "--watch", "--field-selector=involvedObject.name=web,reason=Failed"])
        .args(["-n", &pod.namespace, "-o", r#"jsonpath={.message}{"\n"}"#])
        .env("KUBECONFIG", pod.lab.kubeconfig())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(events.stdout.take().unwrap()).lines().map(Result::unwrap);
    let messages: Vec<String> = lines.take(2).collect();
    events.kill().unwrap();
    events.wait().unwrap();
    assert_eq!(messages, ["Error: ErrImagePull", "Error: ImagePullBackOff"]);
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
fn a_crashing_container_is_restarted_after_longer_and_longer_waits() {
    let pod = Pod::run("web:crash", &[]);
    for (restarts, wait) in [(1, "10s"), (2, "20s")] {
        pod.until(&format!("{RESTARTS}={restarts}"));
        let status = pod.until(&format!("{WAITING}=CrashLoopBackOff"));
        let container = &status["containerStatuses"][0];
        assert_eq!(container["restartCount"], restarts);
        assert_eq!(container["ready"], false);
        assert_eq!(container["lastState"]["terminated"]["exitCode"], 1);
        assert_eq!(container["lastState"]["terminated"]["reason"], "Error");
        let message = container["state"]["waiting"]["message"].as_str().unwrap();
        let begin = format!("back-off {wait} restarting failed container=web pod=web_{}(", pod.namespace);
        assert!(message.starts_with(&begin), "{message}");
        assert_eq!(status["phase"], "Running");
    }
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
    let pod = Pod::run("web:ready-then-crash", &[]);
    assert_eq!(pod.until("condition=Ready")["containerStatuses"][0]["restartCount"], 0);
    let status = pod.until("condition=Ready=false");
    assert_eq!(condition(&status, "Ready"), "False ContainersNotReady containers with unready status: [web]");
    pod.until(&format!("{RESTARTS}=1"));
    let status = pod.until("condition=Ready");
    assert_eq!(status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"], 1);
}

#[test]
fn a_slow_pod_runs_before_it_is_ready() {
    let pod = Pod::run("web:slow", &[]);
    let status = pod.until("jsonpath={.status.phase}=Running");
    assert_eq!(status["containerStatuses"][0]["ready"], false);
    let status = pod.until("condition=Ready");
    assert_eq!(status["containerStatuses"][0]["ready"], true);
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
