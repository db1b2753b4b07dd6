//! How does the agent start and stop?

use crate::agent::Agent;
use crate::argo_cd::ArgoCd;
use crate::cache::Cache;
use crate::config::Config;
use crate::desired::Identity;
use crate::discovering::Discovering;
use crate::dry_runs::DryRuns;
use crate::input::Input;
use crate::keeping::Keeping;
use crate::kinds::{self, KindsRecord};
use crate::live::LiveView;
use crate::metrics::Metrics;
use crate::probes::{Pulse, Scraped, Shared};
use crate::settings::Settings;
use crate::sources::Repositories;
use crate::webhooks::{self, WebhookSecrets};
use crate::workloads::Workloads;
use anyhow::Context;
use api::Readiness;
use cluster::{Access, Cluster, Discovery, LeaseSpec};
use model::{CallError, ErrorClass, GroupVersionKind};
use serde_json::Value;
use source::{Hints, Sources};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};

/// How much waits for the loop before watches wait for it: each is an object as a tree of JSON.
const QUEUE: usize = 64;

/// Runs the agent until `shutdown` is done.
///
/// # Errors
/// When it cannot even begin: no kubeconfig, no cache folder, an address that is taken.
pub(crate) async fn run(
    config: Config,
    shutdown: impl Future<Output = ()> + Clone + Send + 'static,
) -> anyhow::Result<()> {
    let (pulse, readiness, shared) = Pulse::new();
    let probes = serve_probes(&config, readiness, Arc::clone(&shared), shutdown.clone()).await?;
    let cluster = Cluster::connect(Access {
        kubeconfig: config.kubeconfig.clone(),
        user_agent: concat!("tautline/", env!("CARGO_PKG_VERSION")).into(),
        in_flight: crate::stages::IN_FLIGHT,
        call_timeout: Duration::from_secs(30),
    })
    .await?;
    let (requests, calls) = mpsc::channel(64);
    let webhooks = Arc::<api::Webhooks>::default();
    let serving = serve_api(&config, &cluster, (requests, Arc::clone(&webhooks)), shutdown.clone()).await?;
    tracing::info!(
        cluster = cluster.url(),
        namespace = config.namespace,
        api = %serving.addr,
        probes = %probes.addr,
        version = env!("CARGO_PKG_VERSION"),
        "tautline starts"
    );
    let (sources, hints) = open_sources(&config)?;
    // Dropped last, and written out by then: whoever takes the lease over does not wait for this disk.
    let cache = Arc::new(Cache::open(&config.cache_dir).context("start the thread that writes the cache")?);
    let first = tokio::select! {
        () = shutdown.clone() => return Ok(()),
        first = first_look(&cluster, &config.namespace) => first,
    };
    let (inputs, received) = mpsc::unbounded_channel();
    let (watch_events, watched) = mpsc::channel(QUEUE);
    let lease = LeaseSpec::new(config.namespace.as_str(), "tautline", holder());
    let holder = lease.holder.clone();
    let (held, lease) = cluster.hold_lease(lease);
    forward(&inputs, hints.1, calls, held);
    tokio::spawn(webhooks::forward(Arc::clone(&webhooks), inputs.clone()));
    let mut agent = assemble(config, cluster, sources, Arc::clone(&cache), first, inputs, watch_events);
    agent.holder = holder;
    shared.scrape(Scraped {
        counters: agent.metrics.clone(),
        cluster: agent.cluster.clone(),
        inputs: agent.inputs.clone(),
        webhooks: Arc::clone(&webhooks),
    });
    agent.watcher = hints.0;
    tokio::spawn(agent.feed.pump());
    agent.webhooks = webhooks;
    agent.open_own_watches();
    let recorded: Vec<_> = agent.kinds.known().cloned().collect();
    for gvk in &recorded {
        agent.watch_kind(gvk);
    }
    agent.run(received, watched, pulse, shutdown).await;
    tracing::info!("tautline stops");
    lease.release().await;
    // Both end by themselves: they were given the same shutdown.
    for listener in [serving.task, probes.task] {
        if let Err(error) = listener.await {
            tracing::debug!(%error, "a listener ended badly");
        }
    }
    Ok(())
}

