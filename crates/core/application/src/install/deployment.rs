//! How does the agent run as a pod?

use super::{NAME, PROBE_PORT, metadata};
use serde_json::{Value, json};

/// User and group that the agent runs as; no user of the image's needs to exist.
const USER: i64 = 65_532;

/// One pod, replaced rather than doubled: a second one would only wait for the Lease. The API listens on loopback until
/// there is a certificate for it; `kubectl port-forward` reaches it.
pub(super) fn document(namespace: &str, image: &str) -> Value {
    let labels = json!({"app.kubernetes.io/name": NAME, "app.kubernetes.io/part-of": NAME});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": metadata(NAME, Some(namespace)),
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {"app.kubernetes.io/name": NAME}},
            "template": {"metadata": {"labels": labels}, "spec": pod(image)},
        },
    })
}

fn pod(image: &str) -> Value {
    json!({
        "serviceAccountName": NAME,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container(image)],
        "volumes": [
            {"name": "cache", "emptyDir": {"sizeLimit": "2Gi"}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
        ],
    })
}

/// Returns the agent's arguments.
pub(super) fn arguments(listen: &str) -> Vec<String> {
    let (listen, probes) = (format!("--listen={listen}"), format!("--probes=0.0.0.0:{PROBE_PORT}"));
    ["run", "--namespace=$(POD_NAMESPACE)", &listen, &probes, "--cache-dir=/cache"].map(String::from).into()
}

fn container(image: &str) -> Value {
    json!({
        "name": NAME,
        "image": image,
        "args": arguments("127.0.0.1:8080"),
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        ],
        "ports": [{"name": "probes", "containerPort": PROBE_PORT}],
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "probes"}, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "probes"}, "periodSeconds": 5, "timeoutSeconds": 5},
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}, {"name": "tmp", "mountPath": "/tmp"}],
    })
}
