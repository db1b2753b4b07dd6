//! What does it take for callers in and outside of the cluster to reach the HTTP API? A Service, and what the Deployment gets.

use super::deployment::arguments;
use super::{API_PORT, NAME, TLS_SECRET, metadata};
use serde_json::{Value, json};

/// Where the certificate and its key are mounted.
const TLS_FOLDER: &str = "/tls";

/// Returns the Service of the HTTP API.
pub(super) fn service(namespace: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": metadata(NAME, Some(namespace)),
        "spec": {
            "selector": {"app.kubernetes.io/name": NAME},
            "ports": [{"name": "https", "port": 443, "targetPort": "api"}],
        },
    })
}

/// Returns the strategic merge patch of the Deployment: it listens on every address, by TLS.
pub(super) fn patch() -> Value {
    let mut args = arguments(&format!("0.0.0.0:{API_PORT}"));
    args.extend(["crt", "key"].map(|end| {
        let option = if end == "crt" { "cert" } else { "key" };
        format!("--tls-{option}={TLS_FOLDER}/tls.{end}")
    }));
    json!({"spec": {"template": {"spec": {
        "containers": [{
            "name": NAME,
            "args": args,
            "ports": [{"name": "api", "containerPort": API_PORT}],
            "volumeMounts": [{"name": "tls", "mountPath": TLS_FOLDER, "readOnly": true}],
        }],
        // 0440: the pod's group may read the key.
        "volumes": [{"name": "tls", "secret": {"secretName": TLS_SECRET, "defaultMode": 0o440}}],
    }}}})
}
