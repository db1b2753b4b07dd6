//! Do pods behave as the tags of their images say?

use lab::Lab;

/// Runs one pod and waits until `jsonpath=value` holds for it; returns namespace and the pod's status.
fn pod(tag: &str, wait: &str) -> serde_json::Value {
    let lab = lab::shared();
    let namespace = lab.namespace("pods");
    run(lab, &namespace, tag, "Always");
    until(lab, &namespace, wait);
    status(lab, &namespace)
}

fn run(lab: &Lab, namespace: &str, tag: &str, restart: &str) {
    let image = format!("--image=web:{tag}");
    let restart = format!("--restart={restart}");
    lab.kubectl(&["-n", namespace, "run", "web", &image, &restart]).unwrap();
}

fn until(lab: &Lab, namespace: &str, condition: &str) {
    let condition = format!("--for={condition}");
    let waited = lab.kubectl(&["-n", namespace, "wait", "pod/web", &condition, "--timeout=60s"]);
    waited.unwrap_or_else(|error| panic!("{error:#}\n{:#}", status(lab, namespace)));
}

fn status(lab: &Lab, namespace: &str) -> serde_json::Value {
    let pod = lab.kubectl(&["-n", namespace, "get", "pod", "web", "-o", "json"]).unwrap();
    serde_json::from_str::<serde_json::Value>(&pod).unwrap()["status"].take()
}

const REASON: &str = "jsonpath={.status.containerStatuses[0].state.waiting.reason}";

#[test]
fn a_pod_becomes_ready() {
    let status = pod("1", "condition=Ready");
    assert_eq!(status["phase"], "Running");
    assert_eq!(status["containerStatuses"][0]["ready"], true);
}

#[test]
fn an_image_that_is_missing_is_not_found() {
    let status = pod("not-found", &format!("{REASON}=ImagePullBackOff"));
    assert_eq!(status["phase"], "Pending");
    assert_eq!(
        status["containerStatuses"][0]["state"]["waiting"]["message"],
        "Back-off pulling image \"web:not-found\": ErrImagePull: rpc error: code = NotFound desc = failed to pull and \
         unpack image \"docker.io/library/web:not-found\": failed to resolve reference \
         \"docker.io/library/web:not-found\": docker.io/library/web:not-found: not found"
    );
}

#[test]
fn a_crashing_container_restarts_again_and_again() {
    let status = pod("crash", "jsonpath={.status.containerStatuses[0].restartCount}=3");
    let container = &status["containerStatuses"][0];
    assert_eq!(container["ready"], false);
    assert_eq!(container["lastState"]["terminated"]["exitCode"], 1);
}
