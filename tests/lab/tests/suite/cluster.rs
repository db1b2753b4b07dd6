//! Is the lab what a test may rely on: rights, admission, metrics, faults?

use std::fs;

use lab::{Lab, Options};

#[test]
fn a_service_account_has_only_the_rights_it_is_given() {
    let lab = lab::shared();
    let namespace = lab.namespace("rights");
    lab.kubectl(&["-n", &namespace, "create", "serviceaccount", "agent"]).unwrap();
    let kubeconfig = lab.kubeconfig_for(&namespace, "agent").unwrap();
    let agent = Lab::at(&kubeconfig).unwrap();
    let who = agent.kubectl(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]).unwrap();
    assert_eq!(who, format!("system:serviceaccount:{namespace}:agent"));

    let refused = agent.kubectl(&["get", "configmaps"]).unwrap_err().to_string();
    assert!(refused.contains("is forbidden"), "{refused}");
    lab.kubectl(&["-n", &namespace, "create", "role", "reader", "--verb=list", "--resource=configmaps"])
        .unwrap();
    let account = format!("--serviceaccount={namespace}:agent");
    lab.kubectl(&["-n", &namespace, "create", "rolebinding", "reader", "--role=reader", &account]).unwrap();
    // The API server learns of the binding by a watch of its own, which nobody can wait for.
    let is_granted = (0..100).any(|_| agent.kubectl(&["get", "configmaps"]).is_ok());
    assert!(is_granted, "{:?}", agent.kubectl(&["get", "configmaps"]));
}

#[test]
fn another_cluster_is_used_but_not_stopped() {
    let lab = lab::shared();
    let other = Lab::at(lab.kubeconfig()).unwrap();
    assert_eq!(other.url(), lab.url());
    assert_eq!(other.admin_token(), lab.admin_token());
    assert_eq!(fs::read_to_string(other.ca_file()).unwrap(), fs::read_to_string(lab.ca_file()).unwrap());
    let refused = other.stop_api_server().unwrap_err().to_string();
    assert!(refused.contains("TAUTLINE_LAB_KUBECONFIG"), "{refused}");
    other.kubectl(&["get", "namespace", &other.namespace("other")]).unwrap();
}

#[test]
fn namespaces_differ_and_take_pods_at_once() {
    let lab = lab::shared();
    let [one, two] = [lab.namespace("same"), lab.namespace("same")];
    assert_ne!(one, two);
    lab.kubectl(&["-n", &one, "run", "web", "--image=web:1"]).unwrap();
}

#[test]
fn metrics_count_requests() {
    let metrics = lab::shared().metrics().unwrap();
    assert!(metrics.contains("\napiserver_request_total{"), "no request counter");
}

#[test]
fn a_failing_command_says_why() {
    let error = lab::shared().kubectl(&["get", "namespace", "nowhere"]).unwrap_err().to_string();
    assert!(error.starts_with("kubectl get namespace nowhere: Error from server (NotFound)"), "{error}");
}

#[test]
fn the_api_server_comes_back_with_its_data() {
    let lab = Lab::start(&Options::bare()).unwrap();
    let url = lab.url().to_owned();
    lab.kubectl(&["create", "namespace", "kept"]).unwrap();

    lab.stop_api_server().unwrap();
    assert!(lab.pid_of("kube-apiserver").is_err());
    let away = lab.kubectl(&["get", "namespace", "kept"]).unwrap_err().to_string();
    assert!(away.contains("refused"), "{away}");
    lab.start_api_server().unwrap();
    lab.kubectl(&["get", "namespace", "kept"]).unwrap();

    let before = lab.pid_of("etcd").unwrap();
    lab.stop_etcd().unwrap();
    assert!(lab.kubectl(&["create", "namespace", "lost", "--request-timeout=2s"]).is_err());
    lab.start_etcd().unwrap();
    assert_ne!(lab.pid_of("etcd").unwrap(), before);
    lab.kubectl(&["get", "namespace", "kept"]).unwrap();
    assert_eq!(lab.url(), url);
}

#[test]
fn the_controllers_and_nodes_survive_an_outage() {
    let lab = Lab::start(&Options { nodes: 1, ..Options::default() }).unwrap();
    lab.stop_api_server().unwrap();
    lab.start_api_server().unwrap();
    lab.kubectl(&["create", "deployment", "web", "--image=web:1"]).unwrap();
    lab.kubectl(&["rollout", "status", "deployment/web", "--timeout=90s"]).unwrap();
}

#[test]
fn a_dropped_lab_leaves_nothing() {
    let lab = Lab::start(&Options::bare()).unwrap();
    let folder = lab.folder().to_owned();
    assert!(folder.join("kube-apiserver.log").exists());
    drop(lab);
    assert!(!folder.exists());
}
