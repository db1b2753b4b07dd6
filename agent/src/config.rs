//! What does an operator set?

use api::Transport;
use cluster::ServicePort;
use model::{RollbackPolicy, Scheme};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of `tautline run`.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Kubeconfig; `None` inside a cluster.
    pub kubeconfig: Option<PathBuf>,
    /// Namespace of Applications and settings.
    pub namespace: String,
    /// Where the API listens, and for whom.
    pub api: Serving,
    /// Where probes and metrics are served.
    pub probes: SocketAddr,
    /// What may be lost: clones, rendered manifests.
    pub cache_dir: PathBuf,
    /// How often repositories are polled, unless `argocd-cm` says otherwise.
    pub poll_interval: Duration,
    /// Folders below which local repositories are allowed.
    pub local_repos: Vec<PathBuf>,
    /// Whether plain successes become events, too.
    pub all_events: bool,
    /// What is done about bad commits of apps with automated sync, unless they or their projects say otherwise.
    pub rollback: RollbackPolicy,
    /// Where the Prometheus is that apps' queries are asked of.
    pub prometheus: Option<ServicePort>,
}

/// Where the HTTP API listens, and whom it answers.
#[derive(Clone, Debug)]
pub(crate) struct Serving {
    /// The address.
    pub listen: SocketAddr,
    /// Whether callers must show a token.
    pub authenticate: bool,
    /// Whom tokens must be made for, one of them; empty for the API server.
    pub audiences: Vec<String>,
    /// By TLS or not.
    pub transport: Transport,
}

/// Reads `monitoring/prometheus:9090`.
///
/// # Errors
/// What it should look like.
pub(crate) fn service_port(text: &str) -> Result<ServicePort, String> {
    let is_name = |name: &str| {
        let is_of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !name.is_empty() && name.chars().all(is_of_name)
    };
    let parts = text.split_once('/').and_then(|(namespace, rest)| Some((namespace, rest.split_once(':')?)));
    match parts {
        Some((namespace, (service, port))) if [namespace, service, port].into_iter().all(is_name) => {
            let [namespace, service, port] = [namespace, service, port].map(str::to_owned);
            Ok(ServicePort { namespace, service, port, scheme: Scheme::Http })
        }
        Some(_) | None => Err("is no port of a Service, such as monitoring/prometheus:9090".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_a_service_is_read_whole_or_not_at_all() {
        let port = service_port("monitoring/prometheus-k8s:web").unwrap();
        assert_eq!((port.namespace.as_str(), port.service.as_str()), ("monitoring", "prometheus-k8s"));
        assert_eq!((port.port.as_str(), port.scheme), ("web", Scheme::Http));
        for text in
            ["", "prometheus", "prometheus:9090", "monitoring/prometheus", "a/b:", "a/b/c:1", "http://a:1"]
        {
            assert!(service_port(text).is_err(), "{text}");
        }
    }
}
