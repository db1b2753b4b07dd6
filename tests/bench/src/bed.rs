//! What does the agent run on? A lab with CRDs, rights, namespaces and a repository, all of it there before it starts.

use crate::agent::Setup;
use crate::observer::{Observer, Seen};
use crate::repository::{BRANCH, Repository};
use crate::requests::{Requests, flow_schemas};
use crate::runs::Scale;
use anyhow::Context as _;
use cluster::{Access, Cluster, Endpoint};
use e2e::GitServer;
use futures::{StreamExt as _, TryStreamExt as _};
use lab::Lab;
use model::Object;
use serde_json::{Map, Value, json};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where Applications live.
pub(crate) const CONTROL: &str = application::install::NAMESPACE;
/// Requests at the same time, of the agent as of everything that is measured beside it.
pub(crate) const CONNECTIONS: usize = 32;
/// How long the cluster may take to become quiet.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long it may take until of everything that was deployed there is a release, which is written after a soak of 10 s.
const KEEPING: Duration = Duration::from_mins(5);

/// Everything but the agent.
pub(crate) struct Bed {
    /// What happens in the cluster. Ends before the lab.
    pub observer: Observer,
    /// The cluster as its administrator.
    pub admin: Cluster,
    /// The cluster as the agent's service account.
    pub as_agent: Cluster,
    /// The repository of all apps.
    pub repository: Repository,
    /// What `repoURL` says.
    pub url: String,
    /// What serves it, where nobody may hint that it moved.
    pub server: Option<GitServer>,
    /// How to start the agent.
    pub setup: Setup,
    /// How long a sync of any app may get nowhere.
    window: Option<Duration>,
    pub lab: Lab,
}

/// The label by which few of the apps are chosen: there are as many of each value as there are apps, by [`SHARDS`].
pub(crate) const SHARD: &str = "shard";
/// How many values it has.
pub(crate) const SHARDS: usize = 400;

/// Returns the name of an app, which is its folder and its namespace, too.
pub(crate) fn app_name(app: usize) -> String {
    format!("app-{app:04}")
}

/// Returns where Applications are served.
pub(crate) fn applications() -> Endpoint {
    Endpoint::new("argoproj.io/v1alpha1", "Application", "applications", true)
}

/// Returns where Secrets are served.
pub(crate) fn secrets() -> Endpoint {
    Endpoint::new("v1", "Secret", "secrets", true)
}

/// Returns where ConfigMaps are served.
pub(crate) fn config_maps() -> Endpoint {
    Endpoint::new("v1", "ConfigMap", "configmaps", true)
}

impl Bed {
    /// Starts the lab and prepares it.
    pub(crate) async fn start(scale: &Scale, program: PathBuf) -> anyhow::Result<Self> {
        // Most need no pods, so no scheduler and no nodes. The controllers may ask often, or namespaces take minutes.
        let pods = scale.window.is_some();
        let nodes = if pods { lab::Options::default().nodes } else { 0 };
        let options = lab::Options { scheduler: pods, nodes, ..lab::Options::default() };
        let lab = Lab::start(&options)?;
        let folder = lab.folder().join("bench");
        let repositories = folder.join("repositories");
        std::fs::create_dir_all(&repositories).context("create the bench's folder")?;
        let apps = scale.apps + scale.later;
        let repository = Repository::create(&repositories, apps, scale.objects)?;
        let server = scale.polls.is_some().then(|| GitServer::start(repositories.clone()));
        let url = server
            .as_ref()
            .map_or_else(|| repository.path().display().to_string(), |server| server.url("repo"));
        install(&lab, scale)?;
        let kubeconfig = lab.kubeconfig_for(CONTROL, application::install::NAME)?;
        let admin = connect(lab.kubeconfig()).await?;
        let as_agent = connect(&kubeconfig).await?;
        if let Some(every) = scale.polls {
            poll_every(&admin, every).await?;
        }
        create_namespaces(&admin, apps).await?;
        wait_for_controllers(&lab, apps)?;
        wait_until_counted(&lab, &as_agent).await?;
        let observer = Observer::start(&admin);
        Ok(Self {
            observer,
            admin,
            as_agent,
            repository,
            url,
            server,
            setup: Setup { program, kubeconfig, folder, repositories, tls: None },
            window: scale.window,
            lab,
        })
    }

    /// Creates Applications, as quickly as the API server takes them.
    pub(crate) async fn create_applications(&self, apps: Range<usize>) -> anyhow::Result<()> {
        let endpoint = applications();
        let creates = apps.map(|app| {
            let object = Object::from_value(application(app, &self.url, self.window));
            let (admin, endpoint) = (&self.admin, &endpoint);
            async move {
                let object = object.map_err(|why| anyhow::anyhow!(why.0))?;
                admin.create(endpoint, &object, "bench").await.context("create an Application")
            }
        });
        futures::stream::iter(creates).buffer_unordered(CONNECTIONS).try_for_each(|_| async { Ok(()) }).await
    }

