//! How do we get to a cluster, and what have we asked of it?

use crate::call::Verb;
use crate::gate::Gate;
use crate::pause::Pauses;
use crate::permit::WritePermit;
use crate::share::Party;
use anyhow::Context as _;
use http::{HeaderValue, header};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use model::{AppKey, GroupKind};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Longest time to open a connection; the deadline of the call counts, too.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the cluster is and how hard we may press it.
#[derive(Clone, Debug)]
pub struct Access {
    /// A kubeconfig file, whose current context counts; `None` inside a cluster.
    pub kubeconfig: Option<PathBuf>,
    /// What the server's audit log calls us.
    pub user_agent: String,
    /// Requests in flight at most, watches and leases aside.
    pub in_flight: usize,
    /// Longest time from sending a request to the end of its answer.
    pub call_timeout: Duration,
}

/// One cluster. Clones share connections, limit and counters.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) inner: Arc<Inner>,
    /// Whose share of the places its requests take; `None` for the agent's own.
    app: Option<Arc<AppKey>>,
}

pub(crate) struct Inner {
    pub(crate) client: Client,
    pub(crate) url: String,
    pub(crate) call_timeout: Duration,
    pub(crate) gate: Arc<Gate>,
    pub(crate) permit: WritePermit,
    pub(crate) pauses: Pauses,
    counts: Mutex<BTreeMap<(Verb, GroupKind), u64>>,
    pub(crate) events: crate::event::Memory,
}

impl Cluster {
    /// Prepares connections; sends nothing, so that an agent starts while the API server is away.
    ///
    /// # Errors
    /// When the kubeconfig, or the files of a pod's service account, cannot be read or used.
    pub async fn connect(access: Access) -> anyhow::Result<Self> {
        let config = match &access.kubeconfig {
            Some(file) => {
                let kubeconfig = Kubeconfig::read_from(file)
                    .map_err(unquoted)
                    .with_context(|| format!("read kubeconfig {}", file.display()))?;
                let authority = authority_file(&kubeconfig);
                let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                    .await
                    .with_context(|| format!("use kubeconfig {}", file.display()))?;
                // As kube does by itself inside of a cluster: one that is replaced is taken up within a minute.
                config.root_cert_file = authority;
                config
            }
            None => Config::incluster().context("use the service account of this pod")?,
        };
        Self::with_config(config, &access)
    }

    /// Does the same for a person, who is found as kubectl finds them: by a kubeconfig file, else by the environment's
    /// `KUBECONFIG` or `~/.kube/config`, else inside of a cluster. Returns the context's namespace, too.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_person(access: Access, context: Option<&str>) -> anyhow::Result<(Self, String)> {
        let options = KubeConfigOptions { context: context.map(str::to_owned), ..Default::default() };
        let file = access.kubeconfig.as_ref().map(|file| format!("kubeconfig {}", file.display()));
        let name = file.unwrap_or_else(|| "the kubeconfig of KUBECONFIG or ~/.kube/config".into());
        let read = match &access.kubeconfig {
            Some(file) => Kubeconfig::read_from(file),
            None => Kubeconfig::read(),
        };
        let config = match read {
            Ok(kubeconfig) => Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .with_context(|| format!("use {name}"))?,
            Err(error) => match Config::incluster() {
                Ok(config) if access.kubeconfig.is_none() && context.is_none() => config,
                Ok(_) | Err(_) => return Err(unquoted(error)).with_context(|| format!("read {name}")),
            },
        };
        let namespace = config.default_namespace.clone();
        Ok((Self::with_config(config, &access)?, namespace))
    }

    fn with_config(mut config: Config, access: &Access) -> anyhow::Result<Self> {
        // kube would repeat 15 times with waits that the server chooses; our error classes decide instead.
        config.default_retry = false;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        let agent = HeaderValue::from_str(&access.user_agent).context("use the user agent as a header")?;
        config.headers.push((header::USER_AGENT, agent));
        let url = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|error| match crate::call::failed_plugin(&error) {
            Some(sentence) => anyhow::anyhow!(sentence),
            None => error.into(),
        });
        let client = client.with_context(|| format!("prepare connections to {url}"))?;
        Ok(Self::over(client, &url, access))
    }

    pub(crate) fn over(client: Client, url: &str, access: &Access) -> Self {
        let inner = Inner {
            client,
            url: url.trim_end_matches('/').into(),
            call_timeout: access.call_timeout,
            gate: Gate::new(access.in_flight),
            permit: WritePermit::unlimited(),
            pauses: Pauses::default(),
            counts: Mutex::default(),
            events: crate::event::Memory::default(),
        };
        Self { inner: Arc::new(inner), app: None }
    }

    /// Returns the same cluster for what is asked of it for an app: however many of these requests hang, other apps have
    /// their turn.
    #[must_use]
    pub fn for_app(&self, app: &AppKey) -> Self {
        Self { app: Some(Arc::new(app.clone())), ..self.clone() }
    }

    /// Returns whom a request about objects of a kind is for.
    pub(crate) fn party(&self, kind: &GroupKind) -> Party {
        self.app.as_ref().map_or_else(|| Party::Kind(kind.clone()), |app| Party::App(Arc::clone(app)))
    }

    /// Returns the API server's URL.
    pub fn url(&self) -> &str {
        &self.inner.url
    }

    /// Returns how many requests were sent so far, by verb (`get`, `list`, `watch`, `apply`, `dry-run`, `patch`,
    /// `create`, `delete`, `discover`, `log`, `proxy`) and kind (`Deployment.apps`), sorted.
    pub fn requests(&self) -> Vec<(&'static str, String, u64)> {
        let counts = self.inner.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|((verb, kind), count)| (verb.as_str(), kind.to_string(), *count)).collect()
    }

    /// Returns whether a write may begin now: always until somebody keeps a lease ([`Cluster::hold_lease`]), then while it is
    /// held.
    pub fn may_write(&self) -> bool {
        self.inner.permit.is_valid()
    }

    /// Returns how many requests may be in flight now; less than configured after the server throttled us.
    pub fn in_flight_limit(&self) -> usize {
        self.inner.gate.limit()
    }
}

/// Returns the file of the authority that vouches for the current context's cluster; `None` where it stands in the kubeconfig.
fn authority_file(kubeconfig: &Kubeconfig) -> Option<PathBuf> {
    let current = kubeconfig.current_context.as_ref()?;
    let context = kubeconfig.contexts.iter().find(|named| named.name == *current)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter().find(|named| named.name == context.cluster)?.cluster.as_ref()?;
    let file =
        cluster.certificate_authority.as_ref().filter(|_| cluster.certificate_authority_data.is_none());
    file.map(PathBuf::from)
}

/// Says where a kubeconfig is wrong, and nothing of what stands there: the parser quotes lines, and they hold credentials.
fn unquoted(error: KubeconfigError) -> anyhow::Error {
    let KubeconfigError::Parse(parse) = error else { return error.into() };
    let place = parse.location().map(|place| format!(" at line {}, column {}", place.line(), place.column()));
    anyhow::anyhow!(
        "it is no valid kubeconfig{} (its text is not shown, for it may hold credentials)",
        place.unwrap_or_default()
    )
}

impl Inner {
    pub(crate) fn count(&self, verb: Verb, kind: &GroupKind) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((verb, kind.clone())).or_default() += 1;
    }
}

#[cfg(test)]
#[path = "connect_tests.rs"]
mod tests;
