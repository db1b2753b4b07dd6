//! What does a cluster need so that Tautline runs in it? The content of `manifests/install.yaml`, and of the two files beside it
//! that let others than the pod reach its HTTP API.
//!
//! The namespace is `argocd`: Applications, projects and repository Secrets are found where Argo CD has them, manifests
//! that say `namespace: argocd` work as they are, and an app's tracking ids, which depend on the control namespace, stay
//! what they were. Whoever has no Argo CD may write another name: replace it throughout and the agent follows, for it
//! takes its namespace from the pod's.

mod deployment;
mod exposed;
mod rights;

pub use rights::{AGENT_CLUSTER_RULES, AGENT_ROLE_RULES, Rule};

use crate::crd;
use serde_json::{Value, json};

/// Namespace of the agent, of Applications and of settings.
pub const NAMESPACE: &str = "argocd";
/// Name of the Deployment, and of the service account that the agent acts as.
pub const NAME: &str = "tautline";
/// Name of the Role and the `ClusterRole` with the agent's own calls.
pub const AGENT_ROLE: &str = "tautline-agent";
/// Name of the `ClusterRole` for whatever Git may hold.
pub const MANAGED_ROLE: &str = "tautline-managed";
/// Port of probes and metrics.
pub const PROBE_PORT: u16 = 8081;
/// Port of the HTTP API once it listens on more than loopback.
pub const API_PORT: u16 = 8443;
/// Secret with the certificate of the HTTP API and its key, of the type `kubernetes.io/tls`.
pub const TLS_SECRET: &str = "tautline-tls";
/// Image of the agent.
pub const IMAGE: &str = concat!("tautline:", env!("CARGO_PKG_VERSION"));

/// Returns `manifests/install.yaml`: both CRDs, rights and the Deployment, in the order in which they can be applied.
pub fn yaml() -> String {
    documents(NAMESPACE, IMAGE).iter().flat_map(|document| ["---\n".into(), crd::yaml(document)]).collect()
}

/// Returns the generated files of `manifests/` beside the CRDs: names and contents.
pub fn files() -> Vec<(&'static str, String)> {
    vec![
        ("install.yaml", yaml()),
        ("api.yaml", crd::yaml(&exposed::service(NAMESPACE))),
        ("api-patch.yaml", crd::yaml(&exposed::patch())),
    ]
}

/// Returns everything that is installed, for a namespace and an image of one's own.
pub fn documents(namespace: &str, image: &str) -> Vec<Value> {
    let mut all = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
        crd::application(),
        crd::app_project(),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(NAME, Some(namespace))}),
    ];
    all.extend(rights::documents(namespace));
    all.push(deployment::document(namespace, image));
    all
}

/// Returns the metadata that all of our own objects carry.
fn metadata(name: &str, namespace: Option<&str>) -> Value {
    let mut metadata = json!({
        "name": name,
        "labels": {"app.kubernetes.io/name": NAME, "app.kubernetes.io/part-of": NAME},
    });
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    metadata
}