async fn serve_api(
    config: &Config,
    cluster: &Cluster,
    (requests, webhooks): (mpsc::Sender<api::Request>, Arc<api::Webhooks>),
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<api::Serving> {
    let listener = api::Listener {
        addr: config.api.listen,
        limits: crate::open_files::limits(),
        reviews: crate::reviews::of(config, cluster),
        transport: config.api.transport.clone(),
    };
    let serving = api::serve(listener, requests, webhooks, shutdown).await;
    serving.with_context(|| format!("listen on {} (--listen)", config.api.listen))
}

async fn serve_probes(
    config: &Config,
    readiness: watch::Receiver<Readiness>,
    shared: Arc<Shared>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<api::Serving> {
    // A loop that stands still cannot say so: whoever asks looks at its last turn.
    let (alive, answers) = watch::channel(Readiness::default());
    let for_metrics = Arc::clone(&shared);
    tokio::spawn(async move {
        let mut readiness = readiness;
        loop {
            let last = readiness.borrow_and_update().clone();
            alive.send_replace(shared.judge(last));
            // Not on any path that work waits for.
            if let Ok(Err(_)) = tokio::time::timeout(Duration::from_secs(5), readiness.changed()).await {
                return;
            }
        }
    });
    let metrics: api::MetricsText = Arc::new(move || {
        let shared = Arc::clone(&for_metrics);
        Box::pin(async move { shared.metrics().await })
    });
    api::serve_probes(config.probes, answers, metrics, shutdown)
        .await
        .with_context(|| format!("listen on {} (--probes)", config.probes))
}

type Watching = (Option<source::Watch>, Option<Hints>);

fn open_sources(config: &Config) -> anyhow::Result<(Sources, Watching)> {
    let mut settings = source::Config::new(config.cache_dir.join("git"));
    settings.local_repos.clone_from(&config.local_repos);
    let sources = Sources::open(settings)
        .with_context(|| format!("open the cache folder {} (--cache-dir)", config.cache_dir.display()))?;
    let watching = match sources.watch() {
        Ok((watch, hints)) => (Some(watch), Some(hints)),
        Err(error) => {
            tracing::warn!(%error, "local repositories are polled only");
            (None, None)
        }
    };
    Ok((sources, watching))
}

/// What has to be known before anything is decided.
#[derive(Default)]
pub(crate) struct FirstLook {
    discovery: Discovery,
    kinds: Option<Value>,
    installation_id: Option<String>,
}

/// Asks until the API server answers; it may be starting, too.
async fn first_look(cluster: &Cluster, namespace: &str) -> FirstLook {
    let mut wait = Duration::from_millis(200);
    loop {
        match try_first_look(cluster, namespace).await {
            Ok(first) => return first,
            Err(error) => {
                let hint = if error.class == ErrorClass::Forbidden {
                    "; see manifests/install.yaml for the rights"
                } else {
                    ""
                };
                tracing::warn!(%error, "the API server cannot be used yet{hint}");
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(10));
    }
}

async fn try_first_look(cluster: &Cluster, namespace: &str) -> Result<FirstLook, CallError> {
    let mut discovery = cluster.discover().await?;
    let kinds = kinds::read(cluster, namespace).await?;
    let mut record = KindsRecord::default();
    record.load(kinds.as_ref());
    let recorded = record.known().map(GroupVersionKind::group_kind).collect();
    cluster.confirm(&mut discovery, &recorded, &BTreeSet::new()).await;
    let endpoint = cluster::Endpoint::new("v1", "ConfigMap", "configmaps", true);
    let settings = cluster.get(&endpoint, namespace, "argocd-cm").await?;
    let id = settings.as_ref().and_then(|map| map.pointer("/data/installationID")).and_then(Value::as_str);
    Ok(FirstLook { discovery, kinds, installation_id: id.filter(|id| !id.is_empty()).map(str::to_owned) })
}

/// Forwards hints, calls and the lease into the loop.
fn forward(
    inputs: &mpsc::UnboundedSender<Input>,
    hints: Option<Hints>,
    mut calls: mpsc::Receiver<api::Request>,
    mut held: watch::Receiver<cluster::Holding>,
) {
    let sender = inputs.clone();
    if let Some(mut hints) = hints {
        tokio::spawn(async move { while sender.send(Input::Hint(hints.next().await)).is_ok() {} });
    }
    let sender = inputs.clone();
    tokio::spawn(async move {
        while let Some(call) = calls.recv().await {
            if sender.send(Input::Api(call)).is_err() {
                return;
            }
        }
    });
    let sender = inputs.clone();
    tokio::spawn(async move {
        loop {
            let now = held.borrow_and_update().clone();
            if sender.send(Input::Lease(now)).is_err() || held.changed().await.is_err() {
                return;
            }
        }
    });
}

/// Puts an agent together that has begun nothing.
pub(crate) fn assemble(
    config: Config,
    cluster: Cluster,
    sources: Sources,
    cache: Arc<Cache>,
    first: FirstLook,
    inputs: mpsc::UnboundedSender<Input>,
    watch_events: mpsc::Sender<(cluster::WatchId, cluster::WatchEvent)>,
) -> Agent {
    let mut kinds = KindsRecord::default();
    kinds.load(first.kinds.as_ref());
    let releases = crate::releases::Store::new(cluster.clone(), &config.namespace);
    Agent {
        identity: Identity::new(&config.namespace, first.installation_id),
        reverting: crate::reverting::Reverting::default(),
        keeping: Keeping::default(),
        config,
        cluster,
        sources,
        discovery: Arc::new(first.discovery),
        settings: Settings::default(),
        webhooks: Arc::default(),
        webhook_secrets: WebhookSecrets::default(),
        repos: Repositories::default(),
        followed_by: 0,
        apps: BTreeMap::new(),
        unread: BTreeMap::new(),
        by_part_of: BTreeMap::new(),
        live: LiveView::default(),
        workloads: Workloads::default(),
        claims: engine::claims::Claims::default(),
        kinds,
        releases,
        watches: BTreeMap::new(),
        watch_events,
        inputs,
        wakes: BTreeSet::new(),
        cache,
        dirty: BTreeSet::new(),
        held_back: BTreeSet::new(),
        may_write: false,
        gate: Arc::default(),
        discovering: Discovering::default(),
        metrics: Metrics::default(),
        renders: Arc::new(Semaphore::new(4)),
        checks: Arc::new(Semaphore::new(4)),
        dry_runs: DryRuns::default(),
        watcher: None,
        next_watch: 0,
        own_handles: Vec::new(),
        seen_apps: None,
        has_listed_apps: false,
        holder: String::new(),
        holds_lease: false,
        argo_cd: ArgoCd::default(),
        effects: VecDeque::new(),
        is_draining: false,
        stages_due: VecDeque::new(),
        event_room: Arc::new(Semaphore::new(1024)),
        event_turns: Arc::new(Semaphore::new(2)),
        list_turns: Arc::new(Semaphore::new(1)),
        swept: None,
        idle_kinds: crate::idle_kinds::IdleKinds::default(),
        turns: crate::writer::Turns::default(),
        feed: api::Feed::default(),
        waits: crate::waits::Waits::default(),
    }
}

/// Returns a name that no other running process has: the pod's name, so that a container that was restarted in its pod
/// goes on at once, or else host, process id and time.
fn holder() -> String {
    if let Ok(pod) = std::env::var("POD_NAME")
        && !pod.is_empty()
    {
        return pod;
    }
    let host = std::env::var("HOSTNAME").unwrap_or_default();
    format!("{host}_{}_{}", std::process::id(), crate::clock::now().as_millis())
}
