//! What does an operator set?

use api::Transport;
use model::RollbackPolicy;
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