    /// Returns what the API server counted for the agent so far.
    pub(crate) fn requests(&self) -> anyhow::Result<Requests> {
        Ok(Requests::parse(&self.lab.metrics()?))
    }

    /// Waits until what was deployed is kept and the agent has asked for nothing for two seconds; returns what was counted
    /// until then.
    pub(crate) async fn settled(&self) -> anyhow::Result<Requests> {
        self.observer.wait(KEEPING, Seen::is_kept).await.context("wait for releases")?;
        let begin = Instant::now();
        let mut last = (self.requests()?, Instant::now());
        while last.1.elapsed() < Duration::from_secs(2) {
            anyhow::ensure!(begin.elapsed() < PATIENCE, "see the agent come to rest; it still asks");
            tokio::time::sleep(Duration::from_millis(700)).await;
            let requests = self.requests()?;
            if requests.work() != last.0.work() {
                last = (requests, Instant::now());
            }
        }
        Ok(last.0)
    }
}

async fn connect(kubeconfig: &Path) -> anyhow::Result<Cluster> {
    Cluster::connect(Access {
        kubeconfig: Some(PathBuf::from(kubeconfig)),
        user_agent: "bench".into(),
        in_flight: CONNECTIONS,
        call_timeout: Duration::from_secs(30),
    })
    .await
}

/// Installs the CRDs, the agent's rights as they are shipped, and what counts its requests.
fn install(lab: &Lab, scale: &Scale) -> anyhow::Result<()> {
    let shipped = application::install::documents(CONTROL, application::install::IMAGE);
    let is_kept =
        |document: &Value| document["kind"] != "Deployment" && document["kind"] != "CustomResourceDefinition";
    scale.schema.install(lab)?;
    let mut items: Vec<Value> = shipped.into_iter().filter(is_kept).collect();
    items.extend(flow_schemas(CONTROL, application::install::NAME));
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    lab.kubectl_with_input(&["apply", "--server-side", "-f", "-"], &list)?;
    Ok(())
}

/// Says how often repositories are asked, as people do.
async fn poll_every(admin: &Cluster, interval: &str) -> anyhow::Result<()> {
    let metadata = json!({"name": "argocd-cm", "namespace": CONTROL});
    let data = json!({"timeout.reconciliation": interval});
    let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
    let object = Object::from_value(value).map_err(|why| anyhow::anyhow!(why.0))?;
    admin.create(&config_maps(), &object, "bench").await.map(drop).context("create argocd-cm")
}

async fn create_namespaces(admin: &Cluster, apps: usize) -> anyhow::Result<()> {
    let endpoint = Endpoint::new("v1", "Namespace", "namespaces", false);
    let creates = (0..apps).map(|app| {
        let value = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": app_name(app)}});
        let (object, endpoint) = (Object::from_value(value), &endpoint);
        async move {
            let object = object.map_err(|why| anyhow::anyhow!(why.0))?;
            admin.create(endpoint, &object, "bench").await.context("create a namespace")
        }
    });
    futures::stream::iter(creates).buffer_unordered(CONNECTIONS).try_for_each(|_| async { Ok(()) }).await
}

/// Waits until the controllers have put into every namespace what they put there, so that nothing else writes later.
fn wait_for_controllers(lab: &Lab, apps: usize) -> anyhow::Result<()> {
    let begin = Instant::now();
    loop {
        let selector = "--field-selector=metadata.name=kube-root-ca.crt";
        let maps = lab.kubectl(&["get", "configmaps", "-A", selector, "-o", "name"])?.lines().count();
        let selector = "--field-selector=metadata.name=default";
        let accounts =
            lab.kubectl(&["get", "serviceaccounts", "-A", selector, "-o", "name"])?.lines().count();
        if maps.min(accounts) > apps {
            return Ok(());
        }
        anyhow::ensure!(begin.elapsed() < PATIENCE, "see the controllers fill {apps} namespaces: {maps}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Flow schemas hold a moment after they were created.
async fn wait_until_counted(lab: &Lab, as_agent: &Cluster) -> anyhow::Result<()> {
    let begin = Instant::now();
    while Requests::parse(&lab.metrics()?).of("get") == 0 {
        anyhow::ensure!(begin.elapsed() < PATIENCE, "see the agent's requests counted by flow schema");
        as_agent.get(&config_maps(), CONTROL, "argocd-cm").await.context("ask as the agent")?;
    }
    Ok(())
}

fn application(app: usize, url: &str, window: Option<Duration>) -> Value {
    let name = app_name(app);
    let deadline = window.map(|window| ("tautline.dev/deadline", format!("{}s", window.as_secs()).into()));
    let annotations: Map<String, Value> =
        deadline.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": name, "namespace": CONTROL, "labels": {SHARD: (app % SHARDS).to_string()},
            "annotations": annotations,
        },
        "spec": {
            "project": "default",
            "source": {"repoURL": url, "path": format!("apps/{name}"), "targetRevision": BRANCH},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": name},
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}},
        },
    })
}
