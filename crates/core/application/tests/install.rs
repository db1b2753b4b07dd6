//! What is installed: fresh, complete, and with no right too many.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use application::{crd, install};
use serde_json::{Value, json};

fn documents() -> Vec<Value> {
    install::documents("control", "registry.example.com/tautline:1")
}

fn named(kind: &str, name: &str) -> Value {
    let mut found = documents().into_iter().filter(|d| d["kind"] == kind && d["metadata"]["name"] == name);
    let document = found.next().unwrap();
    assert_eq!(found.next(), None, "{kind} {name} stands twice");
    document
}

#[test]
fn the_files_are_fresh() {
    for (name, text) in install::files() {
        let path = format!("{}/../../../manifests/{name}", env!("CARGO_MANIFEST_DIR"));
        #[expect(clippy::disallowed_methods, reason = "the test compares a file")]
        let stored = std::fs::read_to_string(path).unwrap();
        assert!(stored == text, "{name} is stale: cargo run -p application --example manifests");
    }
}

#[test]
fn everything_comes_after_what_it_needs() {
    let kinds: Vec<String> = documents()
        .iter()
        .map(|d| format!("{} {}", d["kind"].as_str().unwrap(), d["metadata"]["name"].as_str().unwrap()))
        .collect();
    assert_eq!(
        kinds,
        [
            "Namespace control",
            "CustomResourceDefinition applications.argoproj.io",
            "CustomResourceDefinition appprojects.argoproj.io",
            "ServiceAccount tautline",
            "Role tautline-agent",
            "ClusterRole tautline-agent",
            "ClusterRole tautline-managed",
            "RoleBinding tautline-agent",
            "ClusterRoleBinding tautline-agent",
            "ClusterRoleBinding tautline-managed",
            "Deployment tautline",
        ]
    );
}

#[test]
fn the_crds_are_the_generated_ones() {
    for generated in [crd::application(), crd::app_project()] {
        assert_eq!(
            named("CustomResourceDefinition", generated["metadata"]["name"].as_str().unwrap()),
            generated
        );
    }
}

#[test]
fn namespaced_objects_stand_in_the_namespace_and_bindings_bind_the_agent() {
    for document in documents() {
        let kind = document["kind"].as_str().unwrap();
        let is_namespaced = ["ServiceAccount", "Role", "RoleBinding", "Deployment"].contains(&kind);
        let namespace = &document["metadata"]["namespace"];
        assert_eq!(namespace == "control", is_namespaced, "{kind}");
        if kind.ends_with("Binding") {
            assert_eq!(
                document["subjects"],
                json!([{"kind": "ServiceAccount", "name": "tautline", "namespace": "control"}])
            );
            assert_eq!(document["roleRef"]["kind"], kind.trim_end_matches("Binding"));
            named(
                document["roleRef"]["kind"].as_str().unwrap(),
                document["roleRef"]["name"].as_str().unwrap(),
            );
        }
    }
}

#[test]
fn only_the_managed_role_has_wildcards_and_nothing_but_releases_is_deleted_on_its_own() {
    for role in [named("Role", "tautline-agent"), named("ClusterRole", "tautline-agent")] {
        for rule in role["rules"].as_array().unwrap() {
            let text = rule.to_string();
            for word in ["*", "delete", "escalate", "bind", "impersonate"] {
                let is_release =
                    word == "delete" && role["kind"] == "Role" && rule["resources"] == json!(["secrets"]);
                assert!(is_release || !text.contains(&format!("\"{word}\"")), "{word} in {rule}");
            }
        }
    }
    assert_eq!(
        named("ClusterRole", "tautline-managed")["rules"],
        json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])
    );
    let secrets: Vec<Value> =
        documents().into_iter().filter(|d| d["rules"].to_string().contains("secrets")).collect();
    assert_eq!(secrets.len(), 1, "Secrets are read and written in the agent's own namespace only");
    assert_eq!(secrets[0]["kind"], "Role");
}

/// The restricted Pod Security Standard, point by point (Kubernetes documentation).
#[test]
fn the_pod_is_restricted_and_writes_to_its_cache_only() {
    let deployment = named("Deployment", "tautline");
    assert_eq!(deployment["spec"]["strategy"], json!({"type": "Recreate"}));
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"], json!({"type": "RuntimeDefault"}));
    assert!(pod["securityContext"]["runAsUser"].as_i64().unwrap() > 0);
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        assert_eq!(pod.get(field), None);
    }
    let container = &pod["containers"][0];
    assert_eq!(
        container["securityContext"],
        json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}})
    );
    for volume in pod["volumes"].as_array().unwrap() {
        assert!(volume["emptyDir"]["sizeLimit"].is_string(), "{volume}");
    }
    assert!(
        container["args"].as_array().unwrap().iter().any(|a| a == "--listen=127.0.0.1:8080"),
        "loopback only"
    );
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    for (key, value) in deployment["spec"]["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(labels[key], *value);
    }
}

#[test]
fn probes_ask_the_port_that_is_opened() {
    let container = named("Deployment", "tautline")["spec"]["template"]["spec"]["containers"][0].clone();
    assert_eq!(container["ports"], json!([{"name": "probes", "containerPort": 8081}]));
    assert!(container["args"].as_array().unwrap().iter().any(|a| a == "--probes=0.0.0.0:8081"));
    for (probe, path) in [("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
        assert_eq!(container[probe]["httpGet"], json!({"path": path, "port": "probes"}));
    }
}
