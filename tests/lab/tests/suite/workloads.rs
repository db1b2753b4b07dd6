//! Do the real controllers act on what the nodes' pods report?

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, in its helpers as well")]

/// Returns the lab and a namespace with one object in it.
fn with(object: &[&str]) -> (&'static lab::Lab, String) {
    let lab = lab::shared();
    let namespace = lab.namespace("workloads");
    lab.kubectl(&[&["-n", &namespace], object].concat()).unwrap();
    (lab, namespace)
}

#[test]
fn a_deployment_rolls_out() {
    let (lab, namespace) = with(&["create", "deployment", "web", "--image=web:1", "--replicas=3"]);
    lab.kubectl(&["-n", &namespace, "rollout", "status", "deployment/web", "--timeout=60s"]).unwrap();
    lab.kubectl(&["-n", &namespace, "set", "image", "deployment/web", "*=web:2"]).unwrap();
    lab.kubectl(&["-n", &namespace, "rollout", "status", "deployment/web", "--timeout=60s"]).unwrap();
    let images = lab.kubectl(&[
        "-n",
        &namespace,
        "get",
        "rs",
        "-o",
        "jsonpath={.items[?(@.status.readyReplicas==3)].spec.template.spec.containers[0].image}",
    ]);
    assert_eq!(images.unwrap(), "web:2");
}

#[test]
fn stateful_sets_and_daemon_sets_roll_out() {
    let lab = lab::shared();
    let namespace = lab.namespace("workloads");
    let spec = r#""selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},
        "spec":{"containers":[{"name":"web","image":"web:1"}]}}"#;
    let objects = format!(
        r#"{{"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{{"name":"web"}},"spec":{{{spec}}}}}
        {{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{{"name":"web"}},
          "spec":{{"replicas":2,"serviceName":"web",{spec}}}}}"#
    );
    lab.kubectl_with_input(&["-n", &namespace, "apply", "-f", "-"], &objects).unwrap();
    for kind in ["daemonset/web", "statefulset/web"] {
        lab.kubectl(&["-n", &namespace, "rollout", "status", kind, "--timeout=60s"]).unwrap();
    }
    let on_each_node = ["-n", &namespace, "get", "daemonset", "web", "-o", "jsonpath={.status.numberReady}"];
    assert_eq!(lab.kubectl(&on_each_node).unwrap(), "2");
}

#[test]
fn a_deployment_of_failing_pods_passes_its_progress_deadline() {
    let (lab, namespace) = with(&["create", "deployment", "web", "--image=web:not-found"]);
    let soon = r#"{"spec":{"progressDeadlineSeconds":2}}"#;
    lab.kubectl(&["-n", &namespace, "patch", "deployment", "web", "-p", soon]).unwrap();
    let failed =
        "--for=jsonpath={.status.conditions[?(@.type==\"Progressing\")].reason}=ProgressDeadlineExceeded";
    lab.kubectl(&["-n", &namespace, "wait", "deployment/web", failed, "--timeout=60s"]).unwrap();
}

#[test]
fn a_job_completes() {
    let (lab, namespace) = with(&["create", "job", "migrate", "--image=migrate:1"]);
    lab.kubectl(&["-n", &namespace, "wait", "job/migrate", "--for=condition=Complete", "--timeout=60s"])
        .unwrap();
}

#[test]
fn a_job_whose_pods_fail_fails() {
    let job = r#"{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"migrate"},"spec":{"backoffLimit":0,"template":
        {"spec":{"restartPolicy":"Never","containers":[{"name":"migrate","image":"migrate:exit-1"}]}}}}"#;
    let lab = lab::shared();
    let namespace = lab.namespace("workloads");
    lab.kubectl_with_input(&["-n", &namespace, "apply", "-f", "-"], job).unwrap();
    lab.kubectl(&["-n", &namespace, "wait", "job/migrate", "--for=condition=Failed", "--timeout=60s"])
        .unwrap();
    let reason = lab.kubectl(&[
        "-n",
        &namespace,
        "get",
        "job",
        "migrate",
        "-o",
        "jsonpath={.status.conditions[?(@.type==\"Failed\")].reason}",
    ]);
    assert_eq!(reason.unwrap(), "BackoffLimitExceeded");
}

#[test]
fn a_namespace_with_running_pods_can_be_deleted() {
    let (lab, namespace) = with(&["create", "deployment", "web", "--image=web:1"]);
    lab.kubectl(&["-n", &namespace, "rollout", "status", "deployment/web", "--timeout=60s"]).unwrap();
    lab.kubectl(&["delete", "namespace", &namespace, "--timeout=60s"]).unwrap();
}
